//! The calls that wait for a trunk: tenants take turns, and a tenant's calls go in their order.

use std::collections::{HashMap, VecDeque};

use crate::domain::call::CallId;
use crate::domain::did::DidId;
use crate::domain::tenant::TenantId;

/// A call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) call: CallId,
    pub(super) did: DidId,
}

/// The calls that wait for one trunk.
#[derive(Debug, Default)]
pub(super) struct Queue {
    calls: HashMap<TenantId, VecDeque<Waiting>>,
    /// The tenants that have calls here, whose turn it is first.
    turns: VecDeque<TenantId>,
    len: usize,
}

/// What may begin now, as the limits beside the trunk's own see it.
pub(super) trait Gate {
    fn lets_tenant(&mut self, tenant: &TenantId) -> bool;
    fn lets_did(&mut self, did: DidId) -> bool;
}

impl Queue {
    pub(super) fn push(&mut self, tenant: TenantId, waiting: Waiting) {
        self.len += 1;
        let calls = self.calls.entry(tenant.clone()).or_default();
        if calls.is_empty() {
            self.turns.push_back(tenant);
        }
        calls.push_back(waiting);
    }

    /// Takes the call whose turn it is. Tenants and DIDs that may not begin another are passed
    /// over and keep their turn.
    pub(super) fn take(&mut self, gate: &mut impl Gate) -> Option<(TenantId, Waiting)> {
        let (turn, place) = self.next(gate)?;
        let tenant = self.turns.remove(turn)?;
        let calls = self.calls.get_mut(&tenant)?;
        let waiting = calls.remove(place)?;
        self.len -= 1;
        if calls.is_empty() {
            self.calls.remove(&tenant);
        } else {
            self.turns.push_back(tenant.clone());
        }
        Some((tenant, waiting))
    }

    /// Whether some call could begin.
    pub(super) fn has_ready(&self, gate: &mut impl Gate) -> bool {
        self.next(gate).is_some()
    }

    pub(super) fn remove(&mut self, tenant: &TenantId, call: CallId) -> bool {
        let Some(calls) = self.calls.get_mut(tenant) else { return false };
        let before = calls.len();
        calls.retain(|waiting| waiting.call != call);
        let removed = calls.len() < before;
        if calls.is_empty() {
            self.calls.remove(tenant);
            self.turns.retain(|other| other != tenant);
        }
        self.len -= usize::from(removed);
        removed
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn len_of(&self, tenant: &TenantId) -> usize {
        self.calls.get(tenant).map_or(0, VecDeque::len)
    }

    fn next(&self, gate: &mut impl Gate) -> Option<(usize, usize)> {
        self.turns.iter().enumerate().find_map(|(turn, tenant)| {
            if !gate.lets_tenant(tenant) {
                return None;
            }
            let mut calls = self.calls.get(tenant)?.iter();
            calls.position(|waiting| gate.lets_did(waiting.did)).map(|place| (turn, place))
        })
    }
}

//! The limits beside a trunk's own, which a call that waits for it must find open too.

use std::time::Instant;

use super::meter::Met;
use super::queue::Gate;
use super::tally::Tally;
use crate::domain::did::DidId;
use crate::domain::tenant::TenantId;

/// Tenants and DIDs, and when one of those that were in the way gives way.
pub(super) struct Others<'a> {
    pub(super) tenants: &'a Tally<TenantId>,
    pub(super) dids: &'a Tally<DidId>,
    pub(super) now: Instant,
    pub(super) next: Option<Instant>,
}

impl Gate for Others<'_> {
    fn lets_tenant(&mut self, tenant: &TenantId) -> bool {
        self.lets(self.tenants.met(tenant, self.now))
    }

    fn lets_did(&mut self, did: DidId) -> bool {
        self.lets(self.dids.met(&did, self.now))
    }
}

impl Others<'_> {
    fn lets(&mut self, met: Option<Met>) -> bool {
        self.next = earlier(self.next, met.and_then(|met| met.until()));
        met.is_none()
    }
}

/// The earlier of two, where there are two.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

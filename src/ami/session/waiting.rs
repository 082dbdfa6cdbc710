//! The actions that wait for their answers: by ticket, by ActionID, and by deadline.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::ami::client::Want;
use crate::ami::frame::Frame;

/// An action, within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::ami) struct Ticket(pub(super) u64);

/// Why an action was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Asked(Want),
    Challenge,
    Login,
    CoreStatus,
    ListCommands,
    CoreSettings,
    Ping,
}

/// An action without its answer.
#[derive(Debug)]
pub(super) struct Pending {
    id: Box<[u8]>,
    pub(super) purpose: Purpose,
    /// Part of it may have reached Asterisk.
    pub(super) written: bool,
    /// What has come of a list.
    pub(super) items: Vec<Frame>,
    deadline: Instant,
    /// A list answers in pieces; each extends its deadline.
    extended: Instant,
}

/// Invariant: every ticket in `ids` and `deadlines` is in `pending`, and the other way round.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pending: HashMap<Ticket, Pending>,
    ids: HashMap<Box<[u8]>, Ticket>,
    deadlines: BTreeSet<(Instant, Ticket)>,
    asked: usize,
    lists: usize,
}

impl Waiting {
    pub(super) fn add(&mut self, ticket: Ticket, purpose: Purpose, id: &str, deadline: Instant) {
        let id: Box<[u8]> = id.as_bytes().into();
        self.ids.insert(id.clone(), ticket);
        self.deadlines.insert((deadline, ticket));
        self.asked += usize::from(matches!(purpose, Purpose::Asked(_)));
        self.lists += usize::from(purpose == Purpose::Asked(Want::List));
        let (written, items, extended) = (false, Vec::new(), deadline);
        self.pending.insert(ticket, Pending { id, purpose, written, items, deadline, extended });
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.pending.remove(&ticket)?;
        self.ids.remove(&pending.id);
        self.deadlines.remove(&(pending.deadline, ticket));
        self.asked -= usize::from(matches!(pending.purpose, Purpose::Asked(_)));
        self.lists -= usize::from(pending.purpose == Purpose::Asked(Want::List));
        Some(pending)
    }

    /// Takes all, in the order they were sent.
    pub(super) fn drain(&mut self) -> Vec<(Ticket, Pending)> {
        let mut all: Vec<_> = std::mem::take(self).pending.into_iter().collect();
        all.sort_unstable_by_key(|(ticket, _)| *ticket);
        all
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<&Pending> {
        self.pending.get(&ticket)
    }

    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Pending> {
        self.pending.get_mut(&ticket)
    }

    pub(super) fn with_id(&self, id: &[u8]) -> Option<Ticket> {
        self.ids.get(id).copied()
    }

    /// The only one that may have reached Asterisk, if it is the only one.
    pub(super) fn only_written(&self) -> Option<Ticket> {
        let mut written = self.pending.iter().filter(|(_, pending)| pending.written);
        let (ticket, _) = written.next()?;
        written.next().is_none().then_some(*ticket)
    }

    /// Whether one of them has this purpose.
    pub(super) fn has(&self, purpose: Purpose) -> bool {
        self.pending.values().any(|pending| pending.purpose == purpose)
    }

    /// More of a list has come: it has until `now` and `patience` for the rest.
    pub(super) fn extend(&mut self, ticket: Ticket, now: Instant, patience: Duration) {
        if let Some(pending) = self.pending.get_mut(&ticket) {
            pending.extended = now + patience;
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// One whose time is over. Ask until there is none; each is told once.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Ticket> {
        while self.next_deadline().is_some_and(|deadline| deadline <= now) {
            let (_, ticket) = self.deadlines.pop_first()?;
            let Some(pending) = self.pending.get_mut(&ticket) else { continue };
            if pending.extended <= now {
                return Some(ticket);
            }
            pending.deadline = pending.extended;
            self.deadlines.insert((pending.extended, ticket));
        }
        None
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// How many somebody outside the session asked.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// How many are answered by a list.
    pub(super) fn lists(&self) -> usize {
        self.lists
    }

    /// Whether nothing at all is left.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
            && self.ids.is_empty()
            && self.deadlines.is_empty()
            && (self.asked, self.lists) == (0, 0)
    }
}

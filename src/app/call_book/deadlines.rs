//! When something is due of a call in the book, kept in order as calls come, change and go.

use chrono::{DateTime, Utc};

use super::{Book, CallId, Followed};

/// What is due of a call, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Deadlines {
    timeout: Option<DateTime<Utc>>,
    hang_up: Option<DateTime<Utc>>,
}

impl Followed {
    pub(super) fn deadlines(&self) -> Deadlines {
        Deadlines { timeout: self.call.next_timeout(), hang_up: self.hanging_up.due(&self.call) }
    }
}

impl Book {
    pub(super) fn add(&mut self, followed: Followed) {
        let (id, after) = (followed.call.id(), followed.deadlines());
        self.calls.insert(id, followed);
        self.reschedule(id, Deadlines::default(), after);
    }

    pub(super) fn remove(&mut self, id: CallId) {
        if let Some(followed) = self.calls.remove(&id) {
            self.reschedule(id, followed.deadlines(), Deadlines::default());
        }
    }

    pub(super) fn reschedule(&mut self, id: CallId, before: Deadlines, after: Deadlines) {
        let first = self.hang_ups.first().copied();
        for (set, before, after) in [
            (&mut self.timeouts, before.timeout, after.timeout),
            (&mut self.hang_ups, before.hang_up, after.hang_up),
        ] {
            if before != after {
                before.map(|due| set.remove(&(due, id)));
                after.map(|due| set.insert((due, id)));
            }
        }
        let now_first = self.hang_ups.first().copied();
        if now_first.is_some_and(|now_first| first.is_none_or(|first| now_first < first)) {
            self.hang_ups_sooner.notify_one();
        }
    }
}

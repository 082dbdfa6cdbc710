//! Calls that wait for their trunk, and those that go out again by another.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Book, Call, CallBook, CallId, Changed, Followed};

impl CallBook {
    /// Follows a call that waits for its trunk and is on record, and tells of it.
    pub(in crate::app) fn follow_queued(&self, call: Call) {
        let (id, steps) = (call.id(), call.steps());
        let told = Arc::new(call.clone());
        let mut followed = Followed::new(call, None, 0);
        let news = followed.air(told, steps);
        let mut book = self.lock();
        book.add(followed);
        if book.tell(id) {
            self.changed.notify_one();
        }
        self.air(book, [news]);
    }

    /// A call that waited has its place on record and is to be handed to Asterisk. None if it is
    /// not followed, or does not wait.
    pub(in crate::app) fn initiate(&self, id: CallId, now: DateTime<Utc>) -> Option<Call> {
        let call = self.lock().change_waiting(id, |call| call.initiate(now))?;
        self.changed.notify_one();
        Some(call)
    }

    /// The call, with what of it was told.
    pub(in crate::app) fn look_at(&self, id: CallId) -> Option<Changed> {
        let book = self.lock();
        let Followed { call, told, .. } = book.calls.get(&id)?;
        Some(Changed { call: call.clone(), told: *told })
    }

    /// A call whose end is not stored yet becomes what `change` makes of it; the call as it then is.
    pub(in crate::app) fn revise(
        &self,
        id: CallId,
        change: impl FnOnce(&mut Call),
    ) -> Option<Call> {
        let mut book = self.lock();
        book.change(id, |call| {
            change(call);
            false
        });
        let followed = book.calls.get_mut(&id)?;
        if !followed.call.progress.status.is_end() {
            (followed.placed_at, followed.place) = (None, None);
        }
        Some(followed.call.clone())
    }

    /// The present attempt of a call has failed for good; it is to be stored and told.
    pub(in crate::app) fn give_up(&self, id: CallId, now: DateTime<Utc>) {
        self.lock().change(id, |call| call.give_up(now));
        self.changed.notify_one();
    }
}

impl Book {
    /// Changes a call outside of reports; the call, if that did anything.
    fn change_waiting(
        &mut self,
        id: CallId,
        change: impl FnOnce(&mut Call) -> bool,
    ) -> Option<Call> {
        let mut moved = false;
        self.change(id, |call| {
            moved = change(call);
            moved
        });
        self.calls.get(&id).filter(|_| moved).map(|followed| followed.call.clone())
    }
}

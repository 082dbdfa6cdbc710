//! Which connections of a door are idle, in the order in which they became so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

/// The idle connections of one door.
#[derive(Debug, Default)]
pub(super) struct Idle {
    queue: Mutex<Queue>,
    somebody_rests: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// By when they became idle, and how each is told to go.
    resting: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Guest {
    idle: Arc<Idle>,
    go: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a request of it is being answered.
    answering: bool,
    /// Whether an answer goes on over it that has no end yet.
    staying: bool,
    /// Its place among the idle, if it is.
    place: Option<u64>,
}

/// The connection a request came by, for an answer that has no end yet.
#[derive(Debug, Clone)]
pub(in crate::http) struct Staying(pub(super) Arc<Guest>);

/// While this lives, the connection is not idle.
#[derive(Debug)]
pub(in crate::http) struct Stay(Arc<Guest>);

impl Idle {
    /// A new connection, which is idle until it asks something.
    pub(super) fn arrive(self: &Arc<Self>) -> Arc<Guest> {
        let (idle, go) = (self.clone(), CancellationToken::new());
        let guest = Guest { idle, go, state: Mutex::default() };
        guest.is_idle();
        Arc::new(guest)
    }

    /// Tells the connection that has been idle longest to go; false if none is idle.
    pub(super) fn evict_longest(&self) -> bool {
        match self.queue().resting.pop_first() {
            Some((_, go)) => {
                go.cancel();
                true
            }
            None => false,
        }
    }

    /// Ends when one more connection has become idle, from now on.
    pub(super) fn rests(&self) -> Notified<'_> {
        self.somebody_rests.notified()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nobody panics in the queue")
    }
}

impl Guest {
    /// A request of it is being answered.
    pub(super) fn is_busy(&self) {
        self.change(|state| state.answering = true);
    }

    /// No request of it is being answered any more.
    pub(super) fn is_idle(&self) {
        self.change(|state| state.answering = false);
    }

    /// Whether a request of it is being answered. One whose answer goes on for ever was answered.
    pub(super) fn busy(&self) -> bool {
        self.state().answering
    }

    /// Whether an answer goes on over it that has no end yet.
    pub(super) fn stays(&self) -> bool {
        self.state().staying
    }

    /// Ends when a newcomer needs its room.
    pub(super) async fn evicted(&self) {
        self.go.cancelled().await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let rests = !state.answering && !state.staying;
        if rests == state.place.is_some() {
            return;
        }
        let mut queue = self.idle.queue();
        match state.place.take() {
            Some(place) => {
                queue.resting.remove(&place);
            }
            None => {
                let place = queue.next;
                queue.next += 1;
                queue.resting.insert(place, self.go.clone());
                state.place = Some(place);
            }
        }
        drop((queue, state));
        if rests {
            self.idle.somebody_rests.notify_waiters();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics at a place")
    }
}

impl Staying {
    /// Keeps the connection for as long as the answer goes on.
    pub(in crate::http) fn stay(&self) -> Stay {
        self.0.change(|state| state.staying = true);
        Stay(self.0.clone())
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.change(|state| state.staying = false);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.is_busy();
    }
}

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
    /// Its place among the idle; none while a request of it is being answered.
    place: Mutex<Option<u64>>,
}

impl Idle {
    /// A new connection, which is idle until it asks something.
    pub(super) fn arrive(self: &Arc<Self>) -> Guest {
        let guest =
            Guest { idle: self.clone(), go: CancellationToken::new(), place: Mutex::default() };
        guest.is_idle();
        guest
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
        if let Some(place) = self.place().take() {
            self.idle.queue().resting.remove(&place);
        }
    }

    /// No request of it is being answered any more.
    pub(super) fn is_idle(&self) {
        let mut queue = self.idle.queue();
        let place = queue.next;
        queue.next += 1;
        queue.resting.insert(place, self.go.clone());
        drop(queue);
        *self.place() = Some(place);
        self.idle.somebody_rests.notify_waiters();
    }

    /// Whether a request of it is being answered.
    pub(super) fn busy(&self) -> bool {
        self.place().is_none()
    }

    /// Ends when a newcomer needs its room.
    pub(super) async fn evicted(&self) {
        self.go.cancelled().await;
    }

    fn place(&self) -> MutexGuard<'_, Option<u64>> {
        self.place.lock().expect("nobody panics at a place")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.is_busy();
    }
}

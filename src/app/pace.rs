//! The one pace that all operations share, and who waits for it to move.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use crate::domain::call::{Call, CallId};
use crate::domain::did::TrunkName;
use crate::domain::pace::verdict::Verdict;
use crate::domain::pace::{Answer, Ask, Ended, Pace, Polled, Rules, TrunkState};
use crate::domain::tenant::TenantId;

/// A handle to the pace. Cloning it is cheap.
///
/// A std mutex, like the index: it answers in microseconds and is never held across an `.await`.
#[derive(Clone)]
pub struct SharedPace(Arc<Shared>);

struct Shared {
    pace: Mutex<Pace>,
    /// Calls that are to go out by another trunk and are on record so; each has its place.
    again: Mutex<Vec<CallId>>,
    moved: Notify,
}

impl SharedPace {
    /// Nothing in progress, under these rules.
    pub fn new(rules: Rules) -> Self {
        let pace = Mutex::new(Pace::new(rules));
        Self(Arc::new(Shared { pace, again: Mutex::default(), moved: Notify::new() }))
    }

    /// Asks for a place for this call.
    pub(super) fn ask(&self, call: &Call) -> Answer {
        self.lock().ask(ask_of(call), Instant::now())
    }

    /// A call that was told to wait is on record and may get its place from now on.
    pub(super) fn enqueue(&self, call: CallId, patience: Duration) {
        self.lock().enqueue(call, Instant::now() + patience);
        self.0.moved.notify_one();
    }

    /// A call that waits since an earlier run, or was taken out of the queue in vain.
    pub(super) fn enqueue_again(&self, call: &Call, patience: Duration) {
        self.lock().enqueue_again(ask_of(call), Instant::now() + patience);
        self.0.moved.notify_one();
    }

    /// A call that is in progress since an earlier run.
    pub(super) fn resume(&self, call: &Call) {
        self.lock().resume(ask_of(call));
    }

    /// This call has certainly not gone out; no harm if it has no place.
    pub(super) fn give_back(&self, call: CallId) {
        self.lock().give_back(call);
        self.0.moved.notify_one();
    }

    /// What the end of this call means for its trunk.
    pub(super) fn verdict(&self, call: &Call) -> Verdict {
        let (trunk, progress) = (&call.request.trunk, &call.progress);
        let known = progress.cause.filter(|_| progress.answered_at.is_none());
        let verdict =
            |cause| self.lock().rules().trunk(trunk).causes.verdict(cause, progress.sip_code);
        known.map_or(Verdict::Other, verdict)
    }

    /// This call is over on its trunk. See [`Pace::ended`].
    pub(super) fn ended(&self, call: CallId, verdict: Verdict, again: bool) -> Ended {
        let ended = self.lock().ended(call, verdict, again, Instant::now());
        self.0.moved.notify_one();
        ended
    }

    /// Takes a call out of the queue. Only who is told true may end it.
    pub(super) fn remove(&self, call: CallId) -> bool {
        self.lock().remove(call)
    }

    /// What time or room has brought, on the trunks by which calls can leave.
    pub(super) fn poll(&self, open: impl Fn(&TrunkName) -> bool) -> Polled {
        self.lock().poll(open, Instant::now())
    }

    /// When [`SharedPace::poll`] has something to say though nothing else happens.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.lock().next_timeout()
    }

    /// Something else has happened that may let a call begin: a line is up.
    pub(super) fn wake(&self) {
        self.0.moved.notify_one();
    }

    /// Waits until something has happened that may let a call begin.
    pub(super) async fn moved(&self) {
        self.0.moved.notified().await;
    }

    /// This call has its place on another trunk, on record too, and is to go out by it.
    pub(super) fn place_again(&self, call: CallId) {
        self.again().push(call);
        self.0.moved.notify_one();
    }

    /// All that are to go out again.
    pub(super) fn take_again(&self) -> Vec<CallId> {
        std::mem::take(&mut *self.again())
    }

    /// The trunks as they stand.
    pub fn trunks(&self) -> Vec<TrunkState> {
        self.lock().trunks(Instant::now())
    }

    /// How many calls have a place.
    pub fn in_progress(&self) -> usize {
        self.lock().in_progress()
    }

    /// How many of a tenant's calls wait.
    pub fn queued_of(&self, tenant: &TenantId) -> usize {
        self.lock().queued_of(tenant)
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        self.0.pace.lock().expect("no operation panics while it holds the pace")
    }

    fn again(&self) -> MutexGuard<'_, Vec<CallId>> {
        self.0.again.lock().expect("nobody panics while putting a call in")
    }
}

/// How much longer a call may wait that waits since then.
pub(super) fn patience_left(
    since: DateTime<Utc>,
    patience: Duration,
    now: DateTime<Utc>,
) -> Duration {
    patience.saturating_sub((now - since).to_std().unwrap_or_default())
}

fn ask_of(call: &Call) -> Ask {
    let request = &call.request;
    Ask {
        call: call.id(),
        tenant: request.tenant.clone(),
        did: request.did,
        trunk: request.trunk.clone(),
    }
}

//! The calls being followed: those that have not ended, and those whose end is not stored yet.
//!
//! Reports change a call here first, whichever Asterisk they come from. [`super::follow_calls`] takes
//! what changed to the store and announces it once it is committed.

mod deadlines;
mod hang_ups;
mod waiting;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, broadcast};

use self::hang_ups::HangingUp;
pub(super) use self::hang_ups::{DueHangUp, Tried};
use super::asterisks::Place;
use super::live::{Feed, News};
use crate::domain::asterisk::AsteriskName;
use crate::domain::call::{Call, CallId, CallStatus, ChannelId, Report, SETTLE};
use crate::domain::tenant::TenantId;

/// How many announcements a slow listener may fall behind before it must look at the store itself.
const ANNOUNCEMENTS: usize = 1024;

/// How long after its Originate a channel may not be listed yet: Asterisk answers "queued" and
/// makes the channel in a thread of its own.
const BIRTH: TimeDelta = TimeDelta::seconds(2);

/// A handle to the book. Cloning it is cheap.
#[derive(Clone)]
pub struct CallBook {
    book: Arc<Mutex<Book>>,
    changed: Arc<Notify>,
    hang_ups_sooner: Arc<Notify>,
    announcements: broadcast::Sender<Arc<Call>>,
    feed: Feed,
}

#[derive(Default)]
struct Book {
    calls: HashMap<CallId, Followed>,
    unsaved: HashSet<CallId>,
    timeouts: BTreeSet<(DateTime<Utc>, CallId)>,
    /// When which call is to be hung up, if it has not ended by then.
    hang_ups: BTreeSet<(DateTime<Utc>, CallId)>,
    /// Notified when a hang-up comes before all others.
    hang_ups_sooner: Arc<Notify>,
}

struct Followed {
    call: Call,
    /// When Asterisk took the call, or may have; none while it is on its way there.
    placed_at: Option<DateTime<Utc>>,
    /// How many of its changes have callbacks.
    told: u32,
    /// How many of its changes were in the store when it came into the book.
    stored: u32,
    /// How many of its changes the feed has had.
    aired: u32,
    /// Its place at the Asterisk it was sent to; none before it is.
    place: Option<Place>,
    hanging_up: HangingUp,
}

/// A call that changed and is not stored yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Changed {
    /// The call as it stands.
    pub(super) call: Call,
    /// How many of its changes have callbacks.
    pub(super) told: u32,
}

/// What a look at Asterisk's list came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Calls that have not ended here and are listed.
    pub listed: usize,
    /// Listed calls that nobody here follows, or no longer.
    pub unknown: usize,
    /// Calls that Asterisk should have and has not, as was not known before.
    pub missing: usize,
    /// Calls that are not listed and may be too young for it: only another look can tell.
    pub too_young: usize,
}

impl Default for CallBook {
    fn default() -> Self {
        let (announcements, _) = broadcast::channel(ANNOUNCEMENTS);
        let book = Book::default();
        let hang_ups_sooner = book.hang_ups_sooner.clone();
        let book = Arc::new(Mutex::new(book));
        let feed = Feed::default();
        Self { book, changed: Arc::default(), hang_ups_sooner, announcements, feed }
    }
}

impl CallBook {
    /// Follows a call from now on. Done before Asterisk hears of it, so that no report is missed.
    pub fn follow(&self, call: Call) {
        self.lock().add(Followed::new(call, None, 0));
    }

    /// Follows a call that an earlier run of the daemon recorded and of which it told so many changes.
    pub fn resume(&self, call: Call, told: u32) {
        // Nobody counts what was told of a call that nobody asked to be told of.
        let told = if call.request.callback_url.is_some() { told } else { call.steps() };
        let waits = call.progress.status == CallStatus::Queued;
        let placed_at = (!waits).then_some(call.request.created_at);
        let mut book = self.lock();
        let id = call.id();
        let mut followed = Followed::new(call, placed_at, told);
        // Nobody can be reading the feed of a new run yet.
        followed.aired = followed.stored;
        book.add(followed);
        book.tell(id);
        drop(book);
        self.changed.notify_one();
    }

    /// The call is sent to this Asterisk, or was: from there its reports come, and with the channels
    /// there it is compared. To be durable first.
    pub fn send_to(&self, id: CallId, place: Place) {
        if let Some(followed) = self.lock().calls.get_mut(&id) {
            followed.call.sent_to(place.asterisk().clone());
            followed.place = Some(place);
        }
    }

    /// Nobody can be asked about this call any more: it ends as missing, and at once, for a report that
    /// showed it alive would keep it from ending and nobody would look for it again.
    pub fn lose(&self, id: CallId, now: DateTime<Utc>) {
        self.lock().change(id, |call| {
            call.handle_missing(now - SETTLE);
            call.handle_timeout(now)
        });
        self.changed.notify_one();
    }

    /// Asterisk took the call, or may have. The call as it stands; none if it ended and is stored already.
    pub fn placed(&self, id: CallId, now: DateTime<Utc>) -> Option<Call> {
        let mut book = self.lock();
        let followed = book.calls.get_mut(&id)?;
        followed.placed_at = Some(now);
        let call = followed.call.clone();
        let news = followed.air(Arc::new(call.clone()), followed.stored);
        if book.tell(id) {
            self.changed.notify_one();
        }
        self.air(book, [news]);
        Some(call)
    }

    /// Stops following a call that Asterisk never took.
    pub fn forget(&self, id: CallId) {
        let mut book = self.lock();
        book.remove(id);
        book.unsaved.remove(&id);
    }

    /// How many calls are followed.
    pub fn in_progress(&self) -> usize {
        self.lock()
            .calls
            .values()
            .filter(|followed| !followed.call.progress.status.is_end())
            .count()
    }

    /// How many of them one tenant placed.
    pub fn in_progress_of(&self, tenant: &TenantId) -> usize {
        let book = self.lock();
        let calls = book.calls.values().map(|followed| &followed.call);
        calls
            .filter(|call| call.request.tenant == *tenant && !call.progress.status.is_end())
            .count()
    }

    /// Every change from now on, announced after it is stored.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Call>> {
        self.announcements.subscribe()
    }

    /// Every change of every call that was placed, after it is stored, for as long as there is room.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Whether the call is followed here.
    pub fn follows(&self, id: CallId) -> bool {
        self.lock().calls.contains_key(&id)
    }

    /// Takes in reports, in their order. Those of calls we do not follow are dropped, and those of an
    /// earlier attempt than the present one.
    pub fn handle_reports(&self, reports: Vec<(ChannelId, Report)>, now: DateTime<Utc>) {
        let mut book = self.lock();
        for (channel, report) in reports {
            book.change(channel.call, |call| {
                call.channel_id() == channel && call.handle_report(report, now)
            });
        }
        drop(book);
        self.changed.notify_one();
    }

    /// Ends the calls whose time has come.
    pub fn handle_timeouts(&self, now: DateTime<Utc>) {
        let mut book = self.lock();
        while let Some((due, id)) = book.timeouts.first().copied().filter(|(due, _)| *due <= now) {
            book.timeouts.remove(&(due, id));
            book.change(id, |call| call.handle_timeout(now));
        }
    }

    /// Compares the calls that were sent to this Asterisk with what it has: `listed` as it was asked
    /// for at `asked_at`. The calls it should have and has not will end as missing; those that ring
    /// on there after their time-out are to be hung up.
    pub fn handle_list(
        &self,
        asterisk: &AsteriskName,
        listed: &HashSet<ChannelId>,
        asked_at: DateTime<Utc>,
    ) -> Compared {
        let mut book = self.lock();
        let mut going = 0;
        for channel in listed {
            let known = book.calls.get(&channel.call);
            let present = |followed: &&Followed| {
                followed.is_at(asterisk) && followed.call.channel_id() == *channel
            };
            let Some(followed) = known.filter(present) else { continue };
            going += usize::from(!followed.call.progress.status.is_end());
            book.change(channel.call, |call| {
                call.handle_listed(asked_at);
                false
            });
        }
        let unlisted = book.calls.values().filter(|followed| {
            let status = followed.call.progress.status;
            let asterisk_has_it = !status.is_end() && status != CallStatus::Queued;
            followed.is_at(asterisk)
                && asterisk_has_it
                && !listed.contains(&followed.call.channel_id())
        });
        let (missing, too_young): (Vec<_>, Vec<_>) = unlisted
            .map(|followed| (followed.call.id(), followed.placed_at))
            .partition(|(_, placed_at)| placed_at.is_some_and(|at| at + BIRTH < asked_at));
        let mut news = 0;
        for (id, _) in &missing {
            book.change(*id, |call| {
                news += usize::from(call.handle_missing(asked_at));
                false
            });
        }
        drop(book);
        self.changed.notify_one();
        Compared {
            listed: going,
            unknown: listed.len() - going,
            missing: news,
            too_young: too_young.len(),
        }
    }

    /// Whether some call has been silent for so long that this Asterisk must be asked about it.
    pub fn has_overdue(&self, asterisk: &AsteriskName, now: DateTime<Utc>) -> bool {
        let book = self.lock();
        book.calls
            .values()
            .any(|followed| followed.is_at(asterisk) && followed.call.is_overdue(now))
    }

    /// When [`CallBook::handle_timeouts`] has something to do, if ever.
    pub fn next_timeout(&self) -> Option<DateTime<Utc>> {
        self.lock().timeouts.first().map(|(due, _)| *due)
    }

    /// Waits until some call changed, or when one times out.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Up to `most` changed calls that are not stored yet.
    pub(super) fn unsaved(&self, most: usize) -> Vec<Changed> {
        let mut book = self.lock();
        let ids: Vec<CallId> = book.unsaved.iter().take(most).copied().collect();
        for id in &ids {
            book.unsaved.remove(id);
        }
        let followed = ids.iter().filter_map(|id| book.calls.get(id));
        followed.map(|kept| Changed { call: kept.call.clone(), told: kept.told }).collect()
    }

    /// These could not be stored; they are to be tried again.
    pub(super) fn keep_unsaved(&self, changed: &[Changed]) {
        self.lock().unsaved.extend(changed.iter().map(|one| one.call.id()));
    }

    /// These are stored, and all their changes have callbacks: announces them, and stops following
    /// those that have ended.
    pub(super) fn saved(&self, changed: Vec<Changed>) {
        let mut news = Vec::with_capacity(changed.len());
        let mut stored = Vec::with_capacity(changed.len());
        let mut book = self.lock();
        for Changed { call, .. } in changed {
            let (id, over, steps) = (call.id(), call.progress.status.is_end(), call.steps());
            let call = Arc::new(call);
            match book.calls.get_mut(&id) {
                // Its end was stored and announced meanwhile.
                None if !over => continue,
                None => {}
                Some(followed) => {
                    followed.told = followed.told.max(steps);
                    news.push(followed.air(call.clone(), steps));
                    if over {
                        book.remove(id);
                        book.unsaved.remove(&id);
                    }
                }
            }
            stored.push(call);
        }
        self.air(book, news);
        for call in stored {
            // Nobody may be listening.
            let _ = self.announcements.send(call);
        }
    }

    /// Tells the feed. It is taken before the book is given back, so that it has a call's changes in
    /// their order, and filled after, so that nobody waits for the book meanwhile.
    fn air(&self, book: MutexGuard<'_, Book>, news: impl IntoIterator<Item = News>) {
        let feed = self.feed.begin();
        drop(book);
        feed.tell(news);
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no operation panics while it holds the book")
    }
}

impl Followed {
    fn new(call: Call, placed_at: Option<DateTime<Utc>>, told: u32) -> Self {
        Self {
            placed_at,
            told,
            stored: call.steps(),
            aired: 0,
            place: None,
            hanging_up: HangingUp::default(),
            call,
        }
    }

    /// What the feed has not had of the first `steps` changes.
    fn air(&mut self, call: Arc<Call>, steps: u32) -> News {
        let aired = self.aired;
        self.aired = aired.max(steps);
        News { call, steps: aired..steps }
    }

    fn is_at(&self, asterisk: &AsteriskName) -> bool {
        self.place.as_ref().is_some_and(|place| place.asterisk() == asterisk)
    }
}

impl Book {
    /// Has a call stored for the sake of what is still to be told of it. Says whether that is so.
    fn tell(&mut self, id: CallId) -> bool {
        let untold = self.calls.get(&id).is_some_and(|followed| {
            followed.call.request.callback_url.is_some() && followed.told < followed.call.steps()
        });
        if untold {
            self.unsaved.insert(id);
        }
        untold
    }

    fn change(&mut self, id: CallId, change: impl FnOnce(&mut Call) -> bool) {
        let Some(followed) = self.calls.get_mut(&id) else { return };
        let before = followed.deadlines();
        let moved = change(&mut followed.call);
        if moved {
            // Asterisk has its channel now, if it had none before.
            followed.hanging_up.at_once();
            self.unsaved.insert(id);
        }
        let after = followed.deadlines();
        self.reschedule(id, before, after);
    }
}

#[cfg(test)]
mod tests;

//! The changes of calls that were told last, for streams that read them at their own pace.
//!
//! A ring: the newest push the oldest out, and nobody who reads slowly holds up the daemon. Every
//! change has a number among its tenant's, so that a reader knows what it missed, and so that no
//! tenant learns from its own numbers how busy the others are.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::domain::call::announcement::Announcement;
use crate::domain::call::{Call, CallId, CallRequest, CallStatus};
use crate::domain::tenant::TenantId;

/// How many changes are kept.
const EVENTS_MAX: usize = 16_384;

/// How much memory they may take, about, in bytes.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A handle to the ring. Cloning it is cheap.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    /// What tells the numbers of this run from those of every other.
    run: String,
    ring: Mutex<Ring>,
    pushed: watch::Sender<()>,
}

struct Ring {
    events: VecDeque<Kept>,
    /// How many have been pushed out.
    gone: u64,
    bytes: usize,
    /// Each tenant's last number.
    numbers: HashMap<TenantId, u64>,
    events_max: usize,
    bytes_max: usize,
}

struct Kept {
    /// From 1, in the order in which the tenant's calls changed.
    number: u64,
    /// Which of the call's steps it tells, from 1.
    step: u32,
    call: Arc<Call>,
    bytes: usize,
}

/// Steps of a call that are committed and were not told yet, counted from 0.
pub(in crate::app) struct News {
    pub(in crate::app) call: Arc<Call>,
    pub(in crate::app) steps: Range<u32>,
}

/// The ring while something is put into it.
pub(in crate::app) struct Telling<'a> {
    ring: MutexGuard<'a, Ring>,
    pushed: &'a watch::Sender<()>,
}

/// Which changes a reader wants; what is none does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this call.
    pub call: Option<CallId>,
    /// Those to this state.
    pub status: Option<CallStatus>,
}

/// What a reader hears. The ids resume a stream behind what they came with.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A change.
    Change {
        /// Its id.
        id: String,
        /// The change.
        change: Box<Announcement>,
    },
    /// Changes that cannot be told any more.
    Gap {
        /// The id of the last of them.
        id: String,
        /// How many of the tenant's they are; not known of another run of the daemon.
        missed: Option<u64>,
    },
}

/// One stream's place in the ring.
pub struct Reader {
    feed: Feed,
    pushed: watch::Receiver<()>,
    tenant: TenantId,
    filter: Filter,
    /// Where in the ring it looks next, counted from the first change of this run.
    place: u64,
    /// The number of the tenant's change that comes next.
    next: u64,
    /// Whether it came back with an id that means nothing here.
    lost: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self::bounded(EVENTS_MAX, BYTES_MAX)
    }
}

impl Feed {
    fn bounded(events_max: usize, bytes_max: usize) -> Self {
        let ring = Ring {
            events: VecDeque::new(),
            gone: 0,
            bytes: 0,
            numbers: HashMap::new(),
            events_max,
            bytes_max,
        };
        let run = Uuid::now_v7().simple().to_string();
        Self(Arc::new(Inner { run, ring: Mutex::new(ring), pushed: watch::Sender::new(()) }))
    }

    /// Takes the ring, to tell something in the order in which this was asked for.
    pub(in crate::app) fn begin(&self) -> Telling<'_> {
        Telling { ring: self.ring(), pushed: &self.0.pushed }
    }

    /// A reader of the tenant's changes behind the one with the id `after`, else from now on.
    pub fn read(&self, tenant: &TenantId, after: Option<&str>, filter: Filter) -> Reader {
        let pushed = self.0.pushed.subscribe();
        let ring = self.ring();
        let newest = ring.last_of(tenant);
        let known = after.and_then(|id| self.number_in(id)).filter(|number| *number <= newest);
        let (place, next) = match known {
            Some(number) => (ring.gone, number + 1),
            None => (ring.end(), newest + 1),
        };
        let lost = after.is_some() && known.is_none();
        drop(ring);
        Reader { feed: self.clone(), pushed, tenant: tenant.clone(), filter, place, next, lost }
    }

    fn number_in(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        number.parse().ok().filter(|_| run == self.0.run)
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.0.run)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().expect("nobody panics while holding the ring")
    }
}

impl Telling<'_> {
    /// Puts these in, in order, and wakes those who read.
    pub(in crate::app) fn tell(mut self, news: impl IntoIterator<Item = News>) {
        for News { call, steps } in news {
            for step in steps {
                self.ring.push(call.clone(), step + 1);
            }
        }
        drop(self.ring);
        self.pushed.send_replace(());
    }
}

impl Reader {
    /// The next that this reader has to hear. May be dropped and asked again.
    pub async fn next(&mut self) -> Heard {
        loop {
            self.pushed.mark_unchanged();
            if let Some(heard) = self.look() {
                return heard;
            }
            if self.pushed.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// The same, if it is there already.
    pub fn look(&mut self) -> Option<Heard> {
        if std::mem::take(&mut self.lost) {
            return Some(self.gap(None));
        }
        loop {
            let (call, step) = match self.advance() {
                Ok(found) => found?,
                Err(missed) => return Some(self.gap(Some(missed))),
            };
            if self.filter.call.is_some_and(|wanted| wanted != call.id()) {
                continue;
            }
            let Some(change) = call.announcements(step - 1).into_iter().next() else { continue };
            if self.filter.status.is_none_or(|wanted| wanted == change.data.status) {
                let id = self.feed.id(self.next - 1);
                return Some(Heard::Change { id, change: Box::new(change) });
            }
        }
    }

    /// The id that resumes behind all that was heard or not wanted; none before a gap was told.
    pub fn id(&self) -> Option<String> {
        (!self.lost).then(|| self.feed.id(self.next - 1))
    }

    fn gap(&self, missed: Option<u64>) -> Heard {
        Heard::Gap { id: self.feed.id(self.next - 1), missed }
    }

    /// The tenant's next change, none if there is none yet; or how many are gone before it.
    fn advance(&mut self) -> Result<Option<(Arc<Call>, u32)>, u64> {
        let ring = self.feed.ring();
        self.place = self.place.max(ring.gone);
        while let Some(kept) = ring.at(self.place) {
            let own = kept.call.request.tenant == self.tenant && kept.number >= self.next;
            if own && kept.number > self.next {
                return Err(skip(&mut self.next, kept.number));
            }
            self.place += 1;
            if own {
                self.next += 1;
                return Ok(Some((kept.call.clone(), kept.step)));
            }
        }
        match ring.last_of(&self.tenant) + 1 {
            next if next > self.next => Err(skip(&mut self.next, next)),
            _ => Ok(None),
        }
    }
}

/// Goes on to a number; how many were left out.
fn skip(next: &mut u64, to: u64) -> u64 {
    to - std::mem::replace(next, to)
}

impl Ring {
    fn push(&mut self, call: Arc<Call>, step: u32) {
        let number = self.numbers.entry(call.request.tenant.clone()).or_default();
        *number += 1;
        let kept = Kept { number: *number, step, bytes: weight(&call.request), call };
        self.bytes += kept.bytes;
        self.events.push_back(kept);
        while self.events.len() > self.events_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.bytes;
            self.gone += 1;
        }
    }

    fn at(&self, place: u64) -> Option<&Kept> {
        self.events.get(usize::try_from(place.checked_sub(self.gone)?).ok()?)
    }

    fn end(&self) -> u64 {
        self.gone + self.events.len() as u64
    }

    fn last_of(&self, tenant: &TenantId) -> u64 {
        self.numbers.get(tenant).copied().unwrap_or_default()
    }
}

/// About how much memory a call takes: itself, and the texts that may be long.
fn weight(request: &CallRequest) -> usize {
    let variables: usize =
        request.variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    let url = request.callback_url.as_ref().map_or(0, String::len);
    let journey = request.journey.as_ref().map_or(0, weight_of_json);
    size_of::<Kept>() + size_of::<Call>() + variables + url + journey
}

fn weight_of_json(value: &Value) -> usize {
    let within = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight_of_json).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + weight_of_json(value)).sum()
        }
    };
    size_of::<Value>() + within
}

#[cfg(test)]
mod tests;

//! How fast calls leave, and how many at once: by trunk, by tenant and by DID.
//!
//! ```text
//!          ┌─ Now ──────────────> in progress ── ended ──> (the next trunk | over)
//!  ask ────┼─ Queued ─ enqueue ─> waiting ── poll ──^
//!          └─ Refused                 └─ expired, removed
//! ```
//!
//! [`Pace`] counts and decides; it places no call and reads no clock. A call has its place from the
//! answer `Now`, or from [`Pace::poll`], until [`Pace::ended`] or [`Pace::give_back`]. What waits
//! takes turns by tenant, so that one with many calls does not keep the others waiting.

mod answer;
mod meter;
mod others;
mod queue;
mod rules;
mod slow;
mod tally;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

pub use self::answer::{Answer, Ask, Ended, Limit, Polled, Refused, TrunkState};
use self::meter::{Met, Meter, UNBOUNDED_KEEP};
use self::others::{Others, earlier};
use self::queue::{Queue, Waiting};
pub use self::rules::{Limits, QUEUE_MAX, Rules, TrunkRules, WhenFull};
use self::slow::Slow;
pub use self::slow::Turned;
use self::tally::Tally;
use self::verdict::Verdict;
use super::call::CallId;
use super::did::{DidId, TrunkName};
use super::tenant::TenantId;

/// How many trunks nobody speaks of are kept before those without a call are forgotten.
const IDLE_TRUNKS: usize = 256;

/// What a trunk without a limit is taken to carry in a second at least: one that has hardly a call
/// is not held back for the sake of one complaint.
const UNBOUNDED_LEAST: usize = 8;

/// All that is counted.
#[derive(Debug, Default)]
pub struct Pace {
    rules: Rules,
    trunks: BTreeMap<TrunkName, Trunk>,
    tenants: Tally<TenantId>,
    dids: Tally<DidId>,
    held: HashMap<CallId, Held>,
    /// Calls that were told to wait and are not in the queue yet.
    promised: HashMap<CallId, Ask>,
    waiting: HashMap<CallId, (Ask, Instant)>,
    expiries: BTreeSet<(Instant, CallId)>,
    /// When time alone lets a call begin that waits.
    next_begin: Option<Instant>,
    /// Which trunk's calls are looked at first.
    turn: usize,
}

#[derive(Debug, Default)]
struct Trunk {
    meter: Meter,
    queue: Queue,
    promised: usize,
    slow: Slow,
}

/// A call in progress.
#[derive(Debug, Clone)]
struct Held {
    ask: Ask,
    /// When it began; none for one that an earlier run began.
    begun: Option<Instant>,
}

impl Pace {
    /// Nothing in progress, under these rules.
    pub fn new(rules: Rules) -> Self {
        let (tenants, dids) = (Tally::new(rules.tenant), Tally::new(rules.did));
        Self { rules, tenants, dids, ..Self::default() }
    }

    /// Asks for a place. Who is answered `Queued` goes on with [`Pace::enqueue`], who does not
    /// begin after all with [`Pace::give_back`].
    pub fn ask(&mut self, ask: Ask, now: Instant) -> Answer {
        let rules = self.rules.trunk(&ask.trunk).clone();
        let met = self.met(&ask, &rules, now);
        if met.is_none() && !self.somebody_is_first(&ask.trunk, now) {
            self.begin(ask, now);
            return Answer::Now;
        }
        if let (WhenFull::Refuse, Some(refused)) = (rules.when_full, met) {
            return Answer::Refused(refused);
        }
        let trunk = self.trunks.entry(ask.trunk.clone()).or_default();
        let waiting = trunk.queue.len() + trunk.promised;
        if waiting >= rules.queue_max {
            let (current, max) = (waiting as u32, rules.queue_max as u32);
            let retry_after = met.map_or(Duration::from_secs(1), |met| met.retry_after);
            return Answer::Refused(Refused {
                limit: Limit::TrunkQueue,
                current,
                max,
                retry_after,
            });
        }
        trunk.promised += 1;
        self.promised.insert(ask.call, ask);
        Answer::Queued
    }

    /// Puts a call in the queue that was answered `Queued`. From then on [`Pace::poll`] may begin
    /// it; after `until` it waits no more.
    pub fn enqueue(&mut self, call: CallId, until: Instant) {
        let Some(ask) = self.promised.remove(&call) else { return };
        let trunk = self.trunks.entry(ask.trunk.clone()).or_default();
        trunk.promised = trunk.promised.saturating_sub(1);
        self.put(ask, until);
    }

    /// Puts a call in the queue that waited when the last run ended, even over the bound.
    pub fn enqueue_again(&mut self, ask: Ask, until: Instant) {
        self.put(ask, until);
    }

    /// Counts a call that is in progress since an earlier run, even over the limits.
    pub fn resume(&mut self, ask: Ask) {
        self.trunks.entry(ask.trunk.clone()).or_default().meter.resume();
        self.tenants.resume(&ask.tenant);
        self.dids.resume(&ask.did);
        self.held.insert(ask.call, Held { ask, begun: None });
    }

    /// What may begin now by the trunks that are open, what waited too long, and which trunks are
    /// well again.
    pub fn poll(&mut self, open: impl Fn(&TrunkName) -> bool, now: Instant) -> Polled {
        let mut polled = Polled::default();
        while self.expiries.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, call)) = self.expiries.pop_first()
        {
            if self.remove(call) {
                polled.expired.push(call);
            }
        }
        for (name, trunk) in &mut self.trunks {
            if trunk.slow.recover(now).is_some() {
                polled.recovered.push(name.clone());
            }
        }
        self.next_begin = None;
        let queued = self.trunks.iter().filter(|(name, trunk)| trunk.queue.len() > 0 && open(name));
        let mut queued: Vec<TrunkName> = queued.map(|(name, _)| name.clone()).collect();
        if !queued.is_empty() {
            // A limit that trunks share must not always go to the same one's calls.
            self.turn = (self.turn + 1) % queued.len();
            queued.rotate_left(self.turn);
        }
        for name in &queued {
            while let Some(call) = self.begin_one(name, now) {
                polled.begin.push(call);
            }
        }
        polled
    }

    /// When [`Pace::poll`] has something to say though nothing else happens; none if never.
    pub fn next_timeout(&self) -> Option<Instant> {
        let expiry = self.expiries.first().map(|(due, _)| *due);
        let recovery = self.trunks.values().filter_map(|trunk| trunk.slow.recovered_at()).min();
        [self.next_begin, expiry, recovery].into_iter().flatten().min()
    }

    /// Takes a call out of the queue; false if it is not in it. Only who is told true may end it.
    pub fn remove(&mut self, call: CallId) -> bool {
        let Some((ask, until)) = self.waiting.remove(&call) else { return false };
        self.expiries.remove(&(until, call));
        let trunk = self.trunks.get_mut(&ask.trunk);
        trunk.is_some_and(|trunk| trunk.queue.remove(&ask.tenant, call))
    }

    /// A call that had a place, or was promised one in the queue, has certainly not gone out. It
    /// is as if it had never asked.
    pub fn give_back(&mut self, call: CallId) {
        if let Some(ask) = self.promised.remove(&call)
            && let Some(trunk) = self.trunks.get_mut(&ask.trunk)
        {
            trunk.promised = trunk.promised.saturating_sub(1);
        }
        let Some(Held { ask, begun }) = self.held.remove(&call) else { return };
        if let Some(trunk) = self.trunks.get_mut(&ask.trunk) {
            trunk.meter.undo(begun);
        }
        self.tenants.undo(&ask.tenant, begun);
        self.dids.undo(&ask.did, begun);
    }

    /// A call is over on its trunk, which means this for the trunk. Its place is free, unless the
    /// call may go out again and a trunk after this one has room: then it has a place there. It is
    /// not put into a queue a second time.
    ///
    /// Of a call that has no place nothing follows, so the same end told twice does no harm.
    pub fn ended(&mut self, call: CallId, verdict: Verdict, again: bool, now: Instant) -> Ended {
        let Some(Held { ask, begun }) = self.held.remove(&call) else { return Ended::default() };
        let slower = self.hear(&ask.trunk, verdict, begun, now);
        if let Some(trunk) = self.trunks.get_mut(&ask.trunk) {
            trunk.meter.end(begun, now);
        }
        let next = if again && verdict.is_congestion() { self.room_after(&ask, now) } else { None };
        match &next {
            Some(next) => {
                let keep = self.keep(next);
                self.trunks.entry(next.clone()).or_default().meter.begin(keep, now);
                let ask = Ask { trunk: next.clone(), ..ask };
                self.held.insert(call, Held { ask, begun: Some(now) });
            }
            None => {
                self.tenants.end(&ask.tenant, begun, now);
                self.dids.end(&ask.did, begun, now);
                self.forget_idle_trunks(now);
            }
        }
        Ended { slower, next }
    }

    /// What an end means on this trunk.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Calls in progress.
    pub fn in_progress(&self) -> usize {
        self.held.len()
    }

    /// Calls of a tenant that wait.
    pub fn queued_of(&self, tenant: &TenantId) -> usize {
        self.trunks.values().map(|trunk| trunk.queue.len_of(tenant)).sum()
    }

    /// The trunks with rules or with calls, by name.
    pub fn trunks(&self, now: Instant) -> Vec<TrunkState> {
        let names: BTreeSet<_> = self.rules.trunks.keys().chain(self.trunks.keys()).collect();
        let idle = Trunk::default();
        let state = |name: &TrunkName| {
            let (rules, trunk) = (self.rules.trunk(name), self.trunks.get(name).unwrap_or(&idle));
            let slow = trunk.slow.rate(now);
            let full = rules.limits.calls_per_second.map(|rate| f64::from(rate.get()));
            TrunkState {
                name: name.clone(),
                channels: trunk.meter.in_use(),
                channels_max: rules.limits.channels_max.map(u32::from),
                calls_per_second: slow.or(full),
                slowed_down: slow.is_some(),
                queued: trunk.queue.len() + trunk.promised,
                queue_max: rules.queue_max,
            }
        };
        names.into_iter().map(state).collect()
    }

    /// The limit that keeps a call waiting for longest.
    fn met(&self, ask: &Ask, rules: &TrunkRules, now: Instant) -> Option<Refused> {
        let trunk = self.trunk_met(&ask.trunk, rules, now);
        let trunk = trunk.map(|met| (met, Limit::TrunkChannels, Limit::TrunkRate));
        let tenant = self.tenants.met(&ask.tenant, now);
        let tenant = tenant.map(|met| (met, Limit::TenantChannels, Limit::TenantRate));
        let did = self.dids.met(&ask.did, now);
        let did = did.map(|met| (met, Limit::DidChannels, Limit::DidRate));
        let all = [did, tenant, trunk].into_iter().flatten();
        all.map(|(met, channels, rate)| Refused::new(met, channels, rate, now))
            .max_by_key(|refused| refused.retry_after)
    }

    fn trunk_met(&self, name: &TrunkName, rules: &TrunkRules, now: Instant) -> Option<Met> {
        let trunk = self.trunks.get(name)?;
        let full = rules.limits.calls_per_second.map(|rate| f64::from(rate.get()));
        let rate = trunk.slow.rate(now).or(full);
        trunk.meter.met(rate, rules.limits.channels_max, now)
    }

    /// Whether a call that could begin waits for this trunk already.
    fn somebody_is_first(&self, name: &TrunkName, now: Instant) -> bool {
        let mut gate = Others { tenants: &self.tenants, dids: &self.dids, now, next: None };
        self.trunks.get(name).is_some_and(|trunk| trunk.queue.has_ready(&mut gate))
    }

    fn begin(&mut self, ask: Ask, now: Instant) {
        let keep = self.keep(&ask.trunk);
        self.trunks.entry(ask.trunk.clone()).or_default().meter.begin(keep, now);
        self.tenants.begin(&ask.tenant, now);
        self.dids.begin(&ask.did, now);
        self.held.insert(ask.call, Held { ask, begun: Some(now) });
    }

    /// Begins the call of this trunk whose turn it is, or learns when to look again.
    fn begin_one(&mut self, name: &TrunkName, now: Instant) -> Option<CallId> {
        if let Some(met) = self.trunk_met(name, self.rules.trunk(name), now) {
            self.next_begin = earlier(self.next_begin, met.until());
            return None;
        }
        let mut gate = Others { tenants: &self.tenants, dids: &self.dids, now, next: None };
        let taken = self.trunks.get_mut(name)?.queue.take(&mut gate);
        let next = gate.next;
        let Some((_, Waiting { call, .. })) = taken else {
            self.next_begin = earlier(self.next_begin, next);
            return None;
        };
        let (ask, until) = self.waiting.remove(&call)?;
        self.expiries.remove(&(until, call));
        self.begin(ask, now);
        Some(call)
    }

    fn put(&mut self, ask: Ask, until: Instant) {
        let (call, waiting) = (ask.call, Waiting { call: ask.call, did: ask.did });
        let trunk = self.trunks.entry(ask.trunk.clone()).or_default();
        trunk.queue.push(ask.tenant.clone(), waiting);
        self.expiries.insert((until, call));
        self.waiting.insert(call, (ask, until));
    }

    fn hear(
        &mut self,
        name: &TrunkName,
        verdict: Verdict,
        begun: Option<Instant>,
        now: Instant,
    ) -> Option<(TrunkName, f64)> {
        let full = self.rules.trunk(name).limits.calls_per_second;
        let trunk = self.trunks.get_mut(name)?;
        // A trunk without a limit is slowed down from what it carries just now.
        let carries = || trunk.meter.within_a_second(now).max(UNBOUNDED_LEAST) as f64;
        let ceiling = full.map_or_else(carries, |rate| f64::from(rate.get()));
        match trunk.slow.hear(verdict, begun, ceiling, now) {
            Some(Turned::Slower(rate)) => Some((name.clone(), rate)),
            Some(Turned::Full) | None => None,
        }
    }

    fn room_after(&self, ask: &Ask, now: Instant) -> Option<TrunkName> {
        let has_room = |name: &&TrunkName| {
            let rules = self.rules.trunk(name);
            self.trunk_met(name, rules, now).is_none() && !self.somebody_is_first(name, now)
        };
        self.rules.after(&ask.trunk).find(has_room).cloned()
    }

    /// Of how many calls a trunk needs to know when they began.
    fn keep(&self, name: &TrunkName) -> usize {
        let rate = self.rules.trunk(name).limits.calls_per_second;
        rate.map_or(UNBOUNDED_KEEP, |rate| rate.get() as usize)
    }

    /// A request may name any trunk, so those that are of no more use go.
    fn forget_idle_trunks(&mut self, now: Instant) {
        if self.trunks.len() > self.rules.trunks.len() + IDLE_TRUNKS {
            let known = &self.rules.trunks;
            self.trunks.retain(|name, trunk| known.contains_key(name) || !trunk.is_idle(now));
        }
    }
}

impl Trunk {
    fn is_idle(&self, now: Instant) -> bool {
        let nobody_waits = self.queue.len() == 0 && self.promised == 0;
        nobody_waits && self.slow.recovered_at().is_none() && self.meter.is_idle(now)
    }
}

#[cfg(test)]
mod tests;

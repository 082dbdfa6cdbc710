//! The simulated Asterisk without its sockets: actions and time go in, bytes come out.
//!
//! ```text
//! handle_connect ─┐                       ┌─> take_output, one session at a time
//! handle_action  ─┼─> sessions and calls ─┤
//! handle_timeout ─┘                       └─> next_timeout
//! ```

mod actions;
mod session;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use self::session::{End, Session};
pub(super) use self::session::{Output, SessionId};
use super::call::{Call, EndOrder};
use super::callee::Step;
use super::misbehave::{Line, Misbehaviour, Stop};
use super::observed::{Counts, SeenOriginate};
use super::originate::Originate;
use super::settings::Settings;
use super::text::Text;
use super::user::Classes;

/// How many Originates are remembered.
const SEEN_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct CallKey(u64);

/// See the module.
#[derive(Debug)]
pub(super) struct Exchange {
    settings: Settings,
    pub(super) misbehaviour: Misbehaviour,
    booted: Instant,
    booted_at: DateTime<Utc>,
    randomness: fastrand::Rng,
    /// Serves for session ids, call keys and the order of timers.
    last_id: u64,
    /// Channels since boot, which their names count.
    channels: u32,
    sessions: BTreeMap<SessionId, Session>,
    woken: Vec<SessionId>,
    calls: HashMap<CallKey, Call>,
    by_unique_id: HashMap<String, CallKey>,
    timers: BTreeMap<(Instant, u64), Due>,
    counts: Counts,
    seen: VecDeque<SeenOriginate>,
    events: u64,
}

#[derive(Debug)]
enum Due {
    Step(CallKey),
    Answer(SessionId, Bytes),
    Dial(Box<Originate>),
    Refusal(SessionId, Bytes),
    LoginPatience(SessionId),
}

impl Exchange {
    /// An Asterisk that has just booted. `seed` decides what is random: the login challenges.
    pub(super) fn new(settings: Settings, seed: u64, now: Instant, wall: DateTime<Utc>) -> Self {
        Self {
            settings,
            misbehaviour: Misbehaviour::default(),
            booted: now,
            booted_at: wall,
            randomness: fastrand::Rng::with_seed(seed),
            last_id: 0,
            channels: 0,
            sessions: BTreeMap::new(),
            woken: Vec::new(),
            calls: HashMap::new(),
            by_unique_id: HashMap::new(),
            timers: BTreeMap::new(),
            counts: Counts::default(),
            seen: VecDeque::new(),
            events: 0,
        }
    }

    /// A new line, which begins with the banner; none if there are too many.
    pub(super) fn handle_connect(&mut self, now: Instant) -> Option<SessionId> {
        if self.sessions.len() >= self.settings.sessions_max {
            return None;
        }
        let id = SessionId(self.next_id());
        let banner = format!("Asterisk Call Manager/{}\r\n", self.settings.ami_version);
        self.sessions.insert(id, Session::greeted(&banner));
        self.woken.push(id);
        self.set_timer(now + self.settings.login_patience, Due::LoginPatience(id));
        Some(id)
    }

    /// The line is gone.
    pub(super) fn handle_disconnect(&mut self, id: SessionId) {
        self.sessions.remove(&id);
        self.count_logins();
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.first_entry().filter(|timer| timer.key().0 <= now) {
            match timer.remove() {
                Due::Step(key) => self.step(key, now),
                Due::Dial(originate) => self.dial(*originate, now),
                Due::Answer(id, bytes) => self.write(id, &bytes),
                Due::Refusal(id, bytes) => {
                    self.write(id, &bytes);
                    self.close(id, End::AfterOutput);
                }
                Due::LoginPatience(id) => {
                    let idle = |session: &Session| session.login.is_none();
                    if self.sessions.get(&id).is_some_and(idle) {
                        self.close(id, End::Now);
                    }
                }
            }
        }
    }

    /// When [`Exchange::handle_timeout`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// The sessions that have something to write since this was last asked.
    pub(super) fn take_woken(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.woken)
    }

    /// Everything the session has to write just now.
    pub(super) fn take_output(&mut self, id: SessionId) -> Output {
        let held = matches!(self.misbehaviour.line, Line::Stalled | Line::HalfOpen);
        let Some(session) = self.sessions.get_mut(&id) else {
            return Output { bytes: Bytes::new(), close: true };
        };
        match session.end {
            End::Now => return Output { bytes: Bytes::new(), close: true },
            End::Open | End::Refused | End::AfterOutput if held => {
                return Output { bytes: Bytes::new(), close: false };
            }
            End::Open | End::Refused | End::AfterOutput => {}
        }
        session.take_output()
    }

    /// Whether the lines are read.
    pub(super) fn reads(&self) -> bool {
        self.misbehaviour.line != Line::HalfOpen
    }

    /// What happened so far.
    pub(super) fn counts(&self) -> Counts {
        let flood_left = self.sessions.values().map(Session::flood_left).sum();
        Counts { in_progress: self.calls.len(), flood_left, ..self.counts }
    }

    /// The last Originates that were accepted, the oldest first.
    pub(super) fn seen(&self) -> Vec<SeenOriginate> {
        self.seen.iter().cloned().collect()
    }

    /// Wakes every session, for when a misbehaviour changes.
    pub(super) fn wake_all(&mut self) {
        self.woken.extend(self.sessions.keys());
    }

    /// Drops every line without a word. The calls go on.
    pub(super) fn drop_lines(&mut self) {
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        for id in ids {
            self.close(id, End::Now);
        }
    }

    /// Sends `events` events of channels that are nobody's to everybody who hears calls.
    pub(super) fn flood(&mut self, events: u64) {
        for (id, session) in &mut self.sessions {
            if session.login.is_some_and(|login| login.hears.meets(Classes::CALL)) {
                session.flood(events);
                self.woken.push(*id);
            }
        }
    }

    /// Goes away: forgets the calls and ends the lines.
    pub(super) fn stop(&mut self, how: Stop) {
        self.calls.clear();
        self.by_unique_id.clear();
        self.timers.clear();
        let end = match how {
            Stop::Cleanly => {
                let event = Text::event("Shutdown", Classes::SYSTEM);
                self.tell(event.header("Shutdown", "Cleanly").header("Restart", "False"));
                End::AfterOutput
            }
            Stop::Killed => End::Now,
        };
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        for id in ids {
            self.close(id, end);
        }
    }

    /// Is back after [`Exchange::stop`].
    pub(super) fn boot(&mut self, now: Instant, wall: DateTime<Utc>) {
        self.booted = now;
        self.booted_at = wall;
        self.channels = 0;
    }

    /// Takes the call's next step, and at once those that follow without a wait.
    fn step(&mut self, key: CallKey, now: Instant) {
        let order = self.end_order();
        let Some(call) = self.calls.get_mut(&key) else {
            // Hung up meanwhile.
            return;
        };
        let Some((_, step)) = call.next_step() else { return };
        let events = call.step(order);
        let next = call.next_step();
        match step {
            Step::Answer => self.counts.answered += 1,
            Step::Refuse(_) | Step::GiveUp | Step::Finish => self.forget(key),
            Step::Ring => {}
        }
        self.tell_all(events);
        if let Some((wait, _)) = next {
            self.set_timer(now + wait, Due::Step(key));
        }
    }

    fn forget(&mut self, key: CallKey) {
        if let Some(call) = self.calls.remove(&key) {
            self.by_unique_id.remove(&call.channel.unique_id);
            self.counts.ended += 1;
        }
    }

    fn end_order(&self) -> EndOrder {
        if self.misbehaviour.hang_up_first {
            EndOrder::HangupFirst
        } else {
            EndOrder::ResponseFirst
        }
    }

    fn tell_all(&mut self, events: Vec<Text>) {
        for event in events {
            self.tell(event);
        }
    }

    /// Sends an event to everybody who may hear it and wants to.
    fn tell(&mut self, event: Text) {
        self.events += 1;
        let nth = self.misbehaviour.lose_every.map(|every| u64::from(every.get()));
        let lost = self.misbehaviour.lose.iter().any(|name| name == event.name)
            || nth.is_some_and(|every| self.events.is_multiple_of(every));
        if lost {
            self.counts.lost_events += 1;
            return;
        }
        let class = event.class;
        let bytes = event.end();
        let times = if self.misbehaviour.repeat_events { 2 } else { 1 };
        for (id, session) in &mut self.sessions {
            if session.login.is_some_and(|login| login.hears.meets(class)) {
                for _ in 0..times {
                    session.push(&bytes);
                }
                self.woken.push(*id);
            }
        }
    }

    fn answer(&mut self, id: SessionId, answer: Text, now: Instant) {
        self.answer_with(id, answer.end(), now);
    }

    fn answer_with(&mut self, id: SessionId, bytes: Bytes, now: Instant) {
        match self.misbehaviour.late_answers {
            Some(delay) => self.set_timer(now + delay, Due::Answer(id, bytes)),
            None => self.write(id, &bytes),
        }
    }

    fn write(&mut self, id: SessionId, bytes: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.push(bytes);
            self.woken.push(id);
        }
    }

    fn close(&mut self, id: SessionId, end: End) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.end = end;
            session.login = None;
            self.woken.push(id);
        }
        self.count_logins();
    }

    fn count_logins(&mut self) {
        let logged_in = |session: &&Session| session.login.is_some();
        self.counts.logged_in = self.sessions.values().filter(logged_in).count();
    }

    fn set_timer(&mut self, at: Instant, due: Due) {
        let order = self.next_id();
        self.timers.insert((at, order), due);
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn wall_clock(&self, now: Instant) -> DateTime<Utc> {
        let up = now.saturating_duration_since(self.booted);
        self.booted_at + TimeDelta::from_std(up).unwrap_or(TimeDelta::MAX)
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;

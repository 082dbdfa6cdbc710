//! The simulated Asterisk without its sockets: actions and time go in, bytes come out.
//!
//! ```text
//! handle_connect ─┐                       ┌─> take_output, one session at a time
//! handle_action  ─┼─> sessions and calls ─┤
//! handle_timeout ─┘                       └─> next_timeout
//! ```

mod actions;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, TimeDelta, Utc};

use super::call::{Call, EndOrder};
use super::callee::{Pace, Step};
use super::misbehave::{Line, Misbehaviour, Stop};
use super::text::Text;
use super::user::{Classes, User};

/// What is held for a client that does not read before its line is cut, in bytes. A real
/// Asterisk holds without bound and cuts by time, which the writer does besides.
const OUTPUT_MAX: usize = 64 << 20;

/// How many events of a flood are made at once.
const FLOOD_PIECE: u64 = 64;

/// How many Originates are remembered.
const SEEN_MAX: usize = 10_000;

/// How the simulated Asterisk is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The version in the banner; a real Asterisk 22 says `11.0.0`.
    pub ami_version: String,
    /// The version of Asterisk itself, which `CoreSettings` tells.
    pub asterisk_version: String,
    /// Who may log in.
    pub users: Vec<User>,
    /// The extensions there are, as (context, extension).
    pub dialplan: Vec<(String, String)>,
    /// The PJSIP endpoints there are; none: every name is one.
    pub endpoints: Option<Vec<String>>,
    /// How long callees take.
    pub pace: Pace,
    /// `channelvars` of `manager.conf`: shown in every event of a channel.
    pub channel_variables: Vec<String>,
    /// How long a refused login waits for its answer.
    pub login_delay: Duration,
    /// How long a line may stay without a login.
    pub login_patience: Duration,
    /// How long a client may not read before its line is cut.
    pub write_timeout: Duration,
    /// How many lines there may be; more are closed without a banner.
    pub sessions_max: usize,
    /// How many calls there may be; more fail.
    pub calls_max: usize,
}

impl Default for Settings {
    /// As a fresh Asterisk with Rotary's own configuration: user `rotary` with the secret
    /// `s3cret`, and the extension `s` in `DynamicIVR`.
    fn default() -> Self {
        Self {
            ami_version: "11.0.0".to_owned(),
            asterisk_version: "22.10.1 (simulated)".to_owned(),
            users: vec![User::new("rotary", "s3cret")],
            dialplan: vec![("DynamicIVR".to_owned(), "s".to_owned())],
            endpoints: None,
            pace: Pace::HUMAN,
            channel_variables: Vec::new(),
            login_delay: Duration::from_secs(1),
            login_patience: Duration::from_secs(30),
            write_timeout: Duration::from_secs(5),
            sessions_max: 1000,
            calls_max: 200_000,
        }
    }
}

/// One line to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SessionId(u64);

/// What a session has to write.
#[derive(Debug)]
pub(super) struct Output {
    /// Possibly empty.
    pub(super) bytes: Bytes,
    /// Whether the line ends after it.
    pub(super) close: bool,
}

/// What happened so far; read it to wait for something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines with a login.
    pub logged_in: usize,
    /// Logins since the start.
    pub logins: u64,
    /// Refused logins since the start.
    pub refused_logins: u64,
    /// Actions read since the start, those thrown away too.
    pub actions: u64,
    /// Originates that were accepted since the start.
    pub originates: u64,
    /// Calls that are going on.
    pub in_progress: usize,
    /// Calls answered since the start.
    pub answered: u64,
    /// Calls ended since the start.
    pub ended: u64,
    /// Events lost on purpose since the start.
    pub lost_events: u64,
}

/// An Originate that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenOriginate {
    /// Its `ChannelId`, empty if it had none.
    pub channel_id: String,
    /// Its `Channel`, such as `PJSIP/15551230000@carrier`.
    pub dial_string: String,
    /// The number it shows, empty if none.
    pub caller_number: String,
    /// The name it shows, empty if none.
    pub caller_name: String,
    /// The variables as the channel has them.
    pub variables: Vec<(String, String)>,
}

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

#[derive(Debug, Default)]
struct Session {
    login: Option<Login>,
    challenge: Option<String>,
    out: BytesMut,
    /// Events of a flood still to be made.
    flood: u64,
    end: End,
}

#[derive(Debug, Clone, Copy)]
struct Login {
    hears: Classes,
    read: Classes,
    write: Classes,
}

/// How far a session is from its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// Nothing more is read; the refusal of the login is still to be said.
    Refused,
    /// It closes once everything is written.
    AfterOutput,
    /// It closes now.
    Now,
}

#[derive(Debug)]
enum Due {
    Step(CallKey),
    Answer(SessionId, Bytes),
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
        let mut session = Session::default();
        let banner = format!("Asterisk Call Manager/{}\r\n", self.settings.ami_version);
        session.out.extend_from_slice(banner.as_bytes());
        self.sessions.insert(id, session);
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
        let mut bytes = session.out.split();
        let piece = session.flood.min(FLOOD_PIECE);
        session.flood -= piece;
        for number in 0..piece {
            bytes.extend_from_slice(&foreign_event(session.flood + number));
        }
        Output { bytes: bytes.freeze(), close: session.end == End::AfterOutput }
    }

    /// Whether the lines are read.
    pub(super) fn reads(&self) -> bool {
        self.misbehaviour.line != Line::HalfOpen
    }

    /// What happened so far.
    pub(super) fn counts(&self) -> Counts {
        Counts { in_progress: self.calls.len(), ..self.counts }
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
                session.flood += events;
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

impl Session {
    fn push(&mut self, bytes: &[u8]) {
        match self.end {
            End::Open | End::Refused if self.out.len() + bytes.len() > OUTPUT_MAX => {
                self.end = End::Now;
            }
            End::Open | End::Refused => self.out.extend_from_slice(bytes),
            End::AfterOutput | End::Now => {}
        }
    }
}

/// An event of somebody else's channel.
fn foreign_event(number: u64) -> Bytes {
    let (num, name) = ("+15550001111", "Somebody Else");
    Text::event("Newstate", Classes::CALL)
        .header("Channel", format_args!("PJSIP/elsewhere-{number:08x}"))
        .header("ChannelState", 6)
        .header("ChannelStateDesc", "Up")
        .header("CallerIDNum", num)
        .header("CallerIDName", name)
        .header("ConnectedLineNum", num)
        .header("ConnectedLineName", name)
        .header("Language", "en")
        .header("AccountCode", "")
        .header("Context", "elsewhere")
        .header("Exten", "s")
        .header("Priority", 1)
        .header("Uniqueid", format_args!("1795237042.{number}"))
        .header("Linkedid", format_args!("1795237042.{number}"))
        .end()
}

#[cfg(test)]
mod tests;

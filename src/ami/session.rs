//! One connection's worth of conversation, without the socket.
//!
//! ```text
//! greeting ─> logging in ─> booting ─> learning ─> up
//!     └────────────┴───────────┴──────────┴────────┴──> closed
//! ```
//!
//! Feed it with `handle_*`, then take what it wants done from [`Session::poll_output`] until there
//! is nothing left. Every action is answered exactly once: done, refused, not sent, or unknown.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use secrecy::ExposeSecret;

use super::action::{InvalidHeader, Message};
use super::client::{Answer, Counters, Want};
use super::codec::Incoming;
use super::frame::{Frame, Kind};
use super::{AmiError, DownReason, Login, NEEDED_ACTIONS, Settings};

/// The most actions that may wait for their answers at once.
const MAX_PENDING: usize = 8192;

/// How many pong deadlines a line gets that brings events, but no pong.
const PONG_EXTENSIONS: u32 = 3;

/// An action, within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// What the session wants done.
#[derive(Debug, PartialEq)]
pub(super) enum Output {
    /// Write this; say so with [`Session::handle_written`] when its first byte is out.
    Write(Ticket, Message),
    /// Do not write this any more: its asker was told that it was not sent.
    Cancel(Ticket),
    /// Tell whoever asked.
    Answer(Ticket, Answer),
    /// The line is up.
    Up {
        /// See [`super::LineState::Up`].
        version: String,
        /// See [`super::LineState::Up`].
        missing: Vec<String>,
    },
    /// Close the connection. Every action has been answered before.
    Close(DownReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeting,
    LoggingIn,
    Booting,
    Learning,
    Up,
    Closed,
}

/// Why an action was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Asked(Want),
    Challenge,
    Login,
    CoreStatus,
    ListCommands,
    CoreSettings,
    Ping,
}

#[derive(Debug)]
struct Pending {
    id: Box<[u8]>,
    purpose: Purpose,
    /// Part of it may have reached Asterisk.
    written: bool,
    deadline: Instant,
    /// A list answers in pieces; each extends its deadline.
    extended: Instant,
    items: Vec<Frame>,
}

#[derive(Debug, Clone, Copy)]
struct Pulse {
    sent: Instant,
    deadline: Instant,
    extensions: u32,
}

/// See the page's head. Invariant: a ticket is in `pending` until it is answered.
#[derive(Debug)]
pub(super) struct Session {
    settings: Arc<Settings>,
    counters: Arc<Counters>,
    phase: Phase,
    phase_deadline: Option<Instant>,
    next_ticket: u64,
    pending: HashMap<Ticket, Pending>,
    ids: HashMap<Box<[u8]>, Ticket>,
    deadlines: BTreeSet<(Instant, Ticket)>,
    asked: usize,
    lists: usize,
    heard: Instant,
    ping_due: Option<Instant>,
    pulse: Option<Pulse>,
    booted: bool,
    shutting_down: bool,
    version: String,
    missing: Vec<String>,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session on a connection just opened.
    pub(super) fn new(settings: Arc<Settings>, counters: Arc<Counters>, now: Instant) -> Self {
        Self {
            phase: Phase::Greeting,
            phase_deadline: Some(now + settings.connect_deadline),
            settings,
            counters,
            next_ticket: 0,
            pending: HashMap::new(),
            ids: HashMap::new(),
            deadlines: BTreeSet::new(),
            asked: 0,
            lists: 0,
            heard: now,
            ping_due: None,
            pulse: None,
            booted: false,
            shutting_down: false,
            version: "of unknown version".to_owned(),
            missing: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes an action; its answer comes as an output with this ticket.
    pub(super) fn handle_action(&mut self, message: Message, want: Want, now: Instant) -> Ticket {
        let purpose = Purpose::Asked(want);
        if self.phase != Phase::Up {
            return self.turn_away(AmiError::NotSent("the line is not up".to_owned()));
        }
        if self.pending.len() >= MAX_PENDING {
            return self
                .turn_away(AmiError::NotSent("too many actions wait for Asterisk".to_owned()));
        }
        let known = |id: &str| self.ids.contains_key(id.as_bytes());
        if message.action_id().is_some_and(known) {
            let why = "an action with this ActionID waits for its answer";
            return self.turn_away(AmiError::NotSent(why.to_owned()));
        }
        match self.send(message, purpose, now) {
            Ok(ticket) => ticket,
            Err(invalid) => self.turn_away(invalid.into()),
        }
    }

    /// Part of this action was handed to the system.
    pub(super) fn handle_written(&mut self, ticket: Ticket) {
        if let Some(pending) = self.pending.get_mut(&ticket) {
            pending.written = true;
        }
    }

    /// Takes in what came.
    pub(super) fn handle_incoming(&mut self, incoming: Incoming, now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        self.heard = now;
        match incoming {
            Incoming::Banner(banner) => self.greeted(&banner, now),
            Incoming::Frame(frame) => {
                if self.phase == Phase::Greeting {
                    self.log_in(now);
                }
                match frame.kind() {
                    Kind::Response => self.handle_response(frame, now),
                    Kind::Event => self.handle_event(frame, now),
                    Kind::Action | Kind::Other => {}
                }
            }
            Incoming::TooLong { action_id, .. } => {
                Counters::add(&self.counters.too_long);
                let ticket = action_id.and_then(|id| self.ids.get(&id[..]).copied());
                if let Some(ticket) = ticket {
                    self.unanswered(ticket, now);
                }
            }
        }
    }

    /// When to call [`Session::handle_timeout`].
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let action = self.deadlines.first().map(|(deadline, _)| *deadline);
        let pong = self.pulse.map(|pulse| pulse.deadline);
        [self.phase_deadline, action, self.ping_due, pong].into_iter().flatten().min()
    }

    /// Time has come to a deadline.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.phase_deadline.is_some_and(|deadline| deadline <= now) {
            self.phase_deadline = None;
            match self.phase {
                Phase::Greeting => self.close(lost("no greeting came")),
                Phase::Booting => self.ask_own(Purpose::CoreStatus, "CoreStatus", now),
                Phase::LoggingIn | Phase::Learning | Phase::Up | Phase::Closed => {}
            }
        }
        while let Some((deadline, ticket)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            self.overdue(ticket, now);
        }
        self.keep_alive(now);
    }

    /// The connection is gone; says how that is to be called. Answers all that waits.
    pub(super) fn handle_lost(&mut self, cause: String) -> DownReason {
        let why =
            if self.shutting_down { DownReason::ShuttingDown } else { DownReason::Lost { cause } };
        self.answer_all();
        self.phase = Phase::Closed;
        why
    }

    /// What is to be done next.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.asked == 0
    }

    fn greeted(&mut self, banner: &[u8], now: Instant) {
        let text = String::from_utf8_lossy(banner);
        let Some((_, version)) = text.split_once("Call Manager/") else {
            let cause = format!("this is no Asterisk manager interface; it greets with {text:?}");
            return self.close(lost(cause));
        };
        self.version = format!("(manager interface {version})");
        self.log_in(now);
    }

    fn log_in(&mut self, now: Instant) {
        self.phase = Phase::LoggingIn;
        self.phase_deadline = None;
        match self.settings.login {
            Login::Md5 => {
                let challenge = Message::new("Action", "Challenge").header("AuthType", "MD5");
                self.send_own(challenge, Purpose::Challenge, now);
            }
            Login::Plain => {
                let secret = self.settings.secret.expose_secret().to_owned();
                let login = self.login_message(&[("Secret", &secret)]);
                self.send_own(login, Purpose::Login, now);
            }
        }
    }

    fn answer_challenge(&mut self, challenge: &[u8], now: Instant) {
        let secret = self.settings.secret.expose_secret();
        let digest = Md5::new().chain_update(challenge).chain_update(secret).finalize();
        let key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let login = self.login_message(&[("AuthType", "MD5"), ("Key", &key)]);
        self.send_own(login, Purpose::Login, now);
    }

    /// The event classes are asked for here, so that no flood comes between login and request.
    fn login_message(&self, proof: &[(&str, &str)]) -> Result<Message, InvalidHeader> {
        let message = Message::new("Action", "Login");
        let message = message.header("Username", &self.settings.username)?;
        let add = |message: Message, (name, value): &(&str, &str)| message.header(name, value);
        proof.iter().try_fold(message, add)?.header("Events", &self.settings.events)
    }

    fn logged_in(&mut self, now: Instant) {
        self.ping_due = Some(now + self.settings.ping_interval);
        self.phase = Phase::Booting;
        self.phase_deadline = Some(now + self.settings.boot_deadline);
        if self.booted {
            self.learn(now);
        }
    }

    /// Asks what our user may do and what Asterisk this is.
    fn learn(&mut self, now: Instant) {
        if self.phase == Phase::Booting {
            self.phase = Phase::Learning;
            self.phase_deadline = None;
            self.ask_own(Purpose::ListCommands, "ListCommands", now);
            self.ask_own(Purpose::CoreSettings, "CoreSettings", now);
        }
    }

    fn learned(&mut self) {
        let asks = |pending: &Pending| {
            matches!(pending.purpose, Purpose::ListCommands | Purpose::CoreSettings)
        };
        if self.phase == Phase::Learning && !self.pending.values().any(asks) {
            self.phase = Phase::Up;
            let (version, missing) = (self.version.clone(), self.missing.clone());
            self.outputs.push_back(Output::Up { version, missing });
        }
    }

    fn handle_response(&mut self, frame: Frame, now: Instant) {
        let ticket = frame.get("ActionID").map(|id| self.ids.get(id).copied());
        let ticket = ticket.unwrap_or_else(|| self.blamed(&frame));
        let Some(ticket) = ticket else {
            return Counters::add(&self.counters.orphans);
        };
        let refused = frame.name().eq_ignore_ascii_case(b"Error");
        let is_list = |pending: &Pending| pending.purpose == Purpose::Asked(Want::List);
        if !refused && self.pending.get(&ticket).is_some_and(is_list) {
            return self.extend(ticket, now);
        }
        let Some(pending) = self.remove(ticket) else { return };
        match pending.purpose {
            Purpose::Asked(_) => {
                let answer = if refused { Err(refusal(&frame)) } else { Ok(vec![frame]) };
                self.outputs.push_back(Output::Answer(ticket, answer));
            }
            Purpose::Ping => self.pulse = None,
            Purpose::CoreStatus => self.learn(now),
            Purpose::ListCommands => {
                if !refused {
                    let lacks = |name: &&str| frame.get(name).is_none();
                    self.missing =
                        NEEDED_ACTIONS.into_iter().filter(lacks).map(str::to_owned).collect();
                }
                self.learned();
            }
            Purpose::CoreSettings => {
                if let Some(version) = frame.text("AsteriskVersion") {
                    self.version = version.into_owned();
                }
                self.learned();
            }
            Purpose::Challenge | Purpose::Login if refused => self.shut_out(&frame),
            Purpose::Challenge => match frame.get("Challenge") {
                Some(challenge) => self.answer_challenge(challenge, now),
                None => self.close(lost("Asterisk answered Challenge without one")),
            },
            Purpose::Login => self.logged_in(now),
        }
    }

    fn handle_event(&mut self, frame: Frame, now: Instant) {
        if self.lists > 0
            && let Some(ticket) = frame.get("ActionID").and_then(|id| self.ids.get(id).copied())
        {
            return self.handle_item(ticket, frame, now);
        }
        match frame.name() {
            b"FullyBooted" => {
                self.booted = true;
                self.learn(now);
            }
            b"Shutdown" => self.shutting_down = true,
            _ => {}
        }
    }

    fn handle_item(&mut self, ticket: Ticket, frame: Frame, now: Instant) {
        let max = self.settings.list_max;
        let Some(pending) = self.pending.get_mut(&ticket) else { return };
        if pending.purpose != Purpose::Asked(Want::List) {
            return;
        }
        let last = frame.get("EventList");
        let cancelled = last.is_some_and(|word| word.to_ascii_lowercase().starts_with(b"cancel"));
        let complete = last.is_some_and(|word| word.eq_ignore_ascii_case(b"Complete"))
            || (frame.name().ends_with(b"Complete") && frame.get("ListItems").is_some());
        let answer = if cancelled {
            Err(AmiError::Refused("the list was cancelled".to_owned()))
        } else if complete {
            Ok(std::mem::take(&mut pending.items))
        } else if pending.items.len() == max {
            // Part of a list must never be taken for the whole.
            Err(AmiError::Unknown)
        } else {
            pending.items.push(frame);
            return self.extend(ticket, now);
        };
        self.answer(ticket, answer);
    }

    /// Whose fault an error without an ActionID is. Asterisk leaves it out when it cannot read an
    /// action; that is certain only if a single one waits. Its second complaint about the same
    /// action, `Missing action in request`, must not hit the next.
    fn blamed(&self, frame: &Frame) -> Option<Ticket> {
        let unread: [&[u8]; 2] = [b"Failed to parse message", b"Too many lines"];
        let message = frame.get("Message").unwrap_or_default();
        let mut written = self.pending.iter().filter(|(_, pending)| pending.written);
        let (ticket, _) = written.next()?;
        let certain = unread.iter().any(|start| message.starts_with(start))
            && written.next().is_none()
            && frame.name().eq_ignore_ascii_case(b"Error");
        certain.then_some(*ticket)
    }

    fn overdue(&mut self, ticket: Ticket, now: Instant) {
        let Some(pending) = self.pending.get_mut(&ticket) else { return };
        if pending.extended > now {
            pending.deadline = pending.extended;
            self.deadlines.insert((pending.extended, ticket));
            return;
        }
        self.unanswered(ticket, now);
    }

    /// No answer will be taken for this action any more.
    fn unanswered(&mut self, ticket: Ticket, now: Instant) {
        let Some(pending) = self.pending.get(&ticket) else { return };
        let (purpose, written) = (pending.purpose, pending.written);
        match purpose {
            Purpose::Asked(_) => {
                if !written {
                    self.outputs.push_back(Output::Cancel(ticket));
                }
                self.answer(ticket, Err(silence(written)));
            }
            Purpose::Challenge | Purpose::Login => self.close(lost("no answer to the login")),
            Purpose::CoreStatus => self.close(lost("no answer after the login")),
            Purpose::ListCommands | Purpose::CoreSettings => {
                self.remove(ticket);
                self.learned();
            }
            Purpose::Ping => {
                self.remove(ticket);
                self.pulse = None;
                self.ping_due = Some(now + self.settings.ping_interval);
            }
        }
    }

    fn keep_alive(&mut self, now: Instant) {
        if let Some(pulse) = self.pulse.filter(|pulse| pulse.deadline <= now) {
            if self.heard <= pulse.sent || pulse.extensions == PONG_EXTENSIONS {
                let silent = now.saturating_duration_since(pulse.sent);
                return self.close(lost(format!("no answer to a ping for {} s", silent.as_secs())));
            }
            let deadline = now + self.settings.pong_deadline;
            self.pulse = Some(Pulse { deadline, extensions: pulse.extensions + 1, ..pulse });
        }
        if self.ping_due.is_some_and(|due| due <= now) {
            self.ping_due = Some(now + self.settings.ping_interval);
            if self.pulse.is_none() {
                let deadline = now + self.settings.pong_deadline;
                self.pulse = Some(Pulse { sent: now, deadline, extensions: 0 });
                self.ask_own(Purpose::Ping, "Ping", now);
            }
        }
    }

    fn shut_out(&mut self, frame: &Frame) {
        let message = text(frame, "Message");
        self.close(if is_shutting_down(&message) {
            DownReason::ShuttingDown
        } else {
            let username = self.settings.username.clone();
            DownReason::LoginRefused { username, message }
        });
    }

    fn ask_own(&mut self, purpose: Purpose, name: &'static str, now: Instant) {
        self.send_own(Ok(Message::new("Action", name)), purpose, now);
    }

    fn send_own(
        &mut self,
        message: Result<Message, InvalidHeader>,
        purpose: Purpose,
        now: Instant,
    ) {
        if let Err(invalid) = message.and_then(|message| self.send(message, purpose, now)) {
            let username = self.settings.username.clone();
            self.close(DownReason::LoginRefused { username, message: invalid.to_string() });
        }
    }

    fn send(
        &mut self,
        message: Message,
        purpose: Purpose,
        now: Instant,
    ) -> Result<Ticket, InvalidHeader> {
        let ticket = self.ticket();
        let message = match message.action_id() {
            Some(_) => message,
            None => message.header("ActionID", format!("rotary-{}", ticket.0))?,
        };
        let id: Box<[u8]> = message.action_id().unwrap_or_default().as_bytes().into();
        let patience = match purpose {
            // The pulse has a deadline of its own, which closes the line.
            Purpose::Ping => Duration::from_secs(3600),
            Purpose::Asked(_)
            | Purpose::Challenge
            | Purpose::Login
            | Purpose::CoreStatus
            | Purpose::ListCommands
            | Purpose::CoreSettings => self.settings.action_deadline,
        };
        let deadline = now + patience;
        self.ids.insert(id.clone(), ticket);
        self.deadlines.insert((deadline, ticket));
        self.asked += usize::from(matches!(purpose, Purpose::Asked(_)));
        self.lists += usize::from(purpose == Purpose::Asked(Want::List));
        let pending = Pending {
            id,
            purpose,
            written: false,
            deadline,
            extended: deadline,
            items: Vec::new(),
        };
        self.pending.insert(ticket, pending);
        self.outputs.push_back(Output::Write(ticket, message));
        Ok(ticket)
    }

    fn extend(&mut self, ticket: Ticket, now: Instant) {
        if let Some(pending) = self.pending.get_mut(&ticket) {
            pending.extended = now + self.settings.action_deadline;
        }
    }

    fn turn_away(&mut self, error: AmiError) -> Ticket {
        let ticket = self.ticket();
        self.outputs.push_back(Output::Answer(ticket, Err(error)));
        ticket
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if self.remove(ticket).is_some() {
            self.outputs.push_back(Output::Answer(ticket, answer));
        }
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.pending.remove(&ticket)?;
        self.ids.remove(&pending.id);
        self.deadlines.remove(&(pending.deadline, ticket));
        self.asked -= usize::from(matches!(pending.purpose, Purpose::Asked(_)));
        self.lists -= usize::from(pending.purpose == Purpose::Asked(Want::List));
        Some(pending)
    }

    fn close(&mut self, why: DownReason) {
        if self.phase != Phase::Closed {
            self.answer_all();
            self.phase = Phase::Closed;
            self.outputs.push_back(Output::Close(why));
        }
    }

    fn answer_all(&mut self) {
        let mut tickets: Vec<_> = self.pending.keys().copied().collect();
        tickets.sort_unstable();
        for ticket in tickets {
            let Some(pending) = self.remove(ticket) else { continue };
            if let Purpose::Asked(_) = pending.purpose {
                let answer = Err(silence(pending.written));
                self.outputs.push_back(Output::Answer(ticket, answer));
            }
        }
        self.phase_deadline = None;
        self.ping_due = None;
        self.pulse = None;
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }
}

fn silence(written: bool) -> AmiError {
    if written { AmiError::Unknown } else { AmiError::NotSent("the line took nothing".to_owned()) }
}

fn lost(cause: impl Into<String>) -> DownReason {
    DownReason::Lost { cause: cause.into() }
}

/// Asterisk refuses everything while it shuts down, having done none of it.
fn is_shutting_down(message: &str) -> bool {
    message.contains("is shutting down")
}

fn refusal(frame: &Frame) -> AmiError {
    let message = text(frame, "Message");
    if is_shutting_down(&message) {
        return AmiError::NotSent(message);
    }
    // A command that is refused says why in its output.
    let output = frame.output().next().map(|line| String::from_utf8_lossy(line).into_owned());
    AmiError::Refused(output.map_or(message.clone(), |line| format!("{message}: {line}")))
}

fn text(frame: &Frame, name: &str) -> String {
    frame.text(name).unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests;

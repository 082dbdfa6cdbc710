//! One connection's worth of conversation, without the socket.
//!
//! ```text
//! greeting ─> logging in ─> booting ─> learning ─> up
//!     └────────────┴───────────┴──────────┴────────┴──> closed
//! ```
//!
//! Feed it with `handle_*`, then take what it wants done from [`Session::poll_output`] until there
//! is nothing left. Every action is answered exactly once: done, refused, not sent, or unknown.

mod answers;
mod keep_alive;
mod login;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::keep_alive::Pulse;
use self::waiting::{Purpose, Waiting};
use super::action::{InvalidHeader, Message};
use super::client::{Answer, Counters, Want};
use super::codec::Incoming;
use super::frame::Kind;
use super::{AmiError, CHECK_LOGIN, DownReason, Loss, Settings};

pub(super) use self::waiting::Ticket;

/// The most actions that may wait for their answers at once.
const MAX_PENDING: usize = 8192;

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

/// See the page's head. Invariant: an action is in `waiting` until it is answered.
#[derive(Debug)]
pub(super) struct Session {
    settings: Arc<Settings>,
    counters: Arc<Counters>,
    phase: Phase,
    phase_deadline: Option<Instant>,
    next_ticket: u64,
    waiting: Waiting,
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
            waiting: Waiting::default(),
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
        if self.waiting.len() >= MAX_PENDING {
            return self
                .turn_away(AmiError::NotSent("too many actions wait for Asterisk".to_owned()));
        }
        let known = |id: &str| self.waiting.with_id(id.as_bytes()).is_some();
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
        if let Some(pending) = self.waiting.get_mut(ticket) {
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
                let ticket = action_id.and_then(|id| self.waiting.with_id(&id));
                if let Some(ticket) = ticket {
                    self.unanswered(ticket, now);
                }
            }
        }
    }

    /// When to call [`Session::handle_timeout`].
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let action = self.waiting.next_deadline();
        let pong = self.pulse.map(|pulse| pulse.deadline);
        [self.phase_deadline, action, self.ping_due, pong].into_iter().flatten().min()
    }

    /// Time has come to a deadline.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.phase_deadline.is_some_and(|deadline| deadline <= now) {
            self.phase_deadline = None;
            match self.phase {
                Phase::Greeting => {
                    let cause = format!("it said nothing for {:?}", self.settings.connect_deadline);
                    self.close(self.no_greeting(cause));
                }
                Phase::Booting => self.ask_own(Purpose::CoreStatus, "CoreStatus", now),
                Phase::LoggingIn | Phase::Learning | Phase::Up | Phase::Closed => {}
            }
        }
        while let Some(ticket) = self.waiting.overdue(now) {
            self.unanswered(ticket, now);
        }
        self.keep_alive(now);
    }

    /// The connection is gone; says how that is to be called. Answers all that waits.
    pub(super) fn handle_lost(&mut self, how: Loss, cause: String) -> DownReason {
        let why = match self.phase {
            _ if self.shutting_down => DownReason::ShuttingDown,
            Phase::Greeting => self.no_greeting(cause),
            Phase::LoggingIn | Phase::Booting | Phase::Learning | Phase::Up | Phase::Closed => {
                lost(how, cause)
            }
        };
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
        self.waiting.asked() == 0
    }

    /// No answer will be taken for this action any more.
    fn unanswered(&mut self, ticket: Ticket, now: Instant) {
        let Some(pending) = self.waiting.get(ticket) else { return };
        let (purpose, written) = (pending.purpose, pending.written);
        match purpose {
            Purpose::Asked(_) => {
                if !written {
                    self.outputs.push_back(Output::Cancel(ticket));
                }
                self.answer(ticket, Err(silence(written)));
            }
            Purpose::Challenge | Purpose::Login => {
                self.close(lost(Loss::Silent, "no answer to the login"))
            }
            Purpose::CoreStatus => self.close(lost(Loss::Silent, "no answer after the login")),
            Purpose::ListCommands | Purpose::CoreSettings => {
                self.waiting.remove(ticket);
                self.learned();
            }
            Purpose::Ping => {
                self.waiting.remove(ticket);
                self.pulse = None;
                self.ping_due = Some(now + self.settings.ping_interval);
            }
        }
    }

    fn no_greeting(&self, cause: String) -> DownReason {
        let address = self.settings.address.clone();
        DownReason::NoGreeting { address, cause, encrypted: self.settings.tls.is_some() }
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
            self.close(DownReason::LoginRefused {
                username,
                message: invalid.to_string(),
                check: CHECK_LOGIN,
            });
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
        let id = message.action_id().unwrap_or_default();
        self.waiting.add(ticket, purpose, id, now + patience);
        self.outputs.push_back(Output::Write(ticket, message));
        Ok(ticket)
    }

    fn turn_away(&mut self, error: AmiError) -> Ticket {
        let ticket = self.ticket();
        self.outputs.push_back(Output::Answer(ticket, Err(error)));
        ticket
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if self.waiting.remove(ticket).is_some() {
            self.outputs.push_back(Output::Answer(ticket, answer));
        }
    }

    fn close(&mut self, why: DownReason) {
        if self.phase != Phase::Closed {
            self.answer_all();
            self.phase = Phase::Closed;
            self.outputs.push_back(Output::Close(why));
        }
    }

    fn answer_all(&mut self) {
        for (ticket, pending) in self.waiting.drain() {
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

fn lost(how: Loss, cause: impl Into<String>) -> DownReason {
    DownReason::Lost { how, cause: cause.into() }
}

#[cfg(test)]
mod tests;

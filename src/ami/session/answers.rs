//! What comes in, and whose answer it is.

use std::time::Instant;

use super::login::is_shutting_down;
use super::waiting::{Pending, Purpose, Ticket};
use super::{Output, Session, lost};
use crate::ami::client::{Counters, Want};
use crate::ami::frame::Frame;
use crate::ami::{AmiError, Loss, NEEDED_ACTIONS};

impl Session {
    pub(super) fn handle_response(&mut self, frame: Frame, now: Instant) {
        let ticket = frame.get("ActionID").map(|id| self.waiting.with_id(id));
        let ticket = ticket.unwrap_or_else(|| self.blamed(&frame));
        let Some(ticket) = ticket else {
            return Counters::add(&self.counters.orphans);
        };
        let refused = frame.name().eq_ignore_ascii_case(b"Error");
        let is_list = |pending: &Pending| pending.purpose == Purpose::Asked(Want::List);
        if !refused && self.waiting.get(ticket).is_some_and(is_list) {
            return self.waiting.extend(ticket, now, self.settings.action_deadline);
        }
        let Some(pending) = self.waiting.remove(ticket) else { return };
        match pending.purpose {
            Purpose::Asked(_) => {
                let answer = if refused { Err(refusal(&frame)) } else { Ok(vec![frame]) };
                self.outputs.push_back(Output::Answer(ticket, answer));
            }
            Purpose::Ping => {
                if let Some(pulse) = self.pulse.take() {
                    self.counters.pong(now.saturating_duration_since(pulse.sent));
                }
            }
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
                None => self.close(lost(Loss::Protocol, "Asterisk answered Challenge without one")),
            },
            Purpose::Login => self.logged_in(now),
        }
    }

    pub(super) fn handle_event(&mut self, frame: Frame, now: Instant) {
        if self.waiting.lists() > 0
            && let Some(ticket) = frame.get("ActionID").and_then(|id| self.waiting.with_id(id))
        {
            return self.handle_item(ticket, frame, now);
        }
        match frame.name() {
            b"FullyBooted" => {
                self.booted = true;
                Counters::add(&self.counters.boots);
                self.learn(now);
            }
            b"Shutdown" => self.shutting_down = true,
            _ => {}
        }
    }

    fn handle_item(&mut self, ticket: Ticket, frame: Frame, now: Instant) {
        let max = self.settings.list_max;
        let Some(pending) = self.waiting.get_mut(ticket) else { return };
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
            return self.waiting.extend(ticket, now, self.settings.action_deadline);
        };
        self.answer(ticket, answer);
    }

    /// Whose fault an error without an ActionID is. Asterisk leaves it out when it cannot read an
    /// action; that is certain only if a single one waits. Its second complaint about the same
    /// action, `Missing action in request`, must not hit the next.
    fn blamed(&self, frame: &Frame) -> Option<Ticket> {
        let unread: [&[u8]; 2] = [b"Failed to parse message", b"Too many lines"];
        let message = frame.get("Message").unwrap_or_default();
        let certain = unread.iter().any(|start| message.starts_with(start))
            && frame.name().eq_ignore_ascii_case(b"Error");
        self.waiting.only_written().filter(|_| certain)
    }
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

/// What a header says, for people.
pub(super) fn text(frame: &Frame, name: &str) -> String {
    frame.text(name).unwrap_or_default().trim_end().to_owned()
}

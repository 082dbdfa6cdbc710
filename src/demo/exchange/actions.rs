//! What each action does.

use std::time::Instant;

use md5::{Digest, Md5};

use crate::ami::frame::Frame;

use super::super::call::{Call, originate_response};
use super::super::misbehave::{DropLine, Line};
use super::super::observed::SeenOriginate;
use super::super::originate::{Dialled, Known, Originate};
use super::super::text::Text;
use super::super::user::{Classes, Command};
use super::session::{End, Login};
use super::{CallKey, Due, Exchange, SEEN_MAX, SessionId};

impl Exchange {
    /// Carries out an action and queues its answer.
    pub(in super::super) fn handle_action(&mut self, id: SessionId, frame: &Frame, now: Instant) {
        self.counts.actions += 1;
        let open = self.sessions.get(&id).is_some_and(|session| session.end == End::Open);
        if !open || self.misbehaviour.line == Line::Deaf {
            return;
        }
        let action_id = frame.text("ActionID");
        let action_id = action_id.as_deref();
        match self.permitted(id, frame) {
            Ok((command, write)) => self.run(id, command, write, frame, now),
            Err(message) => {
                let answer = Text::response("Error", action_id).header("Message", message);
                self.answer(id, answer, now);
            }
        }
    }

    /// An action that was too long to be read.
    pub(in super::super) fn handle_unreadable(
        &mut self,
        id: SessionId,
        action_id: Option<&str>,
        now: Instant,
    ) {
        self.counts.actions += 1;
        let message = "Failed to parse message: line too long";
        let answer = Text::response("Error", action_id).header("Message", message);
        self.answer(id, answer, now);
    }

    /// The command that the frame asks for and the asker's `write` classes, or why that is refused.
    fn permitted(&self, id: SessionId, frame: &Frame) -> Result<(Command, Classes), String> {
        let Some(name) = frame.text("Action") else {
            return Err("Missing action in request".to_owned());
        };
        if self.misbehaviour.shutting_down {
            return Err("Asterisk is shutting down".to_owned());
        }
        let command = Command::named(&name);
        let Some(login) = self.sessions.get(&id).and_then(|session| session.login) else {
            return match command {
                Some(command @ (Command::Login | Command::Challenge | Command::Logoff)) => {
                    Ok((command, Classes::NONE))
                }
                _ => Err("Permission denied".to_owned()),
            };
        };
        let unknown = || {
            format!(
                "Invalid/unknown command: {name}. \
                 Use Action: ListCommands to show available commands."
            )
        };
        let command = command.ok_or_else(unknown)?;
        if command.allowed_to(login.write) {
            Ok((command, login.write))
        } else {
            Err("Permission denied".to_owned())
        }
    }

    fn run(
        &mut self,
        id: SessionId,
        command: Command,
        write: Classes,
        frame: &Frame,
        now: Instant,
    ) {
        let action_id = frame.text("ActionID");
        let action_id = action_id.as_deref();
        let success = || Text::response("Success", action_id);
        match command {
            Command::Ping => {
                let wall = self.wall_clock(now);
                let stamp = format!("{}.{:06}", wall.timestamp(), wall.timestamp_subsec_micros());
                let answer = success().header("Ping", "Pong").header("Timestamp", stamp);
                self.answer(id, answer, now);
            }
            Command::Challenge => {
                let answer = self.challenge(id, frame);
                self.answer(id, answer, now);
            }
            Command::Login => self.log_in(id, frame, now),
            Command::Logoff => {
                let answer = Text::response("Goodbye", action_id);
                self.write(id, &answer.header("Message", "Thanks for all the fish.").end());
                self.close(id, End::AfterOutput);
            }
            Command::Events => {
                let mask = Classes::of_mask(&frame.text("EventMask").unwrap_or_default());
                if let Some(login) = self.login_of(id) {
                    login.hears = login.read & mask;
                }
                let word = if mask == Classes::NONE { "Off" } else { "On" };
                self.answer(id, success().header("Events", word), now);
            }
            Command::ListCommands => {
                let allowed = Command::ALL.into_iter().filter(|(c, ..)| c.allowed_to(write));
                let answer = allowed
                    .fold(success(), |answer, (_, name, summary)| answer.header(name, summary));
                self.answer(id, answer, now);
            }
            Command::CoreSettings => self.answer(id, self.core_settings(success()), now),
            Command::CoreStatus => self.answer(id, self.core_status(success()), now),
            Command::CoreShowChannels => self.show_channels(id, action_id, now),
            Command::Hangup => self.hang_up(id, frame, now),
            Command::Originate => self.originate(id, write, frame, now),
        }
    }

    fn core_settings(&self, answer: Text) -> Text {
        answer
            .header("AMIversion", &self.settings.ami_version)
            .header("AsteriskVersion", &self.settings.asterisk_version)
            .header("SystemName", "")
            .header("CoreMaxCalls", 0)
            .header("CoreMaxLoadAvg", "0.000000")
            .header("CoreRunUser", "")
            .header("CoreRunGroup", "")
            .header("CoreMaxFilehandles", 0)
            .header("CoreRealTimeEnabled", "No")
            .header("CoreCDRenabled", "Yes")
            .header("CoreHTTPenabled", "Yes")
            .header("SoundsSearchCustomDir", "No")
    }

    fn core_status(&self, answer: Text) -> Text {
        let (date, time) = (self.booted_at.format("%Y-%m-%d"), self.booted_at.format("%H:%M:%S"));
        answer
            .header("CoreStartupDate", &date)
            .header("CoreStartupTime", &time)
            .header("CoreReloadDate", &date)
            .header("CoreReloadTime", &time)
            .header("CoreCurrentCalls", self.calls.len())
            .header("CoreProcessedCalls", self.counts.answered)
    }

    fn challenge(&mut self, id: SessionId, frame: &Frame) -> Text {
        let action_id = frame.text("ActionID");
        let action_id = action_id.as_deref();
        if !frame.text("AuthType").is_some_and(|kind| kind.eq_ignore_ascii_case("MD5")) {
            let answer = Text::response("Error", action_id);
            return answer.header("Message", "Must specify AuthType");
        }
        let challenge = self.randomness.u32(100_000_000..1_000_000_000).to_string();
        let answer = Text::response("Success", action_id).header("Challenge", &challenge);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.challenge = Some(challenge);
        }
        answer
    }

    fn log_in(&mut self, id: SessionId, frame: &Frame, now: Instant) {
        let action_id = frame.text("ActionID");
        let action_id = action_id.as_deref();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.login.is_some() {
            let answer = Text::response("Success", action_id);
            return self.answer(id, answer.header("Message", "Already authenticated"), now);
        }

        let given = |name: &str| frame.text(name).unwrap_or_default().into_owned();
        let challenge = session.challenge.as_deref();
        let proves = |secret: &str| {
            if given("AuthType").eq_ignore_ascii_case("MD5") {
                challenge.is_some_and(|challenge| given("Key") == md5_hex(challenge, secret))
            } else {
                given("Secret") == secret
            }
        };
        let (name, users) = (given("Username"), &self.settings.users);
        let user = users.iter().find(|user| user.name == name && proves(&user.secret));
        let Some(user) = user else {
            session.end = End::Refused;
            self.counts.refused_logins += 1;
            let answer = Text::response("Error", action_id);
            let answer = answer.header("Message", "Authentication failed").end();
            let at = now + self.settings.login_delay;
            return self.set_timer(at, Due::Refusal(id, answer));
        };

        let hears = user.read & Classes::of_mask(&given("Events"));
        session.login = Some(Login { hears, read: user.read, write: user.write });
        self.counts.logins += 1;
        self.count_logins();
        let answer = Text::response("Success", action_id);
        self.answer(id, answer.header("Message", "Authentication accepted"), now);
        if hears.meets(Classes::SYSTEM) {
            let up = now.saturating_duration_since(self.booted).as_secs();
            let event = Text::event("FullyBooted", Classes::SYSTEM)
                .header("Uptime", up)
                .header("LastReload", up)
                .header("Status", "Fully Booted");
            self.answer(id, event, now);
        }
    }

    fn show_channels(&mut self, id: SessionId, action_id: Option<&str>, now: Instant) {
        let start = Text::response("Success", action_id)
            .header("EventList", "start")
            .header("Message", "Channels will follow");
        self.answer(id, start, now);
        let entries: Vec<_> =
            self.calls.values().map(|call| call.channel.list_entry(action_id, now)).collect();
        let count = entries.len();
        for entry in entries {
            self.answer(id, entry, now);
        }
        let end = Text::list_event("CoreShowChannelsComplete", action_id)
            .header("EventList", "Complete")
            .header("ListItems", count);
        self.answer(id, end, now);
    }

    /// Hangs up by the channel's name or its unique id.
    fn hang_up(&mut self, id: SessionId, frame: &Frame, now: Instant) {
        let action_id = frame.text("ActionID");
        let action_id = action_id.as_deref();
        let wanted = frame.text("Channel").unwrap_or_default();
        let error = |message: &str| Text::response("Error", action_id).header("Message", message);
        if wanted.is_empty() {
            return self.answer(id, error("No channel specified"), now);
        }
        let Some(key) = self.find_channel(&wanted) else {
            return self.answer(id, error("No such channel"), now);
        };
        let answer = Text::response("Success", action_id).header("Message", "Channel Hungup");
        self.answer(id, answer, now);

        let cause = frame.text("Cause").and_then(|text| text.parse().ok()).unwrap_or(16);
        let order = self.end_order();
        let events = self.calls.get_mut(&key).map(|call| call.hang_up(cause, order));
        self.forget(key);
        self.tell_all(events.unwrap_or_default());
    }

    fn find_channel(&self, wanted: &str) -> Option<CallKey> {
        let by_name = || self.calls.iter().find(|(_, call)| call.channel.name == wanted);
        self.by_unique_id.get(wanted).copied().or_else(|| by_name().map(|(key, _)| *key))
    }

    fn originate(&mut self, id: SessionId, write: Classes, frame: &Frame, now: Instant) {
        let action_id = frame.text("ActionID");
        let action_id = action_id.as_deref();
        let drop_line = self.misbehaviour.drop_line.take();
        if drop_line == Some(DropLine::BeforeOriginate) {
            return self.close(id, End::Now);
        }
        let known = Known { write, dialplan: &self.settings.dialplan };
        let read = match self.misbehaviour.refuse_originates.clone() {
            Some(message) => Err(message),
            None => Originate::read(frame, &known).map_err(str::to_owned),
        };
        let originate = match read {
            Ok(originate) => originate,
            Err(message) => {
                let answer = Text::response("Error", action_id).message(&message);
                return self.answer(id, answer, now);
            }
        };

        self.counts.originates += 1;
        self.remember(&originate);
        if drop_line == Some(DropLine::AfterOriginate) {
            self.close(id, End::Now);
        }
        let answer = Text::response("Success", action_id);
        self.answer(id, answer.header("Message", "Originate successfully queued"), now);
        match self.misbehaviour.late_channels {
            Some(delay) => self.set_timer(now + delay, Due::Dial(Box::new(originate))),
            None => self.dial(originate, now),
        }
    }

    pub(super) fn dial(&mut self, mut originate: Originate, now: Instant) {
        if self.misbehaviour.ring_for_ever {
            originate.ring_timeout = None;
        }
        let asked = originate.channel_id.clone();
        let unique_id =
            asked.unwrap_or_else(|| format!("{}.{}", self.booted_at.timestamp(), self.channels));
        let possible = |dialled: &Dialled| {
            let endpoints = self.settings.endpoints.as_ref();
            endpoints.is_none_or(|known| known.contains(&dialled.endpoint))
                && !self.by_unique_id.contains_key(&unique_id)
                && self.calls.len() < self.settings.calls_max
        };
        let Some(dialled) = originate.dialled.clone().filter(possible) else {
            return self.tell(originate_response(&originate, Err(0), None));
        };

        let key = CallKey(self.next_id());
        let manners = (&self.settings.pace, self.settings.channel_variables.as_slice());
        let (call, events) =
            Call::dial(originate, dialled, self.channels, unique_id.clone(), manners, now);
        self.channels = self.channels.wrapping_add(1);
        if let Some((wait, _)) = call.next_step() {
            self.set_timer(now + wait, Due::Step(key));
        }
        self.calls.insert(key, call);
        self.by_unique_id.insert(unique_id, key);
        self.tell_all(events);
    }

    fn remember(&mut self, originate: &Originate) {
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(SeenOriginate {
            channel_id: originate.channel_id.clone().unwrap_or_default(),
            dial_string: originate.channel.clone(),
            caller_number: originate.caller.number.clone().unwrap_or_default(),
            caller_name: originate.caller.name.clone().unwrap_or_default(),
            variables: originate.variables.clone(),
        });
    }

    fn login_of(&mut self, id: SessionId) -> Option<&mut Login> {
        self.sessions.get_mut(&id)?.login.as_mut()
    }
}

/// The MD5 login key: the digest of challenge and secret, in lower-case hexadecimal.
pub(super) fn md5_hex(challenge: &str, secret: &str) -> String {
    let mut digest = Md5::new();
    digest.update(challenge);
    digest.update(secret);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_key_is_the_digest_of_challenge_and_secret() {
        assert_eq!(md5_hex("809882907", "s3cret"), "4f919bf61530a343dffb77edfaa0a740");
    }
}

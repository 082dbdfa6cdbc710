//! A channel of the simulated Asterisk, and the block of headers each of its events carries.

use std::fmt::Display;
use std::time::Instant;

use super::text::Text;
use super::user::Classes;

/// What Asterisk writes where it knows no number or name.
const UNKNOWN: &str = "<unknown>";

/// The far end of a call.
#[derive(Debug)]
pub(super) struct Channel {
    /// Such as `PJSIP/carrier-0000002a`.
    pub(super) name: String,
    /// The `ChannelId` of the Originate, or a number of our own.
    pub(super) unique_id: String,
    pub(super) state: ChannelState,
    pub(super) caller: Party,
    pub(super) connected: Party,
    pub(super) account: String,
    pub(super) context: String,
    pub(super) exten: String,
    pub(super) priority: u32,
    /// The application it runs and its data.
    pub(super) application: (String, String),
    /// The variables that `channelvars` in `manager.conf` names, with their values.
    pub(super) shown_variables: Vec<(String, String)>,
    pub(super) created: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelState {
    Down,
    Ringing,
    Up,
}

/// A number and a name, either of which may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) number: Option<String>,
    pub(super) name: Option<String>,
}

impl Channel {
    /// An event of this channel, ready for the headers of its own.
    pub(super) fn event(&self, name: &'static str, class: Classes) -> Text {
        self.describe(Text::event(name, class), "")
    }

    /// An event of dialling, in which this channel is the destination.
    pub(super) fn dial_event(&self, name: &'static str) -> Text {
        self.describe(Text::event(name, Classes::CALL), "Dest")
    }

    /// The headers that describe the channel, each name with `prefix`.
    pub(super) fn describe(&self, text: Text, prefix: &str) -> Text {
        let (state, state_words) = self.state.told();
        let named = |name: &'static str| Prefixed { prefix, name };
        let mut text = text
            .header(named("Channel"), &self.name)
            .header(named("ChannelState"), state)
            .header(named("ChannelStateDesc"), state_words)
            .header(named("CallerIDNum"), self.caller.number())
            .header(named("CallerIDName"), self.caller.name())
            .header(named("ConnectedLineNum"), self.connected.number())
            .header(named("ConnectedLineName"), self.connected.name())
            .header(named("Language"), "en")
            .header(named("AccountCode"), &self.account)
            .header(named("Context"), &self.context)
            .header(named("Exten"), &self.exten)
            .header(named("Priority"), self.priority)
            .header(named("Uniqueid"), &self.unique_id)
            .header(named("Linkedid"), &self.unique_id);
        for (name, value) in &self.shown_variables {
            text = text.header(named("ChanVariable"), format_args!("{name}={value}"));
        }
        text
    }

    /// Its entry in the answer to `CoreShowChannels`.
    pub(super) fn list_entry(&self, action_id: Option<&str>, now: Instant) -> Text {
        let (application, data) = &self.application;
        let age = now.saturating_duration_since(self.created).as_secs();
        let duration = format!("{:02}:{:02}:{:02}", age / 3600, age / 60 % 60, age % 60);
        self.describe(Text::list_event("CoreShowChannel", action_id), "")
            .header("Application", application)
            .header("ApplicationData", data)
            .header("Duration", duration)
            .header("BridgeId", "")
    }
}

impl ChannelState {
    /// As `ChannelState` and `ChannelStateDesc` have it.
    fn told(self) -> (u8, &'static str) {
        match self {
            Self::Down => (0, "Down"),
            Self::Ringing => (5, "Ringing"),
            Self::Up => (6, "Up"),
        }
    }
}

impl Party {
    /// Reads a `CallerID` header: `"Name" <number>`, `Name <number>`, `<number>` or a bare number.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim();
        let (name, number) = match text.rsplit_once('<') {
            Some((name, rest)) => (name, rest.trim_end_matches('>')),
            None if text.starts_with('"') => (text, ""),
            None => ("", text),
        };
        let name = name.trim();
        let name = name.strip_prefix('"').unwrap_or(name);
        let name =
            name.strip_suffix('"').unwrap_or(name).replace("\\\"", "\"").replace("\\\\", "\\");
        let number = number.replace([' ', '(', ')', '-', '.'], "");
        Self {
            number: Some(number).filter(|number| !number.is_empty()),
            name: Some(name).filter(|name| !name.is_empty()),
        }
    }

    pub(super) fn number(&self) -> &str {
        self.number.as_deref().unwrap_or(UNKNOWN)
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(UNKNOWN)
    }
}

/// A header name after a prefix, without a string for both.
struct Prefixed<'a> {
    prefix: &'a str,
    name: &'static str,
}

impl Display for Prefixed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.prefix)?;
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_id_is_read_in_every_form_asterisk_takes() {
        let acme = Party { number: Some("+14045556789".into()), name: Some("Acme, Inc".into()) };
        let bare = Party { number: Some("+14045556789".into()), name: None };

        assert_eq!(Party::read("\"Acme, Inc\" <+14045556789>"), acme);
        assert_eq!(Party::read("Acme, Inc <+1 (404) 555-6789>"), acme);
        assert_eq!(Party::read("<+14045556789>"), bare);
        assert_eq!(Party::read("+14045556789"), bare);
        assert_eq!(Party::read("\"say \\\"hi\\\"\" <1>").name(), "say \"hi\"");
        assert_eq!(Party::read("").number(), "<unknown>");
    }
}

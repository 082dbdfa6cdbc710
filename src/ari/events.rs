//! Turns the few events we act on into what the rest of Rotary speaks of.
//!
//! This is the only place that knows the names of ARI's events. A call is ours if its channel's id
//! is a UUID, for we choose that id; the second half of a Local channel has `;2` behind it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::domain::call::cause::Cause;
use crate::domain::call::{ChannelId, Report};

/// The events we ask for; Asterisk sends a dozen more for every call.
pub(super) const WANTED: [&str; 4] =
    ["ApplicationReplaced", "ChannelDestroyed", "ChannelStateChange", "Dial"];

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// What became of a call of ours: one report, or both halves of its end.
    Reports(ChannelId, Report, Option<Report>),
    /// Another connection has our application, and its events.
    Replaced,
    /// Nothing that concerns us.
    Nothing,
    /// It is no event.
    Unreadable,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    application: Option<Cow<'a, str>>,
    #[serde(borrow)]
    channel: Option<Channel<'a>>,
    #[serde(borrow)]
    peer: Option<Channel<'a>>,
    #[serde(borrow)]
    dialstatus: Option<Cow<'a, str>>,
    cause: Option<u16>,
    tech_cause: Option<u16>,
}

#[derive(Deserialize)]
struct Channel<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
}

/// What an event says to who listens as `application`.
pub(super) fn read(text: &str, application: &str) -> Heard {
    let Ok(event) = serde_json::from_str::<Event<'_>>(text) else { return Heard::Unreadable };
    let said = match &*event.kind {
        "ApplicationReplaced" if event.application.as_deref() == Some(application) => {
            return Heard::Replaced;
        }
        "ChannelStateChange" => moved(&event),
        "Dial" => dialled(&event),
        "ChannelDestroyed" => ended(&event),
        _ => None,
    };
    said.map_or(Heard::Nothing, |(call, first, second)| Heard::Reports(call, first, second))
}

type Said = Option<(ChannelId, Report, Option<Report>)>;

fn moved(event: &Event<'_>) -> Said {
    let channel = event.channel.as_ref()?;
    let report = match channel.state.as_deref()? {
        "Ringing" => Report::Ringing,
        "Up" => Report::Answered,
        _ => return None,
    };
    Some((call(channel)?, report, None))
}

/// The one who is dialled is the peer; who dials is there only where a channel of ours, long since
/// answered, dials somebody, whose answer is not ours.
fn dialled(event: &Event<'_>) -> Said {
    let report = match event.dialstatus.as_deref()? {
        "RINGING" => Report::Ringing,
        "ANSWER" => Report::Answered,
        "BUSY" => Report::OriginateFailed { reason: 5 },
        "CONGESTION" => Report::OriginateFailed { reason: 8 },
        // Whatever else ended the dialling, be it that somebody hung up or that Asterisk stops.
        "NOANSWER" | "CANCEL" | "CHANUNAVAIL" => Report::OriginateFailed { reason: 1 },
        _ => return None,
    };
    Some((call(event.peer.as_ref()?)?, report, None))
}

/// Asterisk 16 ends a call that nobody answered in time with cause 0, where 22 says 19. But when a
/// time-out ends the dialling no `Dial` says so, as one does at every other end; so if no other
/// reason has come before, this is it.
fn ended(event: &Event<'_>) -> Said {
    let channel = event.channel.as_ref()?;
    let cause = event.cause.unwrap_or(0);
    let is_local = channel.name.as_deref().is_some_and(|name| name.starts_with("Local/"));
    let unanswered = match channel.state.as_deref() {
        Some("Ringing") => true,
        // A Local channel that leads nowhere ends like this at once.
        Some("Down") => !is_local,
        _ => false,
    };
    let timed_out = cause == Cause::UNKNOWN.0 && unanswered;
    let why = timed_out.then_some(Report::OriginateFailed { reason: 3 });
    Some((call(channel)?, Report::HungUp { cause, sip_code: event.tech_cause }, why))
}

fn call(channel: &Channel<'_>) -> Option<ChannelId> {
    channel.id.parse().ok()
}

#[cfg(test)]
mod tests;

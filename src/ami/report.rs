//! Turns the few events we act on into what the rest of Rotary speaks of.
//!
//! This is the only place that knows the names of events. A channel is ours if its unique id is a
//! [`ChannelId`], for we choose that id; the second half of a Local channel has `;2` behind it.

use crate::domain::call::{ChannelId, Report};

use super::frame::{Frame, Kind};

/// What an event says about a channel of ours, if it says anything.
pub fn read(frame: &Frame) -> Option<(ChannelId, Report)> {
    if frame.kind() != Kind::Event {
        return None;
    }
    match frame.name() {
        b"Newstate" => {
            let report = match frame.get("ChannelState")? {
                b"5" => Report::Ringing,
                b"6" => Report::Answered,
                _ => return None,
            };
            Some((channel_in(frame, "Uniqueid")?, report))
        }
        b"DialState" => {
            let rings = frame.get("DialStatus")? == b"RINGING";
            rings.then_some((channel_in(frame, "DestUniqueid")?, Report::Ringing))
        }
        b"DialEnd" => {
            // Any other status is told better by the Hangup that follows.
            let answered = frame.get("DialStatus")? == b"ANSWER";
            answered.then_some((channel_in(frame, "DestUniqueid")?, Report::Answered))
        }
        b"OriginateResponse" => {
            let id = channel_in(frame, "ActionID").or_else(|| channel_in(frame, "Uniqueid"))?;
            let report = match frame.get("Response")? {
                b"Success" => Report::Answered,
                _ => Report::OriginateFailed { reason: number(frame, "Reason").unwrap_or(0) },
            };
            Some((id, report))
        }
        b"Hangup" => {
            let cause = number(frame, "Cause").unwrap_or(0);
            let report = Report::HungUp { cause, sip_code: number(frame, "TechCause") };
            Some((channel_in(frame, "Uniqueid")?, report))
        }
        _ => None,
    }
}

fn channel_in(frame: &Frame, header: &str) -> Option<ChannelId> {
    str::from_utf8(frame.get(header)?).ok()?.parse().ok()
}

fn number<T: std::str::FromStr>(frame: &Frame, header: &str) -> Option<T> {
    str::from_utf8(frame.get(header)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;

//! Turns the few events we act on into what the rest of Rotary speaks of.
//!
//! This is the only place that knows the names of events. A channel is ours if its unique id is a
//! [`ChannelId`], for we choose that id; the second half of a Local channel has `;2` behind it.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::call::{ChannelId, Report};

use super::frame::{Frame, Kind};

/// The most calls that may have unread reports. Beyond it reports are dropped and counted; the
/// calls are settled like those whose events were lost, by asking Asterisk.
const MAX_CALLS: usize = 1 << 18;

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

/// What Asterisk reported about our calls, in the order it did. Exists before the connection.
///
/// The line never waits for whoever reads this. A kind of report that is unread is not put in
/// again for the same call, so what is kept is bounded by the calls, however many events come.
#[derive(Debug)]
pub struct Reports {
    shared: Arc<Shared>,
}

/// The line's end of [`Reports`].
#[derive(Debug)]
pub(super) struct Reporter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    unread: Mutex<Unread>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Unread {
    reports: Vec<(ChannelId, Report)>,
    /// The kinds among `reports`, a bit each.
    kinds: HashMap<ChannelId, u8>,
    ended: bool,
}

/// A line's end of the reports, and the reader's.
pub(super) fn channel() -> (Reporter, Reports) {
    let shared = Arc::new(Shared::default());
    (Reporter { shared: shared.clone() }, Reports { shared })
}

impl Reporter {
    /// Keeps a report until it is read; false if it had to be dropped.
    pub(super) fn put(&self, call: ChannelId, report: Report) -> bool {
        let mut unread = self.shared.lock();
        let full = unread.kinds.len() >= MAX_CALLS && !unread.kinds.contains_key(&call);
        if full {
            return false;
        }
        let kinds = unread.kinds.entry(call).or_default();
        let bit = kind_bit(report);
        if *kinds & bit == 0 {
            *kinds |= bit;
            unread.reports.push((call, report));
            drop(unread);
            self.shared.changed.notify_one();
        }
        true
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
    }
}

impl Reports {
    /// Waits for reports and takes all there are; none once the line has ended and all are read.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Vec<(ChannelId, Report)>> {
        loop {
            {
                let mut unread = self.shared.lock();
                if !unread.reports.is_empty() {
                    unread.kinds.clear();
                    return Some(mem::take(&mut unread.reports));
                }
                if unread.ended {
                    return None;
                }
            }
            self.shared.changed.notified().await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Unread> {
        // Nothing that holds the lock can leave the list half changed.
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind_bit(report: Report) -> u8 {
    match report {
        Report::Ringing => 1,
        Report::Answered => 2,
        Report::OriginateFailed { .. } => 4,
        Report::HungUp { .. } => 8,
    }
}

#[cfg(test)]
mod tests;

//! What became of our calls, on its way from a line to whoever follows them.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::call::{ChannelId, Report};

/// The most calls that may have unread reports. Beyond it reports are dropped and counted; the
/// calls are settled like those whose events were lost, by asking Asterisk.
const MAX_CALLS: usize = 1 << 18;

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
pub struct Reporter {
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

/// A line's end of the reports, and the reader's. Made before the line connects.
pub fn channel() -> (Reporter, Reports) {
    let shared = Arc::new(Shared::default());
    (Reporter { shared: shared.clone() }, Reports { shared })
}

impl Reporter {
    /// Keeps a report until it is read; false if it had to be dropped.
    pub fn put(&self, call: ChannelId, report: Report) -> bool {
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

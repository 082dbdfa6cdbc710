//! What every line counts, whatever is spoken on it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::DownReason;

/// What became of a line since the start.
#[derive(Debug, Default)]
pub struct Counters {
    reports: AtomicU64,
    reports_dropped: AtomicU64,
    connects: AtomicU64,
    /// By [`DownReason::WORDS`].
    failures: [AtomicU64; DownReason::WORDS.len()],
}

impl Counters {
    /// Reports of our calls.
    pub fn reports(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }

    /// Reports dropped because too many calls had unread ones.
    pub fn reports_dropped(&self) -> u64 {
        self.reports_dropped.load(Ordering::Relaxed)
    }

    /// How often the line came up.
    pub fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }

    /// How often the line ended or did not come up, by [`DownReason::WORDS`].
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.failures.iter().map(|count| count.load(Ordering::Relaxed));
        DownReason::WORDS.into_iter().zip(counts)
    }

    /// A report came; whether there was room to keep it.
    pub fn reported(&self, kept: bool) {
        self.reports.fetch_add(1, Ordering::Relaxed);
        if !kept {
            self.reports_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The line is up.
    pub fn connected(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    /// The line ended, or did not come up.
    pub fn failed(&self, why: &DownReason) {
        let place = why.word().and_then(|word| DownReason::WORDS.iter().position(|w| *w == word));
        if let Some(place) = place {
            self.failures[place].fetch_add(1, Ordering::Relaxed);
        }
    }
}

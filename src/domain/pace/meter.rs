//! Counts what one trunk, tenant or DID has in progress, and when its last calls began.
//!
//! The rate is kept exactly: of the last calls the times are known, so that within any window no
//! more begin than may, however they are spread. A bucket of tokens lets through up to twice as many.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Of how many calls the times are known where no rate bounds them: what a trunk without a limit
/// was asked to carry is known only so when it is slowed down.
pub(super) const UNBOUNDED_KEEP: usize = 1024;

/// How long a call is taken to last before any has ended.
const USUAL: Duration = Duration::from_secs(30);

/// The longest wait that is promised to bring a channel.
const CHANNEL_WAIT_MAX: Duration = Duration::from_secs(60);

/// One trunk's, tenant's or DID's count.
#[derive(Debug, Default)]
pub(super) struct Meter {
    begun: VecDeque<Instant>,
    in_use: u32,
    /// How long its calls last, the last ones more than those before.
    usual: Option<Duration>,
}

/// A limit that is met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Met {
    /// All channels are in use.
    Channels {
        current: u32,
        max: u32,
        /// An estimate: nobody knows when somebody hangs up.
        wait: Duration,
    },
    /// No more may begin for now.
    Rate { current: u32, max: u32, until: Instant },
}

impl Meter {
    /// The limit that stands in a call's way for longest, if one does.
    pub(super) fn met(
        &self,
        rate: Option<f64>,
        channels: Option<NonZeroU32>,
        now: Instant,
    ) -> Option<Met> {
        let slots = channels.map(NonZeroU32::get).filter(|max| self.in_use >= *max);
        let slots = slots.map(|max| Met::Channels {
            current: self.in_use,
            max,
            wait: self.wait_for_a_channel(),
        });
        let rate = rate.and_then(|rate| self.rate_met(rate, now));
        match (slots, rate) {
            (Some(slots), Some(rate)) if rate.wait(now) > slots.wait(now) => Some(rate),
            (slots, rate) => slots.or(rate),
        }
    }

    /// A call begins. Times are kept of as many calls as a rate needs.
    pub(super) fn begin(&mut self, keep: usize, now: Instant) {
        self.in_use += 1;
        self.begun.push_back(now);
        while self.begun.len() > keep {
            self.begun.pop_front();
        }
    }

    /// A call that began before we counted.
    pub(super) fn resume(&mut self) {
        self.in_use += 1;
    }

    /// A call is over, which began then if that is known.
    pub(super) fn end(&mut self, begun: Option<Instant>, now: Instant) {
        self.in_use = self.in_use.saturating_sub(1);
        if let Some(begun) = begun {
            let lasted = now.saturating_duration_since(begun);
            self.usual = Some(self.usual.map_or(lasted, |usual| (usual * 7 + lasted) / 8));
        }
    }

    /// A call that began then never was.
    pub(super) fn undo(&mut self, begun: Option<Instant>) {
        self.in_use = self.in_use.saturating_sub(1);
        let place = begun.and_then(|begun| self.begun.iter().rposition(|at| *at == begun));
        if let Some(place) = place {
            self.begun.remove(place);
        }
    }

    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// How many calls began within the second before `now`.
    pub(super) fn within_a_second(&self, now: Instant) -> usize {
        self.within(Duration::from_secs(1), now)
    }

    /// Whether it is as if it had never been used.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.in_use == 0 && self.within_a_second(now) == 0
    }

    fn rate_met(&self, rate: f64, now: Instant) -> Option<Met> {
        let (count, window) = window_of(rate);
        let first = self.begun.len().checked_sub(count)?;
        let until = *self.begun.get(first)? + window;
        let current = self.within(window, now) as u32;
        (until > now).then_some(Met::Rate { current, max: count as u32, until })
    }

    fn within(&self, window: Duration, now: Instant) -> usize {
        self.begun.iter().rev().take_while(|begun| **begun + window > now).count()
    }

    /// With n calls in progress that last as long as usual, one ends every n-th part of that.
    fn wait_for_a_channel(&self) -> Duration {
        let each = self.usual.unwrap_or(USUAL) / self.in_use.max(1);
        each.clamp(Duration::from_secs(1), CHANNEL_WAIT_MAX)
    }
}

impl Met {
    /// How long until there may be room.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        match self {
            Self::Channels { wait, .. } => *wait,
            Self::Rate { until, .. } => until.saturating_duration_since(now),
        }
    }

    /// When time alone brings room; none where a call has to end.
    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            Self::Channels { .. } => None,
            Self::Rate { until, .. } => Some(*until),
        }
    }
}

/// How many may begin within how long: 20 a second are 20 within a second, half a one a second is
/// one within two.
pub(super) fn window_of(rate: f64) -> (usize, Duration) {
    let count = rate.ceil().max(1.0);
    (count as usize, Duration::from_secs_f64(count / rate))
}

//! A trunk whose carrier complains gets fewer calls: half as many at each complaint, and slowly
//! more again once the complaints end, as TCP does it.
//!
//! A complaint about a call that began before the last step down says nothing new, so a burst of
//! them halves the rate once. A carrier that says 503 now and then is not slowed down: only when
//! they are two and a tenth of the last sixteen ends. One that says 429 is, at once.

use std::time::{Duration, Instant};

use super::verdict::Verdict;

/// How long the lower rate is held before it rises.
const HOLD: Duration = Duration::from_secs(5);

/// How long a rate takes to rise from nothing to all.
const RISE: Duration = Duration::from_secs(60);

/// The lowest rate, as a part of the full one.
const FLOOR: f64 = 1.0 / 16.0;

/// How many of the last ends are looked at.
const ENDS: u32 = 16;

/// A trunk's rate, and what its last calls came to.
#[derive(Debug, Default)]
pub(super) struct Slow {
    reduced: Option<Reduced>,
    /// The last ends, a bit each, set where the trunk was full.
    full: u16,
    ends: u32,
}

#[derive(Debug, Clone, Copy)]
struct Reduced {
    /// Calls a second when all is well.
    ceiling: f64,
    /// Calls a second when the rate went down last.
    rate: f64,
    since: Instant,
}

/// Which way a trunk's rate has turned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Turned {
    /// Down: to so many calls a second.
    Slower(f64),
    /// It has come back to its full rate.
    Full,
}

impl Slow {
    /// How many calls a second may begin; none where nothing holds the trunk back.
    pub(super) fn rate(&self, now: Instant) -> Option<f64> {
        let reduced = self.reduced.as_ref()?;
        Some(reduced.rate_at(now)).filter(|rate| *rate < reduced.ceiling)
    }

    /// A call ended that began then. `ceiling` is what the trunk carries in a second when all is well.
    /// Says so when the trunk turns slower, not at every step down.
    pub(super) fn hear(
        &mut self,
        verdict: Verdict,
        begun: Option<Instant>,
        ceiling: f64,
        now: Instant,
    ) -> Option<Turned> {
        self.full = self.full << 1 | u16::from(verdict == Verdict::Full);
        self.ends = (self.ends + 1).min(ENDS);
        let full = self.full.count_ones();
        let often = full >= 2 && full * 10 >= self.ends;
        let complains = match verdict {
            Verdict::Throttled => true,
            Verdict::Full => often,
            Verdict::Busy | Verdict::BadNumber | Verdict::Other => false,
        };
        let known = self.reduced.filter(|reduced| now < reduced.recovered_at());
        let news = known.is_none_or(|known| begun.is_some_and(|begun| begun > known.since));
        if !complains || !news {
            return None;
        }
        let ceiling = known.map_or(ceiling, |known| known.ceiling);
        let rate = known.map_or(ceiling, |known| known.rate_at(now)) / 2.0;
        let reduced = Reduced { ceiling, rate: rate.max(ceiling * FLOOR), since: now };
        self.reduced = Some(reduced);
        let was_falling = known.is_some_and(|known| now < known.since + HOLD);
        (!was_falling).then_some(Turned::Slower(reduced.rate))
    }

    /// Says so, once, when the trunk has come back to its full rate.
    pub(super) fn recover(&mut self, now: Instant) -> Option<Turned> {
        self.reduced.filter(|reduced| reduced.recovered_at() <= now)?;
        self.reduced = None;
        Some(Turned::Full)
    }

    /// When [`Slow::recover`] has something to say.
    pub(super) fn recovered_at(&self) -> Option<Instant> {
        self.reduced.map(|reduced| reduced.recovered_at())
    }
}

impl Reduced {
    fn rate_at(&self, now: Instant) -> f64 {
        let rising = now.saturating_duration_since(self.since + HOLD).as_secs_f64();
        (self.rate + rising * self.ceiling / RISE.as_secs_f64()).min(self.ceiling)
    }

    fn recovered_at(&self) -> Instant {
        self.since + HOLD + RISE.mul_f64(1.0 - self.rate / self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_complaints_halves_the_rate_once() {
        let (mut slow, at) = trunk();

        let turned: Vec<_> =
            (0..20).map(|_| slow.hear(Verdict::Throttled, Some(at(0)), 16.0, at(1))).collect();

        assert_eq!(turned[0], Some(Turned::Slower(8.0)));
        assert_eq!(turned[1..], [None; 19]);
        assert_eq!(slow.rate(at(1)), Some(8.0));
    }

    #[test]
    fn a_carrier_that_goes_on_complaining_is_left_with_the_floor_and_one_warning() {
        let (mut slow, at) = trunk();

        let turned: Vec<_> = (1..20)
            .filter_map(|second| slow.hear(Verdict::Full, Some(at(second)), 16.0, at(second)))
            .collect();

        assert_eq!(slow.rate(at(20)), Some(1.0));
        assert_eq!(turned, [Turned::Slower(8.0)]);
    }

    #[test]
    fn the_rate_rises_slowly_and_all_the_way() {
        let (mut slow, at) = trunk();
        slow.hear(Verdict::Throttled, Some(at(0)), 16.0, at(0));

        assert_eq!(slow.rate(at(5)), Some(8.0));
        assert_eq!(slow.rate(at(20)), Some(12.0));
        assert_eq!(slow.recovered_at(), Some(at(35)));
        assert_eq!((slow.recover(at(34)), slow.rate(at(35))), (None, None));
        assert_eq!((slow.recover(at(35)), slow.recover(at(36))), (Some(Turned::Full), None));
    }

    #[test]
    fn a_complaint_while_the_rate_rises_is_told_again() {
        let (mut slow, at) = trunk();
        slow.hear(Verdict::Throttled, Some(at(0)), 16.0, at(0));

        let again = slow.hear(Verdict::Throttled, Some(at(19)), 16.0, at(20));

        assert_eq!(again, Some(Turned::Slower(6.0)));
    }

    #[test]
    fn a_lone_503_among_many_calls_slows_nothing_and_two_do() {
        let (mut slow, at) = trunk();
        for _ in 0..15 {
            slow.hear(Verdict::Other, Some(at(0)), 16.0, at(0));
        }

        let lone = slow.hear(Verdict::Full, Some(at(0)), 16.0, at(1));
        let second = slow.hear(Verdict::Full, Some(at(0)), 16.0, at(1));

        assert_eq!((lone, second), (None, Some(Turned::Slower(8.0))));
    }

    #[test]
    fn busy_callees_and_wrong_numbers_slow_nothing() {
        let (mut slow, at) = trunk();

        for verdict in [Verdict::Busy, Verdict::BadNumber, Verdict::Other] {
            assert_eq!(slow.hear(verdict, Some(at(0)), 16.0, at(1)), None);
        }

        assert_eq!(slow.rate(at(1)), None);
    }

    fn trunk() -> (Slow, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        (Slow::default(), move |second| start + Duration::from_secs(second))
    }
}

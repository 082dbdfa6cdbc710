//! How long to wait before a line that was lost is tried again.

use std::time::Duration;

/// Waits that double with every failure, up to a longest, each a random part shorter than due, so
/// that lines that were lost together do not all come back together.
#[derive(Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `min` to `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, failures: 0 }
    }

    /// The next wait, `random` (0 to 1) of the way from half to all of what is due.
    pub fn next(&mut self, random: f64) -> Duration {
        let due = self.min.saturating_mul(1 << self.failures.min(20)).min(self.max);
        self.failures += 1;
        due.mul_f64(0.5 + random / 2.0)
    }

    /// Begins again with the shortest wait.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again_after_a_stable_line() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));

        let waits: Vec<_> = (0..12).map(|_| backoff.next(1.0)).collect();
        assert_eq!(waits[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(waits[11], Duration::from_secs(30));
        assert!((0..100).all(|_| backoff.next(1.0) == Duration::from_secs(30)));

        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::from_millis(50));
    }
}

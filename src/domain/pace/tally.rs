//! A meter each for many that share the same limits: tenants, or DIDs.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

use super::Limits;
use super::meter::{Met, Meter};

/// How many are kept before those without a call are looked for the first time.
const SWEEP: usize = 1024;

/// Their meters. Without limits nothing is counted, and one that is idle is forgotten in time.
#[derive(Debug)]
pub(super) struct Tally<K> {
    limits: Limits,
    meters: HashMap<K, Meter>,
    sweep_at: usize,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { limits: Limits::default(), meters: HashMap::new(), sweep_at: SWEEP }
    }
}

impl<K: Hash + Eq + Clone> Tally<K> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(super) fn met(&self, key: &K, now: Instant) -> Option<Met> {
        let rate = self.limits.calls_per_second.map(|rate| f64::from(rate.get()));
        self.meters.get(key)?.met(rate, self.limits.channels_max, now)
    }

    pub(super) fn begin(&mut self, key: &K, now: Instant) {
        if self.limits.are_none() {
            return;
        }
        let keep = self.limits.calls_per_second.map_or(0, |rate| rate.get() as usize);
        self.meters.entry(key.clone()).or_default().begin(keep, now);
        if self.meters.len() >= self.sweep_at {
            self.meters.retain(|_, meter| !meter.is_idle(now));
            self.sweep_at = SWEEP.max(self.meters.len() * 2);
        }
    }

    pub(super) fn resume(&mut self, key: &K) {
        if !self.limits.are_none() {
            self.meters.entry(key.clone()).or_default().resume();
        }
    }

    pub(super) fn end(&mut self, key: &K, begun: Option<Instant>, now: Instant) {
        if let Some(meter) = self.meters.get_mut(key) {
            meter.end(begun, now);
        }
    }

    pub(super) fn undo(&mut self, key: &K, begun: Option<Instant>) {
        if let Some(meter) = self.meters.get_mut(key) {
            meter.undo(begun);
        }
    }
}

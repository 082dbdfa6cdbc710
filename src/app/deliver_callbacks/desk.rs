//! Who may be sent to now: how many attempts are under way to each receiver, and how it is doing.

use std::collections::{HashMap, HashSet};

use tracing::{info, warn};

use super::attempt::{Health, Sent};
use crate::store::callbacks::Receiver;

/// How many attempts may be under way at once; more wait in the store.
const IN_FLIGHT_MAX: u32 = 256;

/// How many of them to one receiver, so that no single one takes up all.
const PER_RECEIVER_MAX: u32 = 32;

/// How many to one that fails: enough to see when it is back, too few to be in anybody's way.
const PER_FAILING_MAX: u32 = 2;

/// After how many failures in a row a receiver counts as failing.
const FAILURES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Desk {
    in_flight: HashMap<String, u32>,
    /// Failures in a row.
    failures: HashMap<String, u32>,
}

impl Desk {
    /// Whether there is room for nothing more.
    pub(super) fn is_full(&self) -> bool {
        self.total() >= IN_FLIGHT_MAX
    }

    /// An attempt begins.
    pub(super) fn take(&mut self, host: &str) {
        *self.in_flight.entry(host.to_owned()).or_default() += 1;
    }

    /// An attempt is over.
    pub(super) fn give_back(&mut self, sent: &Sent) {
        if let Some(count) = self.in_flight.get_mut(&sent.host) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&sent.host);
            }
        }
        let error = sent.attempt.error.as_deref().unwrap_or_default();
        self.learn(&sent.host, sent.health, error);
    }

    /// Forgets receivers that nothing is to be sent to.
    pub(super) fn forget_all_but(&mut self, receivers: &[Receiver]) {
        if !self.failures.is_empty() {
            let known: HashSet<&str> = receivers.iter().map(|one| one.host.as_str()).collect();
            self.failures.retain(|host, _| known.contains(host.as_str()));
        }
    }

    /// Takes out of the receivers that are due those that there is room for, and says how many
    /// attempts each may get. Who has waited longest comes first.
    pub(super) fn choose(&self, due: &mut Vec<Receiver>) -> Vec<(String, u32)> {
        due.sort_unstable_by_key(|receiver| receiver.due);
        let mut left = IN_FLIGHT_MAX.saturating_sub(self.total());
        let mut chosen = Vec::new();
        due.retain(|receiver| {
            let room = self.room(&receiver.host).min(left);
            if room > 0 {
                left -= room;
                chosen.push((receiver.host.clone(), room));
            }
            room == 0 && left == 0
        });
        chosen
    }

    fn room(&self, host: &str) -> u32 {
        let failing = self.failures.get(host).is_some_and(|count| *count >= FAILURES);
        let most = if failing { PER_FAILING_MAX } else { PER_RECEIVER_MAX };
        most.saturating_sub(self.in_flight.get(host).copied().unwrap_or_default())
    }

    fn total(&self) -> u32 {
        self.in_flight.values().sum()
    }

    fn learn(&mut self, host: &str, health: Health, error: &str) {
        match health {
            Health::Well => {
                if self.failures.remove(host).is_some_and(|count| count >= FAILURES) {
                    info!(receiver = host, "callbacks are delivered again");
                }
            }
            Health::Ill => {
                let count = self.failures.entry(host.to_owned()).or_default();
                *count = count.saturating_add(1);
                if *count == FAILURES {
                    warn!(receiver = host, "callbacks fail and are sent again later: {error}");
                }
            }
            Health::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    #[test]
    fn a_receiver_has_its_share_and_no_more() {
        let mut desk = Desk::default();
        for _ in 0..PER_RECEIVER_MAX - 1 {
            desk.take("slow");
        }

        let chosen = desk.choose(&mut vec![due("slow", 0), due("fast", 1)]);

        assert_eq!(chosen, [("slow".to_owned(), 1), ("fast".to_owned(), PER_RECEIVER_MAX)]);
    }

    #[test]
    fn a_failing_receiver_is_only_tried_until_it_is_back() {
        let mut desk = Desk::default();
        let room = |desk: &Desk| desk.choose(&mut vec![due("down", 0)])[0].1;

        for _ in 0..FAILURES {
            assert_eq!(room(&desk), PER_RECEIVER_MAX);
            desk.learn("down", Health::Ill, "");
        }
        assert_eq!(room(&desk), PER_FAILING_MAX);
        desk.learn("down", Health::Unknown, "");
        assert_eq!(room(&desk), PER_FAILING_MAX);
        desk.learn("down", Health::Well, "");

        assert_eq!(room(&desk), PER_RECEIVER_MAX);
    }

    #[test]
    fn all_receivers_together_have_a_bound_and_who_waited_longest_comes_first() {
        let desk = Desk::default();
        let mut receivers = (0..20).rev().map(|n| due(&format!("r{n:02}"), n)).collect();

        let chosen = desk.choose(&mut receivers);

        assert_eq!(chosen.iter().map(|(_, room)| room).sum::<u32>(), IN_FLIGHT_MAX);
        assert_eq!(chosen[0].0, "r00");
        assert_eq!(receivers.len(), 12, "the others have their turn in what these leave");
    }

    #[test]
    fn a_receiver_that_nothing_is_to_be_sent_to_is_forgotten() {
        let mut desk = Desk::default();
        desk.learn("gone", Health::Ill, "");
        desk.learn("down", Health::Ill, "");

        desk.forget_all_but(&[due("down", 0)]);

        assert_eq!(desk.failures.len(), 1);
    }

    fn due(host: &str, second: i64) -> Receiver {
        Receiver { host: host.to_owned(), due: at(second) }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(second)
    }
}

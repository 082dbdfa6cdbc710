//! The connections that are in the middle of their prelude, the oldest first.
//!
//! Who sends its prelude a byte at a time keeps a place for as long as nobody needs it. Asterisk's
//! own come whole, within milliseconds, so a newcomer takes the place of whoever is there longest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a prelude is left alone even when its place is needed.
const YOUNG: Duration = Duration::from_millis(100);

/// The places.
#[derive(Debug, Clone)]
pub(super) struct HalfOpen {
    places: Arc<Mutex<Places>>,
    freed: Arc<Notify>,
    max: usize,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// A place, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    evicted: CancellationToken,
    half_open: HalfOpen,
}

impl HalfOpen {
    pub(super) fn new(max: usize) -> Self {
        Self { places: Arc::default(), freed: Arc::default(), max }
    }

    /// A place, as soon as one is free or the oldest can be turned out. Never takes longer than a
    /// prelude is young.
    pub(super) async fn enter(&self) -> Place {
        loop {
            let freed = self.freed.notified();
            let young_until = {
                let mut places = self.lock();
                match places.oldest().filter(|_| places.taken.len() >= self.max) {
                    None => return self.take(&mut places),
                    Some((number, since)) if since.elapsed() >= YOUNG => {
                        if let Some((_, evicted)) = places.taken.remove(&number) {
                            evicted.cancel();
                        }
                        return self.take(&mut places);
                    }
                    Some((_, since)) => since + YOUNG,
                }
            };
            tokio::select! {
                () = freed => {}
                () = sleep_until(young_until) => {}
            }
        }
    }

    fn take(&self, places: &mut Places) -> Place {
        let (number, evicted) = (places.next, CancellationToken::new());
        places.next += 1;
        places.taken.insert(number, (Instant::now(), evicted.clone()));
        Place { number, evicted, half_open: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().expect("nothing panics while it holds the places")
    }
}

impl Places {
    fn oldest(&self) -> Option<(u64, Instant)> {
        self.taken.first_key_value().map(|(number, (since, _))| (*number, *since))
    }
}

impl Place {
    /// Completes when somebody else is given the place.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.half_open.lock().taken.remove(&self.number);
        self.half_open.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_takes_the_place_of_the_oldest_once_that_is_old() {
        let half_open = HalfOpen::new(2);
        let first = half_open.enter().await;
        let second = half_open.enter().await;

        let begun = Instant::now();
        let third = half_open.enter().await;

        assert_eq!(begun.elapsed(), YOUNG);
        first.evicted().await;
        assert!(!second.evicted.is_cancelled() && !third.evicted.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_given_up_is_free_at_once() {
        let half_open = HalfOpen::new(1);
        let first = half_open.enter().await;
        let mut waiting = Box::pin(half_open.enter());
        assert!(futures_util::poll!(&mut waiting).is_pending());

        let begun = Instant::now();
        drop(first);
        waiting.await;

        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

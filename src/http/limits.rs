//! How often a key may ask, and how often an address may show a wrong one.
//!
//! Both are token buckets: so many at once, refilled evenly. The control socket knows neither.
//!
//! An address that has shown too many wrong keys is refused every key, right or wrong, without a
//! look into the store: who guesses learns nothing, and costs the database nothing. Many callers
//! may share an address behind a proxy, and one of them must not be able to shut the others out;
//! so a key that this daemon has seen to be good goes on as before. (It is still looked up every
//! time: what is remembered is that it was good, not that it is.) What remains is that a key which
//! this daemon has never seen, new or after a restart, waits while somebody at its address guesses.
//!
//! A request counts as wrong once the store has said so. Requests that are looked up at the same
//! moment can thus go over the bound, by no more than there are connections; counted before, they
//! would refuse the first requests of a crowd of good callers after a restart.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hashlink::LruCache;
use serde::{Deserialize, Serialize};
use tracing::warn;
use uuid::Uuid;

use super::problem::{Code, Limit, Problem};
use crate::store::keys::KeyHash;

/// How many addresses, keys and good keys are remembered, each; then the oldest is forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// How many seconds' worth of requests a key may make at once.
const BURST_SECONDS: u32 = 2;

/// The largest head of a request: its address, and its headers with their names, in bytes. One
/// that is much larger is cut off before it is understood, without a word about why.
pub(super) const HEAD_MAX: usize = 16 * 1024;

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many requests a key may make a second, with bursts of twice as many; 0 is no limit.
    pub requests_per_second: u32,
    /// How many wrong keys an address may show a minute; 0 is no limit. An IPv6 address counts by
    /// its first 64 bits, of which a caller has the rest to choose from.
    pub failed_attempts_per_minute: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { requests_per_second: 1000, failed_attempts_per_minute: 20 }
    }
}

/// Counts requests and failed attempts; cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    settings: Settings,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    counts: Mutex<Counts>,
}

struct Counts {
    requests: Buckets<Uuid>,
    failures: Buckets<IpAddr>,
    good: LruCache<[u8; 32], (), RandomState>,
}

impl Gate {
    /// A gate that nobody has passed yet.
    pub fn new(settings: Settings) -> Self {
        Self::with_clock(settings, Instant::now)
    }

    /// The same, by a clock of the caller's own.
    pub fn with_clock(
        settings: Settings,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        let (a_second, a_minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let counts = Counts {
            requests: Buckets::new(settings.requests_per_second, a_second, BURST_SECONDS),
            failures: Buckets::new(settings.failed_attempts_per_minute, a_minute, 1),
            good: LruCache::with_hasher(REMEMBERED_MAX, RandomState::new()),
        };
        Self(Arc::new(Inner { settings, clock: Box::new(clock), counts: Mutex::new(counts) }))
    }

    /// Counts a request by this key.
    ///
    /// # Errors
    /// 429 `rate_limited`, which is not counted.
    pub(super) fn may_ask(&self, key: Uuid) -> Result<(), Problem> {
        let taken = self.counts().requests.take(key, self.now());
        let max = self.0.settings.requests_per_second;
        taken.map_err(|wait| {
            let detail = format!(
                "This key may ask {max} times a second, and {BURST_SECONDS} seconds' worth at once"
            );
            over(Code::RateLimited, detail, "requests_per_second", max, wait)
        })
    }

    /// Counts one more thing that this key asked for in a request of many, unless that would leave
    /// less than half a burst for its other requests; then says how long to wait.
    pub(super) fn may_go_on(&self, key: Uuid) -> Result<(), Duration> {
        self.counts().requests.take_half(key, self.now())
    }

    /// Whether this key was good when it was last shown.
    pub(super) fn knows(&self, key: &KeyHash) -> bool {
        self.counts().good.get(&key.bytes()).is_some()
    }

    /// Remembers that this key is good.
    pub(super) fn remember(&self, key: &KeyHash) {
        self.counts().good.insert(key.bytes(), ());
    }

    /// Whether a key we do not know may be shown from here.
    ///
    /// # Errors
    /// 429 `too_many_failed_attempts`.
    pub(super) fn may_try(&self, peer: IpAddr) -> Result<(), Problem> {
        let Some(wait) = self.counts().failures.wait(&network(peer), self.now()) else {
            return Ok(());
        };
        let max = self.0.settings.failed_attempts_per_minute;
        let detail = format!(
            "More than {max} wrong keys a minute came from this address; until then it is refused \
             every key that was not used here before"
        );
        let name = "failed_attempts_per_minute";
        Err(over(Code::TooManyFailedAttempts, detail, name, max, wait))
    }

    /// Counts a wrong key, which is good no more if it ever was.
    pub(super) fn count_failure(&self, peer: IpAddr, key: &KeyHash) {
        let (network, now) = (network(peer), self.now());
        let mut counts = self.counts();
        counts.good.remove(&key.bytes());
        let _no_room_for_more = counts.failures.take(network, now);
        if counts.failures.wait(&network, now).is_some() {
            warn!(
                "{network} shows too many wrong keys; keys not used before are refused from there"
            );
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().expect("nobody panics while counting")
    }

    fn now(&self) -> Instant {
        (self.0.clock)()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.0.settings).finish()
    }
}

/// Refuses a head that is larger than any of ours needs to be.
pub(super) async fn within_head_bound(request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let current = path + length(request.headers());
    if current <= HEAD_MAX {
        return next.run(request).await;
    }
    let detail = format!("The request's address and headers may have {HEAD_MAX} bytes together");
    let limit = Limit { name: "head_bytes", current: current as u64, max: HEAD_MAX as u64 };
    Problem::new(Code::HeadTooLarge, detail).over(limit).into_response()
}

fn length(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

fn over(code: Code, detail: String, name: &'static str, max: u32, wait: Duration) -> Problem {
    let max = u64::from(max);
    Problem::new(code, detail).over(Limit { name, current: max + 1, max }).retry_after(wait)
}

/// Whose addresses are counted as one.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
    }
}

/// A token bucket each. Of a bucket only the time is kept at which it will be full again: so much
/// of the depth is used now.
struct Buckets<K> {
    /// In what time one token comes back; none where there is no limit.
    step: Option<Duration>,
    /// In what time an empty bucket is full.
    depth: Duration,
    full_at: LruCache<K, Instant, RandomState>,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Buckets that refill at `rate` a `period` and hold that many times `periods`.
    fn new(rate: u32, period: Duration, periods: u32) -> Self {
        Self {
            step: period.checked_div(rate),
            depth: period * periods,
            full_at: LruCache::with_hasher(REMEMBERED_MAX, RandomState::new()),
        }
    }

    /// How long it takes until there is a token; none if there is one.
    fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        self.wait_within(key, now, self.depth)
    }

    fn wait_within(&self, key: &K, now: Instant, depth: Duration) -> Option<Duration> {
        let step = self.step?;
        let used = self.full_at.peek(key).map_or(Duration::ZERO, |full| *full - now);
        (used + step).checked_sub(depth).filter(|wait| !wait.is_zero())
    }

    /// Takes a token, or says when there will be one.
    fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        self.take_within(key, now, self.depth)
    }

    /// The same, leaving half of the bucket to others.
    fn take_half(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        self.take_within(key, now, self.depth / 2)
    }

    fn take_within(&mut self, key: K, now: Instant, depth: Duration) -> Result<(), Duration> {
        let Some(step) = self.step else { return Ok(()) };
        if let Some(wait) = self.wait_within(&key, now, depth) {
            return Err(wait);
        }
        let full = self.full_at.get(&key).map_or(now, |full| now.max(*full));
        self.full_at.insert(key, full + step);
        self.forget_full(now);
        Ok(())
    }

    /// Forgets the oldest while they are full, for then they are as if they had never been.
    fn forget_full(&mut self, now: Instant) {
        while self.full_at.iter().next().is_some_and(|(_, full)| *full <= now) {
            self.full_at.remove_lru();
        }
    }
}

#[cfg(test)]
mod tests;

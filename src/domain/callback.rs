//! Callbacks: announcements of a call on their way to a tenant's receiver.
//!
//! ```text
//! pending ──> delivered
//!    └──────> dead ──> (replayed) pending
//! ```
//!
//! Of one call's callbacks only the first pending one is sent, so that a receiver hears the changes
//! in their order.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::call::CallId;
use super::tenant::TenantId;

/// A callback's id, also its `webhook-id`: the same in every attempt, so that a receiver knows a
/// repetition. Ids rise with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallbackId(pub Uuid);

/// How far a callback has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallbackStatus {
    /// It is to be sent, now or later.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Dead,
}

/// A callback that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCallback {
    /// Its id.
    pub id: CallbackId,
    /// Whose call it tells of.
    pub tenant: TenantId,
    /// The call.
    pub call: CallId,
    /// Its place among the call's changes, from 1.
    pub sequence: u32,
    /// What it tells, such as `call.ringing`.
    pub kind: String,
    /// Where it goes.
    pub url: String,
    /// The receiver in that URL, as `host:port`.
    pub host: String,
    /// The bytes to send.
    pub body: String,
    /// When the change was.
    pub at: DateTime<Utc>,
}

/// A callback on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Its id.
    pub id: CallbackId,
    /// The call it tells of.
    pub call: CallId,
    /// Its place among the call's changes, from 1.
    pub sequence: u32,
    /// What it tells, such as `call.ringing`.
    pub kind: String,
    /// Where it goes.
    pub url: String,
    /// When the change was.
    pub created_at: DateTime<Utc>,
    /// How often it was sent in vain, or with success at last; a replay counts anew.
    pub attempts: u32,
    /// When it is sent next; none when it waits for the call's earlier ones, or is done.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The HTTP status of the last attempt's answer, if there was one.
    pub last_status: Option<u16>,
    /// What was wrong with the last attempt.
    pub last_error: Option<String>,
    /// When the receiver took it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was given up.
    pub dead_at: Option<DateTime<Utc>>,
}

/// A callback that is being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCallback {
    /// Its id.
    pub id: CallbackId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The call it tells of.
    pub call: CallId,
    /// Where it goes.
    pub url: String,
    /// The receiver in that URL, as `host:port`.
    pub host: String,
    /// The bytes to send.
    pub body: String,
    /// How often it was sent in vain.
    pub attempts: u32,
    /// Since when it is tried.
    pub since: DateTime<Utc>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which callback was sent.
    pub id: CallbackId,
    /// The call it tells of.
    pub call: CallId,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What was wrong, for a person.
    pub error: Option<String>,
    /// When the attempt was over.
    pub at: DateTime<Utc>,
    /// What follows from it.
    pub verdict: Verdict,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver took it.
    Delivered,
    /// It is sent again then.
    Again(DateTime<Utc>),
    /// It is given up.
    Dead,
}

/// How long to wait between attempts, and when to give up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackOff {
    /// The first waits, in their order; the last one holds from then on.
    pub waits: Vec<Duration>,
    /// How long a callback is tried from the change it tells of, or from its replay.
    pub give_up_after: Duration,
}

/// The longest wait that a receiver may ask for by `Retry-After`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

impl Default for BackOff {
    /// 1 s, 5 s, 30 s, 2 min, 10 min, 30 min, then every hour, for a day.
    fn default() -> Self {
        let seconds = [1, 5, 30, 120, 600, 1800, 3600];
        Self {
            waits: seconds.map(Duration::from_secs).to_vec(),
            give_up_after: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl BackOff {
    /// When to send a callback again that was sent `attempts` times in vain and is tried `since` then;
    /// none to give it up.
    ///
    /// `luck`, from 0 to 1, stretches the wait by up to a fifth, so that what failed together does
    /// not come back together. A receiver that asks for longer (`retry_after`) gets up to an hour.
    pub fn next(
        &self,
        attempts: u32,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
        retry_after: Option<Duration>,
        luck: f64,
    ) -> Option<DateTime<Utc>> {
        let place = (attempts.max(1) as usize - 1).min(self.waits.len().saturating_sub(1));
        let usual = self.waits.get(place).copied().unwrap_or(RETRY_AFTER_MAX);
        let usual = usual.mul_f64(1.0 + luck.clamp(0.0, 1.0) / 5.0);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let span = |length| TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        let next = now.checked_add_signed(span(usual.max(asked)))?;
        let end = since.checked_add_signed(span(self.give_up_after));
        (end.is_none_or(|end| next <= end)).then_some(next)
    }
}

impl Callback {
    /// How far it has come.
    pub fn status(&self) -> CallbackStatus {
        match (self.delivered_at, self.dead_at) {
            (Some(_), _) => CallbackStatus::Delivered,
            (None, Some(_)) => CallbackStatus::Dead,
            (None, None) => CallbackStatus::Pending,
        }
    }
}

impl CallbackStatus {
    const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for CallbackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CallbackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A word that is no callback status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of pending, delivered and dead")]
pub struct InvalidCallbackStatus(pub String);

impl FromStr for CallbackStatus {
    type Err = InvalidCallbackStatus;

    fn from_str(text: &str) -> Result<Self, InvalidCallbackStatus> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| InvalidCallbackStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_to_an_hour_and_end_after_a_day() {
        let back_off = BackOff::default();
        let (mut now, mut attempts, mut waits) = (at(0), 1, Vec::new());

        while let Some(next) = back_off.next(attempts, at(0), now, None, 0.0) {
            waits.push((next - now).num_seconds());
            now = next;
            attempts += 1;
        }

        assert_eq!(waits[..8], [1, 5, 30, 120, 600, 1800, 3600, 3600]);
        assert!(waits[6..].iter().all(|wait| *wait == 3600));
        assert!(now <= at(86_400) && now > at(86_400 - 3600), "{now}");
    }

    #[test]
    fn luck_spreads_what_failed_together() {
        let next = |luck| BackOff::default().next(2, at(0), at(0), None, luck).unwrap();

        assert_eq!(next(0.0), at(5));
        assert_eq!(next(1.0), at(6));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_ever() {
        let next = |asked| {
            let asked = Some(Duration::from_secs(asked));
            BackOff::default().next(1, at(0), at(0), asked, 0.0).unwrap()
        };

        assert_eq!(next(0), at(1));
        assert_eq!(next(120), at(120));
        assert_eq!(next(1_000_000), at(3600));
    }

    #[test]
    fn a_replayed_callback_is_tried_for_a_day_again() {
        let day = 86_400;
        let next = |since| BackOff::default().next(1, at(since), at(2 * day), None, 0.0);

        assert_eq!(next(0), None);
        assert_eq!(next(2 * day), Some(at(2 * day + 1)));
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(second)
    }
}

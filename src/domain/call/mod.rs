//! One outbound call, from the request to its end.
//!
//! ```text
//! (queued ──>) initiated ──> ringing ──> in-progress ──> completed
//!     └────────────┴────────────┴──────────────┴───────> busy | no-answer | canceled | failed
//! ```
//!
//! Asterisk reports the end of a call in pieces and in no fixed order: `Hangup` may come before or
//! after `OriginateResponse`, and neither is always enough. [`Call`] holds what came until it is.
//!
//! A call that its trunk could not carry may go out again by another ([`Call::try_again`]). Each
//! attempt has a channel id of its own, so that what is still to come of one cannot touch the next.

pub mod announcement;
mod attempts;
pub mod cause;
mod channel_id;
mod ending;
pub mod originate;
mod progress;
mod request;
pub mod view;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::cause::Cause;
pub use self::channel_id::ChannelId;
pub use self::ending::HangUp;
pub use self::progress::Progress;
pub use self::request::{CallRequest, Destination, PlacedBy};
use super::asterisk::AsteriskName;

/// How long the rest of a call's end may take to arrive after its first piece.
pub const SETTLE: TimeDelta = TimeDelta::seconds(2);

/// How long after its ring time-out a call may stay silent before we ask Asterisk about it.
pub const SILENCE: TimeDelta = TimeDelta::seconds(10);

/// A call's id; in Asterisk the `ChannelId` and `ActionID` of its first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub Uuid);

/// How far a call has come. The last five are ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStatus {
    /// Accepted, waiting for a place on its trunk.
    Queued,
    /// Handed to Asterisk, or about to be.
    Initiated,
    /// The callee's phone rings.
    Ringing,
    /// Answered.
    InProgress,
    /// Answered, and over.
    Completed,
    /// The callee was busy.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// Hung up by us before an answer.
    Canceled,
    /// It could not be completed, or how it ended is not known.
    Failed,
}

/// What Asterisk reported about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The far end is being alerted.
    Ringing,
    /// The far end answered.
    Answered,
    /// `OriginateResponse` with `Response: Failure` and this `Reason`
    /// (3 rang without an answer, 5 busy, 8 congestion, 1 hung up, 0 anything else).
    OriginateFailed {
        /// The `Reason` header.
        reason: u8,
    },
    /// The channel is gone.
    HungUp {
        /// The Q.850 cause; 0 where Asterisk does not know.
        cause: u16,
        /// `TechCause`, where Asterisk gives it.
        sip_code: Option<u16>,
    },
}

/// A call being followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What was asked for.
    pub request: CallRequest,
    /// How far it came.
    pub progress: Progress,
    /// The first piece of its end, while the other may still come.
    pending: Pending,
    settle_by: Option<DateTime<Utc>>,
    /// Since when Asterisk is known to let it ring beyond its time-out.
    rings_on_since: Option<DateTime<Utc>>,
    /// When the present attempt began, where it is not the first.
    again_at: Option<DateTime<Utc>>,
    /// Why the attempt before it ended.
    before: Option<(Cause, Option<u16>)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pending {
    originate_reason: Option<u8>,
    hung_up_without_cause: bool,
}

impl Call {
    /// A call at the moment its use is counted, just before Asterisk hears of it.
    pub fn initiated(request: CallRequest, now: DateTime<Utc>) -> Self {
        let progress = Progress { initiated_at: Some(now), ..Progress::new(CallStatus::Initiated) };
        Self::restored(request, progress)
    }

    /// Says which Asterisk the call is sent to. To be durable before that Asterisk hears of it.
    pub fn sent_to(&mut self, asterisk: AsteriskName) {
        self.progress.asterisk = Some(asterisk);
    }

    /// A call as the store remembers it.
    pub fn restored(request: CallRequest, progress: Progress) -> Self {
        let pending = Pending::default();
        Self {
            request,
            progress,
            pending,
            settle_by: None,
            rings_on_since: None,
            again_at: None,
            before: None,
        }
    }

    /// The call's id.
    pub fn id(&self) -> CallId {
        self.request.id
    }

    /// Takes in a report; says whether the call moved.
    ///
    /// Asterisk repeats itself and may report late, so a report that does not move the call
    /// forward is no error and changes nothing.
    pub fn handle_report(&mut self, report: Report, now: DateTime<Utc>) -> bool {
        if self.progress.status.is_end() {
            return false;
        }
        match report {
            Report::Ringing => self.ring(now),
            Report::Answered => self.answer(now),
            Report::OriginateFailed { reason } => {
                self.pending.originate_reason = Some(reason);
                self.settle(now)
            }
            Report::HungUp { cause: 0, sip_code } if self.progress.answered_at.is_none() => {
                self.progress.sip_code = self.progress.sip_code.or(sip_code);
                self.pending.hung_up_without_cause = true;
                self.settle(now)
            }
            Report::HungUp { cause, sip_code } => {
                self.progress.sip_code = self.progress.sip_code.or(sip_code);
                self.end(Cause(cause), now)
            }
        }
    }

    /// When to call [`Call::handle_timeout`], if ever.
    pub fn next_timeout(&self) -> Option<DateTime<Utc>> {
        self.settle_by.filter(|_| !self.progress.status.is_end())
    }

    /// Ends the call with what is known once the rest of its end is overdue.
    pub fn handle_timeout(&mut self, now: DateTime<Utc>) -> bool {
        let due = self.next_timeout().is_some_and(|deadline| deadline <= now);
        due && self.end(self.cause_of_pending(), now)
    }

    /// Whether a call that should long have been answered or ended is silent, or is hung up in vain,
    /// so that Asterisk must be asked whether it still has it.
    pub fn is_overdue(&self, now: DateTime<Utc>) -> bool {
        if self.progress.status == CallStatus::Queued {
            return false;
        }
        let handed_over = self.progress.initiated_at.unwrap_or(self.request.created_at);
        let begun = self.again_at.unwrap_or(handed_over);
        let ring = TimeDelta::seconds(i64::from(self.request.ring_timeout_seconds));
        let silent = self.progress.answered_at.is_none()
            && !self.progress.status.is_end()
            && now >= begun + ring + SILENCE;
        silent || self.next_hang_up().is_some_and(|hang_up| now >= hang_up.due + SILENCE)
    }

    /// Asterisk no longer has the call and we did not hear its end: [`Call::handle_timeout`] ends it
    /// unless a report that is still on its way does. Says whether that is news.
    pub fn handle_missing(&mut self, now: DateTime<Utc>) -> bool {
        let news = self.settle_by.is_none();
        self.settle_by.get_or_insert(now + SETTLE);
        news
    }

    /// Ends a call that Asterisk refused or never heard of.
    pub fn fail(&mut self, now: DateTime<Utc>) -> bool {
        !self.progress.status.is_end() && self.end_as(CallStatus::Failed, Cause::UNKNOWN, now)
    }

    fn ring(&mut self, now: DateTime<Utc>) -> bool {
        let moves = self.progress.status == CallStatus::Initiated;
        if moves {
            self.settle_by = None;
            self.progress.status = CallStatus::Ringing;
            self.progress.ringing_at = Some(now);
        }
        moves
    }

    fn answer(&mut self, now: DateTime<Utc>) -> bool {
        let moves = self.progress.answered_at.is_none();
        if moves {
            self.progress.status = CallStatus::InProgress;
            self.progress.answered_at = Some(now);
            self.settle_by = None;
        }
        moves
    }

    /// Ends the call if both pieces of an unexplained end are here, else waits for the other.
    fn settle(&mut self, now: DateTime<Utc>) -> bool {
        let complete =
            self.pending.hung_up_without_cause && self.pending.originate_reason.is_some();
        if complete {
            return self.end(self.cause_of_pending(), now);
        }
        self.settle_by.get_or_insert(now + SETTLE);
        false
    }

    fn cause_of_pending(&self) -> Cause {
        self.pending.originate_reason.map_or(Cause::UNKNOWN, Cause::of_originate_reason)
    }

    fn end(&mut self, cause: Cause, now: DateTime<Utc>) -> bool {
        let unwanted = self.progress.hang_up_asked_at.is_some();
        let status = match (self.progress.answered_at, cause) {
            (Some(_), _) => CallStatus::Completed,
            (None, Cause::USER_BUSY) => CallStatus::Busy,
            (None, Cause::NO_USER_RESPONSE | Cause::NO_ANSWER) => CallStatus::NoAnswer,
            // Any other cause is the network's own: it was quicker than the hang-up.
            (None, Cause::UNKNOWN | Cause::NORMAL | Cause::INTERWORKING) if unwanted => {
                CallStatus::Canceled
            }
            (None, _) => CallStatus::Failed,
        };
        self.end_as(status, cause, now)
    }

    fn end_as(&mut self, status: CallStatus, cause: Cause, now: DateTime<Utc>) -> bool {
        self.progress.status = status;
        self.progress.cause = Some(cause);
        self.progress.ended_at = Some(now);
        true
    }
}

impl CallStatus {
    const ALL: [Self; 9] = [
        Self::Queued,
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Completed,
        Self::Busy,
        Self::NoAnswer,
        Self::Canceled,
        Self::Failed,
    ];

    /// The word used in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more will happen to the call.
    pub fn is_end(self) -> bool {
        match self {
            Self::Queued | Self::Initiated | Self::Ringing | Self::InProgress => false,
            Self::Completed | Self::Busy | Self::NoAnswer | Self::Canceled | Self::Failed => true,
        }
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no call status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no call status")]
pub struct InvalidCallStatus(pub String);

impl FromStr for CallStatus {
    type Err = InvalidCallStatus;

    fn from_str(text: &str) -> Result<Self, InvalidCallStatus> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| InvalidCallStatus(text.to_owned()))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests;

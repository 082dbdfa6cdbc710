//! A pick without a call of ours: a DID that a dialplan, or another dialer, was given to show.
//!
//! ```text
//! open ──> released              nobody was called; the use was given back
//!   └────> the end of its call   and the call is on record as the dialplan's
//! ```

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::call::CallStatus;
use super::call::cause::Cause;
use super::did::{DidId, TrunkName};
use super::number::E164;
use super::tenant::{CampaignId, TenantId};

/// A pick's id; the call that it was for is on record under the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PickId(pub Uuid);

/// What was given to whom. Does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenPick {
    /// Its id.
    pub id: PickId,
    /// Whose DID it is.
    pub tenant: TenantId,
    /// The DID, whose use is counted.
    pub did: DidId,
    /// That DID's number.
    pub number: E164,
    /// Where the call is to leave.
    pub trunk: TrunkName,
    /// The pool it was picked from, if one was asked for.
    pub campaign: Option<CampaignId>,
    /// Who is called, where that was said.
    pub to: Option<E164>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A pick as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickRecord {
    /// What was given.
    pub taken: TakenPick,
    /// What became of it; none while that is not known.
    pub settled: Option<Settled>,
}

/// What became of a pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// When we heard of it.
    pub at: DateTime<Utc>,
    /// How.
    pub outcome: PickOutcome,
}

/// How a pick was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickOutcome {
    /// No call was placed; the use was given back.
    Released,
    /// A call was, and ended so.
    Ended {
        /// An end.
        status: CallStatus,
        /// Why.
        cause: Cause,
    },
}

/// How a dialplan's call ended, as its dialplan tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialEnd {
    /// An end.
    pub status: CallStatus,
    /// Why.
    pub cause: Cause,
    /// When it was answered, where that was said.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
}

/// How far a pick has come, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PickStatus {
    /// Nobody has said yet what became of it.
    Open,
    /// Given back.
    Released,
    /// A call showed it, and is over.
    Settled,
}

impl PickRecord {
    /// How far it has come.
    pub fn status(&self) -> PickStatus {
        match self.settled {
            None => PickStatus::Open,
            Some(Settled { outcome: PickOutcome::Released, .. }) => PickStatus::Released,
            Some(Settled { outcome: PickOutcome::Ended { .. }, .. }) => PickStatus::Settled,
        }
    }
}

impl PickStatus {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Released => "released",
            Self::Settled => "settled",
        }
    }
}

impl DialEnd {
    /// What `DIALSTATUS` and `HANGUPCAUSE` say together, after `Dial()`; none where the first is no
    /// word of Asterisk's. A cause of 0, or none, is the one that the word stands for.
    pub fn of_dial(word: &str, cause: Option<Cause>, now: DateTime<Utc>) -> Option<Self> {
        let (status, usual) = match word {
            "ANSWER" => (CallStatus::Completed, Cause::NORMAL),
            "BUSY" => (CallStatus::Busy, Cause::USER_BUSY),
            "NOANSWER" => (CallStatus::NoAnswer, Cause::NO_ANSWER),
            "CANCEL" => (CallStatus::Canceled, Cause::UNKNOWN),
            "CONGESTION" => (CallStatus::Failed, Cause::CONGESTION),
            "CHANUNAVAIL" | "DONTCALL" | "TORTURE" | "INVALIDARGS" => {
                (CallStatus::Failed, Cause::UNKNOWN)
            }
            _ => return None,
        };
        let cause = cause.filter(|cause| *cause != Cause::UNKNOWN).unwrap_or(usual);
        Some(Self { status, cause, answered_at: None, ended_at: now })
    }
}

impl fmt::Display for PickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_dial_has_its_end_and_a_cause() {
        let now = DateTime::UNIX_EPOCH;
        let end =
            |word| DialEnd::of_dial(word, Some(Cause(0)), now).map(|end| (end.status, end.cause.0));

        assert_eq!(end("ANSWER"), Some((CallStatus::Completed, 16)));
        assert_eq!(end("BUSY"), Some((CallStatus::Busy, 17)));
        assert_eq!(end("NOANSWER"), Some((CallStatus::NoAnswer, 19)));
        assert_eq!(end("CANCEL"), Some((CallStatus::Canceled, 0)));
        assert_eq!(end("CONGESTION"), Some((CallStatus::Failed, 34)));
        assert_eq!(end("CHANUNAVAIL"), Some((CallStatus::Failed, 0)));
        assert_eq!(end("answer"), None);
        assert_eq!(end(""), None);
        let told = DialEnd::of_dial("CHANUNAVAIL", Some(Cause(20)), now).unwrap();
        assert_eq!(told.cause, Cause(20));
    }
}

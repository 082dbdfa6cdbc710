//! What a call was asked to be: whom it calls, what it shows and where it goes once answered.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::CallId;
use crate::domain::did::{DidId, TrunkName};
use crate::domain::number::E164;
use crate::domain::rotation::Reason;
use crate::domain::tenant::{CampaignId, TenantId};

/// What was asked for, and the DID chosen for it. Does not change, but for the trunk of a call that
/// goes out again.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRequest {
    /// The call's id.
    pub id: CallId,
    /// Who places it.
    pub tenant: TenantId,
    /// Who is called.
    pub to: E164,
    /// The DID shown.
    pub did: DidId,
    /// That DID's number.
    pub from: E164,
    /// Why that DID; none for a call that was placed before this was remembered.
    pub reason: Option<Reason>,
    /// Where the call leaves.
    pub trunk: TrunkName,
    /// The pool the DID was picked from, if one was asked for.
    pub campaign: Option<CampaignId>,
    /// Where the answered call goes.
    pub destination: Destination,
    /// Channel variables, in the order they were given.
    pub variables: Vec<(String, String)>,
    /// The name shown beside the number.
    pub caller_name: Option<String>,
    /// How long the phone may ring, in seconds; 0 where another placed the call.
    pub ring_timeout_seconds: u32,
    /// How long the answered call may last, in seconds from the answer; none is without end.
    pub time_limit_seconds: Option<u32>,
    /// Where changes are posted.
    pub callback_url: Option<String>,
    /// The journey engine's own reference, given back as it came.
    pub journey: Option<serde_json::Value>,
    /// When the request was accepted.
    pub created_at: DateTime<Utc>,
    /// Who placed it.
    pub placed_by: PlacedBy,
}

/// Where an answered call goes in Asterisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum Destination {
    /// An extension of the dialplan.
    Dialplan {
        /// The context, such as `DynamicIVR`.
        context: String,
        /// The extension, such as `s`.
        exten: String,
        /// The priority, from 1.
        priority: u32,
    },
    /// One dialplan application.
    Application {
        /// Its name, such as `Playback`.
        application: String,
        /// Its arguments, possibly empty.
        data: String,
    },
    /// The affair of the dialplan that placed the call.
    Untold,
}

/// Who placed a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlacedBy {
    /// Rotary, when it was asked to.
    #[default]
    Rotary,
    /// A dialplan, or another dialer, with a DID that it picked; on record once it has ended.
    Dialplan,
}

impl PlacedBy {
    /// The word used in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rotary => "rotary",
            Self::Dialplan => "dialplan",
        }
    }
}

//! What things look like in JSON, for the doors that write it and the command line that reads it.

mod campaigns;
mod keys;

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use self::campaigns::CampaignView;
pub use self::keys::{KeyView, NewKeyView};
use crate::domain::call::cause::Cause;
use crate::domain::call::{Call, CallId, CallStatus, Destination, Progress};
use crate::domain::did::{Did, DidId, DidStatus, TrunkName};
use crate::domain::number::{AreaCode, E164};
use crate::domain::tenant::{CampaignId, TenantId};

/// A part of a list, and where the next part begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageView<T> {
    /// The part.
    pub data: Vec<T>,
    /// The `cursor` of the next part; none at the end.
    pub next_cursor: Option<String>,
}

/// A DID.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DidView {
    /// Its id.
    pub id: DidId,
    /// Who owns it.
    pub tenant_id: TenantId,
    /// What the callee sees.
    pub number: E164,
    /// Its area code.
    pub area_code: Option<AreaCode>,
    /// Where its calls leave.
    pub trunk: TrunkName,
    /// Whether it may be picked.
    pub status: DidStatus,
    /// Uses so far.
    pub usage_count: u32,
    /// How many uses it counts as having besides when compared with others, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub head_start: Option<NonZeroU32>,
    /// The most uses it may have.
    pub max_usage: Option<u32>,
    /// When it was last picked.
    pub last_used: Option<DateTime<Utc>>,
    /// Its pool.
    pub campaign_id: Option<CampaignId>,
    /// What else its owner wrote down.
    pub metadata: Map<String, Value>,
    /// When it was stored first.
    pub created_at: DateTime<Utc>,
    /// When a person or an import changed it last.
    pub updated_at: DateTime<Utc>,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallView {
    /// Its id.
    pub id: CallId,
    /// Who placed it.
    pub tenant_id: TenantId,
    /// How far it came.
    pub status: CallStatus,
    /// Who is called.
    pub to: E164,
    /// The number shown.
    pub from: E164,
    /// The DID shown.
    pub did: CallDidView,
    /// The pool the DID was picked from.
    pub campaign_id: Option<CampaignId>,
    /// Where the answered call goes: an extension's context, …
    pub context: Option<String>,
    /// … its name …
    pub exten: Option<String>,
    /// … and its priority;
    pub priority: Option<u32>,
    /// or an application …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// … with its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Channel variables.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
    /// The name shown beside the number.
    pub caller_name: Option<String>,
    /// How long the phone may ring.
    pub ring_timeout_seconds: u32,
    /// Where changes will be posted. It is kept; nothing is posted to it in this version.
    pub callback_url: Option<String>,
    /// The journey engine's own reference.
    pub journey: Option<Value>,
    /// Why it ended.
    pub cause: Option<CauseView>,
    /// The SIP status that ended it.
    pub sip_code: Option<u16>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was handed to Asterisk.
    pub initiated_at: Option<DateTime<Utc>>,
    /// When the phone began to ring.
    pub ringing_at: Option<DateTime<Utc>>,
    /// When it was answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// From the hand-over to the end.
    pub duration_seconds: Option<i64>,
    /// From the answer to the end.
    pub talk_seconds: Option<i64>,
    /// Each state it was in, oldest first; only where one call is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<StepView>>,
}

/// The DID of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallDidView {
    /// Its id.
    pub id: DidId,
    /// What the callee sees.
    pub number: E164,
    /// Where the call leaves.
    pub trunk: TrunkName,
}

/// Why a call ended, by Q.850.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CauseView {
    /// The cause.
    pub code: u16,
    /// The cause in words.
    pub text: String,
}

/// A state a call reached, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// The state.
    pub status: CallStatus,
    /// When it was reached.
    pub at: DateTime<Utc>,
}

impl From<&Did> for DidView {
    fn from(did: &Did) -> Self {
        Self {
            id: did.id,
            tenant_id: did.tenant.clone(),
            number: did.number,
            area_code: did.area_code,
            trunk: did.trunk.clone(),
            status: did.status,
            usage_count: did.usage_count,
            head_start: NonZeroU32::new(did.head_start),
            max_usage: did.max_usage,
            last_used: did.last_used,
            campaign_id: did.campaign.clone(),
            metadata: did.metadata.clone(),
            created_at: did.created_at,
            updated_at: did.updated_at,
        }
    }
}

impl From<&Call> for CallView {
    fn from(call: &Call) -> Self {
        let (request, progress) = (&call.request, &call.progress);
        let variables = request.variables.iter();
        let mut view = Self {
            id: request.id,
            tenant_id: request.tenant.clone(),
            status: progress.status,
            to: request.to,
            from: request.from,
            did: CallDidView {
                id: request.did,
                number: request.from,
                trunk: request.trunk.clone(),
            },
            campaign_id: request.campaign.clone(),
            context: None,
            exten: None,
            priority: None,
            application: None,
            data: None,
            variables: variables
                .map(|(name, value)| (name.clone(), value.clone().into()))
                .collect(),
            caller_name: request.caller_name.clone(),
            ring_timeout_seconds: request.ring_timeout_seconds,
            callback_url: request.callback_url.clone(),
            journey: request.journey.clone(),
            cause: progress.cause.map(CauseView::from),
            sip_code: progress.sip_code,
            created_at: request.created_at,
            initiated_at: progress.initiated_at,
            ringing_at: progress.ringing_at,
            answered_at: progress.answered_at,
            ended_at: progress.ended_at,
            duration_seconds: progress.duration_seconds(),
            talk_seconds: progress.talk_seconds(),
            timeline: None,
        };
        view.goes_to(&request.destination);
        view
    }
}

impl CallView {
    /// The call with its timeline.
    pub fn in_full(call: &Call) -> Self {
        Self { timeline: Some(timeline(&call.progress)), ..Self::from(call) }
    }

    fn goes_to(&mut self, destination: &Destination) {
        match destination {
            Destination::Dialplan { context, exten, priority } => {
                self.context = Some(context.clone());
                self.exten = Some(exten.clone());
                self.priority = Some(*priority);
            }
            Destination::Application { application, data } => {
                self.application = Some(application.clone());
                self.data = Some(data.clone());
            }
        }
    }
}

fn timeline(progress: &Progress) -> Vec<StepView> {
    let end = progress.status.is_end().then_some(progress.status);
    let steps = [
        (Some(CallStatus::Initiated), progress.initiated_at),
        (Some(CallStatus::Ringing), progress.ringing_at),
        (Some(CallStatus::InProgress), progress.answered_at),
        (end, progress.ended_at),
    ];
    let steps = steps.into_iter();
    steps.filter_map(|(status, at)| Some(StepView { status: status?, at: at? })).collect()
}

impl From<Cause> for CauseView {
    fn from(cause: Cause) -> Self {
        Self { code: cause.0, text: cause.text().to_owned() }
    }
}

/// The DID the next pick would take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NextView {
    /// The DID, its fields beside the reason's.
    #[serde(flatten)]
    pub did: DidView,
    /// Why this one.
    pub reason: String,
}

/// Whether calls can be placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyView {
    /// `ready` or `unready`.
    pub status: String,
    /// What it leans on.
    pub checks: ChecksView,
}

/// What the daemon leans on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChecksView {
    /// The store.
    pub store: CheckView,
    /// The line to Asterisk.
    pub asterisk: CheckView,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckView {
    /// `up` or `down`.
    pub status: String,
    /// What is wrong and what to do, or what is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How the daemon is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// `ready` or `unready`.
    pub status: String,
    /// Rotary's version.
    pub version: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// How long ago that is.
    pub uptime_seconds: i64,
    /// `postgres` or `sqlite`.
    pub store: String,
    /// What it leans on.
    pub checks: ChecksView,
    /// Whose DIDs and calls are counted.
    pub tenant_id: TenantId,
    /// That tenant's DIDs.
    pub dids: DidCountsView,
    /// That tenant's calls that have not ended.
    pub calls_in_progress: usize,
}

/// How many DIDs there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DidCountsView {
    /// All that the rotation knows.
    pub total: usize,
    /// In rotation.
    pub active: usize,
    /// Active and at their limit.
    pub spent: usize,
}

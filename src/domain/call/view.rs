//! A call as everybody outside sees it: in answers, in lists and in callbacks, the same everywhere.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::cause::Cause;
use super::{Call, CallId, CallStatus, Destination, PlacedBy};
use crate::domain::asterisk::AsteriskName;
use crate::domain::did::{DidId, TrunkName};
use crate::domain::number::E164;
use crate::domain::tenant::{CampaignId, TenantId};

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
    /// The trunk it leaves by; the last one, where it went out more than once.
    #[serde(default = "TrunkName::pjsip")]
    pub trunk: TrunkName,
    /// How often it went out: again by the next trunk where one could not carry it.
    #[serde(default = "once")]
    pub attempts: u32,
    /// The Asterisk that places it, by its name in the configuration.
    pub asterisk: Option<AsteriskName>,
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
    /// How long the phone may ring; none where the dialplan placed the call.
    pub ring_timeout_seconds: Option<u32>,
    /// How long the answered call may last, from the answer.
    #[serde(default)]
    pub time_limit_seconds: Option<u32>,
    /// Where changes are posted.
    pub callback_url: Option<String>,
    /// The journey engine's own reference.
    pub journey: Option<Value>,
    /// Who placed it: `rotary`, or a `dialplan` with a DID that it picked.
    #[serde(default)]
    pub placed_by: PlacedBy,
    /// Why it ended.
    pub cause: Option<CauseView>,
    /// The SIP status that ended it.
    pub sip_code: Option<u16>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it began to wait for a place on its trunk; null for a call that did not.
    pub queued_at: Option<DateTime<Utc>>,
    /// When it was handed to Asterisk.
    pub initiated_at: Option<DateTime<Utc>>,
    /// When the phone began to ring.
    pub ringing_at: Option<DateTime<Utc>>,
    /// When it was answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it was first asked to be hung up.
    #[serde(default)]
    pub hang_up_asked_at: Option<DateTime<Utc>>,
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
    /// Why this one, where that is on record.
    #[serde(default)]
    pub reason: Option<String>,
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

/// What a daemon that does not speak of attempts made.
fn once() -> u32 {
    1
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
                reason: request.reason.map(|reason| reason.text().to_owned()),
            },
            trunk: request.trunk.clone(),
            attempts: progress.attempt,
            asterisk: progress.asterisk.clone(),
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
            ring_timeout_seconds: Some(request.ring_timeout_seconds).filter(|limit| *limit > 0),
            time_limit_seconds: request.time_limit_seconds,
            callback_url: request.callback_url.clone(),
            journey: request.journey.clone(),
            placed_by: request.placed_by,
            cause: progress.cause.map(CauseView::from),
            sip_code: progress.sip_code,
            created_at: request.created_at,
            queued_at: progress.queued_at,
            initiated_at: progress.initiated_at,
            ringing_at: progress.ringing_at,
            answered_at: progress.answered_at,
            ended_at: progress.ended_at,
            hang_up_asked_at: progress.hang_up_asked_at,
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
        let steps = call.progress.steps().into_iter();
        let timeline = steps.map(|(status, at)| StepView { status, at }).collect();
        Self { timeline: Some(timeline), ..Self::from(call) }
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
            Destination::Untold => {}
        }
    }
}

impl From<Cause> for CauseView {
    fn from(cause: Cause) -> Self {
        Self { code: cause.0, text: cause.text().to_owned() }
    }
}

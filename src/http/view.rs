//! What things look like in JSON, for the doors that write it and the command line that reads it.

mod campaigns;
mod keys;
mod trunks;

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use self::campaigns::CampaignView;
pub use self::keys::{KeyView, NewKeyView};
pub use self::trunks::TrunkView;
use crate::domain::asterisk::AsteriskName;
pub use crate::domain::call::view::{CallDidView, CallView, CauseView, StepView};
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
    /// Whether calls can leave, by every trunk of the configuration.
    pub asterisk: CheckView,
    /// The line to each Asterisk.
    pub asterisks: Vec<AsteriskView>,
}

/// An Asterisk and the line to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AsteriskView {
    /// Its name in the configuration.
    pub name: AsteriskName,
    /// How its line is.
    #[serde(flatten)]
    pub check: CheckView,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// How many of them wait for a place on their trunk.
    #[serde(default)]
    pub calls_queued: usize,
    /// The trunks with limits or calls, of all tenants; null for who is no administrator.
    pub trunks: Option<Vec<TrunkView>>,
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

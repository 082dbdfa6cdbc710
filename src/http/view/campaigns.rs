//! What a campaign looks like in JSON.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DidCountsView;
use crate::domain::campaign::{Campaign, Join};
use crate::domain::rotation::Summary;
use crate::domain::tenant::{CampaignId, TenantId};

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignView {
    /// Its id.
    pub id: CampaignId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What people call it.
    pub name: Option<String>,
    /// Where a DID that joins begins.
    pub join: Join,
    /// Whether a pick prefers the callee's own area code.
    pub local_presence: bool,
    /// When it was described first.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    /// Its DIDs.
    pub dids: DidCountsView,
}

impl CampaignView {
    /// The campaign with so many DIDs.
    pub fn of(campaign: &Campaign, dids: Summary) -> Self {
        Self {
            id: campaign.id.clone(),
            tenant_id: campaign.tenant.clone(),
            name: campaign.name.clone(),
            join: campaign.rules.join,
            local_presence: campaign.rules.local_presence,
            created_at: campaign.created_at,
            updated_at: campaign.updated_at,
            dids: DidCountsView { total: dids.total, active: dids.active, spent: dids.spent },
        }
    }
}

//! Campaigns: what a tenant says of its pools, in the store and, for picks, in memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{App, now};
use crate::domain::audit::Origin;
use crate::domain::campaign::{Campaign, CampaignChange, Join, Rules};
use crate::domain::number::E164;
use crate::domain::rotation::{Summary, Want};
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::campaigns::InsertCampaignError;
use crate::store::{ListError, Page, StoreError};

/// The rules of every tenant's campaigns; one that is not here has the default rules.
///
/// Read by every pick from a campaign, so it is never locked across an await.
#[derive(Clone, Default)]
pub struct SharedCampaigns(Arc<RwLock<HashMap<TenantId, HashMap<CampaignId, Rules>>>>);

/// A campaign about to be described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCampaign {
    /// Its id, unique within the tenant.
    pub id: CampaignId,
    /// What people call it.
    pub name: Option<String>,
    /// How it picks.
    pub rules: Rules,
}

impl SharedCampaigns {
    /// How this campaign picks.
    pub fn rules(&self, tenant: &TenantId, campaign: &CampaignId) -> Rules {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(tenant).and_then(|own| own.get(campaign));
        found.copied().unwrap_or_default()
    }

    /// The tenant's campaigns in which a newcomer starts level with the lowest.
    pub fn joined_at_lowest(&self, tenant: &TenantId) -> Vec<CampaignId> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(tenant).into_iter().flatten();
        let lowest = own.filter(|(_, rules)| rules.join == Join::Lowest);
        lowest.map(|(campaign, _)| campaign.clone()).collect()
    }

    /// What to pick for a call to `to`: where the campaign has local presence and no area code is
    /// asked for, the callee's is preferred.
    pub fn locally(&self, want: Want, to: Option<E164>) -> Want {
        let local = |campaign: &CampaignId| self.rules(&want.tenant, campaign).local_presence;
        if want.area_code.is_some() || !want.campaign.as_ref().is_some_and(local) {
            return want;
        }
        Want { area_code: to.and_then(E164::area_code), ..want }
    }

    /// Takes in the campaigns as the store has them, and no others.
    fn keep_only(&self, campaigns: &[Campaign]) {
        let mut all: HashMap<TenantId, HashMap<CampaignId, Rules>> = HashMap::new();
        for campaign in campaigns {
            let own = all.entry(campaign.tenant.clone()).or_default();
            own.insert(campaign.id.clone(), campaign.rules);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// Takes in a campaign as the store has it, new or changed; in force with the next pick.
    fn keep(&self, campaign: &Campaign) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(campaign.tenant.clone()).or_default();
        own.insert(campaign.id.clone(), campaign.rules);
    }
}

/// Describes a campaign; DIDs may have named it before.
pub async fn create(
    app: &App,
    tenant: &TenantId,
    new: NewCampaign,
    origin: &Origin,
) -> Result<Campaign, InsertCampaignError> {
    let _in_order = app.changes.lock().await;
    let NewCampaign { id, name, rules } = new;
    let now = now();
    let tenant = tenant.clone();
    let campaign = Campaign { tenant, id, name, rules, created_at: now, updated_at: now };
    app.store.insert_campaign(&campaign, origin).await?;
    app.campaigns.keep(&campaign);
    Ok(campaign)
}

/// Changes a campaign; none if the tenant has described none of this id. DIDs that are in it stand
/// where they stand: how to join matters to those that join later.
pub async fn change(
    app: &App,
    tenant: &TenantId,
    id: &CampaignId,
    change: &CampaignChange,
    origin: &Origin,
) -> Result<Option<Campaign>, StoreError> {
    let _in_order = app.changes.lock().await;
    let changed = app.store.change_campaign(tenant, id, change, origin, now()).await?;
    if let Some(campaign) = &changed {
        app.campaigns.keep(campaign);
    }
    Ok(changed)
}

/// The tenant's campaign of this id, if it was described.
pub async fn find(
    app: &App,
    tenant: &TenantId,
    id: &CampaignId,
) -> Result<Option<Campaign>, StoreError> {
    app.store.campaign(tenant, id).await
}

/// Up to `limit` of the campaigns the tenant has described, from where `cursor` left off.
pub async fn list(
    app: &App,
    tenant: &TenantId,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Page<Campaign>, ListError> {
    app.store.list_campaigns(tenant, limit, cursor).await
}

/// How many DIDs are in it.
pub fn dids(app: &App, campaign: &Campaign) -> Summary {
    app.index.lock().campaign_summary(&campaign.tenant, &campaign.id)
}

/// Loads all campaigns: at start, and when another daemon may have changed any.
pub async fn load(app: &App) -> Result<(), StoreError> {
    let _in_order = app.changes.lock().await;
    app.campaigns.keep_only(&app.store.load_campaigns().await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn only_a_campaign_with_local_presence_looks_at_the_callee() {
        let campaigns = SharedCampaigns::default();
        campaigns.keep(&local_campaign("c_local"));
        let atlanta = Some("+14045550123".parse().unwrap());
        let area_code = |want| campaigns.locally(want, atlanta).area_code;

        assert_eq!(area_code(want(Some("c_local"), None)), Some("404".parse().unwrap()));
        assert_eq!(area_code(want(Some("c_other"), None)), None);
        assert_eq!(area_code(want(None, None)), None);
    }

    #[test]
    fn an_area_code_asked_for_goes_before_the_callees() {
        let campaigns = SharedCampaigns::default();
        campaigns.keep(&local_campaign("c_local"));
        let asked = want(Some("c_local"), Some("212"));

        let wanted = campaigns.locally(asked.clone(), Some("+14045550123".parse().unwrap()));

        assert_eq!(wanted, asked);
    }

    fn want(campaign: Option<&str>, area_code: Option<&str>) -> Want {
        Want {
            tenant: TenantId::default_tenant(),
            campaign: campaign.map(|id| id.parse().unwrap()),
            area_code: area_code.map(|code| code.parse().unwrap()),
        }
    }

    fn local_campaign(id: &str) -> Campaign {
        Campaign {
            tenant: TenantId::default_tenant(),
            id: id.parse().unwrap(),
            name: None,
            rules: Rules { join: Join::Count, local_presence: true },
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

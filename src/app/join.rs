//! Where a DID begins when it comes into a campaign's rotation.
//!
//! Decided while [`App::changes`] is held, from the index, and stored with the change that brings
//! the DID in. Its count is not touched: it is the truth, and the limit goes by it.

use std::collections::BTreeMap;

use super::App;
use crate::domain::did::{DidState, DidStatus, NewDid};
use crate::domain::tenant::{CampaignId, TenantId};

/// The head start of a DID that is about to be created.
pub fn head_start_of_new(app: &App, tenant: &TenantId, new: &NewDid) -> u32 {
    match (new.status, &new.campaign) {
        (DidStatus::Active, Some(campaign)) => on_joining(app, tenant, campaign, 0),
        _ => 0,
    }
}

/// The head start of a DID that is about to be changed from `before` to `after`, whose own head
/// start does not matter.
///
/// One that stays in its rotation keeps what it has; one that comes into a campaign's gets what
/// that campaign gives; one that is in none, or only in its tenant's, has none.
pub fn head_start(app: &App, before: &DidState, after: &DidState) -> u32 {
    match (after.status, &after.campaign) {
        (DidStatus::Active, campaign)
            if before.status == DidStatus::Active && before.campaign == *campaign =>
        {
            before.head_start
        }
        (DidStatus::Active, Some(campaign)) => {
            on_joining(app, &after.tenant, campaign, after.usage_count)
        }
        _ => 0,
    }
}

/// The head start of a DID whose count is about to be set back to 0.
pub fn head_start_after_reset(app: &App, did: &DidState) -> u32 {
    match (did.status, &did.campaign) {
        (DidStatus::Active, Some(campaign)) => on_joining(app, &did.tenant, campaign, 0),
        _ => 0,
    }
}

/// The levels at which DIDs join those of the tenant's campaigns that let them start level; in the
/// others a DID starts by its own count.
pub fn levels(app: &App, tenant: &TenantId) -> BTreeMap<CampaignId, u32> {
    let campaigns = app.campaigns.joined_at_lowest(tenant);
    let level = |campaign| {
        let level = app.index.lock().lowest_level(tenant, &campaign)?;
        Some((campaign, level))
    };
    campaigns.into_iter().filter_map(level).collect()
}

fn on_joining(app: &App, tenant: &TenantId, campaign: &CampaignId, usage_count: u32) -> u32 {
    let join = app.campaigns.rules(tenant, campaign).join;
    let lowest = app.index.lock().lowest_level(tenant, campaign);
    join.head_start(lowest, usage_count)
}

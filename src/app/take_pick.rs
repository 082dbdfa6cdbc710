//! A pick without a call of ours: a DID for a dialplan, or for another dialer, to show.
//!
//! The use and the pick are durable before anybody hears of the number.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::make_call::dial_string;
use super::pick_did::{Choice, PickError, pick_for_another};
use super::{App, now};
use crate::domain::number::E164;
use crate::domain::pick::{PickId, TakenPick};
use crate::domain::rotation::Want;
use crate::domain::tenant::{CampaignId, TenantId};

/// A request for a DID to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPick {
    /// Who wants it.
    pub tenant: TenantId,
    /// The pool to pick from; every DID of the tenant where none.
    pub campaign: Option<CampaignId>,
    /// Who will be called, where that is known.
    pub to: Option<E164>,
}

/// A pick, and how its call is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The pick.
    pub pick: TakenPick,
    /// What `Dial()` takes, by the trunk's template; none where nobody said who will be called.
    pub dial: Option<String>,
}

/// Picks a DID and counts its use, within `patience`. What the store counts later is given back.
pub async fn take_pick(
    app: &App,
    wanted: WantedPick,
    patience: Duration,
) -> Result<Taken, PickError> {
    let WantedPick { tenant, campaign, to } = wanted;
    let want = Want { tenant, campaign: campaign.clone(), area_code: None };
    let choice = Choice::Rotation(app.campaigns.locally(want, to));
    let id = PickId(Uuid::now_v7());
    let pick = pick_for_another(app, &choice, Instant::now() + patience, |pick| TakenPick {
        id,
        tenant: pick.tenant.clone(),
        did: pick.did,
        number: pick.number,
        trunk: pick.trunk.clone(),
        campaign: campaign.clone(),
        to,
        created_at: now(),
    });
    let pick = pick.await?;
    let dial = to.map(|to| dial_string(app, &pick.trunk, to));
    Ok(Taken { pick, dial })
}

//! Which DID to show next: the least used first, then the lowest id.
//!
//! [`RotationIndex`] mirrors the store. A pick counts at once, as *pending*, so that two calls at the
//! same moment get two DIDs; the store then counts it for good ([`RotationIndex::settle`]) or does
//! not ([`RotationIndex::give_back`]). The limit goes by counted + pending; the order by the level,
//! which is that and the head start with which the DID joined its campaign.
//!
//! ```text
//! RotationIndex ── Pool (one per tenant) ── slots, and the orders over them:
//!                                           all · per area code · per campaign · per both
//! ```

mod late;
mod mirror;
mod order;
mod pool;
mod reason;
mod run;
mod search;
mod slot;

use hashbrown::HashMap;

use self::pool::{Place, Pool};
use self::slot::{NameKey, OrderKey, Slot};
use super::did::{DidId, DidState, DidStatus, TrunkName};
use super::number::{AreaCode, E164};
use super::tenant::{CampaignId, TenantId};

pub use self::reason::Reason;
pub use self::search::{Digits, Found, Rank, Search, TooManyDigits, Wanted};

/// What a pick asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Whose DIDs.
    pub tenant: TenantId,
    /// Only this pool; none is every DID of the tenant.
    pub campaign: Option<CampaignId>,
    /// Prefer DIDs of this area code; when none can be picked, any other will do.
    pub area_code: Option<AreaCode>,
}

/// A DID chosen, its use counted in the index and not yet in the store.
///
/// Ends in exactly one of [`RotationIndex::settle`] or [`RotationIndex::give_back`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a pick that is dropped still counts as a use"]
pub struct Pick {
    /// Whose it is.
    pub tenant: TenantId,
    /// The DID.
    pub did: DidId,
    /// What the callee will see.
    pub number: E164,
    /// Where the call leaves.
    pub trunk: TrunkName,
    /// Why this one.
    pub reason: Reason,
}

/// Why a DID that was asked for by name cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPickable {
    /// The tenant has no such DID.
    #[error("the tenant has no such DID")]
    Unknown,
    /// It is not in rotation.
    #[error("the DID is {0}, not active")]
    NotActive(DidStatus),
    /// It has been used as often as it may be.
    #[error("the DID has had all of its {max} uses")]
    Spent {
        /// Its limit.
        max: u32,
    },
}

/// How many DIDs a tenant, or one of its campaigns, has in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Those in rotation, spent ones included.
    pub active: usize,
    /// Those in rotation whose uses, pending ones included, are at their limit.
    pub spent: usize,
    /// All, whatever their status.
    pub total: usize,
}

/// Every tenant's DIDs in the order they will be picked.
///
/// A pick costs tens of nanoseconds however many DIDs there are. Nothing here waits or reads a
/// clock; whoever shares the index between threads keeps the lock short.
#[derive(Debug, Default)]
pub struct RotationIndex {
    pools: HashMap<TenantId, Pool>,
    campaigns: Names<CampaignId>,
    trunks: Names<TrunkName>,
}

impl RotationIndex {
    /// An index without DIDs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a DID as the store has it, new or changed; in force with the next pick.
    ///
    /// Uses still pending stay pending.
    pub fn upsert(&mut self, state: &DidState) {
        let campaign = state.campaign.as_ref().map(|campaign| self.campaigns.key_of(campaign));
        let slot = Slot::new(state, campaign, self.trunks.key_of(&state.trunk));
        if let Some(pool) = self.pools.get_mut(&state.tenant) {
            pool.upsert(slot);
        } else {
            self.pools.entry(state.tenant.clone()).or_default().upsert(slot);
        }
    }

    /// Forgets a deleted DID. Its pending picks may still be settled; that does nothing.
    pub fn remove(&mut self, tenant: &TenantId, did: DidId) {
        let Some(pool) = self.pools.get_mut(tenant) else { return };
        pool.remove(did);
        if pool.is_empty() {
            self.pools.remove(tenant);
        }
    }

    /// Chooses the DID for a call and counts the use as pending; none if no DID may be shown.
    pub fn pick(&mut self, want: &Want) -> Option<Pick> {
        let pool = self.pools.get_mut(&want.tenant)?;
        let (key, place, reason) = choose(pool, &self.campaigns, want)?;
        let slot = pool.take(key, place);
        Some(pick_of(slot, &self.trunks, &want.tenant, reason))
    }

    /// Counts a pending use of the DID that a request names, past any order.
    pub fn pick_named(&mut self, tenant: &TenantId, did: DidId) -> Result<Pick, NotPickable> {
        let pool = self.pools.get_mut(tenant).ok_or(NotPickable::Unknown)?;
        let slot = pool.pick_named(did)?;
        Ok(pick_of(slot, &self.trunks, tenant, Reason::Named))
    }

    /// The DID that the next such pick would take, without taking it.
    pub fn next(&mut self, want: &Want) -> Option<(DidId, Reason)> {
        let pool = self.pools.get_mut(&want.tenant)?;
        let (_, place, reason) = choose(pool, &self.campaigns, want)?;
        Some((pool.slot(place).id, reason))
    }

    /// The store has counted the use: `usage_count` is what it held then.
    ///
    /// Uses counted together are settled in any order, so a count below one already known is an
    /// older truth and does not replace it.
    pub fn settle(&mut self, pick: &Pick, usage_count: u32) {
        if let Some(pool) = self.pools.get_mut(&pick.tenant) {
            pool.change(pick.did, |slot| {
                slot.end_use();
                slot.counted = slot.counted.max(usage_count);
            });
        }
    }

    /// The store did not count the use: the DID is where it was before the pick.
    pub fn give_back(&mut self, pick: &Pick) {
        if let Some(pool) = self.pools.get_mut(&pick.tenant) {
            pool.change(pick.did, Slot::end_use);
        }
    }

    /// The store's count changed by other means than a pick of ours: a use taken back, another
    /// daemon, a person. Uses still pending stay pending.
    pub fn learn(&mut self, tenant: &TenantId, did: DidId, usage_count: u32) {
        if let Some(pool) = self.pools.get_mut(tenant) {
            pool.change(did, |slot| slot.counted = usage_count);
        }
    }

    /// How many DIDs it holds, of any status.
    pub fn len(&self) -> usize {
        self.pools.values().map(|pool| pool.summary().total).sum()
    }

    /// What all tenants have together. Takes as long as there are tenants, some nanoseconds each.
    pub fn totals(&self) -> Summary {
        self.pools.values().map(Pool::summary).fold(Summary::default(), |all, one| Summary {
            active: all.active + one.active,
            spent: all.spent + one.spent,
            total: all.total + one.total,
        })
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// How many tenants have DIDs.
    pub fn tenants(&self) -> usize {
        self.pools.len()
    }

    /// What one tenant has.
    pub fn summary(&self, tenant: &TenantId) -> Summary {
        self.pools.get(tenant).map(Pool::summary).unwrap_or_default()
    }

    /// What one of its campaigns has.
    pub fn campaign_summary(&self, tenant: &TenantId, campaign: &CampaignId) -> Summary {
        let pool = self.pools.get(tenant).zip(self.campaigns.find(campaign));
        pool.map(|(pool, campaign)| pool.summary_of(campaign)).unwrap_or_default()
    }

    /// Where the next DID of a campaign stands in its order: uses, pending ones included, and head
    /// start. None if no DID of it can be picked. A newcomer starts level with it.
    pub fn lowest_level(&mut self, tenant: &TenantId, campaign: &CampaignId) -> Option<u32> {
        let campaign = Some(self.campaigns.find(campaign)?);
        let pool = self.pools.get_mut(tenant)?;
        let place = pool.front(OrderKey { campaign, area_code: None })?;
        Some(pool.slot(place).level())
    }
}

fn choose(
    pool: &mut Pool,
    campaigns: &Names<CampaignId>,
    want: &Want,
) -> Option<(OrderKey, Place, Reason)> {
    let campaign = match &want.campaign {
        Some(campaign) => Some(campaigns.find(campaign)?),
        None => None,
    };
    let rest = OrderKey { campaign, area_code: None };
    if want.area_code.is_none() {
        return Some((rest, pool.front(rest)?, Reason::LeastUsed));
    }
    let local = OrderKey { campaign, area_code: want.area_code };
    if let Some(place) = pool.front(local) {
        return Some((local, place, Reason::AreaCode));
    }
    Some((rest, pool.front(rest)?, Reason::AreaCodeSpent))
}

fn pick_of(slot: &Slot, trunks: &Names<TrunkName>, tenant: &TenantId, reason: Reason) -> Pick {
    Pick {
        tenant: tenant.clone(),
        did: slot.id,
        number: slot.number(),
        trunk: trunks.name_of(slot.way.trunk()).clone(),
        reason,
    }
}

/// Names as small integers, so that a slot holds four bytes and not a pointer to shared text.
///
/// A name once seen is kept: there are as many as people have thought of, not as many as DIDs.
#[derive(Debug)]
struct Names<T> {
    keys: HashMap<T, NameKey>,
    names: Vec<T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { keys: HashMap::new(), names: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Names<T> {
    fn find(&self, name: &T) -> Option<NameKey> {
        self.keys.get(name).copied()
    }

    fn key_of(&mut self, name: &T) -> NameKey {
        if let Some(key) = self.find(name) {
            return key;
        }
        let key = NameKey::new(self.names.len());
        self.names.push(name.clone());
        self.keys.insert(name.clone(), key);
        key
    }

    fn name_of(&self, key: NameKey) -> &T {
        &self.names[key.place()]
    }
}

#[cfg(test)]
mod tests;

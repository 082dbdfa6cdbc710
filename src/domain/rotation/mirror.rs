//! Keeping the index true to the store: what it holds, and what a refusal by the store teaches.

use super::{Pick, RotationIndex};
use crate::domain::did::{DidId, DidState};
use crate::domain::tenant::TenantId;

impl RotationIndex {
    /// The store refused the use; `usage_count` is what its row held when it was read, none if it
    /// was gone. The DID is where it was before the pick, but for that count.
    ///
    /// Says whether the DID can still be picked, which means that something else than its count is
    /// not as the index believes. A count below one already known is an older truth.
    #[must_use = "a DID that stays pickable would be refused again"]
    pub fn refuse(&mut self, pick: &Pick, usage_count: Option<u32>) -> bool {
        if let Some(pool) = self.pools.get_mut(&pick.tenant) {
            pool.change(pick.did, |slot| {
                slot.end_use();
                slot.counted = slot.counted.max(usage_count.unwrap_or(0));
            });
        }
        self.is_pickable(&pick.tenant, pick.did)
    }

    /// Takes in a DID that is new in the store. One it has already is left as it is: somebody has
    /// changed it since, and told.
    pub fn add(&mut self, state: &DidState) {
        if !self.pools.get(&state.tenant).is_some_and(|pool| pool.has(state.id)) {
            self.upsert(state);
        }
    }

    /// Whether a pick could take this DID.
    pub fn is_pickable(&self, tenant: &TenantId, did: DidId) -> bool {
        self.pools.get(tenant).is_some_and(|pool| pool.is_pickable(did))
    }

    /// Who has DIDs, in no order.
    pub fn owners(&self) -> Vec<TenantId> {
        self.pools.keys().cloned().collect()
    }

    /// The DIDs of any status in the `most` places of the tenant's table from `place` on, deleted
    /// ones left out; none past its end.
    ///
    /// Removing DIDs may move others to earlier places, so a walk should not remove on its way.
    pub fn held(&self, tenant: &TenantId, place: usize, most: usize) -> Option<Vec<DidId>> {
        self.pools.get(tenant).and_then(|pool| pool.held(place, most))
    }
}

//! Which DID to show next: the least used first, then the lowest id.

use super::did::{DidId, DidState, TrunkName};
use super::number::{AreaCode, E164};
use super::tenant::{CampaignId, TenantId};

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
/// Ends in exactly one of `RotationIndex::settle` or `RotationIndex::give_back`.
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

/// Why a DID was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The least used of those asked for.
    LeastUsed,
    /// The least used of the wanted area code.
    AreaCode,
    /// No DID of the wanted area code could be picked; the least used of the rest.
    AreaCodeSpent,
    /// The request named this DID.
    Named,
}

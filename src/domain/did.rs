//! A DID: a number that may be shown as caller ID.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::as_text::is_a_text;
use super::number::{AreaCode, E164};
use super::tenant::{CampaignId, TenantId};

/// The highest limit a DID may have.
pub const MAX_USAGE_MAX: u32 = i32::MAX as u32;

/// The largest metadata of a DID, in bytes of JSON: a page of a list may hold a thousand of these.
pub const METADATA_LENGTH_MAX: usize = 16 * 1024;

/// A row of `asterisk_dids`. Equal counts are picked in the order of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DidId(pub Uuid);

/// Whether a DID may be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DidStatus {
    /// In rotation.
    Active,
    /// Owned, not yet in rotation.
    #[default]
    Available,
    /// Taken out by its owner.
    Inactive,
    /// Taken out because it must not be shown.
    Suspended,
}

/// The PJSIP endpoint a call leaves by: 1 to 64 of `A-Z a-z 0-9 _ - .`.
///
/// It stands in dial strings, so nothing else may be in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrunkName(Arc<str>);

/// A DID as it is stored. As JSON it has the names that are promised outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Did {
    /// Its id, unique over all tenants.
    pub id: DidId,
    /// Who owns it.
    #[serde(rename = "tenantId")]
    pub tenant: TenantId,
    /// What the callee sees; unique within the tenant.
    pub number: E164,
    /// As given, else read from the number.
    pub area_code: Option<AreaCode>,
    /// Where its calls leave.
    pub trunk: TrunkName,
    /// Whether it may be picked.
    pub status: DidStatus,
    /// Uses so far, since it was stored or since an operator last set the count back.
    pub usage_count: u32,
    /// How many uses it counts as having besides its own when it is compared with others: what it
    /// was behind when it joined a campaign that lets newcomers start level.
    #[serde(skip_serializing_if = "is_none")]
    pub head_start: u32,
    /// The most uses it may have; none is no limit.
    pub max_usage: Option<u32>,
    /// When it was last picked.
    pub last_used: Option<DateTime<Utc>>,
    /// The pool it belongs to besides its tenant.
    #[serde(rename = "campaignId")]
    pub campaign: Option<CampaignId>,
    /// What else its owner wrote down (`provider`, `region`, `notes`, …).
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// When it was stored first.
    pub created_at: DateTime<Utc>,
    /// When a person or an import changed it last.
    pub updated_at: DateTime<Utc>,
}

/// A DID about to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDid {
    /// Minted by us, so that ids rise with time.
    pub id: DidId,
    /// What the callee will see.
    pub number: E164,
    /// As given, else read from the number.
    pub area_code: Option<AreaCode>,
    /// Where its calls leave.
    pub trunk: TrunkName,
    /// Whether it may be picked.
    pub status: DidStatus,
    /// The most uses it may ever have; none is no limit.
    pub max_usage: Option<u32>,
    /// The pool it belongs to besides its tenant.
    pub campaign: Option<CampaignId>,
    /// How many uses it counts as having when it is compared with others.
    pub head_start: u32,
    /// What else its owner wrote down.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// What the rotation index needs of a DID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidState {
    /// Its id.
    pub id: DidId,
    /// Who owns it.
    pub tenant: TenantId,
    /// What the callee sees.
    pub number: E164,
    /// The area code picks may ask for.
    pub area_code: Option<AreaCode>,
    /// Where its calls leave.
    pub trunk: TrunkName,
    /// Whether it may be picked.
    pub status: DidStatus,
    /// Uses the store has counted.
    pub usage_count: u32,
    /// The most uses it may have.
    pub max_usage: Option<u32>,
    /// The pool it belongs to besides its tenant.
    pub campaign: Option<CampaignId>,
    /// How many uses it counts as having besides its own when it is compared with others.
    pub head_start: u32,
}

fn is_none(head_start: &u32) -> bool {
    *head_start == 0
}

impl From<&Did> for DidState {
    fn from(did: &Did) -> Self {
        Self {
            id: did.id,
            tenant: did.tenant.clone(),
            number: did.number,
            area_code: did.area_code,
            trunk: did.trunk.clone(),
            status: did.status,
            usage_count: did.usage_count,
            max_usage: did.max_usage,
            campaign: did.campaign.clone(),
            head_start: did.head_start,
        }
    }
}

impl DidStatus {
    /// The word used in tables, JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Available => "available",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
        }
    }
}

/// A word that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status (active, available, inactive and suspended are)")]
pub struct InvalidStatus(pub String);

impl FromStr for DidStatus {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        let all = [Self::Active, Self::Available, Self::Inactive, Self::Suspended];
        let found = all.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| InvalidStatus(text.to_owned()))
    }
}

impl fmt::Display for DidStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text names no trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTrunk {
    /// Empty, or more than 64 bytes.
    #[error("a trunk has 1 to 64 characters, not {0}")]
    Length(usize),
    /// A character that would change the meaning of a dial string.
    #[error("{0:?} may not stand in a trunk (A-Z a-z 0-9 _ - . may)")]
    Character(char),
}

impl TrunkName {
    /// The trunk of a DID that names none.
    pub const DEFAULT: &str = "PJSIP";

    /// [`TrunkName::DEFAULT`] as a trunk.
    pub fn pjsip() -> Self {
        Self(Arc::from(Self::DEFAULT))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrunkName {
    type Err = InvalidTrunk;

    fn from_str(text: &str) -> Result<Self, InvalidTrunk> {
        if text.is_empty() || text.len() > 64 {
            return Err(InvalidTrunk::Length(text.len()));
        }
        let stranger = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.".contains(*c)));
        match stranger {
            Some(other) => Err(InvalidTrunk::Character(other)),
            None => Ok(Self(Arc::from(text))),
        }
    }
}

impl fmt::Display for TrunkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

is_a_text!(TrunkName or InvalidTrunk);

impl fmt::Display for DidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_cannot_break_out_of_a_dial_string() {
        assert_eq!("carrier-1".parse::<TrunkName>().unwrap().as_str(), "carrier-1");

        assert_eq!("a@b".parse::<TrunkName>(), Err(InvalidTrunk::Character('@')));
        assert_eq!("a&PJSIP/b".parse::<TrunkName>(), Err(InvalidTrunk::Character('&')));
        assert_eq!("".parse::<TrunkName>(), Err(InvalidTrunk::Length(0)));
    }

    #[test]
    fn a_status_is_read_in_any_case() {
        assert_eq!("Active".parse(), Ok(DidStatus::Active));
        assert_eq!("gone".parse::<DidStatus>(), Err(InvalidStatus("gone".into())));
    }
}

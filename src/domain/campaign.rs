//! A campaign: a tenant's named pool of DIDs, and the rules it picks by.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::as_text::is_a_text;
use super::tenant::{CampaignId, TenantId};

/// A row of `campaigns`. One that DIDs name and nobody described has the default rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id, unique within the tenant.
    pub id: CampaignId,
    /// What people call it.
    pub name: Option<String>,
    /// How it picks.
    pub rules: Rules,
    /// When it was described first.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// How a campaign picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Where a DID that joins begins.
    pub join: Join,
    /// Whether a pick prefers DIDs of the callee's own area code.
    pub local_presence: bool,
}

/// Where a DID that joins a campaign's rotation begins.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Join {
    /// By its own lifetime count: a new DID is shown until it has caught up.
    #[default]
    Count,
    /// Level with the least used of those that can be picked.
    Lowest,
}

/// What to change of a campaign; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CampaignChange {
    /// Its name; an inner none takes the name away.
    pub name: Option<Option<String>>,
    /// Where those that join later begin.
    pub join: Option<Join>,
    /// Whether picks prefer the callee's area code.
    pub local_presence: Option<bool>,
}

impl Campaign {
    /// What this change makes of it. The same but for what it changes; its times stay.
    pub fn changed(&self, change: &CampaignChange) -> Self {
        Self {
            name: change.name.clone().unwrap_or_else(|| self.name.clone()),
            rules: Rules {
                join: change.join.unwrap_or(self.rules.join),
                local_presence: change.local_presence.unwrap_or(self.rules.local_presence),
            },
            ..self.clone()
        }
    }

    /// Its fields as the audit log has them; only those in which it differs from `other`, if given.
    pub fn told(&self, other: Option<&Self>) -> Value {
        let fields = |of: &Self| {
            let Rules { join, local_presence } = of.rules;
            [
                ("name", json!(of.name)),
                ("join", json!(join)),
                ("localPresence", json!(local_presence)),
            ]
        };
        let others = other.map(fields);
        let told = fields(self)
            .into_iter()
            .enumerate()
            .filter(|(place, field)| others.as_ref().is_none_or(|others| others[*place] != *field));
        let told: Map<_, _> = told.map(|(_, (name, value))| (name.to_owned(), value)).collect();
        Value::Object(told)
    }
}

impl Join {
    /// How many uses a DID counts as having besides its own `usage_count` when it joins, where
    /// `lowest_level` is the level of the campaign's next DID.
    pub fn head_start(self, lowest_level: Option<u32>, usage_count: u32) -> u32 {
        match self {
            Self::Count => 0,
            Self::Lowest => lowest_level.unwrap_or(0).saturating_sub(usage_count),
        }
    }

    /// The word used in the table and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Lowest => "lowest",
        }
    }
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

is_a_text!(Join or InvalidJoin);

/// A word that is no rule of joining.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no way to join (count and lowest are)")]
pub struct InvalidJoin(pub String);

impl FromStr for Join {
    type Err = InvalidJoin;

    fn from_str(text: &str) -> Result<Self, InvalidJoin> {
        let found = [Self::Count, Self::Lowest].into_iter().find(|join| join.as_str() == text);
        found.ok_or_else(|| InvalidJoin(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_did_that_joins_makes_up_what_it_is_behind_and_no_more() {
        assert_eq!(Join::Lowest.head_start(Some(100), 30), 70);
        assert_eq!(Join::Lowest.head_start(Some(100), 130), 0);
        assert_eq!(Join::Lowest.head_start(None, 30), 0);
        assert_eq!(Join::Count.head_start(Some(100), 30), 0);
    }

    #[test]
    fn the_audit_log_is_told_what_differs() {
        let before = Campaign {
            tenant: TenantId::default_tenant(),
            id: "c_1".parse().unwrap(),
            name: Some("Spring".into()),
            rules: Rules::default(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        let change = CampaignChange { join: Some(Join::Lowest), ..CampaignChange::default() };

        let after = before.changed(&change);

        assert_eq!(before.told(Some(&after)), json!({"join": "count"}));
        assert_eq!(after.told(Some(&before)), json!({"join": "lowest"}));
        assert_eq!(before.changed(&CampaignChange::default()), before);
    }
}

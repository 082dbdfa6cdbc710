//! The table `campaigns`. Each change is told to the audit log in its own transaction.

use chrono::{DateTime, Utc};

use super::audit_log::tell;
use super::{During, ListError, Page, Store, StoreError, Unreadable, on, stored_time, together};
use crate::domain::audit::{Entry, Origin};
use crate::domain::campaign::{Campaign, CampaignChange, Rules};
use crate::domain::tenant::{CampaignId, InvalidId, TenantId};

/// Why a campaign was not stored.
#[derive(Debug, thiserror::Error)]
pub enum InsertCampaignError {
    /// The tenant has described a campaign of this id.
    #[error("Campaign already exists")]
    Exists,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const INSERT: &str = "insert into campaigns \
     (tenant_id, id, name, join_rule, local_presence, created_at, updated_at) \
     values ($1, $2, $3, $4, $5, $6, $7)";
const READ_ONE: &str = "select * from campaigns where tenant_id = $1 and id = $2";
const READ_ALL: &str = "select * from campaigns";
const LIST: &str = "select * from campaigns where tenant_id = $1 \
     and (cast($2 as text) is null or id > $2) order by id limit $3";

/// Reads the row and keeps it as it is until the transaction ends, on both databases.
const HOLD: &str = "update campaigns set updated_at = updated_at \
     where tenant_id = $1 and id = $2 returning *";
const CHANGE: &str = "update campaigns set name = $3, join_rule = $4, local_presence = $5, \
     updated_at = $6 where tenant_id = $1 and id = $2";

impl Store {
    /// Stores a new campaign.
    pub async fn insert_campaign(
        &self,
        campaign: &Campaign,
        origin: &Origin,
    ) -> Result<(), InsertCampaignError> {
        let entry = entry(origin, "campaign.created", campaign, campaign.created_at)
            .changing(None, Some(campaign.told(None)));
        let done = together!(self.writes(), db => {
            sqlx::query(INSERT)
                .bind(campaign.tenant.as_str())
                .bind(campaign.id.as_str())
                .bind(campaign.name.as_deref())
                .bind(campaign.rules.join.as_str())
                .bind(campaign.rules.local_presence)
                .bind(stored_time(campaign.created_at))
                .bind(stored_time(campaign.updated_at))
                .execute(&mut *db)
                .await?;
            tell!(db, &entry)?;
        });
        match done {
            Err(sqlx::Error::Database(answer)) if answer.is_unique_violation() => {
                Err(InsertCampaignError::Exists)
            }
            done => Ok(done.during("store the campaign")?),
        }
    }

    /// Changes a campaign and says what it is then; none if the tenant has described none of this
    /// id. A change that changes nothing is not stored.
    pub async fn change_campaign(
        &self,
        tenant: &TenantId,
        id: &CampaignId,
        change: &CampaignChange,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Option<Campaign>, StoreError> {
        let now = stored_time(now);
        together!(self.writes(), db => {
            let row: Option<CampaignRow> = sqlx::query_as(HOLD)
                .bind(tenant.as_str())
                .bind(id.as_str())
                .fetch_optional(&mut *db)
                .await?;
            let Some(row) = row else { return Ok(None) };
            let before = Campaign::try_from(row).map_err(|row| sqlx::Error::Decode(row.into()))?;
            let after = before.changed(change);
            if after == before {
                return Ok(Some(before));
            }
            let after = Campaign { updated_at: now, ..after };
            sqlx::query(CHANGE)
                .bind(tenant.as_str())
                .bind(id.as_str())
                .bind(after.name.as_deref())
                .bind(after.rules.join.as_str())
                .bind(after.rules.local_presence)
                .bind(now)
                .execute(&mut *db)
                .await?;
            let (old, new) = (before.told(Some(&after)), after.told(Some(&before)));
            let entry = entry(origin, "campaign.updated", &after, now);
            tell!(db, &entry.changing(Some(old), Some(new)))?;
            Some(after)
        })
        .during("change the campaign")
    }

    /// The tenant's campaign of this id, if it was described.
    pub async fn campaign(
        &self,
        tenant: &TenantId,
        id: &CampaignId,
    ) -> Result<Option<Campaign>, StoreError> {
        let row: Option<CampaignRow> = on!(self.reads(), pool => sqlx::query_as(READ_ONE)
            .bind(tenant.as_str())
            .bind(id.as_str())
            .fetch_optional(pool)
            .await)
        .during("read the campaign")?;
        row.map(Campaign::try_from).transpose().during("read the campaign")
    }

    /// Up to `limit` of the tenant's campaigns by id, from where `cursor` left off.
    pub async fn list_campaigns(
        &self,
        tenant: &TenantId,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Campaign>, ListError> {
        let read = |text: &str| text.parse().map_err(|_| ListError::Cursor(text.to_owned()));
        let after: Option<CampaignId> = cursor.map(read).transpose()?;
        let rows: Vec<CampaignRow> = on!(self.reads(), pool => sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .bind(after.as_ref().map(CampaignId::as_str))
            .bind(i64::from(limit) + 1)
            .fetch_all(pool)
            .await)
        .during("list the campaigns")?;
        let campaigns: Result<Vec<_>, _> = rows.into_iter().map(Campaign::try_from).collect();
        let campaigns = campaigns.during("list the campaigns")?;
        Ok(Page::of(campaigns, limit as usize, |last| last.id.to_string()))
    }

    /// Every tenant's campaigns, in no order. One that cannot be read (a person may have written
    /// it) is left out with a warning.
    pub async fn load_campaigns(&self) -> Result<Vec<Campaign>, StoreError> {
        let rows: Vec<CampaignRow> =
            on!(self.reads(), pool => sqlx::query_as(READ_ALL).fetch_all(pool).await)
                .during("load the campaigns")?;
        let read = |row: CampaignRow| match Campaign::try_from(row) {
            Ok(campaign) => Some(campaign),
            Err(unreadable) => {
                tracing::warn!(problem = %unreadable, "a campaign cannot be read and is left out");
                None
            }
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}

fn entry(origin: &Origin, action: &str, campaign: &Campaign, at: DateTime<Utc>) -> Entry {
    origin.did(action, ("campaign", campaign.id.to_string()), at).of(&campaign.tenant)
}

#[derive(sqlx::FromRow)]
struct CampaignRow {
    tenant_id: String,
    id: String,
    name: Option<String>,
    join_rule: String,
    local_presence: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<CampaignRow> for Campaign {
    type Error = Unreadable;

    fn try_from(row: CampaignRow) -> Result<Self, Unreadable> {
        let unreadable = |problem: InvalidId| Unreadable::new(&row.id, problem);
        Ok(Self {
            tenant: row.tenant_id.parse().map_err(unreadable)?,
            id: row.id.parse().map_err(unreadable)?,
            name: row.name,
            rules: Rules {
                join: row.join_rule.parse().map_err(|problem| Unreadable::new(&row.id, problem))?,
                local_presence: row.local_presence,
            },
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

//! The table `asterisk_dids`: one DID and lists of them.
//!
//! Counting uses is not here but in the ledger.

mod change;
mod held;
mod import;
mod import_told;
mod load;
mod row;

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use sqlx::types::Json;
use uuid::Uuid;

use self::row::DidRow;
use super::audit_log::tell;
use super::{During, ListError, Page, Store, StoreError, on, stored_time, together};
use crate::domain::audit::Origin;
use crate::domain::did::{Did, DidId, DidStatus, NewDid, TrunkName};
use crate::domain::did_change::whole;
use crate::domain::number::{AreaCode, E164};
use crate::domain::tenant::{CampaignId, TenantId};

pub(in crate::store) use self::row::{Shared, saturate, texts_of};

pub use self::change::{ChangeError, Changed};
pub use self::import::{Imported, OnDuplicate};
pub use self::import_told::Importer;

/// Why a DID was not stored.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// The tenant has a DID with this number.
    #[error("DID already exists")]
    Exists,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which DIDs to list; what is none or empty does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DidFilter {
    /// With exactly this number.
    pub number: Option<E164>,
    /// In this state.
    pub status: Option<DidStatus>,
    /// Of this area code.
    pub area_code: Option<AreaCode>,
    /// Leaving by this trunk.
    pub trunk: Option<TrunkName>,
    /// Of this pool.
    pub campaign: Option<CampaignId>,
    /// With these digits anywhere in the number; other characters do not count.
    pub q: Option<String>,
    /// In this order.
    pub sort: DidSort,
}

/// The order of a list of DIDs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DidSort {
    /// By number, as text.
    #[default]
    Number,
    /// The least used first, then by id: the order of picks.
    Usage,
    /// By id, which rises with the time a DID was made.
    Created,
}

const READ_ONE: &str = "select * from asterisk_dids where tenant_id = $1 and id = $2";
const READ_NUMBER: &str = "select * from asterisk_dids where tenant_id = $1 and number = $2";
const INSERT: &str = "insert into asterisk_dids (id, tenant_id, number, area_code, trunk, status, \
     max_usage, campaign_id, metadata, created_at, updated_at, head_start) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)";

/// `$2` to `$6` are the filter, `$7` the limit.
const LIST: &str = "select * from asterisk_dids where tenant_id = $1 \
     and (cast($2 as text) is null or status = $2) \
     and (cast($3 as text) is null or area_code = $3) \
     and (cast($4 as text) is null or trunk = $4) \
     and (cast($5 as text) is null or campaign_id = $5) \
     and (cast($6 as text) is null or number like '%' || cast($6 as text) || '%')";

impl Store {
    /// Stores a new DID of `tenant` and tells the audit log who made it.
    pub async fn insert_did(
        &self,
        tenant: &TenantId,
        new: &NewDid,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Did, InsertError> {
        let now = stored_time(now);
        let did = stored(tenant, new, now);
        let line = origin
            .did("did.created", ("did", did.id.to_string()), now)
            .of(tenant)
            .changing(None, Some(whole(&did)));
        let done: Result<(), sqlx::Error> = together!(self.writes(), db => {
            sqlx::query(INSERT)
                .bind(new.id.0)
                .bind(tenant.as_str())
                .bind(new.number.to_string())
                .bind(new.area_code.map(|code| code.to_string()))
                .bind(new.trunk.as_str())
                .bind(new.status.as_str())
                .bind(new.max_usage.map(i64::from))
                .bind(new.campaign.as_ref().map(CampaignId::as_str))
                .bind(Json(&new.metadata))
                .bind(now)
                .bind(i64::from(new.head_start))
                .execute(&mut *db)
                .await?;
            tell!(db, &line)?;
        });
        match done {
            Err(sqlx::Error::Database(answer)) if answer.is_unique_violation() => {
                Err(InsertError::Exists)
            }
            done => {
                done.during("store the DID")?;
                Ok(did)
            }
        }
    }

    /// The tenant's DID with this id.
    pub async fn did(&self, tenant: &TenantId, id: DidId) -> Result<Option<Did>, StoreError> {
        let row: Option<DidRow> = on!(self.reads(), pool => sqlx::query_as(READ_ONE)
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(pool)
            .await)
        .during("read the DID")?;
        row.map(Did::try_from).transpose().during("read the DID")
    }

    /// The tenant's DID with this number.
    pub async fn did_by_number(
        &self,
        tenant: &TenantId,
        number: E164,
    ) -> Result<Option<Did>, StoreError> {
        let row: Option<DidRow> = on!(self.reads(), pool => sqlx::query_as(READ_NUMBER)
            .bind(tenant.as_str())
            .bind(number.to_string())
            .fetch_optional(pool)
            .await)
        .during("read the DID")?;
        row.map(Did::try_from).transpose().during("read the DID")
    }

    /// Up to `limit` of the tenant's DIDs, from where `cursor` left off.
    ///
    /// Pages by number or by creation neither repeat nor miss a DID while others come and go. By
    /// usage a DID that is picked between two pages may stand on both.
    pub async fn list_dids(
        &self,
        tenant: &TenantId,
        filter: &DidFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Did>, ListError> {
        let after = cursor.map(|text| filter.sort.read_cursor(text)).transpose()?;
        let digits = filter.q.as_deref().map(digits_of).filter(|digits| !digits.is_empty());
        if filter.number.is_some() && after.is_some() {
            // There is at most one, and it stood on the page before.
            return Ok(Page { items: Vec::new(), next: None });
        }
        let tail = match filter.number {
            Some(_) => "and number = $8",
            None => filter.sort.tail(after.is_some()),
        };
        let sql = format!("{LIST} {tail} limit $7");
        let rows: Vec<DidRow> = on!(self.reads(), pool => {
            let query = sqlx::query_as(AssertSqlSafe(sql))
                .bind(tenant.as_str())
                .bind(filter.status.map(DidStatus::as_str))
                .bind(filter.area_code.map(|code| code.to_string()))
                .bind(filter.trunk.as_ref().map(TrunkName::as_str))
                .bind(filter.campaign.as_ref().map(CampaignId::as_str))
                .bind(digits)
                .bind(i64::from(limit) + 1);
            let query = match filter.number {
                Some(number) => query.bind(number.to_string()),
                None => query,
            };
            match after {
                None => query.fetch_all(pool).await,
                Some(After::Number(number)) => query.bind(number.to_string()).fetch_all(pool).await,
                Some(After::Usage(count, id)) => query.bind(count).bind(id).fetch_all(pool).await,
                Some(After::Created(id)) => query.bind(id).fetch_all(pool).await,
            }
        })
        .during("list the DIDs")?;
        let dids: Result<Vec<Did>, _> = rows.into_iter().map(Did::try_from).collect();
        let dids = dids.during("list the DIDs")?;
        Ok(Page::of(dids, limit as usize, |last| filter.sort.cursor(last)))
    }
}

/// The last row of the page before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Number(E164),
    Usage(i64, Uuid),
    Created(Uuid),
}

impl DidSort {
    /// How the statement ends, short of its limit; `$8` and on are the last row's place.
    fn tail(self, continued: bool) -> &'static str {
        match (self, continued) {
            (Self::Number, false) => "order by number",
            (Self::Number, true) => "and number > $8 order by number",
            (Self::Usage, false) => "order by usage_count, id",
            (Self::Usage, true) => "and (usage_count, id) > ($8, $9) order by usage_count, id",
            (Self::Created, false) => "order by id",
            (Self::Created, true) => "and id > $8 order by id",
        }
    }

    /// The place of this row, in characters that no URL changes.
    fn cursor(self, did: &Did) -> String {
        match self {
            Self::Number => format!("n{}", did.number.digits()),
            Self::Usage => format!("u{}.{}", did.usage_count, did.id),
            Self::Created => format!("c{}", did.id),
        }
    }

    fn read_cursor(self, text: &str) -> Result<After, ListError> {
        let read = || match (self, text.split_at_checked(1)?) {
            (Self::Number, ("n", digits)) => {
                E164::from_digits(digits.parse().ok()?).map(After::Number)
            }
            (Self::Usage, ("u", place)) => {
                let (count, id) = place.split_once('.')?;
                Some(After::Usage(count.parse().ok()?, id.parse().ok()?))
            }
            (Self::Created, ("c", id)) => id.parse().ok().map(After::Created),
            (Self::Number | Self::Usage | Self::Created, _) => None,
        };
        read().ok_or_else(|| ListError::Cursor(text.to_owned()))
    }
}

fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn stored(tenant: &TenantId, new: &NewDid, now: DateTime<Utc>) -> Did {
    Did {
        id: new.id,
        tenant: tenant.clone(),
        number: new.number,
        area_code: new.area_code,
        trunk: new.trunk.clone(),
        status: new.status,
        usage_count: 0,
        max_usage: new.max_usage,
        last_used: None,
        campaign: new.campaign.clone(),
        head_start: new.head_start,
        metadata: new.metadata.clone(),
        created_at: now,
        updated_at: now,
    }
}

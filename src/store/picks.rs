//! The table `picks`: DIDs that dialplans and other dialers were given to show.
//!
//! Rows are inserted by the ledger, in the transaction that counts their use, and given back by it.
//! One whose call has ended becomes a row of `calls` as well, under the same id.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{During, ListError, Page, Store, StoreError, Unreadable, on, stored_time, together};
use crate::domain::call::cause::Cause;
use crate::domain::did::DidId;
use crate::domain::pick::{DialEnd, PickId, PickOutcome, PickRecord, Settled, TakenPick};
use crate::domain::tenant::TenantId;

/// What recording the end of a pick's call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PickEnded {
    /// It is on record.
    Now(PickRecord),
    /// The pick had been settled, by this or by something else, and stays so.
    Before(PickRecord),
    /// The tenant has no such pick.
    Unknown,
}

const READ: &str = "select * from picks where tenant_id = $1 and id = $2";

/// A dialplan knows a pick by its id alone. Ids are not to be guessed, and whose it is comes with it.
const READ_WHOSEVER: &str = "select * from picks where id = $1";

macro_rules! list {
    ($settled:literal) => {
        concat!(
            "select * from picks where tenant_id = $1 and ($2 is null or id < $2) ",
            $settled,
            " order by id desc limit $3"
        )
    };
}
const LIST: &str = list!("");
const LIST_OPEN: &str = list!("and settled_at is null");
const LIST_SETTLED: &str = list!("and settled_at is not null");

const SETTLE: &str = "update picks set settled_at = $3, outcome = $4, cause = $5 \
     where tenant_id = $1 and id = $2 and settled_at is null returning *";

/// The call of a pick that has just ended; who was called must be known.
const STORE_CALL: &str = "insert into calls (id, tenant_id, did_id, from_number, to_number, trunk, campaign_id, \
     destination, variables, ring_timeout_seconds, created_at, status, cause, initiated_at, answered_at, ended_at, \
     writer, placed_by) \
     select id, tenant_id, did_id, number, to_number, trunk, campaign_id, 'null', '[]', 0, created_at, outcome, \
     cause, created_at, $3, settled_at, writer, 'dialplan' \
     from picks where tenant_id = $1 and id = $2 and to_number is not null";

impl Store {
    /// The tenant's pick with this id.
    pub async fn pick(
        &self,
        tenant: &TenantId,
        id: PickId,
    ) -> Result<Option<PickRecord>, StoreError> {
        let row: Option<PickRow> = on!(self.reads(), pool => sqlx::query_as(READ)
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(pool)
            .await)
        .during("read the pick")?;
        row.map(PickRecord::try_from).transpose().during("read the pick")
    }

    /// The pick with this id, whosever it is: for a dialplan, which serves all tenants.
    pub async fn pick_of_any_tenant(&self, id: PickId) -> Result<Option<PickRecord>, StoreError> {
        let row: Option<PickRow> = on!(self.reads(), pool => sqlx::query_as(READ_WHOSEVER)
            .bind(id.0)
            .fetch_optional(pool)
            .await)
        .during("read the pick")?;
        row.map(PickRecord::try_from).transpose().during("read the pick")
    }

    /// Up to `limit` of the tenant's picks, the newest first, from where `cursor` left off; only
    /// those that are settled, or only the others, where `settled` says so.
    pub async fn list_picks(
        &self,
        tenant: &TenantId,
        settled: Option<bool>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<PickRecord>, ListError> {
        let read = |text: &str| text.parse().map_err(|_| ListError::Cursor(text.to_owned()));
        let before: Option<Uuid> = cursor.map(read).transpose()?;
        let text = match settled {
            None => LIST,
            Some(false) => LIST_OPEN,
            Some(true) => LIST_SETTLED,
        };
        let rows: Vec<PickRow> = on!(self.reads(), pool => sqlx::query_as(text)
            .bind(tenant.as_str())
            .bind(before)
            .bind(i64::from(limit) + 1)
            .fetch_all(pool)
            .await)
        .during("list the picks")?;
        let picks: Result<Vec<PickRecord>, _> =
            rows.into_iter().map(PickRecord::try_from).collect();
        let picks = picks.during("list the picks")?;
        Ok(Page::of(picks, limit as usize, |last| last.taken.id.to_string()))
    }

    /// Puts on record how the call of an open pick ended, and with it the call itself, where the
    /// pick says who was called. May be tried again: the first end counts.
    pub async fn end_pick(
        &self,
        tenant: &TenantId,
        id: PickId,
        end: &DialEnd,
    ) -> Result<PickEnded, StoreError> {
        let settled: Result<Option<PickRow>, sqlx::Error> = together!(self.writes(), db => {
            let settled: Option<PickRow> = sqlx::query_as(SETTLE)
                .bind(tenant.as_str())
                .bind(id.0)
                .bind(stored_time(end.ended_at))
                .bind(end.status.as_str())
                .bind(i64::from(end.cause.0))
                .fetch_optional(&mut *db)
                .await?;
            if let Some(row) = &settled {
                // Clocks and roundings differ; nobody answers before there is a number to show.
                let answered_at = end.answered_at.map(|at| stored_time(at).max(row.created_at));
                sqlx::query(STORE_CALL)
                    .bind(tenant.as_str())
                    .bind(id.0)
                    .bind(answered_at)
                    .execute(&mut *db)
                    .await?;
            }
            settled
        });
        if let Some(row) = settled.during("settle the pick")? {
            let record = PickRecord::try_from(row).during("settle the pick")?;
            return Ok(PickEnded::Now(record));
        }
        Ok(self.pick(tenant, id).await?.map_or(PickEnded::Unknown, PickEnded::Before))
    }
}

#[derive(sqlx::FromRow)]
struct PickRow {
    id: Uuid,
    tenant_id: String,
    did_id: Uuid,
    number: String,
    trunk: String,
    campaign_id: Option<String>,
    to_number: Option<String>,
    created_at: DateTime<Utc>,
    settled_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
    cause: Option<i64>,
}

impl TryFrom<PickRow> for PickRecord {
    type Error = Unreadable;

    fn try_from(row: PickRow) -> Result<Self, Unreadable> {
        let id = row.id;
        let outcome = match row.outcome.as_deref() {
            None | Some("released") => PickOutcome::Released,
            Some(word) => PickOutcome::Ended {
                status: word.parse().map_err(|error| Unreadable::new(id, error))?,
                cause: Cause(row.cause.and_then(|cause| u16::try_from(cause).ok()).unwrap_or(0)),
            },
        };
        let campaign = row.campaign_id.map(|text| text.parse()).transpose();
        let to = row.to_number.map(|text| text.parse()).transpose();
        Ok(Self {
            taken: TakenPick {
                id: PickId(id),
                tenant: row.tenant_id.parse().map_err(|error| Unreadable::new(id, error))?,
                did: DidId(row.did_id),
                number: row.number.parse().map_err(|error| Unreadable::new(id, error))?,
                trunk: row.trunk.parse().map_err(|error| Unreadable::new(id, error))?,
                campaign: campaign.map_err(|error| Unreadable::new(id, error))?,
                to: to.map_err(|error| Unreadable::new(id, error))?,
                created_at: row.created_at,
            },
            settled: row.settled_at.map(|at| Settled { at, outcome }),
        })
    }
}

//! The table `calls`: what was asked for, and how far each call came.
//!
//! Rows are inserted by the ledger, in the transaction that counts their use.

mod hang_up;
mod queued;
mod row;
mod save;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use self::row::CallRow;
pub(super) use self::save::{Told, save_to_postgres, save_to_sqlite};
use super::ledger::WriterId;
use super::{During, ListError, Page, Store, StoreError, on};
use crate::domain::asterisk::AsteriskName;
use crate::domain::call::{Call, CallId, CallStatus};
use crate::domain::did::DidId;
use crate::domain::number::E164;
use crate::domain::tenant::TenantId;

/// Which calls to list; what is none does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// In this state.
    pub status: Option<CallStatus>,
    /// To this number.
    pub to: Option<E164>,
    /// Showing this DID.
    pub did: Option<DidId>,
    /// Accepted at this time or later.
    pub since: Option<DateTime<Utc>>,
}

/// The call that was placed under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRequest {
    /// The call.
    pub call: CallId,
    /// The hash of the request that placed it: another hash is another request under the same key.
    pub request_hash: Vec<u8>,
}

const READ: &str = "select * from calls where tenant_id = $1 and id = $2";
const READ_OPEN: &str = "select * from calls where writer = $1 and ended_at is null order by id";
const SEND_TO: &str =
    "update calls set asterisk = $3 where tenant_id = $1 and id = $2 and ended_at is null";
const BY_KEY: &str =
    "select id, request_hash from calls where tenant_id = $1 and idempotency_key = $2";

/// The place of the last row of the page before is `$7` and `$8`.
macro_rules! list {
    ($after:literal) => {
        concat!(
            "select * from calls where tenant_id = $1 \
             and (cast($2 as text) is null or status = $2) \
             and (cast($3 as text) is null or to_number = $3) \
             and ($4 is null or did_id = $4) \
             and ($5 is null or created_at >= $5) ",
            $after,
            " order by created_at desc, id desc limit $6"
        )
    };
}
const LIST: &str = list!("");
const LIST_ON: &str = list!("and (created_at, id) < ($7, $8)");

impl Store {
    /// The tenant's call with this id.
    pub async fn call(&self, tenant: &TenantId, id: CallId) -> Result<Option<Call>, StoreError> {
        let row: Option<CallRow> = on!(self.reads(), pool => sqlx::query_as(READ)
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(pool)
            .await)
        .during("read the call")?;
        row.map(Call::try_from).transpose().during("read the call")
    }

    /// Up to `limit` of the tenant's calls, the newest first, from where `cursor` left off.
    pub async fn list_calls(
        &self,
        tenant: &TenantId,
        filter: &CallFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Call>, ListError> {
        let after = cursor.map(read_cursor).transpose()?;
        let rows: Vec<CallRow> = on!(self.reads(), pool => {
            let query = sqlx::query_as(if after.is_some() { LIST_ON } else { LIST })
                .bind(tenant.as_str())
                .bind(filter.status.map(CallStatus::as_str))
                .bind(filter.to.map(|number| number.to_string()))
                .bind(filter.did.map(|did| did.0))
                .bind(filter.since)
                .bind(i64::from(limit) + 1);
            match after {
                None => query.fetch_all(pool).await,
                Some((at, id)) => query.bind(at).bind(id).fetch_all(pool).await,
            }
        })
        .during("list the calls")?;
        let calls: Result<Vec<Call>, _> = rows.into_iter().map(Call::try_from).collect();
        let calls = calls.during("list the calls")?;
        Ok(Page::of(calls, limit as usize, write_cursor))
    }

    /// The calls that this writer recorded and that have not ended, each with how many of its
    /// changes were announced.
    pub async fn open_calls(&self, writer: WriterId) -> Result<Vec<(Call, u32)>, StoreError> {
        let rows: Vec<CallRow> = on!(self.reads(), pool => sqlx::query_as(READ_OPEN)
            .bind(writer.0)
            .fetch_all(pool)
            .await)
        .during("read the open calls")?;
        let announced = |row: &CallRow| u32::try_from(row.announced).unwrap_or(u32::MAX);
        rows.into_iter()
            .map(|row| {
                let told = announced(&row);
                Call::try_from(row).map(|call| (call, told))
            })
            .collect::<Result<_, _>>()
            .during("read the open calls")
    }

    /// Remembers that the tenant's call is sent to another Asterisk, because the one before certainly
    /// did not take it. False if the call has ended meanwhile: then it must not be sent.
    pub async fn send_call_to(
        &self,
        tenant: &TenantId,
        id: CallId,
        asterisk: &AsteriskName,
    ) -> Result<bool, StoreError> {
        let changed = on!(self.writes(), pool => sqlx::query(SEND_TO)
            .bind(tenant.as_str())
            .bind(id.0)
            .bind(asterisk.as_str())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()));
        changed.map(|rows| rows > 0).during("send the call to another Asterisk")
    }

    /// The call that the tenant placed under this idempotency key.
    pub async fn call_by_key(
        &self,
        tenant: &TenantId,
        key: &str,
    ) -> Result<Option<KnownRequest>, StoreError> {
        let row: Option<(Uuid, Option<Vec<u8>>)> = on!(self.reads(), pool => sqlx::query_as(BY_KEY)
            .bind(tenant.as_str())
            .bind(key)
            .fetch_optional(pool)
            .await)
        .during("look up the idempotency key")?;
        Ok(row.map(|(id, hash)| KnownRequest {
            call: CallId(id),
            request_hash: hash.unwrap_or_default(),
        }))
    }
}

/// The place of this call in a list, in characters that no URL changes.
fn write_cursor(last: &Call) -> String {
    format!("{}.{}", last.request.created_at.timestamp_micros(), last.id())
}

fn read_cursor(text: &str) -> Result<(DateTime<Utc>, Uuid), ListError> {
    let read = || {
        let (at, id) = text.split_once('.')?;
        Some((DateTime::from_timestamp_micros(at.parse().ok()?)?, id.parse().ok()?))
    };
    read().ok_or_else(|| ListError::Cursor(text.to_owned()))
}

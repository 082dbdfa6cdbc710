//! The table `callbacks`: what tenants' receivers are to be told, and what became of it.
//!
//! Rows come in with the change they tell of; see [`super::calls`].

mod backlog;
mod delivery;
pub(in crate::store) mod outbox;
mod replay;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::delivery::Receiver;
use super::{During, ListError, Page, Store, StoreError, on};
use crate::domain::call::CallId;
use crate::domain::callback::{Callback, CallbackId, CallbackStatus};
use crate::domain::tenant::TenantId;

/// Which callbacks to list; what is none does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallbackFilter {
    /// That have come so far.
    pub status: Option<CallbackStatus>,
    /// That tell of this call.
    pub call: Option<CallId>,
}

macro_rules! read {
    ($which:literal) => {
        concat!(
            "select id, call_id, sequence, type as kind, url, created_at, attempts, \
             next_attempt_at, last_status, last_error, delivered_at, dead_at \
             from callbacks where tenant_id = $1 ",
            $which
        )
    };
}
const READ: &str = read!("and id = $2");

// Newest first: `$2` is the cursor, `$3` the limit.
const ALL: &str = read!("and ($2 is null or id < $2) order by id desc limit $3");
const PENDING: &str = read!(
    "and delivered_at is null and dead_at is null and ($2 is null or id < $2) \
     order by id desc limit $3"
);
const DEAD: &str = read!(
    "and delivered_at is null and dead_at is not null and ($2 is null or id < $2) \
     order by id desc limit $3"
);
const DELIVERED: &str =
    read!("and delivered_at is not null and ($2 is null or id < $2) order by id desc limit $3");
const OF_CALL: &str = read!(
    "and call_id = $4 and (cast($5 as text) is null or $5 = case \
     when delivered_at is not null then 'delivered' when dead_at is not null then 'dead' \
     else 'pending' end) and ($2 is null or id < $2) order by id desc limit $3"
);

impl Store {
    /// The tenant's callback with this id.
    pub async fn callback(
        &self,
        tenant: &TenantId,
        id: CallbackId,
    ) -> Result<Option<Callback>, StoreError> {
        let row: Option<CallbackRow> = on!(self.reads(), pool => sqlx::query_as(READ)
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(pool)
            .await)
        .during("read the callback")?;
        Ok(row.map(Callback::from))
    }

    /// Up to `limit` of the tenant's callbacks, the newest first, from where `cursor` left off.
    pub async fn list_callbacks(
        &self,
        tenant: &TenantId,
        filter: &CallbackFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Callback>, ListError> {
        let read = |text: &str| text.parse().map_err(|_| ListError::Cursor(text.to_owned()));
        let before: Option<Uuid> = cursor.map(read).transpose()?;
        let text = match (filter.call, filter.status) {
            (Some(_), _) => OF_CALL,
            (None, None) => ALL,
            (None, Some(CallbackStatus::Pending)) => PENDING,
            (None, Some(CallbackStatus::Delivered)) => DELIVERED,
            (None, Some(CallbackStatus::Dead)) => DEAD,
        };
        let rows: Vec<CallbackRow> = on!(self.reads(), pool => {
            let query = sqlx::query_as(text)
                .bind(tenant.as_str())
                .bind(before)
                .bind(i64::from(limit) + 1);
            match filter.call {
                None => query.fetch_all(pool).await,
                Some(call) => {
                    let status = filter.status.map(CallbackStatus::as_str);
                    query.bind(call.0).bind(status).fetch_all(pool).await
                }
            }
        })
        .during("list the callbacks")?;
        let callbacks = rows.into_iter().map(Callback::from).collect();
        Ok(Page::of(callbacks, limit as usize, |last| last.id.to_string()))
    }
}

#[derive(sqlx::FromRow)]
struct CallbackRow {
    id: Uuid,
    call_id: Uuid,
    sequence: i64,
    kind: String,
    url: String,
    created_at: DateTime<Utc>,
    attempts: i64,
    next_attempt_at: Option<DateTime<Utc>>,
    last_status: Option<i64>,
    last_error: Option<String>,
    delivered_at: Option<DateTime<Utc>>,
    dead_at: Option<DateTime<Utc>>,
}

impl From<CallbackRow> for Callback {
    fn from(row: CallbackRow) -> Self {
        let small = |number: i64| u32::try_from(number).unwrap_or_default();
        Self {
            id: CallbackId(row.id),
            call: CallId(row.call_id),
            sequence: small(row.sequence),
            kind: row.kind,
            url: row.url,
            created_at: row.created_at,
            attempts: small(row.attempts),
            next_attempt_at: row.next_attempt_at,
            last_status: row.last_status.and_then(|status| u16::try_from(status).ok()),
            last_error: row.last_error,
            delivered_at: row.delivered_at,
            dead_at: row.dead_at,
        }
    }
}

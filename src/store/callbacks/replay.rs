//! Sending again what was given up or delivered.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::outbox::{HOLD_CALLS, ids_text, release_in_postgres, release_in_sqlite};
use crate::domain::audit::Entry;
use crate::domain::callback::CallbackId;
use crate::domain::tenant::TenantId;
use crate::store::audit_log::tell;
use crate::store::{Database, During, Store, StoreError};

const FIND: &str = "select id, call_id from callbacks where tenant_id = $1 and id = $2";
const FIND_DEAD: &str = "select id, call_id from callbacks where tenant_id = $1 \
     and delivered_at is null and dead_at is not null order by id limit $2";

/// One that is being sent stays as it is.
macro_rules! reset {
    ($ids:literal) => {
        concat!(
            "update callbacks set delivered_at = null, dead_at = null, attempts = 0, since = $2, \
             next_attempt_at = null, last_status = null, last_error = null \
             where claimed_by is null and id in (",
            $ids,
            ")"
        )
    };
}
const RESET_POSTGRES: &str = reset!("select unnest($1::uuid[])");
const RESET_SQLITE: &str = reset!("select unhex(value) from json_each($1)");

/// Which callbacks to send again.
#[derive(Debug, Clone, Copy)]
enum Which {
    One(CallbackId),
    /// The oldest dead, up to so many.
    Dead(u32),
}

impl Store {
    /// Makes the tenant's callback pending again, due now unless an earlier one of its call is
    /// pending too, which is then due. Says whether there is such a callback.
    pub async fn replay_callback(
        &self,
        tenant: &TenantId,
        id: CallbackId,
        now: DateTime<Utc>,
        entry: &Entry,
    ) -> Result<bool, StoreError> {
        let replayed = self.replay(tenant, Which::One(id), now, entry).await;
        replayed.map(|count| count > 0).during("replay the callback")
    }

    /// The same for up to `most` of the tenant's dead callbacks, the oldest first. Says how many.
    pub async fn replay_dead_callbacks(
        &self,
        tenant: &TenantId,
        most: u32,
        now: DateTime<Utc>,
        entry: &Entry,
    ) -> Result<usize, StoreError> {
        let replayed = self.replay(tenant, Which::Dead(most), now, entry).await;
        replayed.during("replay the dead callbacks")
    }

    async fn replay(
        &self,
        tenant: &TenantId,
        which: Which,
        now: DateTime<Utc>,
        entry: &Entry,
    ) -> Result<usize, sqlx::Error> {
        macro_rules! find {
            ($db:expr) => {{
                let query = match which {
                    Which::One(id) => sqlx::query_as(FIND).bind(tenant.as_str()).bind(id.0),
                    Which::Dead(most) => {
                        sqlx::query_as(FIND_DEAD).bind(tenant.as_str()).bind(i64::from(most))
                    }
                };
                let found: Vec<(Uuid, Uuid)> = query.fetch_all(&mut *$db).await?;
                let (ids, mut calls): (Vec<Uuid>, Vec<Uuid>) = found.into_iter().unzip();
                calls.sort_unstable();
                calls.dedup();
                (ids, calls)
            }};
        }
        match &self.database {
            Database::Postgres { pool } => {
                let mut db = pool.begin().await?;
                let (ids, calls) = find!(db);
                if ids.is_empty() {
                    return Ok(0);
                }
                sqlx::query(HOLD_CALLS).bind(&calls).execute(&mut *db).await?;
                sqlx::query(RESET_POSTGRES).bind(&ids).bind(now).execute(&mut *db).await?;
                release_in_postgres(&mut db, &calls, now, true).await?;
                tell!(db, entry)?;
                db.commit().await?;
                Ok(ids.len())
            }
            Database::Sqlite { writer, .. } => {
                let mut db = writer.begin_with("begin immediate").await?;
                let (ids, calls) = find!(db);
                if ids.is_empty() {
                    return Ok(0);
                }
                sqlx::query(RESET_SQLITE).bind(ids_text(&ids)).bind(now).execute(&mut *db).await?;
                release_in_sqlite(&mut db, &calls, now, true).await?;
                tell!(db, entry)?;
                db.commit().await?;
                Ok(ids.len())
            }
        }
    }
}

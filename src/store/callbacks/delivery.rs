//! What is due, who takes it, and what became of it.
//!
//! A daemon claims what it is about to send by moving `next_attempt_at` to the end of a lease. So
//! several daemons on one database share the work, and what a dead one had claimed is sent by
//! another once the lease is over. Their clocks may differ by less than a lease is longer than an
//! attempt.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::outbox::{HOLD_CALLS, release_in_postgres, release_in_sqlite};
use crate::domain::call::CallId;
use crate::domain::callback::{Attempt, CallbackId, DueCallback, Verdict};
use crate::store::error::Unreadable;
use crate::store::ledger::WriterId;
use crate::store::{
    Database, During, Store, StoreError, id_text, on, stored_time, time_text, together,
};

/// Steps from receiver to receiver in the index, so that a receiver costs the same with a row
/// waiting as with a hundred thousand.
const AGENDA: &str = "with recursive receivers (host) as ( \
     select min(host) from callbacks where next_attempt_at is not null \
     union all \
     select (select min(c.host) from callbacks as c \
     where c.next_attempt_at is not null and c.host > receivers.host) \
     from receivers where receivers.host is not null) \
     select host, (select min(c.next_attempt_at) from callbacks as c \
     where c.host = receivers.host and c.next_attempt_at is not null) as due \
     from receivers where host is not null";

/// A receiver, and when the first of its callbacks is due.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Receiver {
    /// The receiver, as `host:port`.
    pub host: String,
    /// When.
    pub due: DateTime<Utc>,
}

macro_rules! claim {
    ($due:literal) => {
        concat!(
            "update callbacks set next_attempt_at = $1, claimed_by = $2 where id in (",
            $due,
            ") returning id, tenant_id, call_id, url, host, body, attempts, since"
        )
    };
}
const CLAIM_POSTGRES: &str = claim!(
    "select d.id from unnest($4::text[], $5::bigint[]) as r (host, room) cross join lateral \
     (select c.id from callbacks as c where c.host = r.host and c.next_attempt_at <= $3 \
     order by c.next_attempt_at limit r.room for update skip locked) as d"
);
const CLAIM_SQLITE: &str = claim!(
    "select id from callbacks where host = $4 and next_attempt_at <= $3 \
     order by next_attempt_at limit $5"
);

const UNCLAIM: &str = "update callbacks set next_attempt_at = $2, claimed_by = null \
     where claimed_by = $1 and next_attempt_at is not null";

macro_rules! settle {
    ($from:literal) => {
        concat!(
            "update callbacks set attempts = attempts + 1, claimed_by = null, \
             last_status = n.status, last_error = n.error, next_attempt_at = n.next_attempt_at, \
             delivered_at = n.delivered_at, dead_at = n.dead_at from ",
            $from,
            " where callbacks.id = n.id \
             and coalesce(callbacks.delivered_at, callbacks.dead_at) is null"
        )
    };
}
const SETTLE_POSTGRES: &str = settle!(
    "unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[], \
     $6::timestamptz[]) as n (id, status, error, next_attempt_at, delivered_at, dead_at)"
);
const SETTLE_SQLITE: &str = settle!(
    "(select unhex(value ->> 0) as id, value ->> 1 as status, value ->> 2 as error, \
     value ->> 3 as next_attempt_at, value ->> 4 as delivered_at, value ->> 5 as dead_at \
     from json_each($1)) as n"
);

const PURGE: &str = "delete from callbacks where id in (select id from callbacks \
     where id < $1 and (delivered_at < $2 or dead_at < $3) order by id limit $4)";

impl Store {
    /// The receivers that something is to be sent to, and when next.
    pub async fn callback_receivers(&self) -> Result<Vec<Receiver>, StoreError> {
        on!(self.reads(), pool => sqlx::query_as(AGENDA).fetch_all(pool).await)
            .during("look for due callbacks")
    }

    /// Claims what is due at `now`: of each of these receivers, up to so many. Until `lease` nobody
    /// else sends them.
    pub async fn claim_callbacks(
        &self,
        receivers: &[(String, u32)],
        now: DateTime<Utc>,
        lease: DateTime<Utc>,
        by: WriterId,
    ) -> Result<Vec<DueCallback>, StoreError> {
        let rows: Result<Vec<DueRow>, sqlx::Error> = match &self.database {
            Database::Postgres { pool } => {
                let (hosts, rooms): (Vec<&str>, Vec<i64>) =
                    receivers.iter().map(|(host, room)| (host.as_str(), i64::from(*room))).unzip();
                let query = sqlx::query_as(CLAIM_POSTGRES).bind(lease).bind(by.0).bind(now);
                query.bind(hosts).bind(rooms).fetch_all(pool).await
            }
            Database::Sqlite { writer, .. } => {
                async {
                    let mut transaction = writer.begin_with("begin immediate").await?;
                    let mut rows = Vec::new();
                    for (host, room) in receivers {
                        let query = sqlx::query_as(CLAIM_SQLITE).bind(lease).bind(by.0).bind(now);
                        let query = query.bind(host).bind(i64::from(*room));
                        rows.extend(query.fetch_all(&mut *transaction).await?);
                    }
                    transaction.commit().await?;
                    Ok(rows)
                }
                .await
            }
        };
        let rows = rows.during("claim due callbacks")?;
        rows.into_iter().map(DueCallback::try_from).collect::<Result<_, _>>().during("claim")
    }

    /// Gives back what this daemon had claimed when it ended: it is due now.
    pub async fn unclaim_callbacks(
        &self,
        by: WriterId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        on!(self.writes(), pool => sqlx::query(UNCLAIM)
            .bind(by.0)
            .bind(now)
            .execute(pool)
            .await
            .map(drop))
        .during("take up the callbacks of the run before")
    }

    /// Writes down what became of these attempts, and lets the next callbacks of their calls go.
    pub async fn settle_callbacks(&self, attempts: &[Attempt]) -> Result<(), StoreError> {
        let over = attempts.iter().filter(|one| !matches!(one.verdict, Verdict::Again(_)));
        let mut calls: Vec<Uuid> = over.map(|one| one.call.0).collect();
        calls.sort_unstable();
        let now = attempts.iter().map(|one| one.at).max().unwrap_or_default();
        let settled: Result<(), sqlx::Error> = match &self.database {
            Database::Postgres { pool } => {
                async {
                    let mut db = pool.begin().await?;
                    if !calls.is_empty() {
                        sqlx::query(HOLD_CALLS).bind(&calls).execute(&mut *db).await?;
                    }
                    settle_in_postgres(attempts).execute(&mut *db).await?;
                    if !calls.is_empty() {
                        release_in_postgres(&mut db, &calls, now, false).await?;
                    }
                    db.commit().await
                }
                .await
            }
            Database::Sqlite { writer, .. } => {
                async {
                    let mut db = writer.begin_with("begin immediate").await?;
                    settle_in_sqlite(attempts).execute(&mut *db).await?;
                    release_in_sqlite(&mut db, &calls, now, false).await?;
                    db.commit().await
                }
                .await
            }
        };
        settled.during("write down what became of callbacks")
    }

    /// Deletes up to `most` callbacks that were delivered or given up before these times, the
    /// oldest first. Says how many it deleted.
    pub async fn purge_callbacks(
        &self,
        delivered: DateTime<Utc>,
        dead: DateTime<Utc>,
        most: u32,
    ) -> Result<u64, StoreError> {
        let newest = id_at(delivered.max(dead));
        together!(self.writes(), db => {
            let query = sqlx::query(PURGE).bind(newest).bind(delivered).bind(dead);
            query.bind(i64::from(most)).execute(&mut *db).await?.rows_affected()
        })
        .during("delete old callbacks")
    }
}

type Query<DB> = sqlx::query::Query<'static, DB, <DB as sqlx::Database>::Arguments>;

fn settle_in_postgres(attempts: &[Attempt]) -> Query<sqlx::Postgres> {
    macro_rules! each {
        ($read:expr) => {
            attempts.iter().map($read).collect::<Vec<_>>()
        };
    }
    sqlx::query(SETTLE_POSTGRES)
        .bind(each!(|one| one.id.0))
        .bind(each!(|one| one.status.map(i64::from)))
        .bind(each!(|one| one.error.clone()))
        .bind(each!(next))
        .bind(each!(delivered))
        .bind(each!(dead))
}

fn settle_in_sqlite(attempts: &[Attempt]) -> Query<sqlx::Sqlite> {
    let time = |at: Option<DateTime<Utc>>| at.map(|at| time_text(stored_time(at)));
    let row = |one: &Attempt| {
        let (next, delivered, dead) = (time(next(one)), time(delivered(one)), time(dead(one)));
        json!([id_text(one.id.0), one.status, one.error, next, delivered, dead])
    };
    let rows: Vec<_> = attempts.iter().map(row).collect();
    sqlx::query(SETTLE_SQLITE).bind(serde_json::Value::Array(rows).to_string())
}

fn next(attempt: &Attempt) -> Option<DateTime<Utc>> {
    match attempt.verdict {
        Verdict::Again(at) => Some(at),
        Verdict::Delivered | Verdict::Dead => None,
    }
}

fn delivered(attempt: &Attempt) -> Option<DateTime<Utc>> {
    (attempt.verdict == Verdict::Delivered).then_some(attempt.at)
}

fn dead(attempt: &Attempt) -> Option<DateTime<Utc>> {
    (attempt.verdict == Verdict::Dead).then_some(attempt.at)
}

/// The lowest id that a version 7 UUID of this time can have.
fn id_at(time: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(milliseconds << 80)
}

#[derive(sqlx::FromRow)]
struct DueRow {
    id: Uuid,
    tenant_id: String,
    call_id: Uuid,
    url: String,
    host: String,
    body: String,
    attempts: i64,
    since: DateTime<Utc>,
}

impl TryFrom<DueRow> for DueCallback {
    type Error = Unreadable;

    fn try_from(row: DueRow) -> Result<Self, Unreadable> {
        Ok(Self {
            id: CallbackId(row.id),
            tenant: row.tenant_id.parse().map_err(|error| Unreadable::new(row.id, error))?,
            call: CallId(row.call_id),
            url: row.url,
            host: row.host,
            body: row.body,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            since: row.since,
        })
    }
}

//! Into the outbox, on the connection that stores the change; and which of a call's callbacks may go.
//!
//! Whoever adds to a call's callbacks or ends one of them holds the call's row, so that the two
//! always see each other: else a callback could be left waiting for one that is done.
//!
//! Pending is written `coalesce(delivered_at, dead_at) is null` wherever rows are found by their
//! keys: of `delivered_at is null` PostgreSQL may think that an index of all that is pending is the
//! shorter way, and with a receiver down that is a hundred thousand rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::domain::call::CallId;
use crate::domain::callback::NewCallback;
use crate::store::{id_text, stored_time, time_text};

/// A callback may go at once if no earlier one of its call is on the way.
macro_rules! put {
    ($from:literal) => {
        concat!(
            "insert into callbacks (id, tenant_id, call_id, sequence, type, url, host, body, \
             created_at, since, next_attempt_at) \
             select n.id, n.tenant_id, n.call_id, n.sequence, n.type, n.url, n.host, n.body, \
             n.at, n.at, case when n.leads and not exists (select 1 from callbacks as p \
             where p.call_id = n.call_id and coalesce(p.delivered_at, p.dead_at) is null) \
             then n.at end from ",
            $from,
            " on conflict (call_id, sequence) do nothing"
        )
    };
}
const PUT_POSTGRES: &str = put!(
    "unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], \
     $8::text[], $9::timestamptz[], $10::boolean[]) \
     as n (id, tenant_id, call_id, sequence, type, url, host, body, at, leads)"
);
const PUT_SQLITE: &str = put!(
    "(select unhex(value ->> 0) as id, value ->> 1 as tenant_id, unhex(value ->> 2) as call_id, \
     value ->> 3 as sequence, value ->> 4 as type, value ->> 5 as url, value ->> 6 as host, \
     value ->> 7 as body, value ->> 8 as at, value ->> 9 as leads from json_each($1)) as n where true"
);

/// Makes the first pending callback of each of these calls (`$1`) due at `$2`. One that waits for
/// its next attempt stays as it is unless `$3`; one that is being sent stays.
macro_rules! release {
    ($among:literal, $calls:literal, $end:literal) => {
        concat!(
            "update callbacks set next_attempt_at = $2 where id ",
            $among,
            "(select (select c.id \
             from callbacks as c where c.call_id = r.call_id \
             and coalesce(c.delivered_at, c.dead_at) is null order by c.sequence limit 1) from ",
            $calls,
            $end,
            " and claimed_by is null and (next_attempt_at is null or $3)"
        )
    };
}
/// An array first: a join might be one of the whole table.
const RELEASE_POSTGRES: &str = release!("= any (array", "unnest($1::uuid[]) as r (call_id)", "))");
const RELEASE_SQLITE: &str =
    release!("in ", "(select unhex(value) as call_id from json_each($1)) as r", ")");

/// In the order of ids, as everybody takes them. SQLite has one writer and needs no lock.
pub(super) const HOLD_CALLS: &str = "select 1 from calls where id = any($1) order by id for update";

pub(in crate::store) async fn put_into_postgres(
    db: &mut PgConnection,
    callbacks: &[NewCallback],
) -> Result<(), sqlx::Error> {
    macro_rules! each {
        ($read:expr) => {
            callbacks.iter().map($read).collect::<Vec<_>>()
        };
    }
    let leaders = leaders(callbacks);
    let put = sqlx::query(PUT_POSTGRES)
        .bind(each!(|new| new.id.0))
        .bind(each!(|new| new.tenant.as_str()))
        .bind(each!(|new| new.call.0))
        .bind(each!(|new| i64::from(new.sequence)))
        .bind(each!(|new| new.kind.as_str()))
        .bind(each!(|new| new.url.as_str()))
        .bind(each!(|new| new.host.as_str()))
        .bind(each!(|new| new.body.as_str()))
        .bind(each!(|new| new.at))
        .bind(each!(|new| leaders[&new.call] == new.sequence))
        .execute(&mut *db)
        .await?;
    if put.rows_affected() < callbacks.len() as u64 {
        // Some were there already, by an attempt whose answer was lost. What they led may wait for
        // nobody.
        let calls = each!(|new| new.call.0);
        sqlx::query(HOLD_CALLS).bind(&calls).execute(&mut *db).await?;
        release_in_postgres(db, &calls, latest(callbacks), false).await?;
    }
    Ok(())
}

pub(in crate::store) async fn put_into_sqlite(
    db: &mut SqliteConnection,
    callbacks: &[NewCallback],
) -> Result<(), sqlx::Error> {
    let leaders = leaders(callbacks);
    let row = |new: &NewCallback| {
        json!([
            id_text(new.id.0),
            new.tenant,
            id_text(new.call.0),
            new.sequence,
            new.kind,
            new.url,
            new.host,
            new.body,
            time_text(stored_time(new.at)),
            leaders[&new.call] == new.sequence,
        ])
    };
    let rows = serde_json::Value::Array(callbacks.iter().map(row).collect());
    let put = sqlx::query(PUT_SQLITE).bind(rows.to_string()).execute(&mut *db).await?;
    if put.rows_affected() < callbacks.len() as u64 {
        let calls: Vec<Uuid> = callbacks.iter().map(|new| new.call.0).collect();
        release_in_sqlite(db, &calls, latest(callbacks), false).await?;
    }
    Ok(())
}

pub(super) async fn release_in_postgres(
    db: &mut PgConnection,
    calls: &[Uuid],
    at: DateTime<Utc>,
    waiting_too: bool,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(RELEASE_POSTGRES).bind(calls).bind(at).bind(waiting_too);
    query.execute(db).await.map(drop)
}

pub(super) async fn release_in_sqlite(
    db: &mut SqliteConnection,
    calls: &[Uuid],
    at: DateTime<Utc>,
    waiting_too: bool,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(RELEASE_SQLITE).bind(ids_text(calls)).bind(at).bind(waiting_too);
    query.execute(db).await.map(drop)
}

/// Ids as `json_each` and `unhex` read them.
pub(super) fn ids_text(ids: &[Uuid]) -> String {
    json!(ids.iter().copied().map(id_text).collect::<Vec<_>>()).to_string()
}

/// The lowest sequence here of each call: what leads the others.
fn leaders(callbacks: &[NewCallback]) -> HashMap<CallId, u32> {
    let mut leaders = HashMap::new();
    for new in callbacks {
        let first = leaders.entry(new.call).or_insert(new.sequence);
        *first = new.sequence.min(*first);
    }
    leaders
}

fn latest(callbacks: &[NewCallback]) -> DateTime<Utc> {
    callbacks.iter().map(|new| new.at).max().unwrap_or_default()
}

//! What the database holds in the end, read past Rotary.

use std::collections::HashMap;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

const UNSETTLED: &str = "select (select count(*) from calls where ended_at is null) \
     + (select count(*) from callbacks where delivered_at is null and dead_at is null)";
const CALLS: &str = "select id, did_id, from_number, status, ended_at is not null, \
     idempotency_key is null, initiated_at is null, \
     num_nonnulls(queued_at, initiated_at, ringing_at, answered_at, ended_at) from calls";
const DIDS: &str = "select id, usage_count, max_usage from asterisk_dids";
const CALLBACKS: &str = "select call_id, count(*), count(delivered_at), count(dead_at), \
     max(sequence) from callbacks group by call_id";

/// All of it that the sheet needs.
pub struct Records {
    pub calls: Vec<Call>,
    pub dids: HashMap<Uuid, Did>,
    pub callbacks: HashMap<Uuid, Callbacks>,
}

pub struct Call {
    pub id: Uuid,
    pub did: Uuid,
    pub from: String,
    pub status: String,
    pub ended: bool,
    /// Its request was answered with an error, and its key is free again: it never left.
    pub undone: bool,
    /// It ended while it waited for its trunk.
    pub never_begun: bool,
    /// How many states it came to, each of which is told.
    pub steps: u64,
}

pub struct Did {
    pub uses: u64,
    pub most: Option<u64>,
}

/// The rows of one call.
pub struct Callbacks {
    pub rows: u64,
    pub delivered: u64,
    pub dead: u64,
    pub last: u64,
}

type CallRow = (Uuid, Uuid, String, String, bool, bool, bool, i32);

/// How many calls are open and how many callbacks still to be sent.
pub async fn unsettled(url: &str) -> anyhow::Result<i64> {
    let mut db = PgConnection::connect(url).await?;
    Ok(sqlx::query_scalar(UNSETTLED).fetch_one(&mut db).await?)
}

impl Records {
    /// Reads them all.
    pub async fn read(url: &str) -> anyhow::Result<Self> {
        let mut db = PgConnection::connect(url).await?;
        let calls: Vec<CallRow> = sqlx::query_as(CALLS).fetch_all(&mut db).await?;
        let dids: Vec<(Uuid, i64, Option<i64>)> = sqlx::query_as(DIDS).fetch_all(&mut db).await?;
        let callbacks: Vec<(Uuid, i64, i64, i64, i64)> =
            sqlx::query_as(CALLBACKS).fetch_all(&mut db).await?;
        let call = |(id, did, from, status, ended, undone, never_begun, steps): CallRow| {
            let steps = u64::from(steps.unsigned_abs());
            Call { id, did, from, status, ended, undone, never_begun, steps }
        };
        let did = |(id, uses, most): (Uuid, i64, Option<i64>)| {
            (id, Did { uses: uses.unsigned_abs(), most: most.map(i64::unsigned_abs) })
        };
        let told = |(call, rows, delivered, dead, last): (Uuid, i64, i64, i64, i64)| {
            let [rows, delivered, dead, last] =
                [rows, delivered, dead, last].map(i64::unsigned_abs);
            (call, Callbacks { rows, delivered, dead, last })
        };
        Ok(Self {
            calls: calls.into_iter().map(call).collect(),
            dids: dids.into_iter().map(did).collect(),
            callbacks: callbacks.into_iter().map(told).collect(),
        })
    }
}

//! A group on SQLite: one transaction of a few statements, each over one JSON text.
//!
//! Nearly always a DID has room for all its uses in the group, and one statement counts them. What
//! it leaves (a DID near its limit or out of rotation, a use with an idempotency key) is looked at
//! use by use in the same transaction.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::group::{Outcome, Taken, Turn, Uses, WriterRow};
use super::{NewCall, Use, WriterId};
use crate::domain::pick::TakenPick;
use crate::domain::rotation::Reason;
use crate::domain::tenant::TenantId;
use crate::store::dids::saturate;
use crate::store::{id_text, stored_time, time_text};

const ADVANCE: &str = "update ledger_writers set sequence = $3, refused = '[]' \
     where writer = $1 and run = $2 and sequence = $3 - 1";

/// Counts all uses of a DID in the group, or none.
const COUNT_WHOLE: &str = "update asterisk_dids set usage_count = usage_count + n.uses, \
     last_used = max(coalesce(last_used, ''), n.at) \
     from (select unhex(value ->> 0) as id, value ->> 1 as tenant_id, value ->> 2 as uses, \
         value ->> 3 as at from json_each($1)) as n \
     where asterisk_dids.id = n.id and asterisk_dids.tenant_id = n.tenant_id \
         and status = 'active' and (max_usage is null or usage_count + n.uses <= max_usage) \
     returning asterisk_dids.id, usage_count";

/// What the rows say before these uses; nobody else can write until it is committed.
const READ: &str = "select a.key, d.id is not null and d.status = 'active', d.usage_count, d.max_usage, \
     a.value ->> 2 is not null and exists (select 1 from calls c \
         where c.tenant_id = a.value ->> 1 and c.idempotency_key = a.value ->> 2) \
     from json_each($1) a left join asterisk_dids d \
         on d.id = unhex(a.value ->> 0) and d.tenant_id = a.value ->> 1";

const COUNT: &str = "update asterisk_dids set usage_count = usage_count + n.uses, \
     last_used = max(coalesce(last_used, ''), n.at) \
     from (select unhex(value ->> 0) as id, value ->> 1 as uses, value ->> 2 as at \
         from json_each($1)) as n \
     where asterisk_dids.id = n.id";

const STORE: &str = "insert into calls (id, tenant_id, did_id, from_number, to_number, trunk, \
     campaign_id, destination, variables, caller_name, ring_timeout_seconds, callback_url, journey, \
     created_at, status, initiated_at, writer, idempotency_key, request_hash, \
     asterisk, time_limit_seconds, did_reason, queued_at) \
     select unhex(value ->> 0), value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, \
     value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
     value ->> 12, value ->> 13, value ->> 14, value ->> 15, $2, value ->> 16, unhex(value ->> 17), \
     value ->> 18, value ->> 19, value ->> 20, case value ->> 14 when 'queued' then value ->> 13 end \
     from json_each($1)";

const STORE_PICKS: &str = "insert into picks (id, tenant_id, did_id, number, trunk, campaign_id, to_number, \
     created_at, writer) \
     select unhex(value ->> 0), value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, \
     value ->> 5, value ->> 6, value ->> 7, $2 from json_each($1)";

const REFUSE: &str = "update ledger_writers set refused = $2 where writer = $1";

const BEGIN_RUN: &str = "insert into ledger_writers (writer, run, sequence, refused) \
     values ($1, $2, 0, '[]') \
     on conflict (writer) do update set run = $2, sequence = 0, refused = '[]'";
const WRITER_ROW: &str = "select run, sequence, refused from ledger_writers where writer = $1";

/// Begins a run: from here on no group of an earlier run is taken in.
pub(super) async fn begin_run(
    db: &SqlitePool,
    writer: WriterId,
    run: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query(BEGIN_RUN).bind(writer.0).bind(run).execute(db).await.map(drop)
}

/// Sends a group. A refused use's row is not in the answer; the writer reads it afterwards.
pub(super) async fn record(db: &SqlitePool, turn: Turn, uses: &Uses) -> Result<Taken, sqlx::Error> {
    let mut group = db.begin_with("begin immediate").await?;
    let advanced = sqlx::query(ADVANCE)
        .bind(turn.writer.0)
        .bind(turn.run)
        .bind(turn.sequence)
        .execute(&mut *group)
        .await?;
    if advanced.rows_affected() == 0 {
        return Ok(Taken::NotItsTurn);
    }
    let outcomes = count(&mut group, uses).await?;
    store(&mut group, turn.writer, uses, &outcomes).await?;
    group.commit().await?;
    Ok(Taken::Now(outcomes))
}

/// Reads how far the ledger has come.
pub(super) async fn writer_row(
    db: &SqlitePool,
    writer: WriterId,
) -> Result<Option<WriterRow>, sqlx::Error> {
    let row: Option<(Uuid, i64, sqlx::types::Json<Vec<i32>>)> =
        sqlx::query_as(WRITER_ROW).bind(writer.0).fetch_optional(db).await?;
    Ok(row.map(|(run, sequence, refused)| WriterRow { run, sequence, refused: refused.0 }))
}

/// What the rows say about one use.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    active: bool,
    usage_count: i64,
    max_usage: Option<i64>,
    known: bool,
}

async fn read(db: &mut SqliteConnection, uses: &Uses) -> Result<Vec<Found>, sqlx::Error> {
    let asked: Vec<Value> =
        uses.iter().map(|used| json!([id_text(used.did.0), used.tenant, used.key()])).collect();
    let rows = sqlx::query(READ).bind(Value::Array(asked).to_string()).fetch_all(db).await?;
    let mut found = vec![Found::default(); uses.len()];
    for row in rows {
        let place: i64 = row.try_get(0)?;
        if let Some(found) = found.get_mut(place as usize) {
            *found = Found {
                active: row.try_get(1)?,
                usage_count: row.try_get::<Option<i64>, _>(2)?.unwrap_or(0),
                max_usage: row.try_get(3)?,
                known: row.try_get(4)?,
            };
        }
    }
    Ok(found)
}

/// Admits uses of one DID in the order they were asked for, up to its limit.
fn decide(uses: &Uses, found: &[Found]) -> Vec<Outcome> {
    let mut counts: HashMap<Uuid, i64> = HashMap::with_capacity(uses.len());
    uses.iter()
        .zip(found)
        .map(|(used, found)| {
            if found.known {
                return Outcome::Conflict;
            }
            let count = counts.entry(used.did.0).or_insert(found.usage_count);
            if !found.active || found.max_usage.is_some_and(|max| *count >= max) {
                return Outcome::Refused;
            }
            *count += 1;
            counted_as(*count)
        })
        .collect()
}

/// All uses of one DID in a group.
struct Whole<'a> {
    tenant: &'a TenantId,
    places: Vec<usize>,
    last: String,
}

/// Counts the uses and says what became of each.
async fn count(db: &mut SqliteConnection, uses: &Uses) -> Result<Vec<Outcome>, sqlx::Error> {
    let mut outcomes = vec![None; uses.len()];
    let whole = by_did(uses);
    if !whole.is_empty() {
        let rows = whole
            .iter()
            .map(|(id, whole)| json!([id_text(*id), whole.tenant, whole.places.len(), whole.last]));
        let rows = Value::Array(rows.collect()).to_string();
        let counted: Vec<(Uuid, i64)> =
            sqlx::query_as(COUNT_WHOLE).bind(rows).fetch_all(&mut *db).await?;
        for (id, count) in counted {
            let Some(whole) = whole.get(&id) else { continue };
            for (before, place) in whole.places.iter().rev().enumerate() {
                outcomes[*place] = Some(counted_as(count - before as i64));
            }
        }
    }
    let left: Vec<usize> = (0..uses.len()).filter(|place| outcomes[*place].is_none()).collect();
    let judged = count_singly(db, left.iter().map(|place| uses[*place].clone()).collect()).await?;
    for (place, outcome) in left.into_iter().zip(judged) {
        outcomes[place] = Some(outcome);
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Refused)).collect())
}

/// The uses without a key, by DID. One that names another tenant than those before it is left out.
fn by_did(uses: &Uses) -> HashMap<Uuid, Whole<'_>> {
    let mut whole: HashMap<Uuid, Whole<'_>> = HashMap::with_capacity(uses.len());
    for (place, used) in uses.iter().enumerate().filter(|(_, used)| used.key().is_none()) {
        let of_did = whole.entry(used.did.0).or_insert_with(|| Whole {
            tenant: &used.tenant,
            places: Vec::new(),
            last: String::new(),
        });
        if *of_did.tenant == used.tenant {
            of_did.places.push(place);
            of_did.last = time_text(stored_time(used.at)).max(std::mem::take(&mut of_did.last));
        }
    }
    whole
}

async fn count_singly(
    db: &mut SqliteConnection,
    uses: Vec<Arc<Use>>,
) -> Result<Vec<Outcome>, sqlx::Error> {
    if uses.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes = decide(&uses, &read(db, &uses).await?);
    let mut counts: HashMap<Uuid, (u32, String)> = HashMap::with_capacity(uses.len());
    for (used, outcome) in uses.iter().zip(&outcomes) {
        if let Outcome::Counted { .. } = outcome {
            let at = time_text(stored_time(used.at));
            let (uses, last) = counts.entry(used.did.0).or_default();
            *uses += 1;
            *last = at.max(std::mem::take(last));
        }
    }
    if !counts.is_empty() {
        let rows: Vec<Value> =
            counts.into_iter().map(|(id, (uses, at))| json!([id_text(id), uses, at])).collect();
        sqlx::query(COUNT).bind(Value::Array(rows).to_string()).execute(db).await?;
    }
    Ok(outcomes)
}

/// Stores the calls and picks of the uses that were counted, and which were not.
async fn store(
    db: &mut SqliteConnection,
    writer: WriterId,
    uses: &Uses,
    outcomes: &[Outcome],
) -> Result<(), sqlx::Error> {
    let (mut calls, mut picks) = (Vec::new(), Vec::new());
    let mut refused = Vec::new();
    for (place, (used, outcome)) in uses.iter().zip(outcomes).enumerate() {
        match outcome {
            Outcome::Counted { .. } => {
                calls.extend(used.call.as_deref().map(call_values));
                picks.extend(used.pick.as_deref().map(pick_values));
            }
            Outcome::Refused | Outcome::Conflict => refused.push(place),
        }
    }
    for (text, rows) in [(STORE, calls), (STORE_PICKS, picks)] {
        if !rows.is_empty() {
            sqlx::query(text)
                .bind(Value::Array(rows).to_string())
                .bind(writer.0)
                .execute(&mut *db)
                .await?;
        }
    }
    if !refused.is_empty() {
        sqlx::query(REFUSE)
            .bind(writer.0)
            .bind(json!(refused).to_string())
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

fn counted_as(count: i64) -> Outcome {
    Outcome::Counted { usage_count: saturate(count) }
}

fn call_values(new: &NewCall) -> Value {
    let request = &new.call.request;
    let progress = &new.call.progress;
    json!([
        id_text(request.id.0),
        request.tenant,
        id_text(request.did.0),
        request.from,
        request.to,
        request.trunk,
        request.campaign,
        request.destination,
        request.variables,
        request.caller_name,
        request.ring_timeout_seconds,
        request.callback_url,
        request.journey.as_ref().map(Value::to_string),
        time_text(stored_time(request.created_at)),
        progress.status,
        progress.initiated_at.map(|at| time_text(stored_time(at))),
        new.key.as_ref().map(|key| &key.key),
        new.key.as_ref().map(|key| hex(&key.request_hash)),
        progress.asterisk,
        request.time_limit_seconds,
        request.reason.map(Reason::as_str),
    ])
}

fn pick_values(pick: &TakenPick) -> Value {
    json!([
        id_text(pick.id.0),
        pick.tenant,
        id_text(pick.did.0),
        pick.number,
        pick.trunk,
        pick.campaign,
        pick.to,
        time_text(stored_time(pick.created_at)),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

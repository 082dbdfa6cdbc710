//! A group on PostgreSQL: one statement, which is its own transaction.
//!
//! `turn` is empty unless it is this group's turn, and then nothing below it has an effect.

mod singly;
mod whole;

use sqlx::postgres::PgConnectOptions;
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::group::{Admit, Taken, Turn, Uses, WriterRow};
use super::{NewCall, WriterId};
use crate::domain::asterisk::AsteriskName;
use crate::domain::pick::TakenPick;
use crate::domain::rotation::Reason;
use crate::domain::tenant::CampaignId;

/// The beginning of a group's statement.
macro_rules! turn {
    () => {
        "with turn as materialized (
            select writer from ledger_writers
            where writer = $1 and run = $2 and sequence = $3 - 1 for update
        )"
    };
}

/// Stores the calls, `$8` to `$29`, whose `place` is in `admitted`. One that waits does so from its
/// creation on.
macro_rules! stored {
    () => {
        "stored as (
            insert into calls (id, tenant_id, did_id, from_number, to_number, trunk, campaign_id,
                destination, variables, caller_name, ring_timeout_seconds, callback_url, journey,
                created_at, status, initiated_at, writer, idempotency_key, request_hash,
                asterisk, time_limit_seconds, did_reason, queued_at)
            select c.id, c.tenant_id, c.did_id, c.from_number, c.to_number, c.trunk, c.campaign_id,
                c.destination, c.variables, c.caller_name, c.ring_timeout_seconds, c.callback_url,
                c.journey, c.created_at, c.status, c.initiated_at, $1, c.idempotency_key, c.request_hash,
                c.asterisk, c.time_limit_seconds, c.did_reason,
                case c.status when 'queued' then c.created_at end
            from unnest($8::bigint[], $9::uuid[], $10::text[], $11::uuid[], $12::text[], $13::text[],
                $14::text[], $15::text[], $16::json[], $17::json[], $18::text[], $19::bigint[],
                $20::text[], $21::json[], $22::timestamptz[], $23::text[], $24::timestamptz[],
                $25::text[], $26::bytea[], $27::text[], $28::bigint[], $29::text[])
                as c (place, id, tenant_id, did_id, from_number, to_number, trunk, campaign_id,
                destination, variables, caller_name, ring_timeout_seconds, callback_url, journey,
                created_at, status, initiated_at, idempotency_key, request_hash, asterisk,
                time_limit_seconds, did_reason)
            join admitted on admitted.place = c.place
        )"
    };
}

/// Stores the picks whose `place` is in `admitted`. They come in nine arrays, whose parameters are
/// named here because they follow those of the calls only where there are calls.
macro_rules! picked {
    ($place:literal $id:literal $tenant:literal $did:literal $number:literal $trunk:literal
        $campaign:literal $to:literal $created:literal) => {
        concat!(
            "picked as (
            insert into picks (id, tenant_id, did_id, number, trunk, campaign_id, to_number,
                created_at, writer)
            select p.id, p.tenant_id, p.did_id, p.number, p.trunk, p.campaign_id, p.to_number,
                p.created_at, $1
            from unnest(",
            $place,
            "::bigint[], ",
            $id,
            "::uuid[], ",
            $tenant,
            "::text[], ",
            $did,
            "::uuid[], ",
            $number,
            "::text[], ",
            $trunk,
            "::text[], ",
            $campaign,
            "::text[], ",
            $to,
            "::text[], ",
            $created,
            "::timestamptz[]) as p (place, id, tenant_id, did_id, number, trunk,
                campaign_id, to_number, created_at)
            join admitted on admitted.place = p.place
        )"
        )
    };
}
use {picked, stored, turn};

/// Both statements are planned once, and in the one way that stays right however few or many DIDs
/// the table is believed to have: asked for one by one, by id, in the order of the array.
const PLAN_ONCE: &str = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
     set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

const BEGIN_RUN: &str = "insert into ledger_writers (writer, run, sequence, refused) \
     values ($1, $2, 0, '{}') \
     on conflict (writer) do update set run = $2, sequence = 0, refused = '{}'";
const WRITER_ROW: &str = "select run, sequence, refused from ledger_writers where writer = $1";

/// A connection for the ledger alone.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut db = PgConnection::connect_with(options).await?;
    sqlx::raw_sql(PLAN_ONCE).execute(&mut db).await?;
    Ok(db)
}

/// Begins a run: from here on no group of an earlier run is taken in.
pub(super) async fn begin_run(
    db: &mut PgConnection,
    writer: WriterId,
    run: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query(BEGIN_RUN).bind(writer.0).bind(run).execute(db).await.map(drop)
}

/// Sends a group. A refused use's row is not in the answer; the writer reads it afterwards.
pub(super) async fn record(
    db: &mut PgConnection,
    turn: Turn,
    uses: &Uses,
    admit: Admit,
) -> Result<Taken, sqlx::Error> {
    match admit {
        Admit::Whole => whole::record(db, turn, uses).await,
        Admit::Singly => singly::record(db, turn, uses).await,
    }
}

/// Reads how far the ledger has come, waiting for a group that is still on its way.
pub(super) async fn writer_row(
    db: &mut PgConnection,
    writer: WriterId,
) -> Result<Option<WriterRow>, sqlx::Error> {
    let row: Option<(Uuid, i64, Vec<i32>)> =
        sqlx::query_as(WRITER_ROW).bind(writer.0).fetch_optional(db).await?;
    Ok(row.map(|(run, sequence, refused)| WriterRow { run, sequence, refused }))
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Binds `$8` to `$29`: each call with the place that it has in `admitted`.
fn bind_calls<'q>(query: Query<'q>, calls: &[(i64, &NewCall)]) -> Query<'q> {
    macro_rules! each {
        ($new:ident => $value:expr) => {
            calls.iter().map(|(_, $new)| $value).collect::<Vec<_>>()
        };
    }
    query
        .bind(calls.iter().map(|(place, _)| *place).collect::<Vec<_>>())
        .bind(each!(new => new.call.id().0))
        .bind(each!(new => new.call.request.tenant.as_str()))
        .bind(each!(new => new.call.request.did.0))
        .bind(each!(new => new.call.request.from.to_string()))
        .bind(each!(new => new.call.request.to.to_string()))
        .bind(each!(new => new.call.request.trunk.as_str()))
        .bind(each!(new => new.call.request.campaign.as_ref().map(CampaignId::as_str)))
        .bind(each!(new => Json(&new.call.request.destination)))
        .bind(each!(new => Json(&new.call.request.variables)))
        .bind(each!(new => new.call.request.caller_name.as_deref()))
        .bind(each!(new => i64::from(new.call.request.ring_timeout_seconds)))
        .bind(each!(new => new.call.request.callback_url.as_deref()))
        .bind(each!(new => new.call.request.journey.as_ref().map(Json)))
        .bind(each!(new => new.call.request.created_at))
        .bind(each!(new => new.call.progress.status.as_str()))
        .bind(each!(new => new.call.progress.initiated_at))
        .bind(each!(new => new.key.as_ref().map(|key| key.key.as_str())))
        .bind(each!(new => new.key.as_ref().map(|key| key.request_hash.as_slice())))
        .bind(each!(new => new.call.progress.asterisk.as_ref().map(AsteriskName::as_str)))
        .bind(each!(new => new.call.request.time_limit_seconds.map(i64::from)))
        .bind(each!(new => new.call.request.reason.map(Reason::as_str)))
}

/// Binds nine arrays: each pick with the place that it has in `admitted`.
fn bind_picks<'q>(query: Query<'q>, picks: &[(i64, &TakenPick)]) -> Query<'q> {
    macro_rules! each {
        ($pick:ident => $value:expr) => {
            picks.iter().map(|(_, $pick)| $value).collect::<Vec<_>>()
        };
    }
    query
        .bind(picks.iter().map(|(place, _)| *place).collect::<Vec<_>>())
        .bind(each!(pick => pick.id.0))
        .bind(each!(pick => pick.tenant.as_str()))
        .bind(each!(pick => pick.did.0))
        .bind(each!(pick => pick.number.to_string()))
        .bind(each!(pick => pick.trunk.as_str()))
        .bind(each!(pick => pick.campaign.as_ref().map(CampaignId::as_str)))
        .bind(each!(pick => pick.to.map(|to| to.to_string())))
        .bind(each!(pick => pick.created_at))
}

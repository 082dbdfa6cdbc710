//! A group on PostgreSQL: one statement, which is its own transaction.

use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::group::{Taken, Turn, Uses, WriterRow};
use super::{NewCall, Recorded, WriterId};
use crate::domain::tenant::CampaignId;

/// `turn` is empty unless it is this group's turn, and then nothing below it has an effect.
///
/// The DIDs are locked in the order of their ids, so that two daemons cannot wait for each other,
/// and a locked row is read as it is now, not as it was when the statement began. Uses of one DID
/// are admitted in the order they were asked for, up to its limit.
const RECORD: &str = "
with turn as materialized (
    select writer from ledger_writers
    where writer = $1 and run = $2 and sequence = $3 - 1 for update
),
asked as materialized (
    select a.place, a.did_id, a.tenant_id, a.at,
        a.key is not null and exists (
            select from calls c where c.tenant_id = a.tenant_id and c.idempotency_key = a.key
        ) as known
    from unnest($4::uuid[], $5::text[], $6::timestamptz[], $7::text[])
        with ordinality as a (did_id, tenant_id, at, key, place)
),
locked as materialized (
    select id, tenant_id, status, usage_count, max_usage from asterisk_dids
    where id = any($4) order by id for no key update
),
ranked as materialized (
    select a.place, a.did_id, a.at, l.max_usage,
        l.usage_count + row_number() over (partition by a.did_id order by a.place) as usage_count
    from asked a join locked l on l.id = a.did_id and l.tenant_id = a.tenant_id cross join turn
    where l.status = 'active' and not a.known
),
admitted as materialized (
    select place, did_id, at, usage_count from ranked
    where max_usage is null or usage_count <= max_usage
),
counted as (
    update asterisk_dids d
    set usage_count = d.usage_count + n.uses, last_used = greatest(d.last_used, n.at)
    from (select did_id, count(*) as uses, max(at) as at from admitted group by did_id) n
    where d.id = n.did_id
),
stored as (
    insert into calls (id, tenant_id, did_id, from_number, to_number, trunk, campaign_id,
        destination, variables, caller_name, ring_timeout_seconds, callback_url, journey,
        created_at, status, initiated_at, writer, idempotency_key, request_hash)
    select c.id, c.tenant_id, c.did_id, c.from_number, c.to_number, c.trunk, c.campaign_id,
        c.destination, c.variables, c.caller_name, c.ring_timeout_seconds, c.callback_url,
        c.journey, c.created_at, c.status, c.initiated_at, $1, c.idempotency_key, c.request_hash
    from unnest($8::bigint[], $9::uuid[], $10::text[], $11::uuid[], $12::text[], $13::text[],
        $14::text[], $15::text[], $16::json[], $17::json[], $18::text[], $19::bigint[],
        $20::text[], $21::json[], $22::timestamptz[], $23::text[], $24::timestamptz[],
        $25::text[], $26::bytea[])
        as c (place, id, tenant_id, did_id, from_number, to_number, trunk, campaign_id,
        destination, variables, caller_name, ring_timeout_seconds, callback_url, journey,
        created_at, status, initiated_at, idempotency_key, request_hash)
    join admitted on admitted.place = c.place
),
advanced as (
    update ledger_writers w set sequence = $3, refused = array(
        select (a.place - 1)::integer from asked a
        where not exists (select from admitted where admitted.place = a.place)
    )
    from turn where w.writer = turn.writer
)
select a.place, a.known, admitted.usage_count
from turn left join asked a on true left join admitted on admitted.place = a.place";

const BEGIN_RUN: &str = "insert into ledger_writers (writer, run, sequence, refused) \
     values ($1, $2, 0, '{}') \
     on conflict (writer) do update set run = $2, sequence = 0, refused = '{}'";
const WRITER_ROW: &str = "select run, sequence, refused from ledger_writers where writer = $1";

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
) -> Result<Taken, sqlx::Error> {
    let calls: Vec<(i64, &NewCall)> = (1..)
        .zip(uses)
        .filter_map(|(place, used)| used.call.as_deref().map(|call| (place, call)))
        .collect();
    let query = sqlx::query(RECORD)
        .bind(turn.writer.0)
        .bind(turn.run)
        .bind(turn.sequence)
        .bind(uses.iter().map(|used| used.did.0).collect::<Vec<_>>())
        .bind(uses.iter().map(|used| used.tenant.as_str()).collect::<Vec<_>>())
        .bind(uses.iter().map(|used| used.at).collect::<Vec<_>>())
        .bind(uses.iter().map(|used| used.key()).collect::<Vec<_>>());
    let rows = bind_calls(query, &calls).fetch_all(db).await?;
    if rows.is_empty() {
        return Ok(Taken::NotItsTurn);
    }
    let mut outcomes = vec![Recorded::Refused(None); uses.len()];
    for row in rows {
        let Some(place) = row.try_get::<Option<i64>, _>(0)? else { continue };
        let known: bool = row.try_get(1)?;
        let count: Option<i64> = row.try_get(2)?;
        let Some(outcome) = outcomes.get_mut(place as usize - 1) else { continue };
        *outcome = match count {
            Some(count) => {
                Recorded::Counted { usage_count: u32::try_from(count).unwrap_or(u32::MAX) }
            }
            None if known => Recorded::Conflict,
            None => Recorded::Refused(None),
        };
    }
    Ok(Taken::Now(outcomes))
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
}

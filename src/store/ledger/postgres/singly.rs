//! Use by use: those of one DID are admitted in the order they were asked for, up to its limit.
//!
//! Exact, and several times as expensive as [`super::whole`]; for the uses that one left over.

use sqlx::{PgConnection, Row};

use super::{bind_calls, bind_picks, picked, stored, turn};
use crate::domain::pick::TakenPick;
use crate::store::dids::saturate;
use crate::store::ledger::NewCall;
use crate::store::ledger::group::{Outcome, Taken, Turn, Uses};

/// The DIDs are locked in the order of their ids, so that two daemons cannot wait for each other,
/// and a locked row is read as it is now, not as it was when the statement began.
const RECORD: &str = concat!(
    turn!(),
    ",
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
",
    stored!(),
    ",
",
    picked!("$30" "$31" "$32" "$33" "$34" "$35" "$36" "$37" "$38"),
    ",
advanced as (
    update ledger_writers w set sequence = $3, refused = array(
        select (a.place - 1)::integer from asked a
        where not exists (select from admitted where admitted.place = a.place)
    )
    from turn where w.writer = turn.writer
)
select a.place, a.known, admitted.usage_count
from turn left join asked a on true left join admitted on admitted.place = a.place"
);

pub(super) async fn record(
    db: &mut PgConnection,
    turn: Turn,
    uses: &Uses,
) -> Result<Taken, sqlx::Error> {
    let calls: Vec<(i64, &NewCall)> = (1..)
        .zip(uses)
        .filter_map(|(place, used)| used.call.as_deref().map(|call| (place, call)))
        .collect();
    let picks: Vec<(i64, &TakenPick)> = (1..)
        .zip(uses)
        .filter_map(|(place, used)| used.pick.as_deref().map(|pick| (place, pick)))
        .collect();
    let query = sqlx::query(RECORD)
        .bind(turn.writer.0)
        .bind(turn.run)
        .bind(turn.sequence)
        .bind(uses.iter().map(|used| used.did.0).collect::<Vec<_>>())
        .bind(uses.iter().map(|used| used.tenant.as_str()).collect::<Vec<_>>())
        .bind(uses.iter().map(|used| used.at).collect::<Vec<_>>())
        .bind(uses.iter().map(|used| used.key()).collect::<Vec<_>>());
    let query = bind_picks(bind_calls(query, &calls), &picks);
    let rows = query.fetch_all(db).await?;
    if rows.is_empty() {
        return Ok(Taken::NotItsTurn);
    }
    let mut outcomes = vec![Outcome::Refused; uses.len()];
    for row in rows {
        let Some(place) = row.try_get::<Option<i64>, _>(0)? else { continue };
        let known: bool = row.try_get(1)?;
        let count: Option<i64> = row.try_get(2)?;
        let Some(outcome) = outcomes.get_mut(place as usize - 1) else { continue };
        *outcome = match count {
            Some(count) => Outcome::Counted { usage_count: saturate(count) },
            None if known => Outcome::Conflict,
            None => Outcome::Refused,
        };
    }
    Ok(Taken::Now(outcomes))
}

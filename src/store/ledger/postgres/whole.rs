//! DID by DID: all uses of one in this group are counted, or none.
//!
//! Nearly always all are, for the index knows how many a DID has left. So the statement carries a
//! row a DID and ranks nothing; what it refused goes once more through [`super::singly`].

use sqlx::{PgConnection, Row};

use super::{bind_calls, bind_picks, picked, stored, turn};
use crate::domain::pick::TakenPick;
use crate::store::dids::saturate;
use crate::store::ledger::NewCall;
use crate::store::ledger::group::{Outcome, Taken, Tally, Turn, Uses};

/// The DIDs come in the order of their ids and are updated in it, so that two daemons cannot wait
/// for each other. A row that another one has just changed is judged as it is now.
macro_rules! admitted {
    () => {
        "admitted as (
            update asterisk_dids d
            set usage_count = d.usage_count + n.uses, last_used = greatest(d.last_used, n.at)
            from turn, unnest($4::uuid[], $5::text[], $6::bigint[], $7::timestamptz[])
                with ordinality as n (did_id, tenant_id, uses, at, place)
            where d.id = n.did_id and d.tenant_id = n.tenant_id and d.status = 'active'
                and (d.max_usage is null or d.usage_count + n.uses <= d.max_usage)
            returning n.place, d.usage_count
        )"
    };
}
macro_rules! advanced {
    () => {
        "advanced as (
            update ledger_writers w set sequence = $3, refused = case
                when (select count(*) from admitted) = cardinality($4::uuid[]) then '{}'
                else array(
                    select place - 1 from generate_series(1, cardinality($4::uuid[])) as place
                    where not exists (select from admitted where admitted.place = place)
                )
            end
            from turn where w.writer = turn.writer
        )
        select admitted.place, admitted.usage_count from turn left join admitted on true"
    };
}
const RECORD: &str = concat!(turn!(), ",", admitted!(), ",", advanced!());
const RECORD_CALLS: &str = concat!(turn!(), ",", admitted!(), ",", stored!(), ",", advanced!());
const RECORD_PICKS: &str = concat!(
    turn!(),
    ",",
    admitted!(),
    ",",
    picked!("$8" "$9" "$10" "$11" "$12" "$13" "$14" "$15" "$16"),
    ",",
    advanced!()
);
const RECORD_BOTH: &str = concat!(
    turn!(),
    ",",
    admitted!(),
    ",",
    stored!(),
    ",",
    picked!("$30" "$31" "$32" "$33" "$34" "$35" "$36" "$37" "$38"),
    ",",
    advanced!()
);

pub(super) async fn record(
    db: &mut PgConnection,
    turn: Turn,
    uses: &Uses,
) -> Result<Taken, sqlx::Error> {
    let tally = Tally::of(uses);
    let calls: Vec<(i64, &NewCall)> = uses
        .iter()
        .zip(tally.places())
        .filter_map(|(used, place)| Some((place as i64 + 1, used.call.as_deref()?)))
        .collect();
    let picks: Vec<(i64, &TakenPick)> = uses
        .iter()
        .zip(tally.places())
        .filter_map(|(used, place)| Some((place as i64 + 1, used.pick.as_deref()?)))
        .collect();
    let dids = tally.dids();
    let text = match (calls.is_empty(), picks.is_empty()) {
        (true, true) => RECORD,
        (false, true) => RECORD_CALLS,
        (true, false) => RECORD_PICKS,
        (false, false) => RECORD_BOTH,
    };
    let query = sqlx::query(text)
        .bind(turn.writer.0)
        .bind(turn.run)
        .bind(turn.sequence)
        .bind(dids.iter().map(|did| did.id.0).collect::<Vec<_>>())
        .bind(dids.iter().map(|did| did.tenant.as_str()).collect::<Vec<_>>())
        .bind(dids.iter().map(|did| did.uses).collect::<Vec<_>>())
        .bind(dids.iter().map(|did| did.at).collect::<Vec<_>>());
    let query = if calls.is_empty() { query } else { bind_calls(query, &calls) };
    let query = if picks.is_empty() { query } else { bind_picks(query, &picks) };
    let rows = query.fetch_all(db).await?;
    if rows.is_empty() {
        return Ok(Taken::NotItsTurn);
    }
    // What each DID had before the group, if it was counted.
    let mut counts: Vec<Option<i64>> = vec![None; dids.len()];
    for row in rows {
        let Some(place) = row.try_get::<Option<i64>, _>(0)? else { continue };
        let place = place as usize - 1;
        if let (Some(count), Some(did)) = (counts.get_mut(place), dids.get(place)) {
            *count = Some(row.try_get::<i64, _>(1)? - did.uses);
        }
    }
    let outcomes = tally.places().map(|place| match &mut counts[place] {
        Some(count) => {
            *count += 1;
            Outcome::Counted { usage_count: saturate(*count) }
        }
        None => Outcome::Refused,
    });
    Ok(Taken::Now(outcomes.collect()))
}

//! Picks without calls, and who is behind an inbound call: what both databases must do alike.

use std::sync::Arc;

use chrono::TimeDelta;
use rotary::domain::audit::Origin;
use rotary::domain::call::cause::Cause;
use rotary::domain::call::{CallId, CallStatus, PlacedBy};
use rotary::domain::did::{Did, DidStatus};
use rotary::domain::pick::{DialEnd, PickId, PickOutcome, PickRecord, PickStatus, TakenPick};
use rotary::domain::tenant::TenantId;
use rotary::store::Store;
use rotary::store::ledger::{Recorded, Released, Use};
use rotary::store::picks::PickEnded;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    call_from, insert, new_did, now, number, on_both, on_postgres, on_sqlite, run_ledger,
    sqlite_url, tenant, usage, use_of, use_with_call, writer,
};
use crate::postgres::Fsync;
use crate::wait::until;

on_both!(
    a_pick_is_on_record_with_its_use_or_not_at_all,
    calls_picks_and_bare_uses_share_a_group_and_keep_the_limit,
    a_pick_is_given_back_once,
    the_end_of_a_picks_call_is_a_call,
    a_pick_without_a_callee_ends_without_a_call,
    an_end_and_a_release_at_once_leave_one_of_them,
    picks_are_listed_newest_first_and_by_what_became_of_them,
    a_number_of_two_tenants_is_the_ones_that_has_it_in_rotation,
    the_last_call_is_the_holders_own,
);

async fn a_pick_is_on_record_with_its_use_or_not_at_all(store: &Store) {
    let did = insert(store, 1, Some(1)).await.remove(0);
    let running = run_ledger(store, writer());
    let (first, second) = (pick_of(&did), pick_of(&did));

    let counted = running.ledger.record(use_for(&did, &first)).await.unwrap();
    let refused = running.ledger.record(use_for(&did, &second)).await.unwrap();

    assert_eq!(counted, Recorded::Counted { usage_count: 1 });
    assert!(matches!(refused, Recorded::Refused(_)));
    let record = store.pick(&tenant(), first.id).await.unwrap().unwrap();
    assert_eq!(record, PickRecord { taken: first.clone(), settled: None });
    assert_eq!(store.pick_of_any_tenant(first.id).await.unwrap(), Some(record));
    assert_eq!(store.pick(&other(), first.id).await.unwrap(), None);
    assert_eq!(store.pick(&tenant(), second.id).await.unwrap(), None);
    running.stop().await.unwrap();
}

async fn calls_picks_and_bare_uses_share_a_group_and_keep_the_limit(store: &Store) {
    const LIMIT: u32 = 50;
    let dids = Arc::new(insert(store, 3, Some(LIMIT)).await);
    let running = run_ledger(store, writer());
    let mut callers = JoinSet::new();

    for caller in 0..60_usize {
        let (ledger, dids) = (running.ledger.clone(), Arc::clone(&dids));
        callers.spawn(async move {
            let (mut picks, mut calls, mut counted) = (Vec::new(), 0, 0);
            for round in 0..5 {
                let did = &dids[(caller + round) % dids.len()];
                let pick = pick_of(did);
                let (used, kind) = match (caller + round) % 4 {
                    0 => (use_of(did), 0),
                    1 => (use_with_call(did, call_from(did)), 1),
                    _ => (use_for(did, &pick), 2),
                };
                let answer = ledger.record(used).await.unwrap();
                if matches!(answer, Recorded::Counted { .. }) {
                    counted += 1;
                    calls += usize::from(kind == 1);
                    picks.extend((kind == 2).then_some(pick.id));
                }
            }
            (picks, calls, counted)
        });
    }
    let all = callers.join_all().await;

    let counted: u32 = all.iter().map(|(_, _, counted)| counted).sum();
    let calls: usize = all.iter().map(|(_, calls, _)| calls).sum();
    let mut picks: Vec<PickId> = all.into_iter().flat_map(|(picks, ..)| picks).collect();
    assert_eq!(counted, 3 * LIMIT);
    for did in dids.iter() {
        assert_eq!(usage(store, did).await, LIMIT);
    }
    let mut stored: Vec<PickId> = list(store, None).await.iter().map(|p| p.taken.id).collect();
    picks.sort();
    stored.sort();
    assert_eq!(stored, picks);
    let stored = store.list_calls(&tenant(), &Default::default(), 1000, None).await.unwrap();
    assert_eq!(stored.items.len(), calls);
    running.stop().await.unwrap();
}

async fn a_pick_is_given_back_once(store: &Store) {
    let (did, pick, running) = picked(store).await;

    let strange = running.ledger.release(&other(), pick.id, now()).await.unwrap();
    let first = running.ledger.release(&tenant(), pick.id, now()).await.unwrap();
    let again = running.ledger.release(&tenant(), pick.id, now()).await.unwrap();
    let ended = store.end_pick(&tenant(), pick.id, &busy()).await.unwrap();

    assert_eq!(strange, Released::Unknown);
    assert_eq!(first, Released::Now { did: did.id, usage_count: Some(0) });
    assert_eq!(again, Released::Before);
    assert!(matches!(ended, PickEnded::Before(record) if record.status() == PickStatus::Released));
    assert_eq!(usage(store, &did).await, 0);
    assert_eq!(store.call(&tenant(), CallId(pick.id.0)).await.unwrap(), None);
    running.stop().await.unwrap();
}

async fn the_end_of_a_picks_call_is_a_call(store: &Store) {
    let (did, pick, running) = picked(store).await;
    let end = DialEnd {
        status: CallStatus::Completed,
        cause: Cause(16),
        answered_at: Some(now() + TimeDelta::seconds(3)),
        ended_at: now() + TimeDelta::seconds(10),
    };

    let strange = store.end_pick(&other(), pick.id, &end).await.unwrap();
    let first = store.end_pick(&tenant(), pick.id, &end).await.unwrap();
    let again = store.end_pick(&tenant(), pick.id, &busy()).await.unwrap();
    let released = running.ledger.release(&tenant(), pick.id, now()).await.unwrap();

    assert_eq!(strange, PickEnded::Unknown);
    let PickEnded::Now(record) = first else { panic!("{first:?}") };
    assert_eq!(again, PickEnded::Before(record.clone()));
    assert_eq!(released, Released::Settled(Box::new(record)));
    let call = store.call(&tenant(), CallId(pick.id.0)).await.unwrap().unwrap();
    assert_eq!(call.request.placed_by, PlacedBy::Dialplan);
    assert_eq!((Some(call.request.to), call.request.from), (pick.to, did.number));
    assert_eq!((call.progress.status, call.progress.cause), (end.status, Some(end.cause)));
    assert_eq!(call.progress.talk_seconds(), Some(7));
    assert_eq!(call.progress.duration_seconds(), Some(10));
    assert_eq!(call.request.campaign, pick.campaign);
    assert_eq!(usage(store, &did).await, 1);
    let open = store.open_calls(writer()).await.unwrap();
    assert!(open.is_empty(), "nobody follows a call that is over: {open:?}");
    running.stop().await.unwrap();
}

async fn a_pick_without_a_callee_ends_without_a_call(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let pick = TakenPick { to: None, campaign: None, ..pick_of(&did) };
    running.ledger.record(use_for(&did, &pick)).await.unwrap();

    let ended = store.end_pick(&tenant(), pick.id, &busy()).await.unwrap();

    let PickEnded::Now(record) = ended else { panic!("{ended:?}") };
    assert_eq!(record.taken, pick);
    assert_eq!(store.call(&tenant(), CallId(pick.id.0)).await.unwrap(), None);
    running.stop().await.unwrap();
}

async fn an_end_and_a_release_at_once_leave_one_of_them(store: &Store) {
    for _ in 0..5 {
        let did = store
            .insert_did(
                &tenant(),
                &new_did(fastrand::u64(10..9_000), None),
                &Origin::rotary(),
                now(),
            )
            .await
            .unwrap();
        let running = run_ledger(store, writer());
        let pick = pick_of(&did);
        running.ledger.record(use_for(&did, &pick)).await.unwrap();

        let (end, tenant) = (busy(), tenant());
        let (ended, released) = tokio::join!(
            store.end_pick(&tenant, pick.id, &end),
            running.ledger.release(&tenant, pick.id, now()),
        );

        let ended = matches!(ended.unwrap(), PickEnded::Now(_));
        let released = matches!(released.unwrap(), Released::Now { .. });
        assert_ne!(ended, released);
        assert_eq!(usage(store, &did).await, u32::from(ended));
        let call = store.call(&tenant, CallId(pick.id.0)).await.unwrap();
        assert_eq!(call.is_some(), ended);
        running.stop().await.unwrap();
    }
}

async fn picks_are_listed_newest_first_and_by_what_became_of_them(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let picks: Vec<TakenPick> = (0..4).map(|_| pick_of(&did)).collect();
    for pick in &picks {
        running.ledger.record(use_for(&did, pick)).await.unwrap();
    }
    running.ledger.release(&tenant(), picks[1].id, now()).await.unwrap();
    store.end_pick(&tenant(), picks[2].id, &busy()).await.unwrap();
    let ids = |places: &[usize]| places.iter().map(|n| picks[*n].id).collect::<Vec<_>>();

    let first = store.list_picks(&tenant(), None, 3, None).await.unwrap();
    let rest = store.list_picks(&tenant(), None, 3, first.next.as_deref()).await.unwrap();

    let listed = |records: &[PickRecord]| records.iter().map(|r| r.taken.id).collect::<Vec<_>>();
    assert_eq!((listed(&first.items), listed(&rest.items)), (ids(&[3, 2, 1]), ids(&[0])));
    assert_eq!(rest.next, None);
    assert_eq!(listed(&list(store, Some(false)).await), ids(&[3, 0]));
    assert_eq!(listed(&list(store, Some(true)).await), ids(&[2, 1]));
    let ended = list(store, Some(true)).await[0].settled.unwrap().outcome;
    assert_eq!(ended, PickOutcome::Ended { status: CallStatus::Busy, cause: Cause(17) });
    assert!(store.list_picks(&other(), None, 9, None).await.unwrap().items.is_empty());
    assert!(store.list_picks(&tenant(), None, 9, Some("7")).await.is_err());
    running.stop().await.unwrap();
}

async fn a_number_of_two_tenants_is_the_ones_that_has_it_in_rotation(store: &Store) {
    let mut inactive = new_did(1, None);
    inactive.status = DidStatus::Inactive;
    inactive.campaign = Some("c_1".parse().unwrap());
    store.insert_did(&tenant(), &inactive, &Origin::rotary(), now()).await.unwrap();
    let alone = store.holder_of(number(1)).await.unwrap().unwrap();
    let others =
        store.insert_did(&other(), &new_did(1, None), &Origin::rotary(), now()).await.unwrap();
    let third: TenantId = "a_third".parse().unwrap();
    store.insert_did(&third, &new_did(1, None), &Origin::rotary(), now()).await.unwrap();
    let running = run_ledger(store, writer());
    running.ledger.record(use_of(&others)).await.unwrap();

    let holder = store.holder_of(number(1)).await.unwrap().unwrap();

    assert_eq!((alone.tenant, alone.campaign), (tenant(), inactive.campaign));
    assert_eq!(holder.tenant, other(), "in rotation, and shown last");
    assert_eq!(store.holder_of(number(2)).await.unwrap(), None);
    running.stop().await.unwrap();
}

async fn the_last_call_is_the_holders_own(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let (mut older, mut newer) = (call_from(&did), call_from(&did));
    older.request.created_at = now() - TimeDelta::seconds(9);
    older.request.journey = Some(serde_json::json!({"journeyId": "older"}));
    newer.request.journey = Some(serde_json::json!({"journeyId": "newer"}));
    for call in [&newer, &older] {
        running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    }
    let to = newer.request.to;

    let last = store.last_call(&tenant(), did.number, to).await.unwrap().unwrap();

    assert_eq!((last.id, last.journey), (newer.id(), newer.request.journey.clone()));
    assert_eq!(store.last_call(&other(), did.number, to).await.unwrap(), None);
    assert_eq!(store.last_call(&tenant(), number(7), to).await.unwrap(), None);
    assert_eq!(store.last_call(&tenant(), did.number, number(7)).await.unwrap(), None);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn postgres_finds_the_last_call_by_its_index_among_many() {
    let own = on_postgres(Fsync::Off).await;
    let did = insert(&own, 1, None).await.remove(0);
    let mut db = PgConnection::connect(&own.place.url()).await.unwrap();
    let many = format!(
        "insert into calls (id, tenant_id, did_id, from_number, to_number, trunk, destination, variables, \
             ring_timeout_seconds, created_at, status, writer) \
         select gen_random_uuid(), 't_1', gen_random_uuid(), '{}', '+1415' || lpad((n % 500)::text, 7, '5'), \
             'PJSIP', 'null', '[]', 30, now() + n * interval '1 second', 'completed', gen_random_uuid() \
         from generate_series(1, 30000) n; \
         insert into asterisk_dids (id, tenant_id, number) \
             select gen_random_uuid(), 't_' || n, '+1212555' || lpad(n::text, 4, '0') from generate_series(2, 5000) n; \
         analyze calls; analyze asterisk_dids",
        did.number
    );
    db.execute(sqlx::AssertSqlSafe(many)).await.unwrap();

    let to = "+14155555557".parse().unwrap();
    let last = own.last_call(&tenant(), did.number, to).await.unwrap();
    let holder = own.holder_of(did.number).await.unwrap();

    assert!(last.is_some() && holder.is_some());
    // What the server itself counted of these very statements.
    for index in ["calls_by_parties", "idx_asterisk_dids_number"] {
        until(&format!("{index} to be used"), async || {
            let text = "select idx_scan from pg_stat_user_indexes where indexrelname = $1";
            let used: i64 = sqlx::query_scalar(text).bind(index).fetch_one(&mut db).await.unwrap();
            (used == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn sqlite_finds_the_last_call_by_its_index() {
    let own = on_sqlite().await;
    let mut db = SqliteConnection::connect(&sqlite_url(&own.place)).await.unwrap();

    for (text, index) in [
        (
            "explain query plan select id, journey from calls where to_number = $1 and from_number = $2 \
             and tenant_id = $3 order by created_at desc limit 1",
            "USING INDEX calls_by_parties (to_number=? AND from_number=?)",
        ),
        (
            "explain query plan select tenant_id, campaign_id from asterisk_dids where number = $1 \
             order by case status when 'active' then 0 else 1 end, last_used desc nulls last, tenant_id limit 1",
            "USING INDEX idx_asterisk_dids_number (number=?)",
        ),
    ] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(text).bind("x").bind("y").bind("z").fetch_all(&mut db).await.unwrap();
        assert!(plan[0].3.ends_with(index), "{plan:?}");
    }
}

#[tokio::test]
async fn an_asker_that_leaves_has_picked_nothing() {
    let own = on_sqlite().await;
    let did = insert(&own, 1, None).await.remove(0);
    let running = run_ledger(&own, writer());

    let mut left = 0;
    for turns in 0..40 {
        let pick = pick_of(&did);
        let mut asker = Box::pin(running.ledger.record(use_for(&did, &pick)));
        let mut answered = false;
        for _ in 0..turns {
            let poll = std::future::poll_fn(|context| {
                std::task::Poll::Ready(asker.as_mut().poll(context).is_ready())
            });
            answered = poll.await;
            if answered {
                break;
            }
            tokio::task::yield_now().await;
        }
        left += u32::from(!answered);
    }
    // Whoever is answered after them finds them settled.
    running.ledger.record(use_of(&did)).await.unwrap();
    running.stop().await.unwrap();

    let open = u32::try_from(list(&own, Some(false)).await.len()).unwrap();
    assert_eq!(open, 40 - left, "only the answered ones are open");
    assert_eq!(usage(&own, &did).await, open + 1);
}

async fn picked(store: &Store) -> (Did, TakenPick, super::Running) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let pick = pick_of(&did);
    running.ledger.record(use_for(&did, &pick)).await.unwrap();
    (did, pick, running)
}

pub(super) fn pick_of(did: &Did) -> TakenPick {
    TakenPick {
        id: PickId(Uuid::now_v7()),
        tenant: did.tenant.clone(),
        did: did.id,
        number: did.number,
        trunk: did.trunk.clone(),
        campaign: Some("c_1".parse().unwrap()),
        to: Some("+14155550123".parse().unwrap()),
        created_at: now(),
    }
}

pub(super) fn use_for(did: &Did, pick: &TakenPick) -> Use {
    Use { pick: Some(Box::new(pick.clone())), ..use_of(did) }
}

fn busy() -> DialEnd {
    DialEnd::of_dial("BUSY", None, now()).unwrap()
}

fn other() -> TenantId {
    "t_2".parse().unwrap()
}

async fn list(store: &Store, settled: Option<bool>) -> Vec<PickRecord> {
    store.list_picks(&tenant(), settled, 1000, None).await.unwrap().items
}

//! The outbox: what both databases must do alike, and what no race may break.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use rotary::domain::audit::Origin;
use rotary::domain::call::{Call, CallId, Report};
use rotary::domain::callback::{
    Attempt, Callback, CallbackId, CallbackStatus, DueCallback, NewCallback, Verdict,
};
use rotary::store::Store;
use rotary::store::callbacks::CallbackFilter;
use uuid::Uuid;

use super::{call_from, insert, now, on_both, run_ledger, tenant, use_with_call, writer};

on_both!(
    the_callbacks_of_a_call_wait_for_each_other,
    a_change_saved_again_is_told_once_and_leaves_nothing_waiting,
    what_one_daemon_claims_no_other_sends_until_the_lease_is_over,
    a_daemon_that_starts_again_takes_up_what_it_had_claimed,
    a_receiver_is_claimed_as_far_as_it_has_room,
    a_call_on_record_remembers_what_was_told,
    old_callbacks_are_deleted_and_pending_ones_stay,
    callbacks_are_listed_by_what_became_of_them,
    a_replay_begins_with_the_first_of_a_call,
    changes_and_deliveries_at_once_leave_nothing_waiting,
    the_backlog_is_the_calls_with_something_to_deliver_up_to_a_bound,
);

async fn the_callbacks_of_a_call_wait_for_each_other(store: &Store) {
    let call = recorded(store).await;
    tell(store, &call, &[1, 2]).await;
    tell(store, &call, &[3]).await;

    let first = claim(store).await;
    assert_eq!(sequences(store, &first).await, [1]);
    settle(store, &first, Verdict::Again(now() + TimeDelta::seconds(5))).await;
    assert_eq!(claim(store).await, []);
    let again = claim_at(store, now() + TimeDelta::seconds(5)).await;
    assert_eq!((again[0].id, again[0].attempts), (first[0].id, 1));
    settle(store, &again, Verdict::Delivered).await;

    let second = claim(store).await;
    assert_eq!(sequences(store, &second).await, [2]);
    settle(store, &second, Verdict::Dead).await;
    assert_eq!(sequences(store, &claim(store).await).await, [3]);
}

async fn a_change_saved_again_is_told_once_and_leaves_nothing_waiting(store: &Store) {
    let call = recorded(store).await;
    tell(store, &call, &[1]).await;
    settle(store, &claim(store).await, Verdict::Delivered).await;

    tell(store, &call, &[1, 2]).await;

    assert_eq!(all(store).await.len(), 2);
    assert_eq!(sequences(store, &claim(store).await).await, [2]);
}

async fn what_one_daemon_claims_no_other_sends_until_the_lease_is_over(store: &Store) {
    let call = recorded(store).await;
    tell(store, &call, &[1]).await;

    let first = claim(store).await;

    assert_eq!(first.len(), 1);
    assert_eq!(claim_at(store, LEASE - TimeDelta::seconds(1)).await, []);
    assert_eq!(claim_at(store, LEASE).await[0].id, first[0].id);
}

async fn a_daemon_that_starts_again_takes_up_what_it_had_claimed(store: &Store) {
    let call = recorded(store).await;
    tell(store, &call, &[1, 2]).await;
    let ours = writer();
    let claimed = store.claim_callbacks(&[room(9)], now(), LEASE, ours).await.unwrap();

    store.unclaim_callbacks(writer(), now()).await.unwrap();
    assert_eq!(claim(store).await, []);
    store.unclaim_callbacks(ours, now()).await.unwrap();

    assert_eq!(claim(store).await, claimed);
}

async fn a_receiver_is_claimed_as_far_as_it_has_room(store: &Store) {
    for _ in 0..3 {
        let call = recorded(store).await;
        tell(store, &call, &[1, 2]).await;
    }
    let due = store.callback_receivers().await.unwrap();
    assert_eq!(
        due.iter().map(|one| (one.host.as_str(), one.due)).collect::<Vec<_>>(),
        [(HOST, now())]
    );

    let some = store.claim_callbacks(&[room(2)], now(), LEASE, writer()).await.unwrap();
    let other = [("other.example:443".to_owned(), 9)];
    assert_eq!(store.claim_callbacks(&other, now(), LEASE, writer()).await.unwrap(), []);

    assert_eq!(some.len(), 2);
    assert_eq!(claim(store).await.len(), 1);
    assert_eq!(store.callback_receivers().await.unwrap()[0].due, LEASE);
}

async fn a_call_on_record_remembers_what_was_told(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let writer = writer();
    let running = run_ledger(store, writer);
    let mut call = call_from(&did);
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    let told_of = async || store.open_calls(writer).await.unwrap()[0].1;

    assert_eq!(told_of().await, 0);
    call.handle_report(Report::Ringing, now());
    tell(store, &call, &[1, 2]).await;
    assert_eq!(told_of().await, 2);
    store.save_calls(&[&call], &[]).await.unwrap();

    assert_eq!(told_of().await, 2);
    running.stop().await.unwrap();
}

async fn old_callbacks_are_deleted_and_pending_ones_stay(store: &Store) {
    let call = recorded(store).await;
    tell(store, &call, &[1, 2, 3]).await;
    settle(store, &claim(store).await, Verdict::Delivered).await;
    settle(store, &claim(store).await, Verdict::Dead).await;
    // Ids tell the time at which these callbacks were made.
    let (before, after) = (now(), Utc::now() + TimeDelta::days(1));

    assert_eq!(store.purge_callbacks(before, before, 9).await.unwrap(), 0);
    assert_eq!(store.purge_callbacks(after, before, 9).await.unwrap(), 1);
    assert_eq!(store.purge_callbacks(after, after, 9).await.unwrap(), 1);

    let left = all(store).await;
    assert_eq!((left.len(), left[0].status()), (1, CallbackStatus::Pending));
}

async fn callbacks_are_listed_by_what_became_of_them(store: &Store) {
    let call = recorded(store).await;
    tell(store, &call, &[1, 2, 3]).await;
    settle(store, &claim(store).await, Verdict::Delivered).await;
    settle(store, &claim(store).await, Verdict::Dead).await;
    let list = async |status, call| {
        let filter = CallbackFilter { status, call };
        let page = store.list_callbacks(&tenant(), &filter, 10, None).await.unwrap();
        page.items.iter().map(|one| one.sequence).collect::<Vec<_>>()
    };

    for of in [None, Some(call.id())] {
        assert_eq!(list(None, of).await, [3, 2, 1]);
        assert_eq!(list(Some(CallbackStatus::Delivered), of).await, [1]);
        assert_eq!(list(Some(CallbackStatus::Dead), of).await, [2]);
        assert_eq!(list(Some(CallbackStatus::Pending), of).await, [3]);
    }
    assert!(list(None, Some(CallId(Uuid::now_v7()))).await.is_empty());
    let any = CallbackFilter::default();
    let first = store.list_callbacks(&tenant(), &any, 2, None).await.unwrap();
    let rest = store.list_callbacks(&tenant(), &any, 2, first.next.as_deref()).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[0].sequence), (1, 1));
    let other = "t_2".parse().unwrap();
    assert_eq!(store.list_callbacks(&other, &any, 9, None).await.unwrap().items, []);
    assert_eq!(store.callback(&other, rest.items[0].id).await.unwrap(), None);
}

async fn a_replay_begins_with_the_first_of_a_call(store: &Store) {
    let call = recorded(store).await;
    tell(store, &call, &[1, 2]).await;
    settle(store, &claim(store).await, Verdict::Dead).await;
    settle(store, &claim(store).await, Verdict::Dead).await;
    let entry = Origin::rotary()
        .did("callback.replayed", ("callback", "dead".to_owned()), now())
        .of(&tenant());

    let replayed = store.replay_dead_callbacks(&tenant(), 9, now(), &entry).await.unwrap();
    let (other, id) = ("t_2".parse().unwrap(), all(store).await[0].id);
    let theirs = store.replay_dead_callbacks(&other, 9, now(), &entry).await.unwrap();
    let their_one = store.replay_callback(&other, id, now(), &entry).await.unwrap();

    assert_eq!((replayed, theirs, their_one), (2, 0, false));
    let first = claim(store).await;
    assert_eq!((first.len(), first[0].attempts), (1, 0));
    assert_eq!(sequences(store, &first).await, [1]);
    settle(store, &first, Verdict::Delivered).await;
    assert_eq!(sequences(store, &claim(store).await).await, [2]);
    let action = Some("callback.replayed".to_owned());
    let audit = rotary::store::audit_log::AuditFilter { action, ..Default::default() };
    assert_eq!(store.list_audit_log(&audit, 9, None).await.unwrap().items, [entry]);
}

async fn changes_and_deliveries_at_once_leave_nothing_waiting(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let mut calls = Vec::new();
    for _ in 0..60 {
        let call = call_from(&did);
        running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
        tell(store, &call, &[1]).await;
        calls.push(call);
    }
    running.stop().await.unwrap();
    let (first, calls) = (claim(store).await, &calls);
    assert_eq!(first.len(), calls.len());

    // Side by side, so that each change meets the delivery of its own call.
    let races = first.chunks(1).map(|due| async move {
        let call = calls.iter().find(|call| call.id() == due[0].call).unwrap();
        tokio::join!(settle(store, due, Verdict::Delivered), tell(store, call, &[2]));
    });
    join_all(races).await;

    assert_eq!(claim(store).await.len(), calls.len());
}

const HOST: &str = "example.com:443";
const LEASE: DateTime<Utc> =
    DateTime::from_timestamp(4_000_000_000, 0).expect("a time of the next century");

async fn the_backlog_is_the_calls_with_something_to_deliver_up_to_a_bound(store: &Store) {
    assert_eq!(store.callback_backlog(10).await.unwrap(), (0, None));
    let calls = [recorded(store).await, recorded(store).await, recorded(store).await];
    for call in &calls {
        tell(store, call, &[1, 2]).await;
    }

    let (waiting, oldest) = store.callback_backlog(10).await.unwrap();
    assert_eq!(waiting, 3);
    assert_eq!(oldest, all(store).await.iter().map(|callback| callback.created_at).min());
    assert_eq!(store.callback_backlog(2).await.unwrap().0, 2);

    settle(store, &claim(store).await[..1], Verdict::Dead).await;
    assert_eq!(store.callback_backlog(10).await.unwrap().0, 3, "the second of the call is next");
    let claimed = claim(store).await;
    settle(store, &claimed, Verdict::Delivered).await;
    assert_eq!(store.callback_backlog(10).await.unwrap().0, 2);
}

/// A call on record.
async fn recorded(store: &Store) -> Call {
    let existing = store.did_by_number(&tenant(), super::number(0)).await.unwrap();
    let did = match existing {
        Some(did) => did,
        None => insert(store, 1, None).await.remove(0),
    };
    let running = run_ledger(store, writer());
    let call = call_from(&did);
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    running.stop().await.unwrap();
    call
}

async fn tell(store: &Store, call: &Call, sequences: &[u32]) {
    store.save_calls(&[call], &told(call, sequences)).await.unwrap();
}

fn told(call: &Call, sequences: &[u32]) -> Vec<NewCallback> {
    let one = |sequence: &u32| NewCallback {
        id: CallbackId(Uuid::now_v7()),
        tenant: tenant(),
        call: call.id(),
        sequence: *sequence,
        kind: "call.ringing".to_owned(),
        url: "https://example.com/hook".to_owned(),
        host: HOST.to_owned(),
        body: r#"{"said":"Grüße, \"世界\""}"#.to_owned(),
        at: now(),
    };
    sequences.iter().map(one).collect()
}

fn room(most: u32) -> (String, u32) {
    (HOST.to_owned(), most)
}

async fn claim(store: &Store) -> Vec<DueCallback> {
    claim_at(store, now()).await
}

async fn claim_at(store: &Store, at: DateTime<Utc>) -> Vec<DueCallback> {
    let due = store.claim_callbacks(&[room(100)], at, LEASE, writer()).await.unwrap();
    assert!(due.iter().all(|one| one.body.contains("世界") && one.since == now()));
    due
}

async fn settle(store: &Store, due: &[DueCallback], verdict: Verdict) {
    let attempts = due.iter().map(|one| Attempt {
        id: one.id,
        call: one.call,
        status: Some(200),
        error: None,
        at: now(),
        verdict,
    });
    store.settle_callbacks(&attempts.collect::<Vec<_>>()).await.unwrap();
}

async fn all(store: &Store) -> Vec<Callback> {
    let any = CallbackFilter::default();
    store.list_callbacks(&tenant(), &any, 100, None).await.unwrap().items
}

async fn sequences(store: &Store, due: &[DueCallback]) -> Vec<u32> {
    let known = all(store).await;
    let of = |due: &DueCallback| known.iter().find(|one| one.id == due.id).unwrap().sequence;
    due.iter().map(of).collect()
}

//! Counting uses, while nothing breaks: limits, keys, askers that leave.

use std::sync::Arc;

use rotary::domain::audit::Origin;
use rotary::domain::call::CallStatus;
use rotary::domain::did::{DidState, DidStatus};
use rotary::store::Store;
use rotary::store::calls::KnownRequest;
use rotary::store::ledger::{Recorded, RequestKey, Use};
use tokio::task::JoinSet;

use super::{
    call_from, insert, new_did, now, on_both, on_sqlite, run_ledger, tenant, usage, use_of,
    use_with_call, writer,
};

on_both!(
    a_use_is_refused_at_the_limit_and_the_row_is_told,
    a_did_that_is_not_active_is_refused,
    sixty_four_callers_never_pass_the_limit,
    a_key_places_one_call,
    a_bad_use_does_not_fail_its_neighbours,
    a_use_is_taken_back_once,
    the_last_use_is_the_latest,
    a_call_may_be_sent_elsewhere_while_it_is_open,
);

async fn a_use_is_refused_at_the_limit_and_the_row_is_told(store: &Store) {
    let did = insert(store, 1, Some(1)).await.remove(0);
    let running = run_ledger(store, writer());

    let first = running.ledger.record(use_of(&did)).await.unwrap();
    let second = running.ledger.record(use_of(&did)).await.unwrap();

    assert_eq!(first, Recorded::Counted { usage_count: 1 });
    let row = store.did(&tenant(), did.id).await.unwrap().unwrap();
    assert_eq!(second, Recorded::Refused(DidState::from(&row)));
    assert_eq!(row.usage_count, 1);
    running.stop().await.unwrap();
}

async fn a_call_may_be_sent_elsewhere_while_it_is_open(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let mut call = call_from(&did);
    let (id, other) = (call.id(), "pbx-2".parse().unwrap());
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    let asterisk = async || {
        let found = store.call(&tenant(), id).await.unwrap().unwrap();
        found.progress.asterisk.unwrap().to_string()
    };

    assert_eq!(asterisk().await, "pbx-1");
    assert!(!store.send_call_to(&"t_2".parse().unwrap(), id, &other).await.unwrap());
    assert_eq!(asterisk().await, "pbx-1");
    assert!(store.send_call_to(&tenant(), id, &other).await.unwrap());
    assert_eq!(asterisk().await, "pbx-2");
    call.fail(now());
    store.save_calls(&[&call], &[]).await.unwrap();
    assert!(!store.send_call_to(&tenant(), id, &"pbx-3".parse().unwrap()).await.unwrap());
    assert_eq!(asterisk().await, "pbx-2");
    running.stop().await.unwrap();
}

async fn a_did_that_is_not_active_is_refused(store: &Store) {
    let mut new = new_did(1, None);
    new.status = DidStatus::Suspended;
    let did = store.insert_did(&tenant(), &new, &Origin::rotary(), now()).await.unwrap();
    let running = run_ledger(store, writer());

    let answer = running.ledger.record(use_with_call(&did, call_from(&did))).await.unwrap();

    assert_eq!(answer, Recorded::Refused(DidState::from(&did)));
    assert_eq!(usage(store, &did).await, 0);
    assert_eq!(store.list_calls(&tenant(), &Default::default(), 9, None).await.unwrap().items, []);
    running.stop().await.unwrap();
}

async fn sixty_four_callers_never_pass_the_limit(store: &Store) {
    const DIDS: u64 = 3;
    const LIMIT: u32 = 40;
    let dids = Arc::new(insert(store, DIDS, Some(LIMIT)).await);
    let running = run_ledger(store, writer());
    let mut callers = JoinSet::new();

    for caller in 0..64 {
        let (ledger, dids) = (running.ledger.clone(), Arc::clone(&dids));
        callers.spawn(async move {
            let mut counted = 0;
            for round in 0..10 {
                let did = &dids[(caller + round) % dids.len()];
                let answer = ledger.record(use_with_call(did, call_from(did))).await.unwrap();
                counted += u32::from(matches!(answer, Recorded::Counted { .. }));
            }
            counted
        });
    }
    let counted: u32 = callers.join_all().await.into_iter().sum();

    assert_eq!(counted, DIDS as u32 * LIMIT);
    for did in dids.iter() {
        assert_eq!(usage(store, did).await, LIMIT);
    }
    let calls = store.list_calls(&tenant(), &Default::default(), 1000, None).await.unwrap();
    assert_eq!(calls.items.len() as u32, counted);
    running.stop().await.unwrap();
}

async fn a_key_places_one_call(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let uses: Vec<Use> = (0..8).map(|_| keyed(use_with_call(&did, call_from(&did)), "k")).collect();
    let mut callers = JoinSet::new();

    for used in &uses {
        let (ledger, used) = (running.ledger.clone(), used.clone());
        callers.spawn(async move { ledger.record(used).await.unwrap() });
    }
    let answers = callers.join_all().await;

    let counted = answers.iter().filter(|answer| matches!(answer, Recorded::Counted { .. }));
    assert_eq!(counted.count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Recorded::Conflict).count(), 7);
    assert_eq!(usage(store, &did).await, 1);
    let known: KnownRequest = store.call_by_key(&tenant(), "k").await.unwrap().unwrap();
    assert_eq!(known.request_hash, [0, 1, 255]);
    assert!(store.call(&tenant(), known.call).await.unwrap().is_some());
    assert_eq!(store.call_by_key(&tenant(), "other").await.unwrap(), None);
    running.stop().await.unwrap();
}

async fn a_bad_use_does_not_fail_its_neighbours(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let twice = call_from(&did);
    running.ledger.record(use_with_call(&did, twice.clone())).await.unwrap();

    // An id that is taken is no conflict of keys: it is a fault, and the asker's alone.
    let bad = use_with_call(&did, twice);
    let (before, bad, after) = tokio::join!(
        running.ledger.record(use_with_call(&did, call_from(&did))),
        running.ledger.record(bad),
        running.ledger.record(use_with_call(&did, call_from(&did))),
    );

    assert!(matches!(before.unwrap(), Recorded::Counted { .. }));
    assert!(matches!(bad, Err(rotary::store::StoreError::Broken { .. })));
    assert_eq!(after.unwrap(), Recorded::Counted { usage_count: 3 });
    assert_eq!(usage(store, &did).await, 3);
    running.stop().await.unwrap();
}

async fn a_use_is_taken_back_once(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let mut call = call_from(&did);
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    running.ledger.record(use_of(&did)).await.unwrap();
    call.fail(now());

    let first = running.ledger.take_back(&tenant(), did.id, Some(&call)).await.unwrap();
    let again = running.ledger.take_back(&tenant(), did.id, Some(&call)).await.unwrap();
    let without_call = running.ledger.take_back(&tenant(), did.id, None).await.unwrap();
    let below_zero = running.ledger.take_back(&tenant(), did.id, None).await.unwrap();

    assert_eq!([first, again, without_call, below_zero], [Some(1), None, Some(0), None]);
    let failed = store.call(&tenant(), call.id()).await.unwrap().unwrap();
    assert_eq!(failed.progress.status, CallStatus::Failed);
    running.stop().await.unwrap();
}

async fn the_last_use_is_the_latest(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let earlier = now() - chrono::TimeDelta::seconds(9);

    running.ledger.record(use_of(&did)).await.unwrap();
    running.ledger.record(Use { at: earlier, ..use_of(&did) }).await.unwrap();

    let row = store.did(&tenant(), did.id).await.unwrap().unwrap();
    assert_eq!((row.usage_count, row.last_used), (2, Some(now())));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_asker_that_leaves_has_counted_nothing() {
    let own = on_sqlite().await;
    let did = insert(&own, 1, None).await.remove(0);
    let running = run_ledger(&own, writer());
    running.ledger.record(use_of(&did)).await.unwrap();

    // Each asker is polled once, so that its use is on its way, and leaves after a while.
    let mut calls = Vec::new();
    for turns in 0..40 {
        let call = call_from(&did);
        calls.push(call.id());
        let mut asker = Box::pin(running.ledger.record(use_with_call(&did, call)));
        for _ in 0..turns {
            let answered = std::future::poll_fn(|context| {
                std::task::Poll::Ready(asker.as_mut().poll(context).is_ready())
            });
            if answered.await {
                calls.pop();
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let answered = 40 - calls.len() as u32;
    // Whoever is answered after them finds them settled.
    running.ledger.record(use_of(&did)).await.unwrap();
    running.stop().await.unwrap();

    assert_eq!(usage(&own, &did).await, answered + 2);
    for id in calls {
        let call = own.call(&tenant(), id).await.unwrap();
        assert!(call.is_none_or(|call| call.progress.status == CallStatus::Failed));
    }
}

#[tokio::test]
async fn a_second_writer_under_the_same_id_ends_the_first() {
    let own = on_sqlite().await;
    let did = insert(&own, 1, None).await.remove(0);
    let writer = writer();
    let first = run_ledger(&own, writer);
    first.ledger.record(use_of(&did)).await.unwrap();
    let second = run_ledger(&own, writer);
    second.ledger.record(use_of(&did)).await.unwrap();

    let refused = first.ledger.record(use_of(&did)).await;

    assert!(refused.is_err());
    assert!(first.stop().await.unwrap_err().to_string().contains("another daemon"));
    assert_eq!(usage(&own, &did).await, 2);
    second.stop().await.unwrap();
}

fn keyed(mut used: Use, key: &str) -> Use {
    if let Some(new) = used.call.as_mut() {
        new.key = Some(RequestKey { key: key.into(), request_hash: vec![0, 1, 255] });
    }
    used
}

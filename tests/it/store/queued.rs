//! Calls that wait, and calls that go out again, as both databases keep them.

use chrono::TimeDelta;
use rotary::domain::call::{Call, CallStatus, Report};
use rotary::store::Store;
use rotary::store::ledger::WriterId;

use super::{call_from, insert, now, on_both, run_ledger, tenant, usage, use_with_call, writer};

on_both!(
    a_call_that_waits_is_read_back_as_it_was_stored,
    a_call_is_marked_once_and_the_same_mark_is_found_again,
    a_late_word_that_a_call_waits_does_not_make_it_wait_again,
    the_trunk_and_the_attempt_are_kept,
    a_call_that_waited_in_vain_gives_its_use_back_once,
);

async fn a_call_that_waits_is_read_back_as_it_was_stored(store: &Store) {
    let writer = writer();
    let call = waiting(store, writer).await;

    let read = store.call(&tenant(), call.id()).await.unwrap().unwrap();
    let open = store.open_calls(writer).await.unwrap();

    assert_eq!(read, call);
    assert_eq!((read.progress.queued_at, read.progress.initiated_at), (Some(now()), None));
    assert_eq!(open, [(call, 0)]);
}

async fn a_call_is_marked_once_and_the_same_mark_is_found_again(store: &Store) {
    let call = waiting(store, writer()).await;
    let mut canceled = waiting(store, writer()).await;
    canceled.cancel(now());
    store.save_calls(&[&canceled], &[]).await.unwrap();
    let (both, at) = ([call.id(), canceled.id()], now() + TimeDelta::seconds(3));

    let marked = store.initiate_queued(&both, at).await.unwrap();
    let answer_was_lost = store.initiate_queued(&both, at).await.unwrap();
    let somebody_else = store.initiate_queued(&both, at + TimeDelta::seconds(1)).await.unwrap();

    assert_eq!(marked, [call.id()].into());
    assert_eq!((answer_was_lost, somebody_else.len()), (marked, 0));
    let read = store.call(&tenant(), call.id()).await.unwrap().unwrap();
    assert_eq!(read.progress.status, CallStatus::Initiated);
    assert_eq!((read.progress.queued_at, read.progress.initiated_at), (Some(now()), Some(at)));
}

async fn a_late_word_that_a_call_waits_does_not_make_it_wait_again(store: &Store) {
    let call = waiting(store, writer()).await;
    let at = now() + TimeDelta::seconds(3);
    store.initiate_queued(&[call.id()], at).await.unwrap();

    store.save_calls(&[&call], &[]).await.unwrap();

    let read = store.call(&tenant(), call.id()).await.unwrap().unwrap();
    assert_eq!(read.progress.status, CallStatus::Initiated);
    assert_eq!(read.progress.initiated_at, Some(at));
}

async fn the_trunk_and_the_attempt_are_kept(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let mut call = call_from(&did);
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    call.handle_report(Report::HungUp { cause: 34, sip_code: None }, now());
    call.try_again("backup".parse().unwrap(), now());

    store.save_calls(&[&call], &[]).await.unwrap();

    let read = store.call(&tenant(), call.id()).await.unwrap().unwrap();
    assert_eq!((read.request.trunk.as_str(), read.progress.attempt), ("backup", 2));
    assert_eq!(read.channel_id().to_string(), format!("{}-2", call.id()));
    assert_eq!(read.progress.status, CallStatus::Initiated);
    running.stop().await.unwrap();
}

async fn a_call_that_waited_in_vain_gives_its_use_back_once(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let mut call = Call::queued(call_from(&did).request, now());
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    call.expire(now());

    let taken = running.ledger.take_back_told(&call, &[]).await.unwrap();
    let again = running.ledger.take_back_told(&call, &[]).await.unwrap();

    assert_eq!((taken, again, usage(store, &did).await), (Some(0), None, 0));
    let read = store.call(&tenant(), call.id()).await.unwrap().unwrap();
    assert_eq!((read.progress.status, read.progress.initiated_at), (CallStatus::Failed, None));
    running.stop().await.unwrap();
}

/// A call that waits, on record.
async fn waiting(store: &Store, writer: WriterId) -> Call {
    let did = match store.did_by_number(&tenant(), super::number(0)).await.unwrap() {
        Some(did) => did,
        None => insert(store, 1, None).await.remove(0),
    };
    let running = run_ledger(store, writer);
    let call = Call::queued(call_from(&did).request, now());
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    running.stop().await.unwrap();
    call
}

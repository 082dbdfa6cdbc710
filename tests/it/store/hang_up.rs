//! The wish that a call be hung up.

use chrono::TimeDelta;
use rotary::domain::audit::Origin;
use rotary::domain::call::{Call, Report};
use rotary::domain::tenant::TenantId;
use rotary::store::Store;
use rotary::store::audit_log::AuditFilter;
use rotary::store::ledger::WriterId;

use super::{call_from, insert, now, on_both, run_ledger, tenant, use_with_call, writer};

on_both!(
    a_wish_is_kept_with_the_call_and_told_once,
    a_wish_for_what_is_not_there_or_over_changes_nothing,
    a_wish_survives_progress_and_is_found_until_the_end,
);

async fn a_wish_is_kept_with_the_call_and_told_once(store: &Store) {
    let (_, call) = recorded(store).await;
    let later = now() + TimeDelta::seconds(3);

    assert!(store.ask_hang_up(&tenant(), call.id(), &Origin::user(7, "r_1"), now()).await.unwrap());
    assert!(
        !store.ask_hang_up(&tenant(), call.id(), &Origin::user(7, "r_2"), later).await.unwrap()
    );

    let kept = store.call(&tenant(), call.id()).await.unwrap().unwrap();
    assert_eq!(kept.progress.hang_up_asked_at, Some(now()));
    let about = AuditFilter { subject_id: Some(call.id().to_string()), ..AuditFilter::default() };
    let told = store.list_audit_log(&about, 10, None).await.unwrap().items;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].action.as_str(), told[0].request_id.as_str()), ("call.canceled", "r_1"));
    assert_eq!(told[0].tenant, Some(tenant()));
}

async fn a_wish_for_what_is_not_there_or_over_changes_nothing(store: &Store) {
    let (writer, mut call) = recorded(store).await;
    let other: TenantId = "t_2".parse().unwrap();

    assert!(!store.ask_hang_up(&other, call.id(), &Origin::rotary(), now()).await.unwrap());
    call.handle_report(Report::HungUp { cause: 17, sip_code: None }, now());
    store.save_calls(&[&call], &[]).await.unwrap();
    assert!(!store.ask_hang_up(&tenant(), call.id(), &Origin::rotary(), now()).await.unwrap());

    assert_eq!(store.call(&tenant(), call.id()).await.unwrap(), Some(call));
    assert_eq!(store.asked_hang_ups(writer).await.unwrap(), []);
    let lines = store.list_audit_log(&AuditFilter::default(), 10, None).await.unwrap().items;
    assert!(lines.iter().all(|line| line.action != "call.canceled"));
}

async fn a_wish_survives_progress_and_is_found_until_the_end(store: &Store) {
    let (ours, mut call) = recorded(store).await;
    store.ask_hang_up(&tenant(), call.id(), &Origin::rotary(), now()).await.unwrap();

    // As it is saved by a daemon that has not heard of the wish yet.
    call.handle_report(Report::Ringing, now());
    store.save_calls(&[&call], &[]).await.unwrap();

    assert_eq!(store.asked_hang_ups(ours).await.unwrap(), [(call.id(), now())]);
    assert_eq!(store.asked_hang_ups(writer()).await.unwrap(), [], "another daemon's");
    let open = store.open_calls(ours).await.unwrap();
    assert_eq!(open[0].0.progress.hang_up_asked_at, Some(now()));
    call.handle_report(Report::HungUp { cause: 16, sip_code: None }, now());
    store.save_calls(&[&call], &[]).await.unwrap();
    assert_eq!(store.asked_hang_ups(ours).await.unwrap(), []);
}

async fn recorded(store: &Store) -> (WriterId, Call) {
    let dids = insert(store, 1, None).await;
    let writer = writer();
    let running = run_ledger(store, writer);
    let call = call_from(&dids[0]);
    running.ledger.record(use_with_call(&dids[0], call.clone())).await.unwrap();
    running.stop().await.unwrap();
    (writer, call)
}

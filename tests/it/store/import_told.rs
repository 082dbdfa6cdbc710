//! What an import tells the audit log.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rotary::domain::audit::Entry;
use rotary::domain::did::{DidId, DidStatus, NewDid};
use rotary::domain::did_csv::{DidRow, Given};
use rotary::store::Store;
use rotary::store::audit_log::AuditFilter;
use rotary::store::dids::OnDuplicate;
use serde_json::{Value, json};

use super::{importer, insert, new_did, now, on_both, tenant};

on_both!(
    a_chunk_is_told_in_one_line,
    a_chunk_without_a_new_did_is_not_told,
    each_did_that_an_import_changes_is_told_with_what_was_before,
    the_line_of_an_import_is_found_by_its_dids,
);

async fn a_chunk_is_told_in_one_line(store: &Store) {
    let there = insert(store, 1, None).await;
    let rows = [new_did(0, None), new_did(1, None), new_did(2, None)];
    let (first, last) = (rows[1].id, rows[2].id);
    let later = now() + TimeDelta::hours(1);
    let importer = importer();

    let rows = rows.into_iter().map(full_row).collect();
    let skip = OnDuplicate::Skip;
    store.import_dids(&tenant(), rows, skip, &BTreeMap::new(), &importer, later).await.unwrap();

    let lines = lines(store, AuditFilter::default()).await;
    assert_eq!(actions(&lines), ["dids.imported", "did.created"]);
    let line = &lines[0];
    assert_eq!((line.subject_type.as_str(), line.at), ("import", later));
    assert_eq!(line.subject_id, importer.import.to_string());
    assert_eq!((line.actor.as_str(), line.tenant.clone()), ("uid 7", Some(tenant())));
    assert_eq!(line.before, None);
    assert_eq!(line.after, Some(json!({"count": 2, "firstId": first, "lastId": last})));
    assert_eq!(lines[1].subject_id, there[0].id.to_string());
}

async fn a_chunk_without_a_new_did_is_not_told(store: &Store) {
    insert(store, 1, None).await;

    for what in [OnDuplicate::Skip, OnDuplicate::Update] {
        let rows = vec![DidRow { did: new_did(0, None), given: NOTHING }];
        store
            .import_dids(&tenant(), rows, what, &BTreeMap::new(), &importer(), now())
            .await
            .unwrap();
    }

    assert_eq!(actions(&lines(store, AuditFilter::default()).await), ["did.created"]);
}

async fn each_did_that_an_import_changes_is_told_with_what_was_before(store: &Store) {
    let there = insert(store, 3, Some(5)).await;
    let mut limited = new_did(0, Some(9));
    limited.metadata.insert("notes".into(), "\"new\" 📞".into());
    let mut suspended = new_did(1, None);
    suspended.status = DidStatus::Suspended;
    let same = new_did(2, Some(5));
    let new = new_did(3, None);
    let rows = vec![
        DidRow { did: limited, given: Given { max_usage: true, ..NOTHING } },
        DidRow { did: suspended, given: Given { status: true, ..NOTHING } },
        DidRow { did: same, given: Given { max_usage: true, ..NOTHING } },
        DidRow { did: new, given: NOTHING },
    ];

    let update = OnDuplicate::Update;
    store.import_dids(&tenant(), rows, update, &BTreeMap::new(), &importer(), now()).await.unwrap();

    let changed = |id| told(store, id);
    let before = json!({"maxUsage": 5, "metadata": {}});
    let after = json!({"maxUsage": 9, "metadata": {"notes": "\"new\" 📞"}});
    assert_eq!(changed(there[0].id).await, [(Some(before), Some(after))]);
    let (before, after) = (json!({"status": "active"}), json!({"status": "suspended"}));
    assert_eq!(changed(there[1].id).await, [(Some(before), Some(after))]);
    assert_eq!(changed(there[2].id).await, []);
    let imports = AuditFilter { action: Some("dids.imported".into()), ..AuditFilter::default() };
    assert_eq!(lines(store, imports).await[0].after.as_ref().unwrap()["count"], 1);
}

async fn the_line_of_an_import_is_found_by_its_dids(store: &Store) {
    let (one, other) = (new_did(1, None), new_did(2, None));
    let (id, skip) = (one.id, OnDuplicate::Skip);
    let later = now() + TimeDelta::hours(1);
    store
        .import_dids(&tenant(), vec![full_row(one)], skip, &BTreeMap::new(), &importer(), now())
        .await
        .unwrap();
    store
        .import_dids(&tenant(), vec![full_row(other)], skip, &BTreeMap::new(), &importer(), later)
        .await
        .unwrap();
    let about = AuditFilter { did: Some(id), ..AuditFilter::default() };
    let elsewhere = AuditFilter { tenant: Some("t_2".parse().unwrap()), ..about.clone() };

    let found = lines(store, about.clone()).await;
    store.delete_did(&tenant(), id, &importer().origin, later).await.unwrap();
    let when_gone = lines(store, about).await;

    assert_eq!(actions(&found), ["dids.imported"]);
    assert_eq!(found[0].after.as_ref().unwrap()["firstId"], json!(id));
    assert_eq!(actions(&when_gone), ["did.deleted", "dids.imported"]);
    assert_eq!(lines(store, elsewhere).await, []);
}

const NOTHING: Given =
    Given { area_code: false, trunk: false, status: false, max_usage: false, campaign: false };

fn full_row(did: NewDid) -> DidRow {
    DidRow { did, given: Given::ALL }
}

/// What the lines of a DID's changes say of before and after.
async fn told(store: &Store, id: DidId) -> Vec<(Option<Value>, Option<Value>)> {
    let changes = AuditFilter {
        did: Some(id),
        action: Some("did.updated".to_owned()),
        ..AuditFilter::default()
    };
    lines(store, changes).await.into_iter().map(|line| (line.before, line.after)).collect()
}

/// The newest first.
async fn lines(store: &Store, filter: AuditFilter) -> Vec<Entry> {
    store.list_audit_log(&filter, 99, None).await.unwrap().items
}

fn actions(lines: &[Entry]) -> Vec<&str> {
    lines.iter().map(|line| line.action.as_str()).collect()
}

//! What both databases must do alike.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rotary::domain::audit::Origin;
use rotary::domain::call::{CallId, CallStatus, Destination, Report};
use rotary::domain::did::{Did, DidId, DidState, DidStatus, NewDid};
use rotary::domain::did_csv::{DidRow, Given};
use rotary::domain::tenant::TenantId;
use rotary::store::calls::CallFilter;
use rotary::store::dids::{DidFilter, DidSort, Imported, InsertError, OnDuplicate};
use rotary::store::keys::{ApiKey, KeyHash, Role};
use rotary::store::{ListError, Store};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    call_from, importer, insert, new_did, now, number, on_both, run_ledger, tenant, use_of,
    use_with_call, writer,
};

on_both!(
    a_did_comes_back_as_it_was_stored,
    a_number_is_stored_once_per_tenant,
    a_tenant_sees_only_its_own,
    a_list_goes_on_where_it_left_off,
    a_list_gives_only_what_was_asked_for,
    an_import_keeps_what_is_there,
    an_import_updates_what_is_there,
    an_import_changes_only_what_its_rows_give,
    all_dids_are_loaded_in_order,
    a_call_comes_back_as_it_was_recorded,
    an_ended_call_does_not_move_back,
    calls_are_listed_newest_first,
    a_revoked_key_opens_nothing,
    keys_are_listed_in_parts,
);

async fn a_did_comes_back_as_it_was_stored(store: &Store) {
    let mut new = new_did(1, Some(7));
    new.metadata.insert("notes".into(), "Main, \"quoted\" 📞".into());
    new.campaign = Some("c_abc".parse().unwrap());

    let stored = store.insert_did(&tenant(), &new, &Origin::rotary(), now()).await.unwrap();

    assert_eq!(store.did(&tenant(), new.id).await.unwrap().as_ref(), Some(&stored));
    assert_eq!(store.did_by_number(&tenant(), new.number).await.unwrap(), Some(stored));
    assert_eq!(store.did_by_number(&tenant(), number(2)).await.unwrap(), None);
}

async fn a_number_is_stored_once_per_tenant(store: &Store) {
    let other: TenantId = "t_2".parse().unwrap();
    store.insert_did(&tenant(), &new_did(1, None), &Origin::rotary(), now()).await.unwrap();

    let again = store.insert_did(&tenant(), &new_did(1, None), &Origin::rotary(), now()).await;

    assert!(matches!(again, Err(InsertError::Exists)));
    store.insert_did(&other, &new_did(1, None), &Origin::rotary(), now()).await.unwrap();
}

async fn a_tenant_sees_only_its_own(store: &Store) {
    let other: TenantId = "t_2".parse().unwrap();
    let dids = insert(store, 1, None).await;
    let running = run_ledger(store, writer());
    let call = call_from(&dids[0]);
    running.ledger.record(use_with_call(&dids[0], call.clone())).await.unwrap();

    let stolen = running
        .ledger
        .record(rotary::store::ledger::Use { tenant: other.clone(), ..use_of(&dids[0]) });

    assert_eq!(stolen.await.unwrap(), rotary::store::ledger::Recorded::Gone);
    assert_eq!(store.did(&other, dids[0].id).await.unwrap(), None);
    assert_eq!(store.did_by_number(&other, dids[0].number).await.unwrap(), None);
    assert_eq!(store.call(&other, call.id()).await.unwrap(), None);
    let page = store.list_dids(&other, &DidFilter::default(), 10, None).await.unwrap();
    assert!(page.items.is_empty());
    assert_eq!(super::usage(store, &dids[0]).await, 1);
    running.stop().await.unwrap();
}

async fn a_list_goes_on_where_it_left_off(store: &Store) {
    let dids = insert(store, 7, None).await;
    for sort in [DidSort::Number, DidSort::Usage, DidSort::Created] {
        let filter = DidFilter { sort, ..DidFilter::default() };
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;

        loop {
            let page = store.list_dids(&tenant(), &filter, 3, cursor.as_deref()).await.unwrap();
            seen.extend(page.items.into_iter().map(|did| did.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }

        assert_eq!(seen, dids.iter().map(|did| did.id).collect::<Vec<_>>(), "{sort:?}");
    }
    let bad = store.list_dids(&tenant(), &DidFilter::default(), 3, Some("u1.x")).await;
    assert!(matches!(bad, Err(ListError::Cursor(_))));
}

async fn a_list_gives_only_what_was_asked_for(store: &Store) {
    insert(store, 3, None).await;
    let mut odd = new_did(77, None);
    odd.status = DidStatus::Suspended;
    odd.area_code = Some("020".parse().unwrap());
    odd.trunk = "carrier-1".parse().unwrap();
    odd.campaign = Some("c_9".parse().unwrap());
    store.insert_did(&tenant(), &odd, &Origin::rotary(), now()).await.unwrap();
    let any = DidFilter::default;

    for filter in [
        DidFilter { status: Some(DidStatus::Suspended), ..any() },
        DidFilter { area_code: odd.area_code, ..any() },
        DidFilter { trunk: Some(odd.trunk.clone()), ..any() },
        DidFilter { campaign: odd.campaign.clone(), ..any() },
        DidFilter { q: Some("500-77".into()), ..any() },
    ] {
        let page = store.list_dids(&tenant(), &filter, 10, None).await.unwrap();
        assert_eq!(page.items.iter().map(|did| did.id).collect::<Vec<_>>(), [odd.id], "{filter:?}");
    }
}

async fn an_import_keeps_what_is_there(store: &Store) {
    let there = insert(store, 1, Some(5)).await;
    let rows = [new_did(0, None), new_did(1, None), new_did(2, Some(9)), new_did(1, Some(1))];
    let fresh: Vec<DidId> = rows[1..3].iter().map(|row| row.id).collect();
    let rows = rows.into_iter().map(full_row).collect();

    let imported = import(store, rows, OnDuplicate::Skip, now()).await;

    assert_eq!((imported.inserted, imported.updated, imported.duplicates), (2, 0, 2));
    let mut states: Vec<DidId> = imported.states.iter().map(|state| state.id).collect();
    states.sort();
    assert_eq!(states, fresh);
    assert_eq!(store.did(&tenant(), there[0].id).await.unwrap().as_ref(), Some(&there[0]));
    let second = store.did(&tenant(), fresh[1]).await.unwrap().unwrap();
    assert_eq!((second.max_usage, second.usage_count, second.created_at), (Some(9), 0, now()));
}

async fn an_import_updates_what_is_there(store: &Store) {
    let there = insert(store, 1, Some(5)).await;
    let running = run_ledger(store, writer());
    running.ledger.record(use_of(&there[0])).await.unwrap();
    running.stop().await.unwrap();
    let mut row = new_did(0, Some(50));
    row.status = DidStatus::Inactive;
    row.metadata.insert("region".into(), "US-East".into());
    let later = now() + TimeDelta::hours(1);

    let rows = [row.clone(), new_did(1, None)].into_iter().map(full_row).collect();
    let imported = import(store, rows, OnDuplicate::Update, later).await;

    assert_eq!((imported.inserted, imported.updated, imported.duplicates), (1, 1, 0));
    let now_there = store.did(&tenant(), there[0].id).await.unwrap().unwrap();
    assert_eq!(now_there.usage_count, 1);
    assert_eq!((now_there.max_usage, now_there.status), (Some(50), DidStatus::Inactive));
    assert_eq!(now_there.metadata, row.metadata);
    assert_eq!((now_there.created_at, now_there.updated_at), (now(), later));
    assert!(imported.states.contains(&DidState::from(&now_there)));
}

async fn an_import_changes_only_what_its_rows_give(store: &Store) {
    let mut there = new_did(0, Some(5));
    there.trunk = "carrier".parse().unwrap();
    there.campaign = Some("c_1".parse().unwrap());
    there.metadata = object(json!({"notes": "main", "kept": [1, null], "deep": {"a": 1}}));
    let there = store.insert_did(&tenant(), &there, &Origin::rotary(), now()).await.unwrap();
    store.insert_did(&tenant(), &new_did(1, Some(5)), &Origin::rotary(), now()).await.unwrap();
    let mut only_limit = new_did(0, Some(7));
    only_limit.area_code = Some("212".parse().unwrap());
    only_limit.metadata = object(json!({"notes": null, "deep": {"b": true}, "new": "\"x\""}));
    let mut only_status = new_did(1, None);
    only_status.status = DidStatus::Suspended;

    let rows = vec![
        DidRow { did: only_limit, given: Given { max_usage: true, ..NOTHING } },
        DidRow { did: only_status, given: Given { status: true, ..NOTHING } },
        DidRow { did: new_did(2, None), given: NOTHING },
    ];
    let imported = import(store, rows, OnDuplicate::Update, now()).await;

    assert_eq!((imported.inserted, imported.updated, imported.duplicates), (1, 2, 0));
    let first = store.did(&tenant(), there.id).await.unwrap().unwrap();
    let metadata =
        object(json!({"notes": null, "kept": [1, null], "deep": {"b": true}, "new": "\"x\""}));
    assert_eq!(first, Did { max_usage: Some(7), metadata, ..there });
    let second = store.did_by_number(&tenant(), number(1)).await.unwrap().unwrap();
    assert_eq!((second.status, second.max_usage), (DidStatus::Suspended, Some(5)));
    for did in [&first, &second] {
        assert!(imported.states.contains(&DidState::from(did)), "{did:?}");
    }
}

const NOTHING: Given =
    Given { area_code: false, trunk: false, status: false, max_usage: false, campaign: false };

async fn import(
    store: &Store,
    rows: Vec<DidRow>,
    on_duplicate: OnDuplicate,
    at: DateTime<Utc>,
) -> Imported {
    store
        .import_dids(&tenant(), rows, on_duplicate, &BTreeMap::new(), &importer(), at)
        .await
        .unwrap()
}

fn full_row(did: NewDid) -> DidRow {
    DidRow { did, given: Given::ALL }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn all_dids_are_loaded_in_order(store: &Store) {
    let other: TenantId = "a_first".parse().unwrap();
    let mut dids = insert(store, 5, Some(3)).await;
    dids.push(store.insert_did(&other, &new_did(9, None), &Origin::rotary(), now()).await.unwrap());

    let mut loaded = Vec::new();
    let count = store.load_dids(|state| loaded.push(state)).await.unwrap();

    assert_eq!(loaded, dids.iter().map(DidState::from).collect::<Vec<_>>());
    assert_eq!(count, 6);
}

async fn a_call_comes_back_as_it_was_recorded(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let writer = writer();
    let running = run_ledger(store, writer);
    let full = call_from(&did);
    let mut plain = call_from(&did);
    plain.request.destination =
        Destination::Application { application: "Playback".into(), data: String::new() };
    plain.request.campaign = None;
    plain.request.variables = Vec::new();
    plain.request.caller_name = None;
    plain.request.callback_url = None;
    plain.request.journey = None;
    let calls = [full, plain];

    for call in &calls {
        running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    }

    for call in &calls {
        assert_eq!(store.call(&tenant(), call.id()).await.unwrap().as_ref(), Some(call));
    }
    assert_eq!(store.open_calls(writer).await.unwrap(), calls.map(|call| (call, 0)));
    assert_eq!(store.open_calls(super::writer()).await.unwrap(), []);
    assert_eq!(store.call(&tenant(), CallId(Uuid::now_v7())).await.unwrap(), None);
    let counted = store.did(&tenant(), did.id).await.unwrap().unwrap();
    assert_eq!((counted.usage_count, counted.last_used), (2, Some(now())));
    running.stop().await.unwrap();
}

async fn an_ended_call_does_not_move_back(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let writer = writer();
    let running = run_ledger(store, writer);
    let mut call = call_from(&did);
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    call.handle_report(Report::Ringing, now() + TimeDelta::seconds(1));
    let ringing = call.clone();
    call.handle_report(
        Report::HungUp { cause: 17, sip_code: Some(486) },
        now() + TimeDelta::seconds(2),
    );

    store.save_calls(&[&ringing, &call], &[]).await.unwrap();
    store.save_calls(&[&ringing], &[]).await.unwrap();

    let saved = store.call(&tenant(), call.id()).await.unwrap().unwrap();
    assert_eq!(saved.progress, call.progress);
    assert_eq!(saved.progress.status, CallStatus::Busy);
    assert_eq!(store.open_calls(writer).await.unwrap(), []);
    running.stop().await.unwrap();
}

async fn calls_are_listed_newest_first(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let mut ids = Vec::new();
    for second in 0..5 {
        let mut call = call_from(&did);
        call.request.created_at = now() + TimeDelta::seconds(second);
        ids.insert(0, call.id());
        running.ledger.record(use_with_call(&did, call)).await.unwrap();
    }
    let all = CallFilter::default();

    let first = store.list_calls(&tenant(), &all, 3, None).await.unwrap();
    let second = store.list_calls(&tenant(), &all, 3, first.next.as_deref()).await.unwrap();
    let late = CallFilter { since: Some(now() + TimeDelta::seconds(3)), ..all.clone() };
    let late = store.list_calls(&tenant(), &late, 9, None).await.unwrap();
    let busy = CallFilter { status: Some(CallStatus::Busy), ..all.clone() };
    let shown = CallFilter {
        did: Some(did.id),
        to: Some("+14155550123".parse().unwrap()),
        status: Some(CallStatus::Initiated),
        ..all.clone()
    };

    let seen: Vec<CallId> = first.items.iter().chain(&second.items).map(|call| call.id()).collect();
    assert_eq!(seen, ids);
    assert_eq!(second.next, None);
    assert_eq!(late.items.iter().map(|call| call.id()).collect::<Vec<_>>(), ids[..2]);
    assert!(store.list_calls(&tenant(), &busy, 9, None).await.unwrap().items.is_empty());
    assert_eq!(store.list_calls(&tenant(), &shown, 9, None).await.unwrap().items.len(), 5);
    let bad = store.list_calls(&tenant(), &all, 3, Some("7")).await;
    assert!(matches!(bad, Err(ListError::Cursor(_))));
    running.stop().await.unwrap();
}

async fn a_revoked_key_opens_nothing(store: &Store) {
    let key = ApiKey {
        id: Uuid::now_v7(),
        tenant: Some(tenant()),
        role: Role::Journey,
        label: Some("dialer".into()),
        created_at: now(),
        revoked_at: None,
    };
    let admin = ApiKey { id: Uuid::now_v7(), tenant: None, role: Role::Admin, ..key.clone() };
    let (hash, other) = (KeyHash::of("one"), KeyHash::of("other"));
    store.create_key(&key, &hash, &Origin::rotary()).await.unwrap();
    store.create_key(&admin, &other, &Origin::rotary()).await.unwrap();

    let found = store.find_key(key.id).await.unwrap().unwrap();
    assert_eq!(found.about, key);
    assert!(found.hash.is(&hash) && !found.hash.is(&other));
    assert!(store.find_key(Uuid::now_v7()).await.unwrap().is_none());
    assert_eq!(listed(store, None).await, [key.clone(), admin]);
    assert_eq!(listed(store, Some(&tenant())).await, std::slice::from_ref(&key));

    assert!(store.revoke_key(key.id, &Origin::rotary(), now()).await.unwrap());

    assert!(store.find_key(key.id).await.unwrap().is_none());
    assert!(!store.revoke_key(key.id, &Origin::rotary(), now()).await.unwrap());
    assert_eq!(listed(store, Some(&tenant())).await[0].revoked_at, Some(now()));
}

async fn keys_are_listed_in_parts(store: &Store) {
    let mut keys = Vec::new();
    for n in 0..3 {
        let key = ApiKey {
            id: Uuid::now_v7(),
            tenant: Some(tenant()),
            role: Role::Viewer,
            label: None,
            created_at: now(),
            revoked_at: None,
        };
        store.create_key(&key, &KeyHash::of(&n.to_string()), &Origin::rotary()).await.unwrap();
        keys.push(key);
    }

    let first = store.list_keys(Some(&tenant()), 2, None).await.unwrap();
    let rest = store.list_keys(Some(&tenant()), 2, first.next.as_deref()).await.unwrap();

    assert_eq!(first.items, keys[..2]);
    assert_eq!((rest.items.as_slice(), rest.next), (&keys[2..], None));
    let bad = store.list_keys(None, 2, Some("7")).await;
    assert!(matches!(bad, Err(ListError::Cursor(_))));
}

async fn listed(store: &Store, tenant: Option<&TenantId>) -> Vec<ApiKey> {
    store.list_keys(tenant, 10, None).await.unwrap().items
}

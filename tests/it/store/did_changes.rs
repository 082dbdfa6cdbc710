//! DIDs changed and deleted, keys and tenants: what is stored, and what the audit log says of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use rotary::domain::audit::{Entry, Origin};
use rotary::domain::did::{Did, DidId, DidStatus};
use rotary::domain::did_change::{DidChange, whole};
use rotary::domain::tenant::{Tenant, TenantId, webhook_secret};
use rotary::store::audit_log::AuditFilter;
use rotary::store::dids::{ChangeError, DidFilter};
use rotary::store::keys::{ApiKey, KeyHash, Role};
use rotary::store::ledger::{Ledger, Recorded};
use rotary::store::{ListError, Store};
use secrecy::ExposeSecret;
use serde_json::{Map, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    call_from, insert, now, number, on_both, run_ledger, tenant, usage, use_of, use_with_call,
    writer,
};

on_both!(
    a_change_is_stored_and_told_with_what_was_before,
    a_change_of_nothing_leaves_no_trace,
    a_number_cannot_be_changed_to_one_the_tenant_has,
    a_count_that_rises_meanwhile_survives_a_change,
    a_deleted_did_is_gone_and_its_calls_are_not,
    a_count_is_set_back_and_goes_on_from_there,
    another_tenants_did_is_neither_changed_nor_told_of,
    no_use_is_counted_once_a_did_was_suspended,
    no_use_is_counted_once_a_did_was_deleted,
    an_exact_number_finds_one_did,
    a_key_is_told_of_without_the_key,
    a_tenant_is_made_once_and_its_secret_is_never_told,
    tenants_are_listed_in_parts,
);

async fn a_change_is_stored_and_told_with_what_was_before(store: &Store) {
    let did = insert(store, 1, Some(5)).await.remove(0);
    let change = DidChange {
        number: Some("+12125550001".parse().unwrap()),
        trunk: Some("carrier-1".parse().unwrap()),
        status: Some(DidStatus::Suspended),
        max_usage: Some(None),
        campaign: Some(Some("c_1".parse().unwrap())),
        metadata: Some(json!({"notes": "\"new\" 📞"}).as_object().unwrap().clone()),
        ..DidChange::default()
    };
    let later = now() + TimeDelta::hours(1);

    let changed =
        store.update_did(&tenant(), did.id, &change, |_, _| 0, &origin(), later).await.unwrap();

    assert_eq!(changed.before, did);
    let expected = Did {
        number: "+12125550001".parse().unwrap(),
        area_code: Some("212".parse().unwrap()),
        trunk: "carrier-1".parse().unwrap(),
        status: DidStatus::Suspended,
        max_usage: None,
        campaign: Some("c_1".parse().unwrap()),
        metadata: change.metadata.unwrap(),
        updated_at: later,
        ..did.clone()
    };
    assert_eq!(changed.after, expected);
    assert_eq!(store.did(&tenant(), did.id).await.unwrap(), Some(expected));
    let line = &lines_of(store, did.id).await[0];
    assert_eq!((line.action.as_str(), line.at), ("did.updated", later));
    assert_eq!((line.actor.as_str(), line.request_id.as_str()), ("uid 7", "r_1"));
    assert_eq!(line.tenant, Some(tenant()));
    let before = json!({
        "number": "+14045550000", "areaCode": "404", "trunk": "PJSIP", "status": "active",
        "maxUsage": 5, "campaignId": null, "metadata": {},
    });
    assert_eq!(line.before, Some(before));
    let after = json!({
        "number": "+12125550001", "areaCode": "212", "trunk": "carrier-1", "status": "suspended",
        "maxUsage": null, "campaignId": "c_1", "metadata": {"notes": "\"new\" 📞"},
    });
    assert_eq!(line.after, Some(after));
}

async fn a_change_of_nothing_leaves_no_trace(store: &Store) {
    let did = insert(store, 1, Some(5)).await.remove(0);
    let same = DidChange {
        number: Some(did.number),
        status: Some(did.status),
        metadata: Some(Map::new()),
        ..DidChange::default()
    };
    let later = now() + TimeDelta::hours(1);

    for change in [same, DidChange::default()] {
        let changed =
            store.update_did(&tenant(), did.id, &change, |_, _| 0, &origin(), later).await.unwrap();
        assert_eq!(changed.after, did);
    }

    assert_eq!(store.did(&tenant(), did.id).await.unwrap().as_ref(), Some(&did));
    assert_eq!(actions(&lines_of(store, did.id).await), ["did.created"]);
}

async fn a_number_cannot_be_changed_to_one_the_tenant_has(store: &Store) {
    let dids = insert(store, 2, None).await;
    let change = DidChange { number: Some(number(1)), ..DidChange::default() };

    let refused =
        store.update_did(&tenant(), dids[0].id, &change, |_, _| 0, &origin(), now()).await;

    assert!(matches!(refused, Err(ChangeError::Exists)), "{refused:?}");
    assert_eq!(store.did(&tenant(), dids[0].id).await.unwrap().as_ref(), Some(&dids[0]));
    assert_eq!(actions(&lines_of(store, dids[0].id).await), ["did.created"]);
}

async fn a_count_that_rises_meanwhile_survives_a_change(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let pickers = Pickers::start(&running.ledger, &did);
    pickers.wait_for_a_use(store, &did).await;

    for limit in 1_000_000..1_000_050 {
        let change = DidChange { max_usage: Some(Some(limit)), ..DidChange::default() };
        store.update_did(&tenant(), did.id, &change, |_, _| 0, &origin(), now()).await.unwrap();
    }
    let counted = pickers.stop().await;

    assert_eq!(usage(store, &did).await, counted);
    running.stop().await.unwrap();
}

async fn a_deleted_did_is_gone_and_its_calls_are_not(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let mut call = call_from(&did);
    running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();

    let gone = store.delete_did(&tenant(), did.id, &origin(), now()).await.unwrap();

    assert_eq!((gone.id, gone.usage_count), (did.id, 1));
    assert_eq!(store.did(&tenant(), did.id).await.unwrap(), None);
    assert_eq!(store.call(&tenant(), call.id()).await.unwrap().as_ref(), Some(&call));
    let line = &lines_of(store, did.id).await[0];
    assert_eq!((line.action.as_str(), &line.after), ("did.deleted", &None));
    assert_eq!(line.before, Some(whole(&gone)));
    let again = store.delete_did(&tenant(), did.id, &origin(), now()).await;
    assert!(matches!(again, Err(ChangeError::NotFound(_))), "{again:?}");
    // A use of it that was not needed has nowhere to go back to; its call ends all the same.
    call.fail(now());
    let taken = running.ledger.take_back(&tenant(), did.id, Some(&call)).await.unwrap();
    assert_eq!(taken, None);
    assert_eq!(store.call(&tenant(), call.id()).await.unwrap(), Some(call));
    running.stop().await.unwrap();
}

async fn a_count_is_set_back_and_goes_on_from_there(store: &Store) {
    let did = insert(store, 1, Some(1)).await.remove(0);
    let running = run_ledger(store, writer());
    running.ledger.record(use_of(&did)).await.unwrap();

    let changed = store.reset_usage(&tenant(), did.id, |_| 0, &origin(), now()).await.unwrap();

    assert_eq!((changed.before.usage_count, changed.after.usage_count), (1, 0));
    let next = running.ledger.record(use_of(&did)).await.unwrap();
    assert_eq!(next, Recorded::Counted { usage_count: 1 });
    let line = &lines_of(store, did.id).await[0];
    assert_eq!(line.action, "did.usage_reset");
    let told = (line.before.clone(), line.after.clone());
    assert_eq!(told, (Some(json!({"usageCount": 1})), Some(json!({"usageCount": 0}))));
    running.stop().await.unwrap();
}

async fn another_tenants_did_is_neither_changed_nor_told_of(store: &Store) {
    let other: TenantId = "t_2".parse().unwrap();
    let did = insert(store, 1, Some(5)).await.remove(0);
    let suspend = suspended();

    let changed = store.update_did(&other, did.id, &suspend, |_, _| 0, &origin(), now()).await;
    let deleted = store.delete_did(&other, did.id, &origin(), now()).await;
    let reset = store.reset_usage(&other, did.id, |_| 0, &origin(), now()).await;

    assert!(matches!(changed, Err(ChangeError::NotFound(id)) if id == did.id));
    assert!(matches!(deleted, Err(ChangeError::NotFound(_))));
    assert!(matches!(reset, Err(ChangeError::NotFound(_))));
    assert_eq!(store.did(&tenant(), did.id).await.unwrap().as_ref(), Some(&did));
    let theirs = AuditFilter { tenant: Some(other), did: Some(did.id), ..AuditFilter::default() };
    assert_eq!(store.list_audit_log(&theirs, 9, None).await.unwrap().items, []);
}

async fn no_use_is_counted_once_a_did_was_suspended(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let pickers = Pickers::start(&running.ledger, &did);
    pickers.wait_for_a_use(store, &did).await;

    store.update_did(&tenant(), did.id, &suspended(), |_, _| 0, &origin(), now()).await.unwrap();
    let counted = usage(store, &did).await;
    let after = running.ledger.record(use_with_call(&did, call_from(&did))).await.unwrap();
    pickers.stop().await;

    assert!(matches!(after, Recorded::Refused(_)), "{after:?}");
    assert_eq!(usage(store, &did).await, counted);
    running.stop().await.unwrap();
}

async fn no_use_is_counted_once_a_did_was_deleted(store: &Store) {
    let did = insert(store, 1, None).await.remove(0);
    let running = run_ledger(store, writer());
    let pickers = Pickers::start(&running.ledger, &did);
    pickers.wait_for_a_use(store, &did).await;

    let gone = store.delete_did(&tenant(), did.id, &origin(), now()).await.unwrap();
    let after = running.ledger.record(use_with_call(&did, call_from(&did))).await.unwrap();
    let counted = pickers.stop().await;

    assert_eq!(after, Recorded::Gone);
    assert_eq!(counted, gone.usage_count);
    running.stop().await.unwrap();
}

async fn an_exact_number_finds_one_did(store: &Store) {
    let dids = insert(store, 3, None).await;
    let exact = DidFilter { number: Some(number(1)), ..DidFilter::default() };
    let elsewhere = DidFilter { status: Some(DidStatus::Inactive), ..exact.clone() };

    let found = store.list_dids(&tenant(), &exact, 9, None).await.unwrap();
    let after = format!("n{}", number(1).digits());
    let next = store.list_dids(&tenant(), &exact, 9, Some(&after)).await.unwrap();
    let none = store.list_dids(&tenant(), &elsewhere, 9, None).await.unwrap();

    assert_eq!(found.items, [dids[1].clone()]);
    assert!(next.items.is_empty() && none.items.is_empty());
}

async fn a_key_is_told_of_without_the_key(store: &Store) {
    let key = ApiKey {
        id: Uuid::now_v7(),
        tenant: Some(tenant()),
        role: Role::Journey,
        label: Some("dialer".into()),
        created_at: now(),
        revoked_at: None,
    };

    store.create_key(&key, &KeyHash::of("one"), &origin()).await.unwrap();
    store.revoke_key(key.id, &origin(), now()).await.unwrap();
    store.revoke_key(key.id, &origin(), now()).await.unwrap();

    let lines = lines(store, "key", &key.id.to_string()).await;
    assert_eq!(actions(&lines), ["key.revoked", "key.created"]);
    assert!(lines.iter().all(|line| line.tenant == Some(tenant())));
    let told = json!({"tenantId": "t_1", "role": "journey", "label": "dialer"});
    assert_eq!(lines[1].after, Some(told));
}

async fn a_tenant_is_made_once_and_its_secret_is_never_told(store: &Store) {
    let acme = made("acme", 1);
    let again = Tenant { name: Some("other".into()), ..made("acme", 2) };

    assert!(store.create_tenant(&acme, &origin()).await.unwrap());
    assert!(!store.create_tenant(&again, &origin()).await.unwrap());
    let later = now() + TimeDelta::hours(1);
    let secret = webhook_secret([3; 32]);
    let rotated = store.rotate_webhook_secret(&acme.id, &secret, &origin(), later).await.unwrap();
    let nobody = "nobody".parse().unwrap();
    let none = store.rotate_webhook_secret(&nobody, &secret, &origin(), later).await.unwrap();

    assert!(none.is_none());
    assert_eq!(rotated.unwrap().updated_at, later);
    let there = store.tenant(&acme.id).await.unwrap().unwrap();
    assert_eq!((there.name, there.created_at), (Some("Name of acme".into()), now()));
    assert_eq!(there.webhook_secret.expose_secret(), secret.expose_secret());
    let all = store.list_audit_log(&AuditFilter::default(), 9, None).await.unwrap().items;
    assert_eq!(actions(&all), ["tenant.secret_rotated", "tenant.created"]);
    assert!(!format!("{all:?}").contains("whsec_"));
}

async fn tenants_are_listed_in_parts(store: &Store) {
    for name in ["c", "a", "b"] {
        store.create_tenant(&made(name, 1), &origin()).await.unwrap();
    }

    let first = store.list_tenants(2, None).await.unwrap();
    let rest = store.list_tenants(2, first.next.as_deref()).await.unwrap();
    let bad = store.list_tenants(2, Some("no cursor")).await;

    let ids: Vec<&str> =
        first.items.iter().chain(&rest.items).map(|tenant| tenant.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(rest.next, None);
    assert!(matches!(bad, Err(ListError::Cursor(_))));
}

/// Eight that count uses of one DID as fast as they can.
struct Pickers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<u32>,
}

impl Pickers {
    fn start(ledger: &Ledger, did: &Did) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (ledger, did, stop) = (ledger.clone(), did.clone(), stop.clone());
            tasks.spawn(async move {
                let mut counted = 0;
                while !stop.load(Ordering::SeqCst) {
                    let answer = ledger.record(use_of(&did)).await.unwrap();
                    counted += u32::from(matches!(answer, Recorded::Counted { .. }));
                }
                counted
            });
        }
        Self { stop, tasks }
    }

    async fn wait_for_a_use(&self, store: &Store, did: &Did) {
        while usage(store, did).await < 10 {
            tokio::task::yield_now().await;
        }
    }

    /// Says how many uses were counted.
    async fn stop(self) -> u32 {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await.into_iter().sum()
    }
}

fn suspended() -> DidChange {
    DidChange { status: Some(DidStatus::Suspended), ..DidChange::default() }
}

fn made(id: &str, seed: u8) -> Tenant {
    Tenant {
        id: id.parse().unwrap(),
        name: Some(format!("Name of {id}")),
        webhook_secret: webhook_secret([seed; 32]),
        created_at: now(),
        updated_at: now(),
    }
}

fn origin() -> Origin {
    Origin::user(7, "r_1")
}

async fn lines_of(store: &Store, did: DidId) -> Vec<Entry> {
    lines(store, "did", &did.to_string()).await
}

/// The newest first.
async fn lines(store: &Store, kind: &str, id: &str) -> Vec<Entry> {
    let about = AuditFilter {
        subject_type: Some(kind.to_owned()),
        subject_id: Some(id.to_owned()),
        ..AuditFilter::default()
    };
    store.list_audit_log(&about, 99, None).await.unwrap().items
}

fn actions(lines: &[Entry]) -> Vec<&str> {
    lines.iter().map(|line| line.action.as_str()).collect()
}

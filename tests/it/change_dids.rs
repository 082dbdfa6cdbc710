//! DIDs changed, deleted and set back over HTTP, and what picks make of it.

use rotary::domain::rotation::Want;
use rotary::domain::tenant::TenantId;
use serde_json::{Value, json};

use crate::house::{Answer, Ask, House};
use crate::wait::until;

const DIDS: &str = "/api/asterisk-dids";
const NEXT: &str = "/api/asterisk-dids/next-available";

#[tokio::test]
async fn a_change_touches_only_what_was_sent_and_is_in_force_at_once() {
    let house = House::open().await;
    let did =
        add(&house, json!({"number": "+14045550001", "maxUsage": 7, "campaignId": "c_1"})).await;
    let before = house.ask(Ask::get(NEXT)).await;

    let changed = house.ask(Ask::put(&path(&did), &json!({"status": "active"}))).await;

    assert_eq!(before.problem(), (409, "no_available_did"));
    assert_eq!(changed.status, 200);
    let mut expected = did.clone();
    expected["status"] = json!("active");
    expected["updatedAt"] = changed.body["updatedAt"].clone();
    assert_eq!(changed.body, expected);
    assert_ne!(changed.body["updatedAt"], did["updatedAt"]);
    assert_eq!(house.ask(Ask::get(NEXT)).await.body["id"], did["id"]);
    assert_eq!(house.ask(Ask::get(&path(&did))).await.body, expected);
    house.ask(Ask::put(&path(&did), &json!({"status": "suspended"}))).await;
    assert_eq!(house.ask(Ask::get(NEXT)).await.problem(), (409, "no_available_did"));
}

#[tokio::test]
async fn a_null_clears_what_may_be_empty_and_nothing_else() {
    let house = House::open().await;
    let did =
        add(&house, json!({"number": "+14045550001", "maxUsage": 7, "campaignId": "c_1"})).await;
    let clear = json!({"areaCode": null, "maxUsage": null, "campaignId": null});

    let cleared = house.ask(Ask::put(&path(&did), &clear)).await;

    for name in ["areaCode", "maxUsage", "campaignId"] {
        assert_eq!(cleared.body[name], Value::Null, "{name}");
    }
    for name in ["number", "trunk", "status", "metadata", "id", "tenantId"] {
        let refused = house.ask(Ask::put(&path(&did), &json!({name: null}))).await;
        assert_eq!(refused.problem(), (422, "invalid_field"), "{name}");
        assert_eq!(refused.body["field"], name);
    }
}

#[tokio::test]
async fn what_get_gave_may_be_sent_back() {
    let house = House::open().await;
    let csv = json!({"number": "+14045550001", "metadata": {"notes": "main"}, "status": "active"});
    let did = add(&house, csv).await;
    let mut sent = did.clone();
    sent["usageCount"] = json!(99);
    sent["headStart"] = json!(99);

    let same = house.ask(Ask::put(&path(&did), &sent)).await;
    sent["metadata"] = json!({"region": "US-East"});
    let changed = house.ask(Ask::put(&path(&did), &sent)).await;

    assert_eq!((same.status.as_u16(), &same.body), (200, &did));
    assert_eq!(changed.body["metadata"], json!({"region": "US-East"}));
    assert_eq!(changed.body["usageCount"], 0);
    assert_eq!(changed.body.get("headStart"), None);
    assert_eq!(actions(&log(&house, &did).await), ["did.updated", "did.created"]);
}

#[tokio::test]
async fn a_number_changes_in_any_written_form_and_its_area_code_with_it() {
    let house = House::open().await;
    let did = add(&house, json!({"number": "+14045550001"})).await;
    add(&house, json!({"number": "+14045550002"})).await;

    let changed = house.ask(Ask::put(&path(&did), &json!({"number": "(212) 555-0003"}))).await;
    let both = json!({"number": "+13035550004", "areaCode": "720"});
    let both = house.ask(Ask::put(&path(&did), &both)).await;
    let taken = house.ask(Ask::put(&path(&did), &json!({"number": "404 555 0002"}))).await;

    assert_eq!((changed.text("number"), changed.text("areaCode")), ("+12125550003", "212"));
    assert_eq!((both.text("number"), both.text("areaCode")), ("+13035550004", "720"));
    assert_eq!(taken.problem(), (409, "did_exists"));
    let found = house.ask(Ask::get(&format!("{DIDS}?number=(303)%20555-0004"))).await;
    assert_eq!(found.body["data"][0]["id"], did["id"]);
    let plus = house.ask(Ask::get(&format!("{DIDS}?number=+14045550002"))).await;
    assert_eq!(plus.body["data"][0]["number"], "+14045550002");
    let none = house.ask(Ask::get(&format!("{DIDS}?number=404555"))).await;
    assert_eq!(none.problem(), (422, "invalid_phone_number"));
}

#[tokio::test]
async fn a_change_that_will_not_do_names_its_field_and_changes_nothing() {
    let house = House::open().await;
    let did = add(&house, json!({"number": "+14045550001"})).await;
    let long = "x".repeat(17_000);

    for (body, code, field) in [
        (json!({"statsu": "active"}), "unknown_field", "statsu"),
        (json!({"statsu": null}), "unknown_field", "statsu"),
        (json!({"status": "active", "maxUsage": -1}), "invalid_field", "maxUsage"),
        (json!({"status": "on"}), "invalid_field", "status"),
        (json!({"status": "active", "number": "404555"}), "invalid_phone_number", "number"),
        (json!({"trunk": "a@b"}), "invalid_field", "trunk"),
        (json!({"metadata": "notes"}), "invalid_field", "metadata"),
        (json!({"metadata": {"notes": long}}), "invalid_field", "metadata"),
        (json!({"tenantId": "acme"}), "invalid_field", "tenantId"),
        (json!({"id": "0192f0c1-3b7e-7a10-8000-000000000001"}), "invalid_field", "id"),
    ] {
        let refused = house.ask(Ask::put(&path(&did), &body)).await;

        assert_eq!(refused.problem(), (422, code), "{field}");
        assert_eq!(refused.body["field"], field);
    }
    assert_eq!(house.ask(Ask::get(&path(&did))).await.body, did);
}

#[tokio::test]
async fn a_deleted_did_is_nowhere_but_in_its_calls() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    let did = add(&house, json!({"number": "+14045550001", "status": "active"})).await;
    let call = house.ask(Ask::post("/api/calls?wait=end", &json!({"to": "+14155550123"}))).await;

    let deleted = house.ask(Ask::delete(&path(&did))).await;

    assert_eq!((deleted.status.as_u16(), &deleted.body), (204, &Value::Null));
    assert_eq!(house.ask(Ask::get(&path(&did))).await.problem(), (404, "did_not_found"));
    assert_eq!(house.ask(Ask::delete(&path(&did))).await.problem(), (404, "did_not_found"));
    assert_eq!(house.ask(Ask::get(NEXT)).await.problem(), (409, "no_available_did"));
    let refused = house.ask(Ask::post("/api/calls", &json!({"to": "+14155550123"}))).await;
    assert_eq!(refused.problem(), (409, "no_available_did"));
    let calls = house.ask(Ask::get(&format!("/api/calls?didId={}", id(&did)))).await;
    assert_eq!(calls.body["data"][0]["id"], call.body["id"]);
    assert_eq!(calls.body["data"][0]["from"], "+14045550001");
    // Its number is free again.
    add(&house, json!({"number": "+14045550001"})).await;
}

#[tokio::test]
async fn a_spent_did_is_picked_again_after_a_reset() {
    let house = House::open().await;
    let did =
        add(&house, json!({"number": "+14045550001", "status": "active", "maxUsage": 1})).await;
    let index = &house.running.app.index;
    let pick = index.lock().pick(&want()).unwrap();
    let used = rotary::store::ledger::Use {
        tenant: pick.tenant.clone(),
        did: pick.did,
        at: rotary::app::now(),
        call: None,
        pick: None,
    };
    house.running.app.ledger.record(used).await.unwrap();
    index.lock().settle(&pick, 1);
    let spent = house.ask(Ask::get(NEXT)).await;

    let reset = house.ask(Ask::post(&format!("{}/reset-usage", path(&did)), &json!({}))).await;

    assert_eq!(spent.problem(), (409, "no_available_did"));
    assert_eq!((reset.status.as_u16(), &reset.body["usageCount"]), (200, &json!(0)));
    assert_ne!(reset.body["lastUsed"], Value::Null);
    assert_eq!(house.ask(Ask::get(NEXT)).await.body["id"], did["id"]);
    assert_eq!(actions(&log(&house, &did).await), ["did.usage_reset", "did.created"]);
}

#[tokio::test]
async fn a_count_from_before_a_reset_does_not_outlive_it() {
    let house = House::open().await;
    let did =
        add(&house, json!({"number": "+14045550001", "status": "active", "maxUsage": 1})).await;
    let index = &house.running.app.index;
    let pick = index.lock().pick(&want()).unwrap();
    house.ask(Ask::post(&format!("{}/reset-usage", path(&did)), &json!({}))).await;

    // The store's answer to a pick of before the reset comes only now.
    index.lock().settle(&pick, 1);
    let late = house.ask(Ask::get(NEXT)).await;

    assert_eq!(late.problem(), (409, "no_available_did"));
    let next = until("the DID is in rotation again", async || index.lock().next(&want())).await;
    assert_eq!(next.0.to_string(), id(&did));
}

#[tokio::test]
async fn another_tenants_did_is_not_there_to_be_changed() {
    let house = House::open().await;
    let body = json!({"number": "+14045550001"});
    let other = house.ask(Ask::post(DIDS, &body).header("x-tenant-id", "other")).await.body;
    let operator = key(&house, "operator").await;
    let viewer = key(&house, "viewer").await;
    let reset = format!("{}/reset-usage", path(&other));
    let change = json!({"status": "active"});

    for ask in [
        Ask::put(&path(&other), &change),
        Ask::delete(&path(&other)),
        Ask::post(&reset, &json!({})),
        Ask::put(&format!("{DIDS}/1"), &change),
        Ask::delete(&format!("{DIDS}/0192f0c1-3b7e-7a10-8000-000000000001")),
    ] {
        let answer = house.ask_on_tcp(ask.key(&operator)).await;
        assert_eq!(answer.problem(), (404, "did_not_found"));
    }
    for ask in [
        Ask::put(&path(&other), &change),
        Ask::delete(&path(&other)),
        Ask::post(&reset, &json!({})),
    ] {
        assert_eq!(house.ask_on_tcp(ask.key(&viewer)).await.problem(), (403, "forbidden"));
    }
    let there = house.ask(Ask::get(&path(&other)).header("x-tenant-id", "other")).await;
    assert_eq!(there.body, other);
}

fn want() -> Want {
    Want { tenant: TenantId::default_tenant(), campaign: None, area_code: None }
}

async fn add(house: &House, body: Value) -> Value {
    let added: Answer = house.ask(Ask::post(DIDS, &body)).await;
    assert_eq!(added.status, 201, "{added:?}");
    added.body
}

fn id(did: &Value) -> &str {
    did["id"].as_str().unwrap()
}

fn path(did: &Value) -> String {
    format!("{DIDS}/{}", id(did))
}

async fn log(house: &House, did: &Value) -> Value {
    house.ask(Ask::get(&format!("/api/audit-log?didId={}", id(did)))).await.body
}

fn actions(log: &Value) -> Vec<&str> {
    log["data"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect()
}

async fn key(house: &House, role: &str) -> String {
    let body = json!({"role": role, "tenantId": "acme"});
    house.ask(Ask::post("/api/keys", &body)).await.text("key").to_owned()
}

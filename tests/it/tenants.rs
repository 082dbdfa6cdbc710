//! Tenants and the audit log over HTTP.

use serde_json::{Value, json};

use crate::house::{Answer, Ask, House};

const DIDS: &str = "/api/asterisk-dids";
const TENANTS: &str = "/api/tenants";
const LOG: &str = "/api/audit-log";

#[tokio::test]
async fn the_default_tenant_is_there_from_the_start() {
    let house = House::open().await;

    let default = house.ask(Ask::get("/api/tenants/default")).await;

    assert_eq!(default.status, 200);
    assert!(default.text("webhookSecret").starts_with("whsec_"), "{default:?}");
    let made = house.ask(Ask::get("/api/audit-log?action=tenant.created")).await;
    assert_eq!(made.body["data"][0]["actor"], "rotary");
}

#[tokio::test]
async fn a_tenant_is_added_once_and_found() {
    let house = House::open().await;

    let added = house.ask(Ask::post(TENANTS, &json!({"id": "acme", "name": "Acme"}))).await;
    let again = house.ask(Ask::post(TENANTS, &json!({"id": "acme"}))).await;
    let list = house.ask(Ask::get(&format!("{TENANTS}?limit=1"))).await;

    assert_eq!(added.status, 201);
    assert_eq!((added.text("id"), added.text("name")), ("acme", "Acme"));
    assert_eq!(added.text("webhookSecret").len(), "whsec_".len() + 44);
    let location = added.headers["location"].to_str().unwrap();
    assert_eq!(house.ask(Ask::get(location)).await.body, added.body);
    assert_eq!(again.problem(), (409, "tenant_exists"));
    assert_eq!(list.body["data"], json!([added.body]));
    let cursor = list.text("nextCursor");
    let rest = house.ask(Ask::get(&format!("{TENANTS}?limit=1&cursor={cursor}"))).await;
    assert_eq!(rest.body["data"][0]["id"], "default");
    assert_eq!(rest.body["nextCursor"], Value::Null);
}

#[tokio::test]
async fn a_name_has_as_many_characters_as_the_document_says_in_any_script() {
    let house = House::open().await;
    let body = json!({"id": "acme", "name": "ж".repeat(200)});

    let tenant = house.ask(Ask::post(TENANTS, &body)).await;
    let campaign = house.ask(Ask::post("/api/campaigns", &body)).await;

    assert_eq!((tenant.status.as_u16(), &tenant.body["name"]), (201, &body["name"]));
    assert_eq!((campaign.status.as_u16(), &campaign.body["name"]), (201, &body["name"]));
}

#[tokio::test]
async fn a_tenant_that_will_not_do_names_the_field_at_fault() {
    let house = House::open().await;

    for (body, code, field) in [
        (json!({"name": "Acme"}), "missing_field", "id"),
        (json!({"id": "a b"}), "invalid_field", "id"),
        (json!({"id": 5}), "invalid_field", "id"),
        (json!({"id": "acme", "name": "x".repeat(201)}), "invalid_field", "name"),
        (json!({"id": "acme", "webhookSecret": "whsec_x"}), "unknown_field", "webhookSecret"),
    ] {
        let refused = house.ask(Ask::post(TENANTS, &body)).await;

        assert_eq!(refused.problem(), (422, code), "{body}");
        assert_eq!(refused.body["field"], field, "{body}");
    }
    for ask in [
        Ask::get("/api/tenants/acme"),
        Ask::get("/api/tenants/a%20b"),
        Ask::post("/api/tenants/acme/webhook-secret", &json!({})),
    ] {
        assert_eq!(house.ask(ask).await.problem(), (404, "tenant_not_found"));
    }
}

#[tokio::test]
async fn a_secret_is_rotated_and_told_to_nobody_but_administrators() {
    let house = House::open().await;
    let before = house.ask(Ask::post(TENANTS, &json!({"id": "acme"}))).await;
    let operator = key(&house, "operator", "acme").await;

    let rotated = house.ask(Ask::post("/api/tenants/acme/webhook-secret", &json!({}))).await;
    let own = house.ask_on_tcp(Ask::get("/api/tenants/acme").key(&operator)).await;
    let refused = Ask::post("/api/tenants/acme/webhook-secret", &json!({})).key(&operator);

    assert_eq!(rotated.status, 200);
    assert_ne!(rotated.text("webhookSecret"), before.text("webhookSecret"));
    let now_there = house.ask(Ask::get("/api/tenants/acme")).await;
    assert_eq!(now_there.body, rotated.body);
    assert_eq!(own.text("id"), "acme");
    assert!(own.body.get("webhookSecret").is_none(), "{own:?}");
    assert_eq!(house.ask_on_tcp(refused).await.problem(), (403, "forbidden"));
    let log = house.ask(Ask::get(&format!("{LOG}?subjectType=tenant&subjectId=acme"))).await;
    assert_eq!(actions(&log), ["tenant.secret_rotated", "tenant.created"]);
    assert!(!log.body.to_string().contains("whsec_"));
}

#[tokio::test]
async fn a_tenants_people_see_their_own_tenant_alone() {
    let house = House::open().await;
    let viewer = key(&house, "viewer", "acme").await;
    key(&house, "viewer", "other").await;

    let list = house.ask_on_tcp(Ask::get(TENANTS).key(&viewer)).await;
    let other = house.ask_on_tcp(Ask::get("/api/tenants/other").key(&viewer)).await;
    let creates = house.ask_on_tcp(Ask::post(TENANTS, &json!({"id": "x"})).key(&viewer)).await;

    let ids: Vec<&Value> =
        list.body["data"].as_array().unwrap().iter().map(|tenant| &tenant["id"]).collect();
    assert_eq!(ids, ["acme"]);
    assert_eq!(other.problem(), (404, "tenant_not_found"));
    assert_eq!(creates.problem(), (403, "forbidden"));
}

#[tokio::test]
async fn a_tenant_comes_into_being_when_it_is_named() {
    let house = House::open().await;
    let csv = "number\n+14045550001\n";

    house.ask(Ask::post(DIDS, &json!({"number": "+14045550001"})).header("x-tenant-id", "a")).await;
    let import = Ask::post_as(&format!("{DIDS}/import"), "text/csv", csv);
    house.ask(import.header("x-tenant-id", "b")).await;
    let dry = Ask::post_as(&format!("{DIDS}/import?dryRun=true"), "text/csv", csv);
    house.ask(dry.header("x-tenant-id", "nobody")).await;
    key(&house, "viewer", "c").await;

    let list = house.ask(Ask::get(TENANTS)).await;
    let ids: Vec<&Value> =
        list.body["data"].as_array().unwrap().iter().map(|tenant| &tenant["id"]).collect();
    assert_eq!(ids, ["a", "b", "c", "default"]);
    let made = house.ask(Ask::get(&format!("{LOG}?action=tenant.created"))).await;
    assert_eq!(actions(&made).len(), 4);
}

#[tokio::test]
async fn the_audit_log_says_who_from_where_and_by_which_request() {
    let house = House::open().await;
    let operator = key(&house, "operator", "acme").await;
    let add = Ask::post(DIDS, &json!({"number": "+14045550001"}));
    let did = house.ask_on_tcp(add.key(&operator).header("x-request-id", "trace-7")).await;
    let path = did.headers["location"].to_str().unwrap().to_owned();
    house.ask_on_tcp(Ask::put(&path, &json!({"maxUsage": 3})).key(&operator)).await;

    let log = house.ask_on_tcp(Ask::get(LOG).key(&operator)).await;

    assert_eq!(actions(&log), ["did.updated", "did.created", "key.created", "tenant.created"]);
    let (updated, created) = (&log.body["data"][0], &log.body["data"][1]);
    assert_eq!(updated["before"], json!({"maxUsage": null}));
    assert_eq!(updated["after"], json!({"maxUsage": 3}));
    assert_eq!(created["before"], Value::Null);
    assert_eq!(created["after"], did.body);
    assert_eq!(created["tenantId"], "acme");
    assert_eq!(created["subjectId"], did.body["id"]);
    assert_eq!(created["address"], "127.0.0.1:49152");
    assert_eq!(created["requestId"], "trace-7");
    let key_id = log.body["data"][2]["subjectId"].as_str().unwrap();
    assert_eq!(created["actor"], format!("key {key_id}"));
    assert_eq!(log.body["data"][2]["address"], "control socket");
    let names: Vec<&String> = created.as_object().unwrap().keys().collect();
    let expected = [
        "action",
        "actor",
        "address",
        "after",
        "at",
        "before",
        "id",
        "requestId",
        "subjectId",
        "subjectType",
        "tenantId",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn the_audit_log_of_a_tenant_is_its_own() {
    let house = House::open().await;
    let add =
        |tenant| Ask::post(DIDS, &json!({"number": "+14045550001"})).header("x-tenant-id", tenant);
    house.ask(add("acme")).await;
    let other = house.ask(add("other")).await;
    let operator = key(&house, "operator", "acme").await;
    let viewer = key(&house, "viewer", "acme").await;
    let about_other = format!("{LOG}?didId={}", other.text("id"));

    let own = house.ask_on_tcp(Ask::get(LOG).key(&operator)).await;
    let stolen = house.ask_on_tcp(Ask::get(&about_other).key(&operator)).await;
    let read = house.ask_on_tcp(Ask::get(LOG).key(&viewer)).await;
    let named = house.ask(Ask::get(LOG).header("x-tenant-id", "other")).await;
    let all = house.ask(Ask::get(&format!("{LOG}?action=did.created"))).await;

    assert!(own.body["data"].as_array().unwrap().iter().all(|line| line["tenantId"] == "acme"));
    assert_eq!(stolen.body["data"], json!([]));
    assert_eq!(read.problem(), (403, "forbidden"));
    assert_eq!(actions(&named), ["did.created", "tenant.created"]);
    assert_eq!(actions(&all), ["did.created", "did.created"]);
}

#[tokio::test]
async fn the_audit_log_is_read_in_parts_and_from_a_time_on() {
    let house = House::open().await;
    for n in 1..4 {
        house.ask(Ask::post(DIDS, &json!({"number": format!("+1404555000{n}")}))).await;
    }
    let about = format!("{LOG}?subjectType=did");

    let first = house.ask(Ask::get(&format!("{about}&limit=2"))).await;
    let cursor = first.text("nextCursor");
    let rest = house.ask(Ask::get(&format!("{about}&limit=2&cursor={cursor}"))).await;
    let since = first.body["data"][1]["at"].as_str().unwrap();
    let late = house.ask(Ask::get(&format!("{about}&since={since}"))).await;

    let number = |line: &Value| line["after"]["number"].as_str().unwrap().to_owned();
    assert_eq!(first.body["data"].as_array().unwrap().len(), 2);
    assert_eq!(number(&first.body["data"][0]), "+14045550003");
    assert_eq!(number(&rest.body["data"][0]), "+14045550001");
    assert_eq!(rest.body["nextCursor"], Value::Null);
    assert_eq!(late.body["data"], first.body["data"]);
    for query in ["limit=0", "cursor=x", "since=yesterday", "didId=1", "colour=red"] {
        let refused = house.ask(Ask::get(&format!("{LOG}?{query}"))).await;
        assert_eq!(refused.status, 422, "{query}");
        assert_eq!(refused.text("field"), query.split('=').next().unwrap());
    }
}

fn actions(log: &Answer) -> Vec<&str> {
    let lines = log.body["data"].as_array().unwrap_or_else(|| panic!("{log:?}"));
    lines.iter().map(|line| line["action"].as_str().unwrap()).collect()
}

async fn key(house: &House, role: &str, tenant: &str) -> String {
    let body = json!({"role": role, "tenantId": tenant});
    house.ask(Ask::post("/api/keys", &body)).await.text("key").to_owned()
}

//! The HTTP API as its callers see it.

use axum::body::{Body, Bytes};
use serde_json::{Value, json};

use crate::house::{Ask, House};

const DIDS: &str = "/api/asterisk-dids";
const IMPORT: &str = "/api/asterisk-dids/import";
const NEXT: &str = "/api/asterisk-dids/next-available";

#[tokio::test]
async fn a_did_is_created_once_and_found_again() {
    let house = House::open().await;
    let body = json!({"number": "(404) 555-6789", "maxUsage": 7, "metadata": {"notes": "main"}});

    let created = house.ask(Ask::post(DIDS, &body)).await;
    let again = house.ask(Ask::post(DIDS, &json!({"number": "+14045556789"}))).await;

    assert_eq!(created.status, 201);
    let location = created.headers["location"].to_str().unwrap();
    assert_eq!(house.ask(Ask::get(location)).await.body, created.body);
    let id = created.body["id"].clone();
    let (made, changed) = (created.body["createdAt"].clone(), created.body["updatedAt"].clone());
    assert_eq!(
        created.body,
        json!({
            "id": id, "tenantId": "default", "number": "+14045556789", "areaCode": "404",
            "trunk": "PJSIP", "status": "available", "usageCount": 0, "maxUsage": 7,
            "lastUsed": null, "campaignId": null, "metadata": {"notes": "main"},
            "createdAt": made, "updatedAt": changed,
        })
    );
    assert_eq!(again.problem(), (409, "did_exists"));
    assert_eq!(again.text("detail"), "DID already exists");
}

#[tokio::test]
async fn a_body_that_will_not_do_names_the_field_at_fault() {
    let house = House::open().await;

    for (body, code, field) in [
        (json!({}), "missing_field", "number"),
        (json!({"number": "404555"}), "invalid_phone_number", "number"),
        (json!({"number": 4_045_556_789_u64}), "invalid_field", "number"),
        (json!({"number": "+14045556789", "maxUsge": 7}), "unknown_field", "maxUsge"),
        (json!({"number": "+14045556789", "maxUsage": -7}), "invalid_field", "maxUsage"),
        (json!({"number": "+14045556789", "status": "on"}), "invalid_field", "status"),
        (json!({"number": "+14045556789", "trunk": "a@b"}), "invalid_field", "trunk"),
        (json!({"number": "+14045556789", "areaCode": "4x4"}), "invalid_field", "areaCode"),
    ] {
        let refused = house.ask(Ask::post(DIDS, &body)).await;

        assert_eq!(refused.problem(), (422, code), "{body}");
        assert_eq!(refused.body["field"], field, "{body}");
    }
    let (broken, list) = (Ask::post_as(DIDS, "application/json", "{"), Ask::get(DIDS));
    assert_eq!(house.ask(broken).await.problem(), (400, "invalid_json"));
    assert_eq!(house.ask(list).await.body["data"], json!([]));
}

#[tokio::test]
async fn a_time_that_no_table_holds_is_the_askers_fault() {
    let house = House::open().await;

    let refused = house.ask(Ask::get("/api/calls?since=-262142-01-01T00:00:00Z")).await;

    assert_eq!(refused.problem(), (422, "invalid_field"));
    assert_eq!(refused.body["field"], "since");
}

#[tokio::test]
async fn a_bare_dry_run_is_not_taken_for_an_import() {
    let house = House::open().await;

    let bare = Ask::post_as(&format!("{IMPORT}?dryRun"), "text/csv", "number\n+14045550001\n");
    let refused = house.ask(bare).await;

    assert_eq!(refused.problem(), (422, "invalid_field"));
    assert_eq!(house.ask(Ask::get(DIDS)).await.body["data"], json!([]));
}

#[tokio::test]
async fn a_tenants_name_does_not_make_an_administrators_key_smaller() {
    let house = House::open().await;

    let refused =
        house.ask(Ask::post("/api/keys", &json!({"role": "admin", "tenantId": "acme"}))).await;

    assert_eq!(refused.problem(), (422, "invalid_field"));
    assert_eq!(refused.body["field"], "tenantId");
}

#[tokio::test]
async fn a_long_list_is_given_in_parts() {
    let house = House::open().await;
    let csv = "number\n+14045550001\n+14045550002\n+14045550003\n";
    house.ask(Ask::post_as(IMPORT, "text/csv", csv)).await;

    let first = house.ask(Ask::get(&format!("{DIDS}?limit=2"))).await;
    let cursor = first.text("nextCursor");
    let rest = house.ask(Ask::get(&format!("{DIDS}?limit=2&cursor={cursor}"))).await;

    assert_eq!(numbers(&first.body), ["+14045550001", "+14045550002"]);
    assert_eq!(numbers(&rest.body), ["+14045550003"]);
    assert_eq!(rest.body["nextCursor"], Value::Null);
    for query in ["limit=0", "limit=1001", "cursor=nonsense", "sort=color", "statsu=active"] {
        let refused = house.ask(Ask::get(&format!("{DIDS}?{query}"))).await;
        assert_eq!(refused.status, 422, "{query}");
        assert_eq!(refused.text("field"), query.split('=').next().unwrap());
    }
}

#[tokio::test]
async fn the_next_did_is_shown_and_not_taken() {
    let house = House::open().await;
    let none = house.ask(Ask::get(NEXT)).await;
    let csv = "number,status\n+14045550001,active\n+12125550002,active\n";
    house.ask(Ask::post_as(IMPORT, "text/csv", csv)).await;

    let next = house.ask(Ask::get(NEXT)).await;
    let again = house.ask(Ask::get(NEXT)).await;
    let local = house.ask(Ask::get(&format!("{NEXT}?areaCode=212"))).await;

    assert_eq!(none.problem(), (409, "no_available_did"));
    assert_eq!(none.text("detail"), "No available DIDs configured for this tenant");
    assert_eq!(next.body["usageCount"], 0);
    assert_eq!(next.body, again.body);
    assert_eq!(local.text("number"), "+12125550002");
}

#[tokio::test]
async fn a_file_is_imported_as_a_body_or_as_a_form_and_bad_rows_are_told() {
    let house = House::open().await;
    let csv = "number,status\n+14045550001,active\n404555,\n+14045550001,\n4045550002,\n";
    let form = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"who\"\r\n\r\nme\r\n\
         --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"n.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n{csv}\r\n--XX--\r\n"
    );

    let dry = house.ask(Ask::post_as(&format!("{IMPORT}?dryRun=true"), "text/csv", csv)).await;
    let first = house.ask(Ask::post_as(IMPORT, "text/csv; charset=utf-8", csv)).await;
    let second = house.ask(Ask::post_as(IMPORT, "multipart/form-data; boundary=XX", form)).await;

    let notice =
        "1 of the 2 imported DIDs are 'available' and will not be picked until they are 'active'";
    let error = json!({
        "row": 3, "number": "404555", "column": "number", "code": "invalid_phone_number",
        "error": "Invalid phone number: 404555",
    });
    let id = &first.body["importId"];
    assert_eq!(
        first.body,
        json!({
            "success": true, "imported": 2, "updated": 0, "duplicates": 1, "failed": 1,
            "errors": [error], "notice": notice, "importId": id,
            "rejected": format!("/api/asterisk-dids/imports/{}/rejected", id.as_str().unwrap()),
        })
    );
    assert_eq!(dry.body["imported"], 2);
    assert_eq!(counts(&second.body), (0, 3, 1));
}

#[tokio::test]
async fn a_file_that_cannot_be_imported_says_why() {
    let house = House::open().await;
    let post = |kind: &str, body: Body| Ask::post_as(IMPORT, kind, body);
    let cut_short = Bytes::from("number\n+14045550001\n+140455500");
    let pieces = [Ok(cut_short), Err(std::io::Error::other("gone"))];
    let broken_off = Body::from_stream(futures_util::stream::iter(pieces));

    let headless = house.ask(post("text/csv", "name,notes\n1,2\n".into())).await;
    let as_json = house.ask(post("application/json", "{}".into())).await;
    let fileless = house.ask(post("multipart/form-data; boundary=XX", "--XX--\r\n".into())).await;
    let broken = house.ask(post("text/csv", broken_off)).await;

    assert_eq!(headless.problem(), (422, "invalid_csv"));
    assert!(headless.text("detail").contains("\"name\""), "{headless:?}");
    assert_eq!(as_json.problem(), (415, "unsupported_media_type"));
    assert_eq!(fileless.problem(), (422, "missing_field"));
    assert_eq!(broken.problem(), (400, "invalid_body"));
    // The end of a file that broke off is not taken for its end.
    assert_eq!(house.ask(Ask::get(DIDS)).await.body["data"], json!([]));
}

#[tokio::test]
async fn on_tcp_a_key_decides_what_may_be_done() {
    let house = House::open().await;
    let viewer = key(&house, "viewer", "acme").await;
    let operator = key(&house, "operator", "acme").await;
    let number = json!({"number": "+14045556789"});

    let bare = house.ask_on_tcp(Ask::get(DIDS)).await;
    let forged = house.ask_on_tcp(Ask::get(DIDS).key("rk_forged")).await;
    let reads = house.ask_on_tcp(Ask::get(DIDS).key(&viewer)).await;
    let writes = house.ask_on_tcp(Ask::post(DIDS, &number).key(&viewer)).await;
    let creates = house.ask_on_tcp(Ask::post(DIDS, &number).key(&operator)).await;
    let administers = house.ask_on_tcp(Ask::get("/api/keys").key(&operator)).await;

    assert_eq!(bare.problem(), (401, "unauthorized"));
    assert_eq!(bare.headers["www-authenticate"], "Bearer realm=\"rotary\"");
    assert_eq!(forged.problem(), (401, "unauthorized"));
    assert_eq!(reads.status, 200);
    assert_eq!(writes.problem(), (403, "forbidden"));
    assert_eq!(creates.text("tenantId"), "acme");
    assert_eq!(administers.problem(), (403, "forbidden"));
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_no_key_is_shown_twice() {
    let house = House::open().await;
    let made = house.ask(Ask::post("/api/keys", &json!({"role": "admin"}))).await;
    let (key, id) = (made.text("key"), made.text("id"));
    let before = house.ask_on_tcp(Ask::get(DIDS).key(key)).await;
    let listed = house.ask(Ask::get("/api/keys")).await;

    let revoked = house.ask(Ask::delete(&format!("/api/keys/{id}"))).await;

    assert_eq!(made.status, 201);
    assert_eq!(before.status, 200);
    assert!(!listed.body.to_string().contains(key));
    assert_eq!(revoked.status, 204);
    let after = house.ask_on_tcp(Ask::get(DIDS).key(key)).await;
    assert_eq!(after.problem(), (401, "unauthorized"));
    let twice = house.ask(Ask::delete(&format!("/api/keys/{id}"))).await;
    assert_eq!(twice.problem(), (404, "key_not_found"));
}

#[tokio::test]
async fn a_tenant_is_not_told_of_anothers_dids() {
    let house = House::open().await;
    let body = json!({"number": "+14045556789", "status": "active"});
    let other = house.ask(Ask::post(DIDS, &body).header("x-tenant-id", "other")).await;
    let operator = key(&house, "operator", "acme").await;

    let found = house.ask_on_tcp(Ask::get(&format!("{DIDS}/{}", other.text("id"))).key(&operator));
    let listed = house.ask_on_tcp(Ask::get(DIDS).key(&operator));
    let next = house.ask_on_tcp(Ask::get(NEXT).key(&operator));
    let named = house.ask_on_tcp(Ask::get(DIDS).key(&operator).header("x-tenant-id", "other"));
    let node = json!({"type": "MAKE_CALL", "tenantId": "other", "to": "+14155550123"});
    let journey = house.ask_on_tcp(Ask::post("/api/journeys/make-call", &node).key(&operator));

    assert_eq!(found.await.problem(), (404, "did_not_found"));
    assert_eq!(listed.await.body["data"], json!([]));
    assert_eq!(next.await.problem(), (409, "no_available_did"));
    assert_eq!(named.await.problem(), (403, "forbidden"));
    assert_eq!(journey.await.problem(), (403, "forbidden"));
}

#[tokio::test]
async fn without_asterisk_a_call_is_refused_and_no_use_counted() {
    let house = House::open().await;
    let did = json!({"number": "+14045556789", "status": "active"});
    house.ask(Ask::post(DIDS, &did)).await;

    let refused = house.ask(Ask::post("/api/calls", &json!({"to": "+14155550123"}))).await;

    assert_eq!(refused.problem(), (503, "asterisk_unavailable"));
    assert_eq!(house.ask(Ask::get(NEXT)).await.body["usageCount"], 0);
    assert_eq!(house.ask(Ask::get("/api/calls")).await.body["data"], json!([]));
}

#[tokio::test]
async fn readiness_names_what_is_down_and_needs_no_key() {
    let house = House::open().await;

    let alive = house.ask_on_tcp(Ask::get("/healthz")).await;
    let ready = house.ask_on_tcp(Ask::get("/readyz")).await;
    let status = house.ask(Ask::get("/api/status")).await;

    assert_eq!(alive.status, 200);
    assert_eq!(ready.status, 503);
    assert_eq!(ready.text("status"), "unready");
    assert_eq!(ready.body["checks"]["store"], json!({"status": "up"}));
    assert_eq!(ready.body["checks"]["asterisk"]["status"], "down");
    assert_eq!(status.text("store"), "sqlite");
    assert_eq!(house.ask_on_tcp(Ask::get("/api/status")).await.status, 401);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let house = House::open().await;

    let nowhere = house.ask(Ask::get("/api/nowhere").header("x-request-id", "trace-7")).await;
    let never = house.ask(Ask::delete("/api/calls")).await;
    let no_call = house.ask(Ask::get("/api/calls/0192f0c1-3b7e-7a10-8000-000000000001")).await;
    let no_text = house.ask(Ask::get("/api/asterisk-dids/%ff")).await;
    let no_id = house.ask(Ask::get("/api/calls/1")).await;

    assert_eq!(nowhere.problem(), (404, "route_not_found"));
    assert_eq!(nowhere.headers["x-request-id"], "trace-7");
    assert_eq!(never.problem(), (405, "method_not_allowed"));
    assert_eq!(never.headers["allow"], "GET,HEAD,POST");
    assert_eq!(no_call.problem(), (404, "call_not_found"));
    assert_eq!(no_text.problem(), (404, "route_not_found"));
    assert_eq!(no_id.problem(), (404, "call_not_found"));
}

fn numbers(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|did| did["number"].as_str().unwrap()).collect()
}

fn counts(report: &Value) -> (u64, u64, u64) {
    let count = |name: &str| report[name].as_u64().unwrap();
    (count("imported"), count("duplicates"), count("failed"))
}

async fn key(house: &House, role: &str, tenant: &str) -> String {
    let body = json!({"role": role, "tenantId": tenant});
    house.ask(Ask::post("/api/keys", &body)).await.text("key").to_owned()
}

//! Many calls in one request, on a simulated Asterisk.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::stream;
use http_body_util::BodyExt;
use rotary::demo::{self, callee::Pace};
use rotary::http::auth::Door;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::command_line::rotary;
use crate::house::{Ask, House};

const BATCH: &str = "/api/calls/batch";
const NDJSON: &str = "application/x-ndjson";

#[tokio::test]
async fn each_line_has_its_own_result_in_order() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add_did(&house).await;
    let lines = [
        r#"{"to": "+14155550001", "variables": {"N": "1"}, "idempotencyKey": "k_1"}"#,
        "",
        "no JSON",
        r#"{"to": "404555"}"#,
        r#"  {"to": "+14155550002", "from": "+14045559999"}"#,
        r#"{"to": "+14155550002", "timeLimitSeconds": 60}"#,
        r#"{"to": "+14155550003", "idempotencyKey": "k_1"}"#,
    ];

    let first = results(&house, &lines.join("\r\n")).await;
    let again = results(&house, lines[0]).await;

    let seen: Vec<_> = first
        .iter()
        .map(|result| {
            let code = result["problem"]["code"].as_str().unwrap_or("-");
            (result["line"].as_u64().unwrap(), result["status"].as_u64().unwrap(), code)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, 202, "-"),
            (3, 400, "invalid_json"),
            (4, 422, "invalid_phone_number"),
            (5, 404, "did_not_found"),
            (6, 202, "-"),
            (7, 409, "idempotency_conflict"),
        ]
    );
    assert_eq!(first[0]["call"]["to"], "+14155550001");
    assert_eq!(first[2]["problem"]["field"], "to");
    assert_eq!(first[4]["call"]["timeLimitSeconds"], 60);
    assert_eq!((&again[0]["replayed"], &again[0]["status"]), (&json!(true), &json!(202)));
    assert_eq!(again[0]["call"]["id"], first[0]["call"]["id"]);
    assert_eq!(asterisk.originates().len(), 2);
}

#[tokio::test]
async fn ten_thousand_calls_are_placed_by_one_request() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add_did(&house).await;
    let body: String = (0..10_000).map(|n| format!("{{\"to\": \"{}\"}}\n", to(n))).collect();

    let results = results(&house, &body).await;

    assert_eq!(results.len(), 10_000);
    for (n, result) in results.iter().enumerate() {
        assert_eq!((&result["line"], &result["status"]), (&json!(n + 1), &json!(202)), "{result}");
        assert_eq!(result["call"]["to"], to(n));
    }
    assert_eq!(asterisk.counts().originates, 10_000);
    assert_eq!(uses(&house).await, 10_000);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_and_one_that_leaves_loses_nothing_it_began() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add_did(&house).await;
    let read = Arc::new(AtomicUsize::new(0));
    let counting = read.clone();
    let endless = stream::repeat_with(move || {
        let n = counting.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(Bytes::from(format!("{{\"to\": \"{}\"}}\n", to(n))))
    });
    let mut request = Request::post(BATCH).header("content-type", NDJSON);
    request.extensions_mut().unwrap().insert(Door::Socket { uid: 0 });
    let request = request.body(Body::from_stream(endless)).unwrap();

    let mut answer = house.running.router.clone().oneshot(request).await.unwrap().into_body();
    let first = answer.frame().await.unwrap().unwrap().into_data().unwrap();
    let taken = read.load(Ordering::Relaxed);
    drop(answer);

    let first: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!((&first["line"], &first["status"]), (&json!(1), &json!(202)));
    // Another is begun for the one whose result was taken.
    assert!((2..=65).contains(&taken), "{taken} lines were read");
    let taken = taken as u64;
    asterisk.wait_until(|counts| counts.originates == taken).await;
    assert_eq!(read.load(Ordering::Relaxed) as u64, taken);
    assert_eq!(uses(&house).await, taken);
}

#[tokio::test]
async fn a_batch_is_refused_as_a_whole_only_for_what_is_wrong_with_the_whole() {
    let (house, _asterisk) = House::open_with_asterisk().await;

    let no_lines = house.ask(Ask::post(BATCH, &json!({"to": "+14155550123"}))).await;
    let one_key = Ask::post_as(BATCH, NDJSON, "").header("idempotency-key", "k_1");
    let one_key = house.ask(one_key).await;
    let waiting = house.ask(Ask::post_as("/api/calls/batch?wait=end", NDJSON, "")).await;
    let empty = house.ask(Ask::post_as(BATCH, NDJSON, "\n\n")).await;

    assert_eq!(no_lines.problem(), (415, "unsupported_media_type"));
    assert_eq!(one_key.problem(), (422, "invalid_field"));
    assert_eq!(waiting.problem(), (422, "unknown_field"));
    assert_eq!((empty.status.as_u16(), &empty.body), (200, &Value::Null));
    assert_eq!(empty.headers["content-type"], NDJSON);
}

#[tokio::test]
async fn lines_wait_for_the_keys_turn_instead_of_being_refused() {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let (house, _asterisk) =
        House::open_with(settings, |config| config.http.limits.requests_per_second = 20).await;
    add_did(&house).await;
    let key = house.ask(Ask::post("/api/keys", &json!({"role": "journey"}))).await;
    let body: String = (0..60).map(|n| format!("{{\"to\": \"{}\"}}\n", to(n))).collect();

    let ask = Ask::post_as(BATCH, NDJSON, body).key(key.text("key"));
    let answer = house.ask_on_tcp(ask).await;
    let next = house.ask_on_tcp(Ask::get("/api/calls").key(key.text("key"))).await;

    let results = read(answer.body.as_str().unwrap());
    assert_eq!(results.len(), 60);
    assert!(results.iter().all(|result| result["status"] == 202), "{results:?}");
    assert_eq!(next.status, 200, "the batch left room for others");
}

#[tokio::test]
async fn a_file_of_calls_is_placed_by_command() {
    let (house, asterisk) = House::open_with_asterisk().await;
    let socket = &house.running.socket;
    add_did(&house).await;
    let good = house.file("good.ndjson", "{\"to\": \"+14155550001\"}\n{\"to\": \"+14155550002\"}");
    let mixed = house.file("mixed.ndjson", "{\"to\": \"+14155550003\"}\n{\"to\": \"404555\"}\n");

    let all = rotary(socket, &["call", "--batch", &good]).await;
    let some = rotary(socket, &["call", "--batch", &mixed]).await;
    let json = rotary(socket, &["call", "--batch", &mixed, "--json"]).await;
    let both = rotary(socket, &["call", "+14155550001", "--batch", &good]).await;
    let neither = rotary(socket, &["call"]).await;

    assert_eq!(all.code, 0, "{}{}", all.out, all.err);
    assert!(all.out.contains("2  +14155550002  +14045550001  "), "{}", all.out);
    assert!(all.out.ends_with("placed 2, failed 0\n"), "{}", all.out);
    assert_eq!(some.code, 1);
    assert!(some.out.contains("2  Invalid phone number: 404555"), "{}", some.out);
    assert_eq!(json.code, 1);
    assert_eq!(read(&json.out)[1]["status"], 422);
    assert_eq!((both.code, neither.code), (2, 2));
    assert_eq!(asterisk.counts().originates, 4);
}

async fn add_did(house: &House) {
    let did = json!({"number": "+14045550001", "status": "active"});
    house.ask(Ask::post("/api/asterisk-dids", &did)).await;
}

/// The n-th callee.
/// Somebody who answers: none of these is a number at which the simulated carrier complains.
fn to(n: usize) -> String {
    format!("+1415{n:06}1")
}

async fn results(house: &House, body: &str) -> Vec<Value> {
    let (_, answer) = house.fetch(Ask::post_as(BATCH, NDJSON, body.to_owned())).await;
    read(str::from_utf8(&answer).unwrap())
}

fn read(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn uses(house: &House) -> u64 {
    let page = house.ask(Ask::get("/api/asterisk-dids")).await;
    page.body["data"][0]["usageCount"].as_u64().unwrap()
}

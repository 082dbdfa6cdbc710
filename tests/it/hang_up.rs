//! Hanging calls up, on a simulated Asterisk: by request and by time.

use std::time::Duration;

use rotary::demo::callee::Pace;
use rotary::demo::misbehave::Line;
use rotary::demo::{self, Control, Simulated};
use rotary::domain::audit::Origin;
use rotary::domain::call::CallId;
use rotary::domain::tenant::TenantId;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command_line;
use crate::house::{Ask, House};
use crate::rotary::Rotary;
use crate::wait::until;

/// Somebody whose phone rings until the caller gives up.
const RINGS: &str = "+14155550180";
const ANSWERS: &str = "+14155550123";

#[tokio::test]
async fn a_ringing_call_is_canceled_and_asking_again_says_so() {
    let (house, asterisk) = house().await;
    let call = place(&house, json!({"to": RINGS})).await;
    is(&house, &call, "ringing").await;

    let asked = house.ask(hang_up(&call)).await;
    let over = is(&house, &call, "canceled").await;
    let again = house.ask(hang_up(&call)).await;

    assert_eq!(asked.status, 202, "{asked:?}");
    assert_eq!(asked.body["status"], "ringing");
    assert!(asked.body["hangUpAskedAt"].is_string());
    assert_eq!(over["cause"], json!({"code": 16, "text": "Normal Clearing"}));
    assert_eq!(steps(&over), ["initiated", "ringing", "canceled"]);
    assert_eq!((again.status.as_u16(), &again.body), (200, &over));
    asterisk.wait_until(|counts| counts.in_progress == 0).await;
    let audit = house.ask(Ask::get(&format!("/api/audit-log?subjectId={call}"))).await;
    let lines = audit.body["data"].as_array().unwrap();
    assert_eq!(lines.len(), 1, "it was asked for once: {lines:?}");
    assert_eq!(lines[0]["action"], "call.canceled");
}

#[tokio::test]
async fn an_answered_call_is_completed() {
    let (house, _asterisk) = house().await;
    let call = place(&house, json!({"to": ANSWERS})).await;
    is(&house, &call, "in-progress").await;

    assert_eq!(house.ask(hang_up(&call)).await.status, 202);

    let over = is(&house, &call, "completed").await;
    assert_eq!(over["cause"]["code"], 16);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_hung_up() {
    let (house, _asterisk) = house().await;
    let call = place(&house, json!({"to": RINGS})).await;

    let other = house.ask(hang_up(&call).header("x-tenant-id", "other")).await;
    let nobody = house.ask(hang_up("0192f0c1-3b7e-7a10-8000-000000000001")).await;
    let no_id = house.ask(hang_up("no-id")).await;

    for answer in [&other, &nobody, &no_id] {
        assert_eq!(answer.problem(), (404, "call_not_found"));
    }
    assert_eq!(find(&house, &call).await["hangUpAskedAt"], Value::Null);
}

#[tokio::test]
async fn a_call_whose_channel_is_not_made_yet_is_canceled_once_it_is() {
    let (house, asterisk) = house().await;
    asterisk.misbehave(|wrong| wrong.late_channels = Some(Duration::from_millis(700)));
    let call = place(&house, json!({"to": RINGS})).await;

    let asked = house.ask(hang_up(&call)).await;

    assert_eq!((asked.status.as_u16(), asked.text("status")), (202, "initiated"));
    is(&house, &call, "canceled").await;
    asterisk.wait_until(|counts| counts.ended == 1).await;
}

#[tokio::test]
async fn a_wish_outlasts_a_lost_line() {
    let (house, asterisk) = house().await;
    let call = place(&house, json!({"to": RINGS})).await;
    is(&house, &call, "ringing").await;
    // Nobody is let in again before it behaves.
    asterisk.misbehave(|wrong| wrong.line = Line::HalfOpen);
    asterisk.drop_lines();
    let line = house.running.app.asterisks.first();
    until("the line to be lost", async || (!line.is_up()).then_some(())).await;

    let asked = house.ask(hang_up(&call)).await;
    asterisk.behave();

    assert_eq!(asked.status, 202);
    is(&house, &call, "canceled").await;
    assert_eq!(asterisk.counts().in_progress, 0);
}

#[tokio::test]
async fn a_refused_hang_up_is_tried_again() {
    let (house, asterisk) = house().await;
    let call = place(&house, json!({"to": RINGS})).await;
    is(&house, &call, "ringing").await;
    let actions = asterisk.counts().actions;
    asterisk.misbehave(|wrong| wrong.shutting_down = true);

    house.ask(hang_up(&call)).await;
    asterisk.wait_until(|counts| counts.actions > actions + 1).await;
    assert_eq!(asterisk.counts().in_progress, 1);
    asterisk.behave();

    is(&house, &call, "canceled").await;
}

#[tokio::test]
async fn a_wish_outlasts_the_daemon() {
    let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), lasting()).await.unwrap();
    let (address, control) = (asterisk.address().to_string(), asterisk.control());
    let tasks = TaskTracker::new();
    tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
    let mut rotary = Rotary::new()
        .set("ROTARY_ASTERISK__ADDRESS", &address)
        .set("ROTARY_ASTERISK__SECRET", "s3cret")
        .start_ready()
        .await;
    rotary.json(&["dids", "add", "+14045556701", "--status", "active"]).await;
    let call = rotary.json(&["call", RINGS, "--ring-timeout", "600"]).await;
    let id = call["id"].as_str().unwrap();
    rotary.call_is(id, "ringing").await;
    // The wish is taken and does not get through.
    control.misbehave(|wrong| wrong.line = Line::HalfOpen);

    let asked = rotary.json(&["calls", "hangup", id]).await;
    rotary.kill9().await;
    control.drop_lines();
    control.behave();
    rotary.start_again().await;

    assert_eq!(asked["status"], "ringing");
    rotary.call_is(id, "canceled").await;
    assert_eq!(control.counts().in_progress, 0);
}

#[tokio::test]
async fn a_wish_that_another_daemon_wrote_down_is_found() {
    let (house, _asterisk) = house().await;
    let call = place(&house, json!({"to": RINGS})).await;
    is(&house, &call, "ringing").await;

    let id = CallId(call.parse().unwrap());
    let (store, at) = (&house.running.app.store, rotary::app::now());
    let tenant = TenantId::default_tenant();
    assert!(store.ask_hang_up(&tenant, id, &Origin::rotary(), at).await.unwrap());

    is(&house, &call, "canceled").await;
}

#[tokio::test]
async fn a_call_is_hung_up_when_its_time_is_over() {
    let (house, asterisk) = house().await;

    let body = json!({"to": ANSWERS, "timeLimitSeconds": 1});
    let over = house.ask(Ask::post("/api/calls?wait=end", &body)).await;

    assert_eq!((over.text("status"), &over.body["timeLimitSeconds"]), ("completed", &json!(1)));
    assert_eq!(over.body["hangUpAskedAt"], Value::Null, "nobody asked");
    assert!(over.body["talkSeconds"].as_u64() >= Some(1), "{over:?}");
    assert_eq!(asterisk.counts().in_progress, 0);
}

#[tokio::test]
async fn the_configuration_says_how_long_a_call_may_last() {
    let (house, _asterisk) =
        House::open_with(lasting(), |config| config.app.calls.time_limit_seconds = 0).await;
    add_did(&house).await;
    let unlimited = house.ask(Ask::post("/api/calls", &json!({"to": RINGS}))).await;
    let refused = Ask::post("/api/calls", &json!({"to": RINGS, "timeLimitSeconds": 86_401}));
    let refused = house.ask(refused).await;

    assert_eq!(unlimited.body["timeLimitSeconds"], Value::Null);
    assert_eq!(refused.problem(), (422, "invalid_field"));
    let (house, _asterisk) = self::house().await;
    let call = place(&house, json!({"to": RINGS})).await;
    assert_eq!(find(&house, &call).await["timeLimitSeconds"], 4 * 60 * 60);
}

#[tokio::test]
async fn a_phone_that_asterisk_lets_ring_for_ever_is_hung_up() {
    let (house, asterisk) = house().await;
    asterisk.misbehave(|wrong| wrong.ring_for_ever = true);

    let body = json!({"to": RINGS, "ringTimeoutSeconds": 1});
    let call = house.ask(Ask::post("/api/calls", &body)).await.text("id").to_owned();

    let over = is(&house, &call, "no-answer").await;
    assert_eq!(over["cause"]["code"], 19);
    assert_eq!(asterisk.counts().in_progress, 0);
}

#[tokio::test]
async fn calls_are_hung_up_by_command() {
    let (house, _asterisk) = house().await;
    let socket = &house.running.socket;
    let first = place(&house, json!({"to": RINGS})).await;
    let second = place(&house, json!({"to": RINGS})).await;

    let both = command_line::rotary(socket, &["calls", "hangup", &first, &second]).await;
    is(&house, &first, "canceled").await;
    let again = command_line::rotary(socket, &["calls", "hangup", &first, "--json"]).await;
    let some = command_line::rotary(socket, &["calls", "hangup", "no-id", &second]).await;

    assert_eq!(both.code, 0, "{}{}", both.out, both.err);
    assert_eq!(both.out.matches("being hung up").count(), 2, "{}", both.out);
    assert_eq!((again.code, &again.json()["status"]), (0, &json!("canceled")));
    assert_eq!(some.code, 1);
    assert!(some.err.contains("Call not found: no-id"), "{}", some.err);
    assert!(some.out.contains(&second), "{}", some.out);
}

#[tokio::test]
async fn a_call_remembers_why_its_did_was_picked() {
    let (house, _asterisk) = house().await;

    let rotated = place(&house, json!({"to": RINGS})).await;
    let named = place(&house, json!({"to": RINGS, "from": "+14045550001"})).await;
    let elsewhere = place(&house, json!({"to": RINGS, "areaCode": "212"})).await;

    for (call, reason) in [
        (rotated, "least used"),
        (named, "named by the request"),
        (elsewhere, "least used; none of the wanted area code can be picked"),
    ] {
        assert_eq!(find(&house, &call).await["did"]["reason"], reason);
    }
}

/// Callees who do all at once and never end a call themselves.
fn lasting() -> demo::Settings {
    let pace = Pace { talk: Duration::from_secs(3600), ..Pace::INSTANT };
    demo::Settings { pace, ..demo::Settings::default() }
}

/// A house with one DID, whose calls last.
async fn house() -> (House, Control) {
    let (house, asterisk) = House::open_with(lasting(), |_| {}).await;
    add_did(&house).await;
    (house, asterisk)
}

async fn add_did(house: &House) {
    let did = json!({"number": "+14045550001", "status": "active"});
    house.ask(Ask::post("/api/asterisk-dids", &did)).await;
}

async fn place(house: &House, mut body: Value) -> String {
    body["ringTimeoutSeconds"] = json!(600);
    let placed = house.ask(Ask::post("/api/calls", &body)).await;
    assert_eq!(placed.status, 202, "{placed:?}");
    placed.text("id").to_owned()
}

fn hang_up(call: &str) -> Ask {
    Ask::delete(&format!("/api/calls/{call}"))
}

async fn find(house: &House, call: &str) -> Value {
    house.ask(Ask::get(&format!("/api/calls/{call}"))).await.body
}

async fn is(house: &House, call: &str, status: &str) -> Value {
    until(&format!("the call to be {status}"), async || {
        let call = find(house, call).await;
        (call["status"] == status).then_some(call)
    })
    .await
}

fn steps(call: &Value) -> Vec<&str> {
    let steps = call["timeline"].as_array().unwrap().iter();
    steps.map(|step| step["status"].as_str().unwrap()).collect()
}

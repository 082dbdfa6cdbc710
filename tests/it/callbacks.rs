//! Callbacks end to end: a call on a simulated Asterisk, a receiver that is good or bad, both databases.

use std::collections::HashSet;
use std::time::Duration;

use rotary::app::deliver_callbacks::CallbackSettings;
use rotary::config::Config;
use rotary::demo::callee::Pace;
use rotary::demo::{self, Control, Simulated};
use rotary::domain::callback::BackOff;
use rotary::domain::tenant::TenantId;
use rotary::store;
use rotary::webhooks::{Targets, WebhookSecret};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::Connection;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command_line::rotary;
use crate::house::{Ask, House};
use crate::postgres::{Fsync, Postgres};
use crate::receiver::{Mood, Receiver, Seen, sequences};
use crate::rotary::Rotary;
use crate::wait::until;

const CALLS: &str = "/api/calls?wait=end";
const CALLBACKS: &str = "/api/callbacks";
const ALL: [&str; 4] = ["call.initiated", "call.ringing", "call.in-progress", "call.completed"];

#[tokio::test]
async fn each_change_is_told_once_and_in_order_on_sqlite() {
    let (house, _asterisk) = open(|_| {}).await;
    each_change_is_told_once_and_in_order(&house).await;
}

#[tokio::test]
async fn each_change_is_told_once_and_in_order_on_postgres() {
    let postgres = Postgres::new(Fsync::Off);
    let (house, _asterisk) =
        open(|config| config.store = store::Settings::new(postgres.url())).await;
    each_change_is_told_once_and_in_order(&house).await;
    house.close().await;
}

#[tokio::test]
async fn what_fails_is_sent_again_under_its_id_and_before_what_follows() {
    let (house, _asterisk) = open(hasty).await;
    let receiver = Receiver::open().await;
    receiver.feel(&[Mood::Says(500), Mood::Closes, Mood::Says(307)], Mood::Says(204));

    call(&house, &receiver.url).await;

    let seen = receiver.until(|seen| seen.len() == 7).await;
    assert_eq!(sequences(&seen), [1, 1, 1, 1, 2, 3, 4]);
    assert!(seen[..4].iter().all(|one| one.header("webhook-id") == seen[0].header("webhook-id")));
    let first = settled(&house, "delivered", 4).await[3].clone();
    assert_eq!((&first["sequence"], &first["attempts"]), (&json!(1), &json!(4)));
    assert_eq!((&first["lastStatus"], &first["lastError"]), (&json!(204), &Value::Null));
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_nobody_else() {
    let (house, _asterisk) = open(|_| {}).await;
    let (stalled, well) = (Receiver::open().await, Receiver::open().await);
    stalled.feel(&[], Mood::Stalls);
    let calls = (0..40).map(|_| call(&house, &stalled.url));
    futures_util::future::join_all(calls).await;
    stalled.until(|seen| seen.len() == 32).await;

    call(&house, &well.url).await;

    assert_eq!(sequences(&well.until(|seen| seen.len() == 4).await), [1, 2, 3, 4]);
    assert_eq!(stalled.seen().len(), 32, "what is under way to one receiver has a bound");
}

#[tokio::test]
async fn what_is_given_up_is_listed_and_told_after_all_once_it_is_replayed() {
    let (house, _asterisk) = open(hasty).await;
    let socket = &house.running.socket;
    let receiver = Receiver::open().await;
    receiver.feel(&[], Mood::Says(410));
    call(&house, &receiver.url).await;
    let dead = settled(&house, "dead", 4).await;
    assert_eq!((&dead[0]["attempts"], &dead[0]["lastStatus"]), (&json!(1), &json!(410)));
    receiver.feel(&[], Mood::Says(200));

    let first = dead[3]["id"].as_str().unwrap();
    let one = house.ask(Ask::post(&format!("{CALLBACKS}/{first}/replay"), &json!({}))).await;
    settled(&house, "delivered", 1).await;
    let rest = rotary(socket, &["callbacks", "replay", "--dead", "--json"]).await;
    let listed = settled(&house, "delivered", 4).await;

    assert_eq!((one.status.as_u16(), one.text("status")), (202, "pending"));
    assert_eq!(rest.json(), json!({"replayed": 3}), "{}", rest.err);
    assert_eq!(sequences(&receiver.seen()), [1, 2, 3, 4, 1, 2, 3, 4]);
    assert_eq!(listed.len(), 4);
    let shown = rotary(socket, &["callbacks", "list", "--status", "delivered"]).await;
    assert!(shown.out.contains("call.ringing"), "{}{}", shown.out, shown.err);
}

#[tokio::test]
async fn a_receiver_that_stays_broken_is_given_up_in_the_end() {
    let (house, _asterisk) = open(|config| {
        hasty(config);
        config.app.callbacks.back_off.give_up_after = Duration::from_millis(100);
    })
    .await;
    let receiver = Receiver::open().await;
    receiver.feel(&[], Mood::Says(500));

    call(&house, &receiver.url).await;

    let dead = settled(&house, "dead", 4).await;
    assert!(dead[3]["attempts"].as_u64().unwrap() > 1, "{}", dead[3]);
    assert_eq!(dead[3]["lastError"], "the receiver answered 500");
}

#[tokio::test]
async fn callbacks_of_a_tenant_that_nobody_has_named_are_signed_too() {
    let (house, _asterisk) = open(|_| {}).await;
    let file = format!("sqlite:{}", house.path("rotary.db"));
    let mut db = sqlx::SqliteConnection::connect(&file).await.unwrap();
    sqlx::query("delete from tenants").execute(&mut db).await.unwrap();

    each_change_is_told_once_and_in_order(&house).await;
}

#[tokio::test]
async fn a_tenant_sees_and_replays_its_own_callbacks_only() {
    let (house, _asterisk) = open(|_| {}).await;
    let receiver = Receiver::open().await;
    receiver.feel(&[], Mood::Says(410));
    call(&house, &receiver.url).await;
    let id = settled(&house, "dead", 4).await[0]["id"].as_str().unwrap().to_owned();
    let other = |ask: Ask| ask.header("x-tenant-id", "other");

    let listed = house.ask(other(Ask::get(CALLBACKS))).await;
    let one = other(Ask::post(&format!("{CALLBACKS}/{id}/replay"), &json!({})));
    let one = house.ask(one).await;
    let all = Ask::post("/api/callbacks/replay?status=dead", &json!({}));
    let all = house.ask(other(all)).await;
    let viewer = rotary(&house.running.socket, &["keys", "create", "--role", "viewer"]).await;
    let viewer = |ask: Ask| house.ask_on_tcp(ask.key(viewer.out.trim()));

    assert_eq!(listed.body["data"], json!([]));
    assert_eq!(one.problem(), (404, "callback_not_found"));
    assert_eq!(all.body, json!({"replayed": 0}));
    assert_eq!(viewer(Ask::get(CALLBACKS)).await.status, 200);
    let replay = Ask::post("/api/callbacks/replay?status=dead", &json!({}));
    assert_eq!(viewer(replay).await.problem(), (403, "forbidden"));
    settled(&house, "dead", 4).await;
}

#[tokio::test]
async fn a_call_that_was_never_placed_tells_nothing() {
    let (house, asterisk) = open(|_| {}).await;
    let receiver = Receiver::open().await;
    asterisk.misbehave(|wrong| wrong.refuse_originates = Some("No".into()));

    let refused = house.ask(Ask::post(CALLS, &request(&receiver.url))).await;
    asterisk.behave();
    call(&house, &receiver.url).await;
    settled(&house, "delivered", 4).await;

    assert_eq!(refused.problem(), (502, "originate_refused"));
    let all = house.ask(Ask::get(CALLBACKS)).await;
    assert_eq!(all.body["data"].as_array().unwrap().len(), 4, "those of the second call alone");
}

#[tokio::test]
async fn a_callback_into_our_own_network_is_refused_with_the_call() {
    let (house, asterisk) = open(|config| config.app.callbacks.targets = Targets::Public).await;

    for url in ["http://127.0.0.1:9000/hook", "http://[::1]/", "http://localhost/", "ftp://a.b/"] {
        let refused = house.ask(Ask::post(CALLS, &request(url))).await;
        assert_eq!(refused.problem(), (422, "invalid_field"), "{url}");
        assert_eq!(refused.text("field"), "callbackUrl");
    }
    assert_eq!(asterisk.counts().originates, 0);
}

#[tokio::test]
async fn a_crash_between_a_change_and_its_delivery_loses_nothing() {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let address = asterisk.address().to_string();
    let tasks = TaskTracker::new();
    tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
    let mut rotary = Rotary::new()
        .set("ROTARY_ASTERISK__ADDRESS", &address)
        .set("ROTARY_ASTERISK__SECRET", "s3cret")
        .set("ROTARY_WEBHOOKS__ALLOW_PRIVATE_TARGETS", "true")
        .start_ready()
        .await;
    let did = json!({"number": "+14045550001", "status": "active"});
    rotary.post("/api/asterisk-dids", &did).await;
    let receiver = Receiver::open().await;
    receiver.feel(&[], Mood::Stalls);

    let placed = rotary.post(CALLS, &request(&receiver.url)).await.json();
    receiver.until(|seen| seen.len() == 1).await;
    rotary.kill9().await;
    receiver.feel(&[], Mood::Says(200));
    rotary.start_again().await;

    let seen = receiver.until(|seen| seen.len() == 5).await;
    assert_eq!(placed["status"], "completed");
    assert_eq!(sequences(&seen), [1, 1, 2, 3, 4]);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    let listed = until("all to be delivered", async || {
        let page = rotary.get("/api/callbacks?status=delivered").await.json();
        (page["data"].as_array().unwrap().len() == 4).then_some(page)
    })
    .await;
    assert_eq!(listed["nextCursor"], Value::Null);
}

#[tokio::test]
async fn two_daemons_on_one_database_tell_each_change_once() {
    let postgres = Postgres::new(Fsync::Off);
    let on_postgres = |config: &mut Config| config.store = store::Settings::new(postgres.url());
    let (one, _asterisk) = open(on_postgres).await;
    let (other, _other_asterisk) = open(on_postgres).await;
    let receiver = Receiver::open().await;

    let calls = (0..40).map(|n| call(if n % 2 == 0 { &one } else { &other }, &receiver.url));
    let calls = futures_util::future::join_all(calls).await;
    settled(&one, "delivered", 160).await;

    let seen = receiver.seen();
    let ids: HashSet<_> = seen.iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!((seen.len(), ids.len()), (160, 160));
    for call in &calls {
        let of_call = |one: &&Seen| one.json()["data"]["id"] == call["id"];
        let of_call: Vec<Seen> = seen.iter().filter(of_call).cloned().collect();
        assert_eq!(sequences(&of_call), [1, 2, 3, 4]);
    }
    one.close().await;
    other.close().await;
}

async fn each_change_is_told_once_and_in_order(house: &House) {
    let receiver = Receiver::open().await;

    let made = call(house, &receiver.url).await;

    let seen = receiver.until(|seen| seen.len() == 4).await;
    assert_eq!(seen.iter().map(Seen::kind).collect::<Vec<_>>(), ALL);
    assert_eq!(sequences(&seen), [1, 2, 3, 4]);
    let call_id = made["id"].as_str().unwrap();
    let now = house.ask(Ask::get(&format!("/api/calls/{call_id}"))).await;
    assert_eq!(seen[3].json()["data"], now.body);
    assert_eq!(seen[1].json()["timestamp"], now.body["ringingAt"]);
    assert_eq!(seen[1].json()["data"]["status"], "ringing");
    let store = &house.running.app.store;
    let tenant = store.tenant(&TenantId::default_tenant()).await.unwrap().unwrap();
    let secret: WebhookSecret = tenant.webhook_secret.expose_secret().parse().unwrap();
    for one in &seen {
        let timestamp = one.header("webhook-timestamp").parse().unwrap();
        let signature = secret.sign(one.header("webhook-id"), timestamp, &one.body);
        assert_eq!(one.header("webhook-signature"), signature);
        assert_eq!(one.header("content-type"), "application/json");
    }
    let listed = settled(house, "delivered", 4).await;
    assert!(listed.iter().all(|one| one["attempts"] == 1 && one["callId"] == call_id));
    let ids: Vec<_> = listed.iter().rev().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(seen.iter().map(|one| one.header("webhook-id")).collect::<Vec<_>>(), ids);
    assert_eq!(receiver.seen().len(), 4);
}

/// A daemon beside a simulated Asterisk, with a DID.
async fn open(change: impl FnOnce(&mut Config)) -> (House, Control) {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let (house, asterisk) = House::open_with(settings, change).await;
    let did = json!({"number": "+14045550001", "status": "active"});
    house.ask(Ask::post("/api/asterisk-dids", &did)).await;
    (house, asterisk)
}

/// Tries again at once.
fn hasty(config: &mut Config) {
    let waits = vec![Duration::from_millis(1)];
    let back_off = BackOff { waits, ..BackOff::default() };
    config.app.callbacks = CallbackSettings { back_off, ..config.app.callbacks.clone() };
}

/// A call from its request to its end.
async fn call(house: &House, url: &str) -> Value {
    let made = house.ask(Ask::post(CALLS, &request(url))).await;
    assert_eq!((made.status.as_u16(), made.text("status")), (202, "completed"));
    made.body
}

fn request(url: &str) -> Value {
    json!({"to": "+14155550123", "callbackUrl": url})
}

/// Waits until there are so many callbacks in this state, and gives them, the newest first.
async fn settled(house: &House, status: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} callbacks to be {status}"), async || {
        let page = house.ask(Ask::get(&format!("{CALLBACKS}?limit=1000&status={status}"))).await;
        let data = page.body["data"].as_array().unwrap().clone();
        (data.len() == count).then_some(data)
    })
    .await
}

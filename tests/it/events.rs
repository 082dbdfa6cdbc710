//! Streams of events: what they tell, how one goes on where another ended, and how they end.

use std::time::Duration;

use rotary::demo;
use rotary::demo::Simulated;
use rotary::demo::callee::Pace;
use rotary::demo::misbehave::Stop;
use rotary::domain::call::{Call, CallId, CallRequest, Destination, PlacedBy};
use rotary::domain::did::{DidId, TrunkName};
use rotary::domain::tenant::TenantId;
use rotary::store;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::event_stream::EventStream;
use crate::house::{Ask, House};
use crate::postgres::{Fsync, Postgres};
use crate::rotary::Rotary;
use crate::wait::until;

const EVENTS: &str = "/api/events";
const CALLS: &str = "/api/calls";

/// Rings until the caller gives up, which is after a second here.
const NOBODY_THERE: &str = "+14155550180";

#[tokio::test]
async fn a_call_is_told_from_its_beginning_to_its_end() {
    let house = with_a_did().await;
    let id = place(&house, json!({"to": NOBODY_THERE, "ringTimeoutSeconds": 1})).await;

    let mut stream = EventStream::open(&house, &of(&id), &[]).await;
    let events = [stream.next().await, stream.next().await, stream.next().await];
    let end = stream.next().await;

    let events = events.map(Option::unwrap);
    let kinds: Vec<&str> = events.iter().map(|event| event.kind()).collect();
    assert_eq!(kinds, ["call.initiated", "call.ringing", "call.no-answer"]);
    assert_eq!(events.each_ref().map(|event| event.id()), ["1", "2", "3"]);
    assert_eq!(end, None);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["cache-control"], "no-cache");
    let call = house.ask(Ask::get(&format!("{CALLS}/{id}"))).await.body;
    let told = &events[2].data;
    assert_eq!((&told["type"], &told["sequence"]), (&json!("call.no-answer"), &json!(3)));
    assert_eq!((&told["timestamp"], &told["data"]), (&call["endedAt"], &call));
}

#[tokio::test]
async fn a_call_is_told_from_where_its_reader_left_off() {
    let house = with_a_did().await;
    let id = place_to_the_end(&house, "+14155550123").await;
    let after = |last: &'static str| {
        let (house, path) = (&house, of(&id));
        async move { EventStream::open(house, &path, &[("last-event-id", last)]).await }
    };

    let all = after("0").await.rest().await;
    let rest = after("2").await.rest().await;
    let (nothing, beyond, wrong) = (after("4").await, after("5").await, after("r-4").await);

    assert_eq!(all.len(), 4);
    assert_eq!(rest, ["call.in-progress", "call.completed"]);
    assert_eq!((nothing.status, beyond.status, wrong.status), (204, 204, 422));
}

#[tokio::test]
async fn a_tenant_hears_each_change_of_its_own_calls_once_and_of_no_others() {
    let house = with_a_did().await;
    add(&house, "+12125550001", "acme").await;
    let mut acme = EventStream::open(&house, EVENTS, &[("x-tenant-id", "acme")]).await;
    let mut ours = EventStream::open(&house, EVENTS, &[]).await;
    let call = json!({"to": "+14155550486", "callbackUrl": "http://127.0.0.1:9/"});

    house.ask(Ask::post("/api/calls?wait=end", &call)).await;
    place_to_the_end(&house, "+14155550123").await;
    let theirs = Ask::post("/api/calls?wait=end", &call).header("x-tenant-id", "acme");
    house.ask(theirs).await;

    let mut kinds = Vec::new();
    for number in 1..=6 {
        let event = ours.next().await.unwrap();
        assert_eq!(event.data["data"]["tenantId"], "default");
        assert!(event.id().ends_with(&format!("-{number}")), "{event:?}");
        kinds.push(event.kind().to_owned());
    }
    let answered = ["call.initiated", "call.ringing", "call.in-progress", "call.completed"];
    assert_eq!(kinds[..2], ["call.initiated", "call.busy"]);
    assert_eq!(kinds[2..], answered);
    let first = acme.next().await.unwrap();
    assert_eq!(first.data["data"]["tenantId"], "acme");
    assert!(first.id().ends_with("-1"), "others' calls do not show in one's own ids: {first:?}");
}

#[tokio::test]
async fn a_reader_that_comes_back_hears_what_it_missed() {
    let house = with_a_did().await;
    let mut stream = EventStream::open(&house, EVENTS, &[]).await;
    // Even one who has heard nothing yet has a place to come back to.
    let begin = stream.next_or_sign().await.unwrap();
    drop(stream);
    place_to_the_end(&house, "+14155550123").await;

    let mut stream = EventStream::open(&house, EVENTS, &[("last-event-id", begin.id())]).await;
    let [first, second] = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    drop(stream);
    let mut stream = EventStream::open(&house, EVENTS, &[("last-event-id", second.id())]).await;
    let third = stream.next().await.unwrap();

    assert_eq!((first.kind(), second.kind()), ("call.initiated", "call.ringing"));
    assert_eq!((third.kind(), &third.data["sequence"]), ("call.in-progress", &json!(3)));
}

#[tokio::test]
async fn only_what_is_wanted_is_told_and_an_answer_may_have_an_end() {
    let house = with_a_did().await;
    let begin = EventStream::open(&house, EVENTS, &[]).await.next_or_sign().await.unwrap();
    place_to_the_end(&house, "+14155550123").await;
    let id = place_to_the_end(&house, "+14155550123").await;
    let told = async |query: &str| {
        let path = format!("{EVENTS}?follow=false{query}");
        EventStream::open(&house, &path, &[("last-event-id", begin.id())]).await.rest().await
    };

    assert_eq!(told("").await.len(), 8);
    assert_eq!(told("&type=call.completed").await, ["call.completed", "call.completed"]);
    assert_eq!(told(&format!("&callId={id}")).await.len(), 4);
    let wrong = house.ask(Ask::get("/api/events?type=completed")).await;
    assert_eq!((wrong.problem(), wrong.text("field")), ((422, "invalid_field"), "type"));
}

#[tokio::test]
async fn a_call_that_asterisk_refuses_is_not_told() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add(&house, "+14045550001", "default").await;
    let mut stream = EventStream::open(&house, EVENTS, &[]).await;

    asterisk.misbehave(|wrong| wrong.refuse_originates = Some("No".into()));
    let refused = house.ask(Ask::post(CALLS, &json!({"to": "+14155550100"}))).await;
    asterisk.behave();
    place(&house, json!({"to": "+14155550123"})).await;

    assert_eq!(refused.problem().0, 502);
    assert_eq!(stream.next().await.unwrap().data["data"]["to"], "+14155550123");
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_told_how_much_it_missed() {
    let house = House::open().await;
    let calls = 5000;
    let mut stream = EventStream::open(&house, EVENTS, &[]).await;
    stream.next_or_sign().await.unwrap();

    // More than the sockets and the daemon keep.
    for n in 1..=calls {
        let call = heavy_call(n);
        let id = call.id();
        house.running.app.calls.follow(call);
        house.running.app.calls.placed(id, chrono::Utc::now());
        // As on a daemon that has something else to do as well.
        tokio::task::yield_now().await;
    }

    let (mut next, mut gaps) = (1, 0);
    while next <= calls {
        let event = stream.next().await.unwrap();
        if event.kind() == "gap" {
            gaps += 1;
            next += event.data["data"]["missed"].as_u64().unwrap();
            assert!(event.id().ends_with(&format!("-{}", next - 1)), "{event:?}");
            continue;
        }
        assert_eq!(event.data["data"]["id"], json!(Uuid::from_u128(next.into())), "in order");
        next += 1;
    }
    assert!(gaps > 0, "nothing was missed");
    assert_eq!(next, calls + 1);
}

#[tokio::test]
async fn a_daemon_that_stops_ends_its_streams() {
    let house = with_a_did().await;
    let id = place(&house, json!({"to": NOBODY_THERE, "ringTimeoutSeconds": 600})).await;
    let mut of_call = EventStream::open(&house, &of(&id), &[]).await;
    for step in ["call.initiated", "call.ringing"] {
        assert_eq!(of_call.next().await.unwrap().kind(), step);
    }
    let mut of_all = EventStream::open(&house, EVENTS, &[]).await;
    // Nobody reads this one.
    let _silent = EventStream::open(&house, EVENTS, &[]).await;

    let ((), all, call) = tokio::join!(house.close(), of_all.rest(), of_call.rest());

    assert_eq!((all, call), (Vec::<String>::new(), Vec::new()), "the streams end, not break off");
}

#[tokio::test]
async fn streams_are_bounded_and_one_that_is_closed_makes_room() {
    let house = House::open().await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(EventStream::open(&house, EVENTS, &[]).await);
    }

    let refused = house.ask(Ask::get(EVENTS)).await;
    let other = EventStream::open(&house, EVENTS, &[("x-tenant-id", "acme")]).await;
    streams.pop();
    let again = until("a seat to be free", async || {
        let stream = EventStream::open(&house, EVENTS, &[]).await;
        (stream.status == 200).then_some(())
    });

    assert_eq!(refused.problem(), (429, "too_many_streams"));
    assert_eq!(refused.text("limit"), "event_streams_of_tenant");
    assert_eq!((&refused.body["current"], &refused.body["max"]), (&json!(64), &json!(64)));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(other.status, 200);
    again.await;
}

#[tokio::test]
async fn a_stream_shows_that_it_lives_and_ends_with_its_readers_key() {
    let house = House::open_changed(|config| {
        config.app.stream_beat = Duration::from_millis(20);
    })
    .await;
    let key = house.ask(Ask::post("/api/keys", &json!({"role": "viewer"}))).await;
    let mut stream = EventStream::open_on_tcp(&house, EVENTS, key.text("key")).await;
    for _ in 0..3 {
        let sign = stream.next_or_sign().await.unwrap();
        assert_eq!((sign.kind, sign.data), (None, Value::Null));
    }

    let revoked = house.ask(Ask::delete(&format!("/api/keys/{}", key.text("id")))).await;

    assert_eq!(revoked.status, 204);
    assert_eq!(stream.rest().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_call_goes_on_over_a_restart_and_all_calls_with_a_gap() {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let (address, control) = (asterisk.address().to_string(), asterisk.control());
    let tasks = TaskTracker::new();
    tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
    let mut rotary = Rotary::new()
        .set("ROTARY_ASTERISK__ADDRESS", &address)
        .set("ROTARY_ASTERISK__SECRET", "s3cret")
        .start_ready()
        .await;
    let did = json!({"number": "+14045550001", "status": "active"});
    rotary.post("/api/asterisk-dids", &did).await;
    let open = async |rotary: &Rotary, path: &str, last: &str| {
        let socket = UnixStream::connect(rotary.socket_path()).await.unwrap();
        EventStream::over(socket, path, &[("last-event-id", last)]).await
    };
    let mut of_all = open(&rotary, EVENTS, "an-id-of-nobody").await;
    let first_gap = of_all.next().await.unwrap();
    let call = json!({"to": NOBODY_THERE, "ringTimeoutSeconds": 600});
    let placed = rotary.post(CALLS, &call).await.json();
    let id = placed["id"].as_str().unwrap();
    let _initiated = of_all.next().await.unwrap();
    let ringing = of_all.next().await.unwrap();

    rotary.kill9().await;
    rotary.start_again().await;
    let mut of_all = open(&rotary, EVENTS, ringing.id()).await;
    let mut of_call = open(&rotary, &of(id), "2").await;
    rotary.ready().await;
    control.go_down(Stop::Killed);
    control.come_up();

    let gap = of_all.next().await.unwrap();
    assert_eq!((first_gap.kind(), ringing.kind()), ("gap", "call.ringing"));
    assert_eq!((gap.kind(), &gap.data["data"]), ("gap", &json!({"missed": null})));
    assert_eq!(gap.data["type"], "gap");
    let end = of_all.next().await.unwrap();
    assert_eq!((end.kind(), &end.data["sequence"]), ("call.failed", &json!(3)));
    assert_eq!(of_call.next().await.unwrap().data, end.data);
    assert_eq!(of_call.next().await, None);
}

#[tokio::test]
async fn a_call_of_another_daemon_is_told_from_the_database_they_share() {
    let postgres = Postgres::new(Fsync::Off);
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let on_postgres =
        |config: &mut rotary::config::Config| config.store = store::Settings::new(postgres.url());
    let (one, _asterisk) = House::open_with(settings, on_postgres).await;
    let other = House::open_changed(on_postgres).await;
    add(&one, "+14045550001", "default").await;
    let id = place(&one, json!({"to": NOBODY_THERE, "ringTimeoutSeconds": 1})).await;

    let told = EventStream::open(&other, &of(&id), &[]).await.rest().await;

    assert_eq!(told, ["call.initiated", "call.ringing", "call.no-answer"]);
}

async fn with_a_did() -> House {
    let (house, _asterisk) = House::open_with_asterisk().await;
    add(&house, "+14045550001", "default").await;
    house
}

async fn add(house: &House, number: &str, tenant: &str) {
    let body = json!({"number": number, "status": "active"});
    let added = Ask::post("/api/asterisk-dids", &body).header("x-tenant-id", tenant);
    assert_eq!(house.ask(added).await.status, 201);
}

/// The id of a call that is on its way.
async fn place(house: &House, body: Value) -> String {
    house.ask(Ask::post(CALLS, &body)).await.text("id").to_owned()
}

/// The id of a call that is over.
async fn place_to_the_end(house: &House, to: &str) -> String {
    let body = json!({"to": to});
    house.ask(Ask::post("/api/calls?wait=end", &body)).await.text("id").to_owned()
}

fn of(id: &str) -> String {
    format!("{CALLS}/{id}/events")
}

/// A call with about as much to say as one may have.
fn heavy_call(n: u64) -> Call {
    let now = chrono::Utc::now();
    let request = CallRequest {
        id: CallId(Uuid::from_u128(n.into())),
        tenant: TenantId::default_tenant(),
        to: "+14155550123".parse().unwrap(),
        did: DidId(Uuid::nil()),
        from: "+14045556789".parse().unwrap(),
        trunk: TrunkName::pjsip(),
        campaign: None,
        destination: Destination::Application { application: "Echo".into(), data: String::new() },
        variables: Vec::new(),
        caller_name: None,
        ring_timeout_seconds: 30,
        callback_url: None,
        journey: Some(json!("j".repeat(16_000))),
        reason: None,
        time_limit_seconds: None,
        created_at: now,
        placed_by: PlacedBy::Rotary,
    };
    Call::initiated(request, now)
}

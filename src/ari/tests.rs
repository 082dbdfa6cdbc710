//! The client, the line and the reports together, against a web server of a few lines.

mod fake;

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use self::fake::{House, Reply, say, settings};
use super::*;
use crate::domain::call::cause::Cause;
use crate::domain::call::originate::Originate;
use crate::domain::call::{CallId, ChannelId, Destination, Report};
use crate::line::{Channel, LineState};

const INFO: &str = "GET /ari/asterisk/info";
const FILTER: &str = "PUT /ari/applications/rotary-1/eventFilter";
const CALL: &str = "POST /ari/channels";

#[tokio::test]
async fn a_call_is_placed_and_its_reports_arrive() {
    let call = Uuid::now_v7();
    let mut house = House::start(settings(), [(CALL, Reply::Is(200, "{}"))]).await;
    let mut socket = house.up().await;

    let placed = house.client.originate(&originate(call)).await;
    let request = house.request(CALL).await;
    say(&mut socket, state(call, "Ringing")).await;
    say(&mut socket, destroyed(call, 17, 486)).await;

    assert_eq!(placed, Ok(()));
    let body: Value = serde_json::from_str(request.split_once('\n').unwrap().1).unwrap();
    assert_eq!(body["channelId"], call.to_string());
    let end = Report::HungUp { cause: 17, sip_code: Some(486) };
    let call = ChannelId::first(CallId(call));
    assert_eq!(house.take_reports(2).await, [(call, Report::Ringing), (call, end)]);
    assert_eq!(house.client.counters().line.reports(), 2);
}

#[tokio::test]
async fn events_that_come_before_the_line_is_up_are_kept() {
    let call = Uuid::now_v7();
    let mut house = House::start(settings(), []).await;
    let mut socket = house.socket().await;

    say(&mut socket, state(call, "Up")).await;

    assert_eq!(house.take_reports(1).await, [(ChannelId::first(CallId(call)), Report::Answered)]);
}

#[tokio::test]
async fn only_the_events_we_act_on_are_asked_for() {
    let mut house = House::start(settings(), []).await;

    let request = house.request("PUT").await;

    assert!(request.contains("ChannelDestroyed") && request.contains("ApplicationReplaced"));
    assert!(!request.contains("ChannelVarset"), "{request}");
}

#[tokio::test]
async fn an_asterisk_that_cannot_choose_events_is_listened_to_all_the_same() {
    let old = Reply::Is(404, r#"{"message": "Resource not found"}"#);
    let mut house = House::start(settings(), [(FILTER, old)]).await;
    let call = Uuid::now_v7();
    let mut socket = house.up().await;

    say(&mut socket, json!({"type": "ChannelVarset", "channel": {"id": call, "state": "Up"}}))
        .await;
    say(&mut socket, "no event").await;
    say(&mut socket, state(call, "Up")).await;

    assert_eq!(house.take_reports(1).await, [(ChannelId::first(CallId(call)), Report::Answered)]);
    let counters = house.client.counters();
    assert_eq!((counters.events(), counters.unreadable()), (3, 1));
}

#[tokio::test]
async fn a_refused_login_says_what_to_compare() {
    let required = Reply::Is(401, r#"{"message": "Authentication required"}"#);
    let mut house = House::start(settings(), [(INFO, required)]).await;

    let why = house.is(|state| state.to_string().contains("refused the login")).await;

    assert!(why.contains("Authentication required") && why.contains("ari.conf"), "{why}");
}

#[tokio::test]
async fn a_user_who_may_only_read_is_found_before_a_call_is_placed() {
    let denied = Reply::Is(403, r#"{"message": "Write access denied"}"#);
    let mut house = House::start(settings(), [(FILTER, denied)]).await;

    let why = house.is(|state| state.to_string().contains("refused the login")).await;

    assert!(why.contains("Write access denied") && why.contains("read_only=no"), "{why}");
}

#[tokio::test]
async fn what_is_no_asterisk_or_not_yet_one_is_unreachable_and_tried_again() {
    for (reply, word) in [
        (Reply::Is(404, "<html>"), "does not speak ARI (404"),
        (Reply::Is(200, "welcome"), "does not speak ARI (200"),
        (Reply::Is(503, r#"{"message": "Asterisk not booted"}"#), "Asterisk not booted"),
        (Reply::Cut, "no answer"),
    ] {
        let mut house = House::start(settings(), [(INFO, reply)]).await;

        let why = house.is(|state| state.to_string().contains("unreachable")).await;
        house.reply(INFO, Reply::Is(200, r#"{"system": {"version": "16"}}"#));
        house.up().await;

        assert!(why.contains(word) && why.contains("http.conf"), "{why}");
    }
}

#[tokio::test]
async fn every_outcome_says_what_may_be_done_next() {
    let refused = |text: &str| Err(AriError::Refused(text.to_owned()));
    let no_endpoint = "Allocation failed; is there an endpoint for PJSIP/+14155550123@carrier?";
    let mut house = House::start(settings(), []).await;
    let _socket = house.up().await;
    for (reply, outcome) in [
        (Reply::Is(200, "{}"), Ok(())),
        (
            Reply::Is(400, r#"{"message": "Invalid endpoint specified"}"#),
            refused("Invalid endpoint specified"),
        ),
        (Reply::Is(403, r#"{"message": "Write access denied"}"#), refused("Write access denied")),
        (Reply::Is(500, r#"{"error": "Allocation failed"}"#), refused(no_endpoint)),
        (Reply::Is(502, "<html>"), refused("502 Bad Gateway")),
        // The call exists: Asterisk has a channel with the id that is ours alone.
        (Reply::Is(409, r#"{"message": "already exists"}"#), Err(AriError::Unknown)),
        (Reply::Is(503, "<html>"), Err(AriError::NotSent("503 Service Unavailable".to_owned()))),
        (Reply::Cut, Err(AriError::Unknown)),
        (Reply::Silence, Err(AriError::Unknown)),
    ] {
        house.reply(CALL, reply.clone());

        let placed = house.client.originate(&originate(Uuid::now_v7())).await;

        assert_eq!(placed, outcome, "{reply:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_while_the_line_is_down_or_nobody_is_there() {
    let long = Settings { backoff_min: Duration::from_secs(60), ..settings() };
    let slow = Settings { ping_interval: Duration::from_secs(60), ..long.clone() };
    let mut down = House::start(long, [(INFO, Reply::Cut)]).await;
    down.is(|state| state.to_string().contains("unreachable")).await;
    let mut gone = House::start(slow, []).await;
    // The line has not noticed yet, for the WebSocket is still open.
    let _socket = gone.up().await;
    gone.close_down();

    for house in [&down, &gone] {
        let placed = house.client.originate(&originate(Uuid::now_v7())).await;

        assert!(matches!(placed, Err(AriError::NotSent(_))), "{placed:?}");
    }
    assert!(matches!(down.client.channels().await, Err(AriError::NotSent(_))));
}

#[tokio::test]
async fn an_application_that_another_takes_is_told_and_taken_back() {
    let mut house = House::start(settings(), []).await;
    let mut socket = house.up().await;

    say(&mut socket, json!({"type": "ApplicationReplaced", "application": "rotary-1"})).await;

    let why = house.is(|state| matches!(state, LineState::Down { .. })).await;
    assert!(why.contains("rotary-1") && why.contains("state directory"), "{why}");
    house.up().await;
}

#[tokio::test]
async fn a_line_that_was_cut_comes_up_again() {
    let mut house = House::start(settings(), []).await;

    drop(house.up().await);
    house.is(|state| matches!(state, LineState::Down { .. })).await;
    let _socket = house.up().await;

    assert_eq!(house.client.counters().line.connects(), 2);
    let failures = house.client.counters().line.failures().filter(|(_, count)| *count > 0);
    assert_eq!(failures.collect::<Vec<_>>(), [("broken", 1)]);
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_given_up() {
    let quick = Duration::from_millis(20);
    let settings = Settings { ping_interval: quick, pong_deadline: quick, ..settings() };
    let mut house = House::start(settings, []).await;

    // It is held and never read, so nothing answers the pings.
    let _socket = house.up().await;

    let why = house.is(|state| matches!(state, LineState::Down { .. })).await;
    assert!(why.contains("no answer to a ping"), "{why}");
}

#[tokio::test]
async fn an_asterisk_that_answers_no_request_is_given_up_though_its_websocket_lives() {
    let settings = Settings {
        look_interval: Duration::from_millis(1),
        action_deadline: Duration::from_millis(50),
        ..settings()
    };
    let mut house = House::start(settings, []).await;
    let _socket = house.up().await;

    house.reply(INFO, Reply::Silence);

    let why = house.is(|state| matches!(state, LineState::Down { .. })).await;
    assert!(why.contains("requests are not answered"), "{why}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_online_is_named_until_it_is() {
    const CARRIER: &str = "GET /ari/endpoints/PJSIP/carrier";
    const SPARE: &str = "GET /ari/endpoints/PJSIP/spare";
    let settings = Settings {
        look_interval: Duration::from_millis(1),
        endpoints: vec!["carrier".to_owned(), "spare".to_owned()],
        ..settings()
    };
    let offline =
        Reply::Is(200, r#"{"technology": "PJSIP", "resource": "carrier", "state": "offline"}"#);
    let online =
        Reply::Is(200, r#"{"technology": "PJSIP", "resource": "carrier", "state": "online"}"#);
    let mut house = House::start(settings, [(CARRIER, offline)]).await;

    let _socket = house.up().await;
    let told = house.client.state().to_string();
    house.reply(CARRIER, online.clone());
    house.reply(SPARE, online);
    house.is(|state| matches!(state, LineState::Up { offline, .. } if offline.is_empty())).await;

    assert!(
        told.contains("carrier (is offline), the endpoint spare (is not in pjsip.conf)"),
        "{told}"
    );
}

#[tokio::test]
async fn channels_are_listed_and_hung_up() {
    let (ours, path) = (
        "01980a5e-0000-7000-8000-000000000001",
        "/ari/channels/01980a5e-0000-7000-8000-000000000001",
    );
    let list = r#"[{"id": "01980a5e-0000-7000-8000-000000000001", "name": "PJSIP/carrier-1", "state": "Ringing"},
                   {"id": "1795.13", "name": "PJSIP/x-2", "state": "Up", "caller": {}}]"#;
    let mut house = House::start(settings(), [("GET /ari/channels", Reply::Is(200, list))]).await;
    let _socket = house.up().await;

    let listed = house.client.channels().await.unwrap();
    let none = house.client.hang_up(ours.parse().unwrap(), Cause::NORMAL).await;
    house.reply("DELETE /ari/channels/01980a5e-0000-7000-8000-000000000001", Reply::Is(204, ""));
    let done = house.client.hang_up(ours.parse().unwrap(), Cause::NORMAL).await;

    let channel = |unique_id: &str, channel: &str, state| Channel {
        unique_id: unique_id.to_owned(),
        channel: channel.to_owned(),
        state,
    };
    assert_eq!(listed, [channel(ours, "PJSIP/carrier-1", 5), channel("1795.13", "PJSIP/x-2", 6)]);
    assert_eq!(none, Err(AriError::Refused("No such channel".to_owned())));
    assert_eq!(done, Ok(()));
    assert!(house.request("DELETE").await.contains(path));
}

#[tokio::test]
async fn an_answer_over_the_bound_is_not_read_to_its_end() {
    let settings = Settings { answer_max: 64, ..settings() };
    let list = r#"[{"id": "1795.13", "name": "PJSIP/x-2", "state": "Up", "caller": {"name": "", "number": ""}}]"#;
    let mut house = House::start(settings, [("GET /ari/channels", Reply::Is(200, list))]).await;
    let _socket = house.up().await;

    assert_eq!(house.client.channels().await, Err(AriError::Unknown));
}

#[tokio::test]
async fn a_stop_ends_the_line() {
    let mut house = House::start(settings(), []).await;
    let _socket = house.up().await;

    house.stop.cancel();

    house.is(|state| state.to_string() == "Rotary is stopping").await;
}

#[tokio::test]
async fn the_secret_is_not_shown() {
    let (client, line, _reports) = line(settings());

    assert!(!format!("{client:?} {line:?}").contains("s3cret"));
}

fn originate(id: Uuid) -> Originate {
    Originate {
        id: id.to_string(),
        channel: "PJSIP/+14155550123@carrier".to_owned(),
        caller_number: "+14045556789".to_owned(),
        caller_name: None,
        destination: Destination::Dialplan {
            context: "DynamicIVR".to_owned(),
            exten: "s".to_owned(),
            priority: 1,
        },
        ring_timeout: Duration::from_secs(30),
        variables: Vec::new(),
    }
}

fn state(call: Uuid, state: &str) -> Value {
    json!({"type": "ChannelStateChange", "channel": {"id": call, "name": "PJSIP/x-1", "state": state}})
}

fn destroyed(call: Uuid, cause: u16, tech_cause: u16) -> Value {
    let channel = json!({"id": call, "name": "PJSIP/x-1", "state": "Down"});
    json!({"type": "ChannelDestroyed", "cause": cause, "tech_cause": tech_cause, "channel": channel})
}

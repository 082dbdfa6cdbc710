//! Calls that wait for their trunk.

use rotary::app::place_queued::cancel_queued;
use rotary::demo::misbehave::Stop;
use rotary::domain::call::CallId;

use super::*;
use crate::receiver::{Receiver, Seen, sequences};
use crate::wait::until;

#[tokio::test]
async fn a_call_waits_for_a_channel_and_then_goes() {
    let (house, asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Queue)).await;
    let first = place(&house, RINGS).await;

    let waits = call(&house, ANSWERS).await;
    let id = waits.text("id").to_owned();
    let waiting = look(&house, &id).await;
    hang_up(&house, &first).await;
    let over = call_is(&house, &id, "completed").await;

    assert_eq!((waits.status.as_u16(), waits.text("status")), (202, "queued"));
    assert_eq!((&waiting["status"], steps(&waiting)), (&json!("queued"), vec!["queued"]));
    assert_eq!(waiting["queuedAt"], waiting["createdAt"]);
    assert_eq!(waiting["initiatedAt"], Value::Null);
    let all = ["queued", "initiated", "ringing", "in-progress", "completed"];
    assert_eq!(steps(&over), all);
    assert_eq!(asterisk.originates()[1].channel_id, id);
    assert_eq!(
        (uses(&house).await, state_of(&house, "PJSIP").await["queued"].as_u64()),
        (2, Some(0))
    );
}

#[tokio::test]
async fn who_waits_for_the_answer_of_a_call_that_waits_gets_it() {
    let (house, _asterisk) = house_with(trunk(Limits::of(1, 0), WhenFull::Queue)).await;
    place(&house, ANSWERS).await;

    let over = house.ask(Ask::post("/api/calls?wait=end", &json!({"to": ANSWERS}))).await;

    assert_eq!((over.status.as_u16(), over.text("status")), (202, "completed"));
    assert!(over.body["queuedAt"].is_string(), "{over:?}");
}

#[tokio::test]
async fn tenants_take_turns() {
    let (house, asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Queue)).await;
    add_did(&house, "+14045550002", "PJSIP", "other").await;
    let first = place(&house, RINGS).await;
    let mut order = Vec::new();
    for (tenant, to) in [("default", 1), ("default", 2), ("default", 3), ("other", 4), ("other", 5)]
    {
        let ask = Ask::post(CALLS, &json!({"to": format!("+1415555012{to}")}));
        let waits = house.ask(ask.header("x-tenant-id", tenant)).await;
        assert_eq!(waits.text("status"), "queued", "{waits:?}");
        order.push(waits.text("id").to_owned());
    }

    hang_up(&house, &first).await;
    asterisk.wait_until(|counts| counts.originates == 6).await;

    let placed: Vec<_> = asterisk.originates().into_iter().map(|seen| seen.channel_id).collect();
    let turns = [0, 3, 1, 4, 2].map(|place: usize| order[place].clone());
    assert_eq!(placed[1..], turns);
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let mut trunk = trunk(Limits::of(0, 1), WhenFull::Queue);
    trunk.rules.queue_max = 1;
    let (house, _asterisk) = house_with(trunk).await;
    place(&house, RINGS).await;
    place(&house, ANSWERS).await;

    let refused = call(&house, ANSWERS).await;

    assert_eq!(refused.problem(), (429, "trunk_queue"));
    assert_eq!((&refused.body["limit"], &refused.body["max"]), (&json!("queue_max"), &json!(1)));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!((uses(&house).await, calls(&house).await), (2, 2));
}

#[tokio::test]
async fn a_call_that_waits_too_long_fails_and_its_use_is_given_back() {
    let receiver = Receiver::open().await;
    let (house, asterisk) = house(|config| {
        with_trunk(config, "PJSIP", trunk(Limits::of(0, 1), WhenFull::Queue));
        with_calls(config, |calls| calls.queue_seconds_max = 1);
    })
    .await;
    add_did(&house, "+14045550001", "PJSIP", "default").await;
    place(&house, RINGS).await;
    let body = json!({"to": ANSWERS, "callbackUrl": receiver.url});
    let ask = || Ask::post("/api/calls?wait=end", &body).header("idempotency-key", "k-1");

    let over = house.ask(ask()).await;
    let seen = receiver.until(|seen| seen.len() == 2).await;
    let replayed = house.ask(ask()).await;

    assert_eq!((over.text("status"), &over.body["cause"]["code"]), ("failed", &json!(44)));
    assert_eq!(sequences(&seen), [1, 2]);
    assert_eq!(kinds(&seen), ["call.queued", "call.failed"]);
    assert_eq!((uses(&house).await, asterisk.counts().originates), (1, 1));
    assert_eq!(replayed.text("id"), over.text("id"), "it was accepted: its key stays taken");
}

#[tokio::test]
async fn a_call_that_waits_can_be_canceled_once() {
    let receiver = Receiver::open().await;
    let (house, asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Queue)).await;
    let first = place(&house, RINGS).await;
    let body = json!({"to": ANSWERS, "callbackUrl": receiver.url});
    let id = house.ask(Ask::post(CALLS, &body)).await.text("id").to_owned();
    let [waits, rings] = [&id, &first].map(|id| CallId(id.parse().unwrap()));
    let app = &house.running.app;

    let canceled = cancel_queued(app, waits).await.unwrap();
    let again = cancel_queued(app, waits).await.unwrap();
    let not_waiting = cancel_queued(app, rings).await.unwrap();
    let seen = receiver.until(|seen| seen.len() == 2).await;

    assert_eq!(canceled.unwrap().progress.status.as_str(), "canceled");
    assert_eq!((again, not_waiting), (None, None));
    assert_eq!(steps(&look(&house, &id).await), ["queued", "canceled"]);
    assert_eq!(kinds(&seen), ["call.queued", "call.canceled"]);
    assert_eq!(uses(&house).await, 1);
    hang_up(&house, &first).await;
    call_is(&house, &first, "failed").await;
    assert_eq!(asterisk.counts().originates, 1);
}

#[tokio::test]
async fn a_queued_call_tells_each_of_its_steps() {
    let receiver = Receiver::open().await;
    let (house, _asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Queue)).await;
    let first = place(&house, RINGS).await;
    let body = json!({"to": ANSWERS, "callbackUrl": receiver.url});
    house.ask(Ask::post(CALLS, &body)).await;

    hang_up(&house, &first).await;
    let seen = receiver.until(|seen| seen.len() == 5).await;

    assert_eq!(sequences(&seen), [1, 2, 3, 4, 5]);
    let all =
        ["call.queued", "call.initiated", "call.ringing", "call.in-progress", "call.completed"];
    assert_eq!(kinds(&seen), all);
}

#[tokio::test]
async fn calls_wait_through_a_restart_and_those_in_progress_keep_their_places() {
    let one_channel = || trunk(Limits::of(0, 1), WhenFull::Queue);
    let (house, asterisk) = house_with(one_channel()).await;
    let first = place(&house, RINGS).await;
    asterisk.wait_until(|counts| counts.in_progress == 1).await;
    let waits = [place(&house, ANSWERS).await, place(&house, ANSWERS).await];

    let house = house.restart(|config| with_trunk(config, "PJSIP", one_channel())).await;
    ready(&house).await;
    let state = state_of(&house, "PJSIP").await;
    let newcomer = call(&house, ANSWERS).await;
    let placed_before = asterisk.counts().originates;
    hang_up(&house, &first).await;
    for id in &waits {
        call_is(&house, id, "completed").await;
    }
    call_is(&house, newcomer.text("id"), "completed").await;

    assert_eq!((state["channels"].as_u64(), state["queued"].as_u64()), (Some(1), Some(2)));
    assert_eq!((newcomer.text("status"), placed_before), ("queued", 1));
    let placed: Vec<_> = asterisk.originates().into_iter().map(|seen| seen.channel_id).collect();
    assert_eq!(placed, [&first, &waits[0], &waits[1], newcomer.text("id")], "each once, in order");
    assert_eq!(uses(&house).await, 4);
}

#[tokio::test]
async fn while_the_line_is_down_calls_wait_on() {
    let (house, asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Queue)).await;
    let first = place(&house, RINGS).await;
    asterisk.wait_until(|counts| counts.in_progress == 1).await;
    let waits = place(&house, ANSWERS).await;

    asterisk.go_down(Stop::Killed);
    asterisk.come_up();
    // The first call is missing from Asterisk's list, and its place is free.
    call_is(&house, &first, "failed").await;
    let over = call_is(&house, &waits, "completed").await;

    assert_eq!(over["attempts"], 1);
    assert_eq!(state_of(&house, "PJSIP").await["channels"], 0);
}

#[tokio::test]
async fn a_call_that_waited_and_is_refused_then_fails_and_gives_its_use_back() {
    let (house, asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Queue)).await;
    let first = place(&house, RINGS).await;
    let waits = place(&house, ANSWERS).await;

    asterisk.misbehave(|wrong| wrong.refuse_originates = Some("No".into()));
    hang_up(&house, &first).await;
    let over = call_is(&house, &waits, "failed").await;

    assert_eq!(steps(&over), ["queued", "initiated", "failed"]);
    assert_eq!(uses(&house).await, 1);
    assert_eq!(state_of(&house, "PJSIP").await["channels"], 0);
}

async fn ready(house: &House) {
    until("the line to be up", async || {
        (house.ask(Ask::get("/readyz")).await.status == 200).then_some(())
    })
    .await;
}

fn kinds(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(Seen::kind).collect()
}

//! Several Asterisks: where calls leave, and that what happens to one concerns no other.

use rotary::demo::Control;
use rotary::demo::misbehave::Stop;
use serde_json::{Value, json};

use crate::command_line::rotary;
use crate::house::{Answer, Ask, House};
use crate::wait::until;

const CALLS: &str = "/api/calls";
const DIDS: &str = "/api/asterisk-dids";

/// Rings for ever.
const PATIENT: &str = "+14155550180";

#[tokio::test]
async fn calls_are_spread_and_each_says_where_it_is() {
    let (house, asterisks) = open("").await;

    let mut places = Vec::new();
    for _ in 0..4 {
        places.push(call(&house, "PJSIP").await.text("asterisk").to_owned());
    }

    assert_eq!(places, ["east", "west", "east", "west"]);
    assert_eq!(originates(&asterisks), [2, 2]);
    let listed = house.ask(Ask::get(CALLS)).await;
    let first = &listed.body["data"][3];
    assert_eq!(first["asterisk"], "east");
    let path = format!("{CALLS}/{}", first["id"].as_str().unwrap());
    assert_eq!(house.ask(Ask::get(&path)).await.text("asterisk"), "east");
}

#[tokio::test]
async fn a_trunk_leaves_by_the_asterisks_it_names_and_by_no_other() {
    let trunks =
        "[trunks.one]\nasterisk = \"west\"\n[trunks.both]\nasterisk = [\"west\", \"east\"]\n";
    let (house, asterisks) = open(trunks).await;

    for _ in 0..2 {
        assert_eq!(call(&house, "one").await.text("asterisk"), "west");
    }
    assert_eq!(call(&house, "both").await.text("asterisk"), "east");

    asterisks[1].go_down(Stop::Killed);
    down(&house, "west").await;
    let refused = call(&house, "one").await;
    let ready = house.ask(Ask::get("/readyz")).await;
    let other = call(&house, "both").await;

    assert_eq!(refused.problem(), (503, "asterisk_unavailable"));
    assert!(refused.text("detail").contains("west: "), "{refused:?}");
    assert_eq!(uses(&house).await, 4, "what cannot leave is not counted");
    assert_eq!(other.text("asterisk"), "east");
    let detail = ready.body["checks"]["asterisk"]["detail"].as_str().unwrap();
    assert_eq!(ready.status, 503);
    assert!(detail.starts_with("no call can leave by trunk one; west: "), "{detail}");
}

#[tokio::test]
async fn a_did_whose_trunk_cannot_leave_is_given_back() {
    let (house, asterisks) = open("[trunks.one]\nasterisk = \"west\"\n").await;
    let did = json!({"number": "+14045550009", "status": "active", "trunk": "one"});
    let did = house.ask(Ask::post(DIDS, &did)).await.text("id").to_owned();
    asterisks[1].go_down(Stop::Killed);
    down(&house, "west").await;

    let wanted = json!({"to": PATIENT, "from": did});
    let refused = house.ask(Ask::post(CALLS, &wanted)).await;
    asterisks[1].come_up();
    house.running.app.asterisks.all_up().await;
    let placed = house.ask(Ask::post(CALLS, &wanted)).await;

    assert_eq!(refused.problem(), (503, "asterisk_unavailable"));
    assert_eq!(placed.text("asterisk"), "west");
    let did = house.ask(Ask::get(&format!("{DIDS}/{did}"))).await;
    assert_eq!(did.body["usageCount"], 1);
}

#[tokio::test]
async fn one_that_goes_down_takes_only_its_own_calls_along() {
    let (house, asterisks) = open("").await;
    let there = call(&house, "PJSIP").await;
    let elsewhere = call(&house, "PJSIP").await;

    asterisks[0].go_down(Stop::Killed);
    down(&house, "east").await;
    let meanwhile = call(&house, "PJSIP").await;
    let ready = house.ask(Ask::get("/readyz")).await;
    let still = house.ask(Ask::get(&path(&there))).await;
    asterisks[0].come_up();
    let ended = ended(&house, &there).await;

    assert_eq!((there.text("asterisk"), elsewhere.text("asterisk")), ("east", "west"));
    assert_eq!(meanwhile.text("asterisk"), "west");
    assert_eq!(ready.status, 200);
    assert_eq!(ready.body["checks"]["asterisks"][0]["status"], "down");
    assert_eq!(ready.body["checks"]["asterisks"][1]["status"], "up");
    assert_eq!(still.body["endedAt"], Value::Null, "only its own Asterisk can say that it ended");
    assert_eq!((&ended["status"], &ended["cause"]["code"]), (&json!("failed"), &json!(0)));
    for other in [&elsewhere, &meanwhile] {
        assert_eq!(house.ask(Ask::get(&path(other))).await.body["endedAt"], Value::Null);
    }
    assert_eq!(asterisks[1].counts().in_progress, 2);
}

#[tokio::test]
async fn a_call_that_one_certainly_did_not_take_goes_to_the_next() {
    let (house, asterisks) = open("").await;
    asterisks[0].misbehave(|wrong| wrong.shutting_down = true);

    let made = call(&house, "PJSIP").await;

    assert_eq!((made.status.as_u16(), made.text("asterisk")), (202, "west"));
    assert_eq!(house.ask(Ask::get(&path(&made))).await.text("asterisk"), "west");
    assert_eq!(originates(&asterisks), [0, 1]);
    assert_eq!(uses(&house).await, 1);
    let places = house.running.app.asterisks.all().iter().map(|one| one.calls());
    assert_eq!(places.collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_call_that_none_takes_fails_and_its_use_is_given_back() {
    let (house, asterisks) = open("").await;
    for asterisk in &asterisks {
        asterisk.misbehave(|wrong| wrong.shutting_down = true);
    }

    let refused = call(&house, "PJSIP").await;

    assert_eq!(refused.problem(), (503, "asterisk_unavailable"));
    assert_eq!(uses(&house).await, 0);
    assert_eq!(house.running.app.asterisks.all()[1].calls(), 0);
}

#[tokio::test]
async fn a_call_that_one_may_have_taken_goes_nowhere_else() {
    use rotary::demo::misbehave::DropLine;
    let (house, asterisks) = open("").await;
    asterisks[0].misbehave(|wrong| wrong.drop_line = Some(DropLine::BeforeOriginate));

    let made = call(&house, "PJSIP").await;

    assert_eq!((made.status.as_u16(), made.text("asterisk")), (202, "east"));
    assert_eq!(ended(&house, &made).await["status"], "failed");
    assert_eq!(originates(&asterisks), [0, 0]);
    assert_eq!(uses(&house).await, 1);
}

#[tokio::test]
async fn after_a_restart_each_call_is_looked_for_where_it_was_placed() {
    let (house, asterisks) = open("").await;
    let kept = call(&house, "PJSIP").await;
    let lost = call(&house, "PJSIP").await;
    asterisks[1].go_down(Stop::Killed);
    asterisks[1].come_up();

    let house = house.open_again(|text| text).await;
    let ended = ended(&house, &lost).await;

    assert_eq!(lost.text("asterisk"), "west");
    assert_eq!(ended["status"], "failed");
    assert_eq!(house.ask(Ask::get(&path(&kept))).await.body["endedAt"], Value::Null);
    until("its place to be free", async || {
        let places = house.running.app.asterisks.all().iter().map(|one| one.calls());
        (places.collect::<Vec<_>>() == [1, 0]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn calls_of_an_asterisk_that_is_not_configured_any_more_end() {
    let (house, _asterisks) = open("").await;
    let kept = call(&house, "PJSIP").await;
    let lost = call(&house, "PJSIP").await;

    let house = house.open_again(|text| text.replace("\"west\"", "\"north\"")).await;
    let ended = ended(&house, &lost).await;

    assert_eq!((&ended["status"], &ended["cause"]["code"]), (&json!("failed"), &json!(0)));
    assert_eq!(ended["asterisk"], "west");
    assert_eq!(house.ask(Ask::get(&path(&kept))).await.body["endedAt"], Value::Null);
}

#[tokio::test]
async fn the_status_names_each_asterisk() {
    let (house, asterisks) = open("").await;
    asterisks[1].go_down(Stop::Killed);
    down(&house, "west").await;

    let one_down = rotary(&house.running.socket, &["status"]).await;
    asterisks[0].go_down(Stop::Killed);
    down(&house, "east").await;
    let all_down = rotary(&house.running.socket, &["status"]).await;

    assert_eq!((one_down.code, all_down.code), (0, 1));
    assert!(one_down.out.contains("asterisks  east up: connected"), "{}", one_down.out);
    assert!(one_down.out.contains("           west down: "), "{}", one_down.out);
    assert!(all_down.out.contains("asterisks  east down: "), "{}", all_down.out);
}

/// Two Asterisks, `east` and `west`, and one DID.
async fn open(more: &str) -> (House, Vec<Control>) {
    let (house, asterisks) = House::open_with_asterisks(&["east", "west"], more).await;
    let did = json!({"number": "+14045550001", "status": "active"});
    assert_eq!(house.ask(Ask::post(DIDS, &did)).await.status, 201);
    (house, asterisks)
}

/// Calls somebody who lets it ring.
async fn call(house: &House, trunk: &str) -> Answer {
    let body = json!({"to": PATIENT, "trunk": trunk, "ringTimeoutSeconds": 600});
    house.ask(Ask::post(CALLS, &body)).await
}

fn path(call: &Answer) -> String {
    format!("{CALLS}/{}", call.text("id"))
}

async fn ended(house: &House, call: &Answer) -> Value {
    until("the call to end", async || {
        let found = house.ask(Ask::get(&path(call))).await.body;
        (!found["endedAt"].is_null()).then_some(found)
    })
    .await
}

/// Waits until Rotary knows that this line is down.
async fn down(house: &House, name: &str) {
    let asterisk = house.running.app.asterisks.named(&name.parse().unwrap()).unwrap().clone();
    let mut states = asterisk.states();
    while asterisk.is_up() {
        states.changed().await;
    }
}

async fn uses(house: &House) -> i64 {
    let dids = house.ask(Ask::get(DIDS)).await;
    dids.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|did| did["usageCount"].as_i64().unwrap())
        .sum()
}

fn originates(asterisks: &[Control]) -> Vec<u64> {
    asterisks.iter().map(|asterisk| asterisk.counts().originates).collect()
}

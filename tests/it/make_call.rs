//! MAKE_CALL over the API and the command line, on a simulated Asterisk.

use serde_json::{Value, json};

use crate::command_line::rotary;
use crate::house::{Ask, House};

const CALLS: &str = "/api/calls";
const NEXT: &str = "/api/asterisk-dids/next-available";

#[tokio::test]
async fn a_call_shows_a_rotated_did_and_is_followed_to_its_end() {
    let (house, asterisk) = House::open_with_asterisk().await;
    let did = add(&house, "+14045550001").await;
    add(&house, "+14045550002").await;
    let body = json!({
        "to": "+14155550123", "callerName": "Acme", "variables": {"JOURNEY": "j_1"},
        "journey": {"journeyId": "j_1"}, "callbackUrl": "http://127.0.0.1:1/hook",
    });

    let made = house.ask(Ask::post("/api/calls?wait=end", &body)).await;

    assert_eq!(made.status, 202, "{made:?}");
    let call = &made.body;
    assert_eq!((&call["status"], &call["to"]), (&json!("completed"), &json!("+14155550123")));
    assert_eq!(
        call["did"],
        json!({"id": did, "number": "+14045550001", "trunk": "PJSIP", "reason": "least used"})
    );
    assert_eq!(call["from"], "+14045550001");
    assert_eq!(call["cause"], json!({"code": 16, "text": "Normal Clearing"}));
    assert_eq!((&call["context"], &call["exten"]), (&json!("DynamicIVR"), &json!("s")));
    assert_eq!(call["variables"], json!({"JOURNEY": "j_1"}));
    assert_eq!(call["journey"], json!({"journeyId": "j_1"}));

    let found = house.ask(Ask::get(made.headers["location"].to_str().unwrap())).await;
    let steps = found.body["timeline"].as_array().unwrap();
    let steps: Vec<_> = steps.iter().map(|step| step["status"].as_str().unwrap()).collect();
    assert_eq!(steps, ["initiated", "ringing", "in-progress", "completed"]);
    let mut same = found.body.clone();
    same.as_object_mut().unwrap().remove("timeline");
    assert_eq!(same, made.body, "a call reads the same whoever tells of it");

    let seen = &asterisk.originates()[0];
    assert_eq!((&*seen.caller_number, &*seen.caller_name), ("+14045550001", "Acme"));
    assert_eq!(seen.channel_id, call["id"].as_str().unwrap());
    assert_eq!(house.ask(Ask::get(NEXT)).await.text("number"), "+14045550002");
}

#[tokio::test]
async fn a_busy_callee_is_told_as_soon_as_an_answer_is_waited_for() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    add(&house, "+14045550001").await;

    let body = json!({"to": "+14155550486"});
    let busy = house.ask(Ask::post("/api/calls?wait=answer", &body)).await;

    assert_eq!(busy.text("status"), "busy");
    assert_eq!(busy.body["cause"]["code"], 17);
    assert_eq!(busy.body["talkSeconds"], 0);
}

#[tokio::test]
async fn the_same_key_rings_nobody_twice() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add(&house, "+14045550001").await;
    let ask = |to: &str| Ask::post(CALLS, &json!({"to": to})).header("idempotency-key", "k-1");

    let first = house.ask(ask("+14155550123")).await;
    let again = house.ask(ask("+14155550123")).await;
    let other = house.ask(ask("+14155550124")).await;

    assert_eq!(first.headers.get("idempotent-replayed"), None);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(first.body["id"], again.body["id"]);
    assert_eq!(other.problem(), (409, "idempotency_conflict"));
    assert_eq!(asterisk.originates().len(), 1);
}

#[tokio::test]
async fn a_call_that_was_never_placed_may_be_asked_for_again_under_its_key() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add(&house, "+14045550001").await;
    let ask = || Ask::post(CALLS, &json!({"to": "+14155550123"})).header("idempotency-key", "k-1");

    asterisk.misbehave(|wrong| wrong.refuse_originates = Some("No".into()));
    let refused = house.ask(ask()).await;
    asterisk.behave();
    let placed = house.ask(ask()).await;
    let again = house.ask(ask()).await;

    assert_eq!(refused.problem(), (502, "originate_refused"));
    assert_eq!((placed.status.as_u16(), placed.text("status")), (202, "initiated"));
    assert_eq!(placed.headers.get("idempotent-replayed"), None);
    assert_eq!(again.text("id"), placed.text("id"));
    assert_eq!(asterisk.counts().originates, 1);
}

#[tokio::test]
async fn a_refused_call_gives_its_use_back_and_says_what_asterisk_said() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add(&house, "+14045550001").await;
    asterisk.misbehave(|wrong| wrong.refuse_originates = Some("Permission denied".to_owned()));

    let refused = house.ask(Ask::post(CALLS, &json!({"to": "+14155550123"}))).await;

    assert_eq!(refused.problem(), (502, "originate_refused"));
    assert!(refused.text("detail").contains("Permission denied"), "{refused:?}");
    assert_eq!(house.ask(Ask::get(NEXT)).await.body["usageCount"], 0);
}

#[tokio::test]
async fn a_did_asked_for_by_name_must_be_the_tenants_and_in_rotation() {
    let (house, asterisk) = House::open_with_asterisk().await;
    let spent = json!({"number": "+14045550001", "status": "active", "maxUsage": 0});
    house.ask(Ask::post("/api/asterisk-dids", &spent)).await;
    let theirs = json!({"number": "+14045550002", "status": "active"});
    let theirs = Ask::post("/api/asterisk-dids", &theirs).header("x-tenant-id", "other");
    let id = house.ask(theirs).await.text("id").to_owned();

    for (from, problem) in [
        ("+14045550001", (409, "did_not_pickable")),
        ("+14045550002", (404, "did_not_found")),
        (id.as_str(), (404, "did_not_found")),
        ("default", (409, "no_available_did")),
    ] {
        let body = json!({"to": "+14155550123", "from": from});
        assert_eq!(house.ask(Ask::post(CALLS, &body)).await.problem(), problem, "{from}");
    }
    assert!(asterisk.originates().is_empty());
}

#[tokio::test]
async fn a_journey_engines_node_is_taken_as_it_is() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    let did = json!({"number": "+14045550001", "status": "active"});
    house.ask(Ask::post("/api/asterisk-dids", &did).header("x-tenant-id", "t_123")).await;
    let node = json!({
        "type": "MAKE_CALL", "tenantId": "t_123", "from": "t_123", "to": "+14155550123",
        "context": "DynamicIVR", "journey": {"nodeId": "n_4"},
    });

    let made = house.ask(Ask::post("/api/journeys/make-call", &node)).await;

    assert_eq!(made.status, 202, "{made:?}");
    assert_eq!(made.text("tenantId"), "t_123");
}

#[tokio::test]
async fn calls_are_listed_newest_first_and_by_what_became_of_them() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    add(&house, "+14045550001").await;
    for to in ["+14155550123", "+14155550486"] {
        house.ask(Ask::post("/api/calls?wait=end", &json!({"to": to}))).await;
    }

    let all = house.ask(Ask::get(CALLS)).await;
    let busy = house.ask(Ask::get("/api/calls?status=busy")).await;
    let to = house.ask(Ask::get("/api/calls?to=%2B14155550123&limit=1")).await;

    assert_eq!(callees(&all.body), ["+14155550486", "+14155550123"]);
    assert_eq!(callees(&busy.body), ["+14155550486"]);
    assert_eq!(callees(&to.body), ["+14155550123"]);
    assert_eq!(house.ask(Ask::get("/api/calls?since=soon")).await.problem().1, "invalid_field");
}

#[tokio::test]
async fn a_call_by_command_is_waited_for_and_shown() {
    let (house, asterisk) = House::open_with_asterisk().await;
    let socket = &house.running.socket;
    add(&house, "+14045550001").await;

    let args = ["call", "+14155550123", "--wait", "end", "--variable", "A=x,\"y\"", "--json"];
    let call = rotary(socket, &args).await;
    let busy = rotary(socket, &["call", "+14155550486", "--wait", "end"]).await;
    let id = call.json()["id"].as_str().unwrap().to_owned();
    let shown = rotary(socket, &["calls", "show", &id]).await;
    let status = rotary(socket, &["status"]).await;

    assert_eq!((call.code, call.json()["status"].as_str()), (0, Some("completed")));
    assert!(asterisk.originates()[0].variables.contains(&("A".into(), "x,\"y\"".into())));
    assert_eq!(busy.code, 1);
    assert!(busy.out.contains("cause   User busy (17"), "{}", busy.out);
    assert!(shown.out.contains("status  completed"), "{}", shown.out);
    assert!(shown.out.contains("  in-progress\n"), "{}", shown.out);
    assert_eq!(status.code, 0, "{}{}", status.out, status.err);
    assert!(status.out.contains("asterisk  up"), "{}", status.out);
}

#[tokio::test]
async fn a_daemon_that_stops_does_not_wait_for_a_call_to_end() {
    let (house, asterisk) = House::open_with_asterisk().await;
    let socket = house.running.socket.clone();
    add(&house, "+14045550001").await;

    let args = ["call", "+14155550180", "--wait", "end", "--ring-timeout", "600", "--json"];
    let stop = async {
        asterisk.wait_until(|counts| counts.in_progress == 1).await;
        house.close().await;
    };
    let (call, ()) = tokio::join!(rotary(&socket, &args), stop);

    assert_eq!(call.code, 0, "{}{}", call.out, call.err);
    assert!(["initiated", "ringing"].contains(&call.json()["status"].as_str().unwrap()));
}

async fn add(house: &House, number: &str) -> String {
    let body = json!({"number": number, "status": "active"});
    house.ask(Ask::post("/api/asterisk-dids", &body)).await.text("id").to_owned()
}

fn callees(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|call| call["to"].as_str().unwrap()).collect()
}

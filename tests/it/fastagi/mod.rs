//! What a dialplan gets of each script.

mod attacks;
mod bad_days;
pub(crate) mod channel;

use serde_json::{Value, json};

use self::channel::{Channel, Heard};
use crate::house::{Ask, House};

const DID: &str = "+14045556789";

#[tokio::test]
async fn a_dialplan_is_given_a_did_that_is_counted_and_ready_to_be_dialled() {
    let house = House::open().await;
    add(&house, "default", json!({"number": DID, "status": "active", "trunk": "carrier"})).await;

    let heard = ask(&house, "caller-id?to=4155550123").await;

    let open = get(&house, "default", "/api/picks?settled=false").await;
    let pick = &open["data"][0];
    assert_eq!(pick["to"], "+14155550123", "{open}");
    assert_eq!(heard.status(), "OK");
    assert_eq!(heard.get("ROTARY_DID"), Some(DID));
    assert_eq!(heard.get("CALLERID(num)"), Some(DID));
    assert_eq!(heard.get("ROTARY_TRUNK"), Some("carrier"));
    assert_eq!(heard.get("ROTARY_DIAL"), Some("PJSIP/+14155550123@carrier"));
    assert_eq!(heard.get("ROTARY_PICK_ID"), pick["pickId"].as_str());
    assert_eq!(heard.get("ROTARY_DID_ID"), pick["did"]["id"].as_str());
    assert_eq!(uses(&house, "default").await, 1);
    let names: Vec<&str> = heard.0.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(heard.0[0], ("ROTARY_STATUS".into(), "ERROR".into()), "nothing is done yet");
    assert_eq!(
        names[names.len() - 2..],
        ["CALLERID(num)", "ROTARY_STATUS"],
        "the number, then the word"
    );
    house.close().await;
}

#[tokio::test]
async fn a_dialplan_without_a_did_finds_nothing_of_an_earlier_one() {
    let house = House::open().await;
    add(&house, "default", json!({"number": DID, "status": "active", "maxUsage": 1})).await;

    let first = ask(&house, "caller-id?to=4155550123").await;
    let second = ask(&house, "caller-id?to=4155550123").await;

    assert_eq!((first.status(), second.status()), ("OK", "NO_DID"));
    for name in ["ROTARY_DID", "ROTARY_DID_ID", "ROTARY_PICK_ID", "ROTARY_DIAL", "ROTARY_TRUNK"] {
        assert_eq!(second.get(name), Some(""), "{name}");
    }
    assert_eq!(second.get("CALLERID(num)"), None);
    house.close().await;
}

#[tokio::test]
async fn a_dialplan_picks_for_the_tenant_and_the_campaign_that_it_names() {
    let house = House::open().await;
    add(&house, "acme", json!({"number": "+12125550001", "status": "active"})).await;
    add(&house, "acme", json!({"number": "+12125550002", "status": "active", "campaignId": "c_1"}))
        .await;
    add(&house, "other", json!({"number": "+13105550001", "status": "active"})).await;

    let campaign = ask(&house, "caller-id?tenant=acme&campaign=c_1").await;
    let other = ask(&house, "caller-id?tenant=other").await;
    let none = ask(&house, "caller-id?tenant=other&campaign=c_1").await;
    let nobody = ask(&house, "caller-id").await;

    assert_eq!(campaign.get("ROTARY_DID"), Some("+12125550002"));
    assert_eq!(campaign.get("ROTARY_DIAL"), Some(""), "nobody said who is called");
    assert_eq!(other.get("ROTARY_DID"), Some("+13105550001"));
    assert_eq!((none.status(), nobody.status()), ("NO_DID", "NO_DID"));
    assert_eq!(get(&house, "other", "/api/picks").await["data"].as_array().unwrap().len(), 1);
    house.close().await;
}

#[tokio::test]
async fn an_outcome_puts_the_dialplans_call_among_the_calls() {
    let house = House::open().await;
    add(&house, "default", json!({"number": DID, "status": "active"})).await;
    let picked = ask(&house, "caller-id?to=4155550123").await;
    let id = picked.get("ROTARY_PICK_ID").unwrap();

    let told = ask(&house, &format!("outcome?pick={id}&status=ANSWER&cause=16&talk=7")).await;
    let again = ask(&house, &format!("outcome?pick={id}&status=ANSWER&cause=16&talk=7")).await;
    let other = ask(&house, &format!("outcome?pick={id}&status=BUSY&cause=17")).await;

    assert_eq!([told.status(), again.status(), other.status()], ["OK", "OK", "ERROR"]);
    let calls = get(&house, "default", "/api/calls").await;
    let call = &calls["data"][0];
    assert_eq!(calls["data"].as_array().unwrap().len(), 1);
    assert_eq!((&call["id"], &call["placedBy"]), (&json!(id), &json!("dialplan")), "{call}");
    assert_eq!((&call["to"], &call["from"]), (&json!("+14155550123"), &json!(DID)));
    assert_eq!((&call["status"], &call["cause"]["code"]), (&json!("completed"), &json!(16)));
    assert_eq!(call["talkSeconds"], 0, "nobody talks before there is a number to show");
    assert_eq!(call["ringTimeoutSeconds"], Value::Null);
    assert_eq!(call["context"], Value::Null);
    let pick = get(&house, "default", &format!("/api/picks/{id}")).await;
    assert_eq!((&pick["status"], &pick["outcome"]), (&json!("settled"), &json!("completed")));
    assert_eq!(uses(&house, "default").await, 1);
    house.close().await;
}

#[tokio::test]
async fn a_released_pick_gives_its_use_back_once() {
    let house = House::open().await;
    add(&house, "default", json!({"number": DID, "status": "active", "maxUsage": 1})).await;
    let picked = ask(&house, "caller-id").await;
    let id = picked.get("ROTARY_PICK_ID").unwrap();

    let released = ask(&house, &format!("release?pick={id}")).await;
    let again = ask(&house, &format!("release?pick={id}")).await;
    let late = ask(&house, &format!("outcome?pick={id}&status=ANSWER&cause=16")).await;

    assert_eq!([released.status(), again.status(), late.status()], ["OK", "OK", "ERROR"]);
    assert_eq!(uses(&house, "default").await, 0);
    assert_eq!(ask(&house, "caller-id").await.get("ROTARY_DID"), Some(DID), "its only use is free");
    let unknown = ask(&house, "release?pick=0192f0c1-3b7e-7a10-8000-000000000001").await;
    assert_eq!(unknown.status(), "ERROR");
    house.close().await;
}

#[tokio::test]
async fn a_pick_whose_call_is_over_is_not_given_back() {
    let house = House::open().await;
    add(&house, "default", json!({"number": DID, "status": "active"})).await;
    let picked = ask(&house, "caller-id?to=4155550123").await;
    let id = picked.get("ROTARY_PICK_ID").unwrap();
    ask(&house, &format!("outcome?pick={id}&status=NOANSWER&cause=")).await;

    let released = ask(&house, &format!("release?pick={id}")).await;

    assert_eq!(released.status(), "ERROR");
    assert_eq!(uses(&house, "default").await, 1);
    let call = get(&house, "default", &format!("/api/calls/{id}")).await;
    assert_eq!((&call["status"], &call["cause"]["code"]), (&json!("no-answer"), &json!(19)));
    house.close().await;
}

#[tokio::test]
async fn an_inbound_call_is_told_who_called_the_caller_last() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    add(&house, "acme", json!({"number": DID, "status": "active", "campaignId": "c_1"})).await;
    let journey = json!({"journeyId": "j \"1\" \\", "contactId": 9, "nodeId": "n_4"});
    let first = json!({"to": "+14155550123", "journey": {"journeyId": "older"}});
    let last = json!({"to": "+14155550123", "journey": journey});
    let elsewhere = json!({"to": "+14155550199", "journey": {"journeyId": "elsewhere"}});
    let mut calls = Vec::new();
    for call in [first, last, elsewhere] {
        let call = Ask::post("/api/calls?wait=end", &call).header("x-tenant-id", "acme");
        calls.push(house.ask(call).await.text("id").to_owned());
    }

    let heard = ask(&house, "inbound?number=4045556789").await;
    let stranger = ask(&house, "inbound?number=4045556789&caller=+442071838750").await;
    let nobodys = ask(&house, "inbound?number=4045550000").await;

    assert_eq!(heard.status(), "OK");
    assert_eq!(
        (heard.get("ROTARY_TENANT"), heard.get("ROTARY_CAMPAIGN")),
        (Some("acme"), Some("c_1"))
    );
    assert_eq!(heard.get("ROTARY_LAST_CALL"), Some(calls[1].as_str()));
    assert_eq!(heard.get("ROTARY_LAST_JOURNEY"), Some("j \"1\" \\"));
    assert_eq!(heard.get("ROTARY_LAST_CONTACT"), Some("9"));
    assert_eq!((stranger.status(), stranger.get("ROTARY_LAST_CALL")), ("OK", Some("")));
    assert_eq!((nobodys.status(), nobodys.get("ROTARY_TENANT")), ("NO_DID", Some("")));
    house.close().await;
}

#[tokio::test]
async fn a_reference_that_is_no_line_is_left_out() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    add(&house, "default", json!({"number": DID, "status": "active"})).await;
    let journey = json!({"journeyId": "a\nSET VARIABLE X \"1\"", "contactId": "x".repeat(1000)});
    let call = json!({"to": "+14155550123", "journey": journey});
    house.ask(Ask::post("/api/calls?wait=end", &call)).await;

    let heard = ask(&house, "inbound?number=4045556789").await;

    assert_eq!(heard.status(), "OK");
    assert_eq!(heard.get("ROTARY_LAST_JOURNEY"), Some(""));
    assert_eq!(heard.get("ROTARY_LAST_CONTACT"), Some(""));
    house.close().await;
}

/// Runs a script.
async fn ask(house: &House, script: &str) -> Heard {
    Channel::run(house.running.agi, script).await
}

async fn add(house: &House, tenant: &str, did: Value) {
    let created =
        house.ask(Ask::post("/api/asterisk-dids", &did).header("x-tenant-id", tenant)).await;
    assert_eq!(created.status, 201, "{created:?}");
}

async fn get(house: &House, tenant: &str, path: &str) -> Value {
    let answer = house.ask(Ask::get(path).header("x-tenant-id", tenant)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// How often the tenant's DIDs are counted.
async fn uses(house: &House, tenant: &str) -> u64 {
    let dids = get(house, tenant, "/api/asterisk-dids").await;
    dids["data"].as_array().unwrap().iter().map(|did| did["usageCount"].as_u64().unwrap()).sum()
}

//! Calls that are paced: refused, queued, placed later, and sent out again by the next trunk.

mod hang_up;
mod next_trunk;
mod queue;
mod refusals;

use rotary::app::{CallDefaults, Trunk};
use rotary::config::Config;
use rotary::demo::callee::Pace;
use rotary::demo::{self, Control};
use rotary::domain::call::cause::Cause;
use rotary::domain::pace::{Limits, TrunkRules, WhenFull};
use serde_json::{Value, json};

use crate::house::{Answer, Ask, House};

const CALLS: &str = "/api/calls";

/// Rings until it is hung up, or for as long as it may ring.
const RINGS: &str = "+14155550180";
const ANSWERS: &str = "+14155550123";

/// A trunk with these limits.
fn trunk(limits: Limits, when_full: WhenFull) -> Trunk {
    Trunk { rules: TrunkRules { limits, when_full, ..TrunkRules::default() }, ..Trunk::default() }
}

/// A house whose configuration is changed so, beside an Asterisk where all goes at once.
async fn house(change: impl FnOnce(&mut Config)) -> (House, Control) {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    House::open_with(settings, change).await
}

/// The same with one trunk, `PJSIP`, and a DID on it.
async fn house_with(trunk: Trunk) -> (House, Control) {
    let (house, asterisk) = house(|config| with_trunk(config, "PJSIP", trunk)).await;
    add_did(&house, "+14045550001", "PJSIP", "default").await;
    (house, asterisk)
}

fn with_trunk(config: &mut Config, name: &str, trunk: Trunk) {
    config.app.trunks.insert(name.parse().unwrap(), trunk);
}

fn with_calls(config: &mut Config, change: impl FnOnce(&mut CallDefaults)) {
    change(&mut config.app.calls);
}

async fn add_did(house: &House, number: &str, trunk: &str, tenant: &str) -> String {
    let body = json!({"number": number, "status": "active", "trunk": trunk});
    let ask = Ask::post("/api/asterisk-dids", &body).header("x-tenant-id", tenant);
    house.ask(ask).await.text("id").to_owned()
}

async fn call(house: &House, to: &str) -> Answer {
    house.ask(Ask::post(CALLS, &json!({"to": to}))).await
}

/// Places a call that is not refused; its id.
async fn place(house: &House, to: &str) -> String {
    let placed = call(house, to).await;
    assert_eq!(placed.status, 202, "{placed:?}");
    placed.text("id").to_owned()
}

async fn look(house: &House, id: &str) -> Value {
    house.ask(Ask::get(&format!("/api/calls/{id}"))).await.body
}

/// The call once it is in that state.
async fn call_is(house: &House, id: &str, status: &str) -> Value {
    crate::wait::until(&format!("the call to be {status}"), async || {
        let call = look(house, id).await;
        (call["status"] == status).then_some(call)
    })
    .await
}

/// Hangs a call up on Asterisk's side.
async fn hang_up(house: &House, id: &str) {
    let asterisk = house.running.app.asterisks.first();
    asterisk.hang_up(id.parse().unwrap(), Cause::NORMAL).await.unwrap();
}

async fn uses(house: &House) -> u64 {
    let page = house.ask(Ask::get("/api/asterisk-dids")).await;
    let dids = page.body["data"].as_array().unwrap().iter();
    dids.map(|did| did["usageCount"].as_u64().unwrap()).sum()
}

async fn calls(house: &House) -> usize {
    house.ask(Ask::get(CALLS)).await.body["data"].as_array().unwrap().len()
}

/// The states a call was in.
fn steps(call: &Value) -> Vec<&str> {
    let steps = call["timeline"].as_array().unwrap().iter();
    steps.map(|step| step["status"].as_str().unwrap()).collect()
}

/// What an administrator is told of the trunk.
async fn state_of(house: &House, name: &str) -> Value {
    let status = house.ask(Ask::get("/api/status")).await;
    let trunks = status.body["trunks"].as_array().unwrap();
    trunks.iter().find(|trunk| trunk["name"] == name).unwrap().clone()
}

//! Bad luck between Rotary and what it leans on: a call is never placed uncounted, never counted
//! twice, and never followed for ever.

use std::time::Duration;

use rotary::app::asterisks::WireSettings;
use rotary::config::Config;
use rotary::demo::Control;
use rotary::demo::callee::Pace;
use rotary::demo::misbehave::{DropLine, Line};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::house::{Ask, House};

const CALLS: &str = "/api/calls";
const DIDS: &str = "/api/asterisk-dids";

#[tokio::test]
async fn a_call_whose_hangup_was_never_heard_ends_all_the_same() {
    let (house, asterisk) = open().await;
    asterisk.misbehave(|wrong| wrong.lose = vec!["Hangup".into(), "HangupRequest".into()]);

    let ended = house.ask(Ask::post("/api/calls?wait=end", &to("+14155550123"))).await;

    assert_eq!(ended.text("status"), "completed");
    assert_eq!(ended.body["cause"]["code"], 0);
    assert_eq!(uses(&house).await, 1);
    assert_eq!(house.running.app.calls.in_progress(), 0);
}

#[tokio::test]
async fn a_line_lost_after_the_originate_leaves_a_call_that_is_found_again() {
    let (house, asterisk) = open().await;
    asterisk.misbehave(|wrong| wrong.drop_line = Some(DropLine::AfterOriginate));

    let ended = house.ask(Ask::post("/api/calls?wait=end", &to("+14155550123"))).await;

    assert_eq!(ended.status, 202, "{ended:?}");
    assert!(["completed", "failed"].contains(&ended.text("status")), "{ended:?}");
    assert_eq!(asterisk.counts().originates, 1);
    assert_eq!(uses(&house).await, 1);
}

#[tokio::test]
async fn a_line_lost_before_the_originate_was_taken_places_no_second_call_and_refunds_nothing() {
    let (house, asterisk) = open().await;
    asterisk.misbehave(|wrong| wrong.drop_line = Some(DropLine::BeforeOriginate));

    let ended = house.ask(Ask::post("/api/calls?wait=end", &to("+14155550123"))).await;

    assert_eq!(ended.text("status"), "failed", "{ended:?}");
    assert_eq!(asterisk.counts().originates, 0);
    assert_eq!(uses(&house).await, 1);
}

#[tokio::test]
async fn a_call_that_asterisk_does_not_answer_for_stays_initiated_and_counted() {
    let (house, asterisk) = open_impatient().await;
    // Answers come later than Rotary waits for them; the line itself is well.
    asterisk.misbehave(|wrong| wrong.line = Line::Stalled);
    let call = house.ask(Ask::post(CALLS, &to("+14155550123")));
    let awake = async {
        asterisk.wait_until(|counts| counts.originates == 1).await;
    };

    let (made, ()) = tokio::join!(call, awake);
    asterisk.behave();

    assert_eq!((made.status.as_u16(), made.text("status")), (202, "initiated"));
    assert_eq!(uses(&house).await, 1);
    let ended = wait_for_end(&house, made.text("id")).await;
    assert!(["completed", "failed"].contains(&ended["status"].as_str().unwrap()), "{ended}");
}

#[tokio::test]
async fn repeated_and_disordered_events_do_no_harm() {
    let (house, asterisk) = open().await;
    asterisk.misbehave(|wrong| {
        wrong.repeat_events = true;
        wrong.hang_up_first = true;
    });

    for (callee, status) in
        [("+14155550123", "completed"), ("+14155550486", "busy"), ("+14155550503", "failed")]
    {
        let ended = house.ask(Ask::post("/api/calls?wait=end", &to(callee))).await;
        assert_eq!(ended.text("status"), status);
    }

    assert_eq!(uses(&house).await, 3);
}

#[tokio::test]
async fn a_flood_of_events_hides_no_call() {
    let (house, asterisk) = open().await;
    let mut calls = Vec::new();

    for n in 0..20 {
        if n == 5 {
            asterisk.flood(200_000);
        }
        let made = house.ask(Ask::post(CALLS, &to("+14155550123"))).await;
        calls.push(made.text("id").to_owned());
    }

    for id in calls {
        assert_eq!(wait_for_end(&house, &id).await["status"], "completed");
    }
    assert_eq!(uses(&house).await, 20);
}

#[tokio::test]
async fn a_store_that_answers_too_late_counts_nothing_in_the_end() {
    let (house, asterisk) = open_impatient().await;
    let mut locked = lock_the_database(&house).await;

    let refused = house.ask(Ask::post(CALLS, &to("+14155550123"))).await;
    locked.execute("rollback").await.unwrap();

    assert_eq!(refused.problem(), (503, "store_unavailable"));
    let failed = wait_for(&house, "/api/calls?status=failed", |page| &page["data"][0]).await;
    assert_eq!(failed["to"], "+14155550123");
    let did = wait_for(&house, DIDS, |page| &page["data"][0]).await;
    assert_eq!(did["usageCount"], 0);
    assert_eq!(asterisk.counts().originates, 0);
    assert_eq!(house.running.app.index.lock().pick(&want()).unwrap().did.to_string(), did["id"]);
}

async fn open() -> (House, Control) {
    open_with(|config| config.app.compare_every = Duration::from_millis(500)).await
}

/// A house that soon gives up on whoever does not answer.
async fn open_impatient() -> (House, Control) {
    open_with(|config| {
        config.app.patience = Duration::from_secs(1);
        for asterisk in &mut config.asterisks {
            let WireSettings::Ami(ami) = &mut asterisk.wire else { panic!("AMI is the default") };
            ami.action_deadline = Duration::from_millis(500);
        }
    })
    .await
}

async fn open_with(change: impl FnOnce(&mut Config)) -> (House, Control) {
    let settings = rotary::demo::Settings { pace: PACE, ..Default::default() };
    let (house, asterisk) = House::open_with(settings, change).await;
    let did = json!({"number": "+14045550001", "status": "active"});
    assert_eq!(house.ask(Ask::post(DIDS, &did)).await.status, 201);
    (house, asterisk)
}

/// Long enough that a call is still there when the line comes back.
const PACE: Pace = Pace {
    ring_after: Duration::from_millis(5),
    answer_after: Duration::from_millis(5),
    talk: Duration::from_millis(1500),
    refuse_after: Duration::from_millis(5),
};

fn to(number: &str) -> Value {
    json!({"to": number})
}

fn want() -> rotary::domain::rotation::Want {
    let tenant = rotary::domain::tenant::TenantId::default_tenant();
    rotary::domain::rotation::Want { tenant, campaign: None, area_code: None }
}

async fn uses(house: &House) -> i64 {
    house.ask(Ask::get(DIDS)).await.body["data"][0]["usageCount"].as_i64().unwrap()
}

/// The call once it has ended, as the store has it.
async fn wait_for_end(house: &House, id: &str) -> Value {
    wait_for(house, &format!("{CALLS}/{id}"), |call| {
        if call["endedAt"].is_null() { &Value::Null } else { call }
    })
    .await
}

/// Asks until the answer has what is looked for. Nextest ends a test that waits in vain.
async fn wait_for(house: &House, path: &str, part: impl Fn(&Value) -> &Value) -> Value {
    loop {
        let answer = house.ask(Ask::get(path)).await;
        let found = part(&answer.body);
        if !found.is_null() {
            return found.clone();
        }
        tokio::task::yield_now().await;
    }
}

/// Holds the database so that nobody can write.
async fn lock_the_database(house: &House) -> SqliteConnection {
    let path = house.path("rotary.db");
    let mut other = SqliteConnection::connect(&format!("sqlite:{path}")).await.unwrap();
    other.execute("begin immediate").await.unwrap();
    other
}

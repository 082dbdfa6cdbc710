//! When Rotary itself, or what it leans on, is unwell: the dialplan is answered all the same.

use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

use super::attacks::{nothing_is_open, open};
use super::channel::{Channel, prelude};
use super::{DID, add, ask, uses};
use crate::house::{Ask, House};
use crate::wait::until;

#[tokio::test]
async fn a_store_that_hangs_costs_no_call_more_than_its_patience() {
    let house = open_hasty().await;
    let mut lock = lock(&house).await;

    let heard = ask(&house, "caller-id?to=4155550123").await;
    // The answer came while the store still hung; a pick that comes late is given back.
    lock.execute("rollback").await.unwrap();
    drop(lock);
    until("the late use to be taken back", async || {
        (house.running.app.tasks.len() <= IDLE_TASKS).then_some(())
    })
    .await;

    assert_eq!(heard.status(), "ERROR");
    assert_eq!(heard.get("ROTARY_DID"), Some(""));
    assert_eq!(uses(&house, "default").await, 0);
    nothing_is_open(&house).await;
    house.close().await;
}

#[tokio::test]
async fn an_outcome_told_while_the_store_hangs_is_on_record_afterwards() {
    let house = open_hasty().await;
    let picked = house.ask(Ask::post("/api/picks", &json!({"to": "+14155550123"}))).await;
    let id = picked.text("pickId");
    let mut lock = lock(&house).await;

    let told = ask(&house, &format!("outcome?pick={id}&status=BUSY&cause=17")).await;
    lock.execute("rollback").await.unwrap();
    drop(lock);

    assert_eq!(told.status(), "ERROR");
    nothing_is_open(&house).await;
    house.close().await;
}

#[tokio::test]
async fn a_panic_ends_its_own_call() {
    let house = open().await;
    let index = house.running.app.index.clone();
    let poisoned = std::thread::spawn(move || {
        let _held = index.lock();
        panic!("a bug while the index is held, on purpose");
    });
    assert!(poisoned.join().is_err());

    let first = ask(&house, "caller-id").await;
    let second = ask(&house, "caller-id").await;
    let other = ask(&house, "inbound?number=4045556789").await;

    assert_eq!([first.status(), second.status()], ["ERROR", "ERROR"]);
    assert_eq!((other.status(), other.get("ROTARY_TENANT")), ("OK", Some("default")));
}

#[tokio::test]
async fn a_channel_that_never_replies_is_let_go_and_uses_nothing() {
    let house = open_hasty().await;
    let mut channel = Channel::connect(house.running.agi).await;

    channel.send(prelude("caller-id").as_bytes()).await;
    let first = channel.command().await;
    let then = channel.command().await;

    assert_eq!(first.as_deref(), Some("SET VARIABLE ROTARY_STATUS \"ERROR\""));
    assert_eq!(then, None, "nothing is sent before a reply, and the line is closed");
    nothing_is_open(&house).await;
    assert_eq!(uses(&house, "default").await, 0);
    house.close().await;
}

#[tokio::test]
async fn fifty_calls_at_once_get_a_number_each_and_never_more_than_there_are() {
    let house = House::open().await;
    for n in 0..4 {
        let number = format!("+1404555010{n}");
        add(&house, "default", json!({"number": number, "status": "active", "maxUsage": 10})).await;
    }

    let asking = (0..50).map(|_| ask(&house, "caller-id?to=4155550123"));
    let heard = futures_util::future::join_all(asking).await;

    let count = |word: &str| heard.iter().filter(|one| one.status() == word).count();
    assert_eq!((count("OK"), count("NO_DID")), (40, 10), "{DID} is not among them");
    assert_eq!(uses(&house, "default").await, 40);
    let mut picks: Vec<_> = heard.iter().filter_map(|one| one.get("ROTARY_PICK_ID")).collect();
    picks.retain(|pick| !pick.is_empty());
    picks.sort_unstable();
    picks.dedup();
    assert_eq!(picks.len(), 40);
    house.close().await;
}

/// With one DID in rotation, and no more time than dialplans are given.
async fn open_hasty() -> House {
    let usual = rotary::fastagi::Settings::default().answer_within;
    let house = House::open_changed(|config| config.agi.answer_within = usual).await;
    add(&house, "default", json!({"number": DID, "status": "active"})).await;
    house
}

/// The tasks of a daemon's doors that nobody asks anything: its listeners.
const IDLE_TASKS: usize = 3;

/// Holds the file so that nobody can write.
async fn lock(house: &House) -> SqliteConnection {
    let url = format!("sqlite:{}", house.path("rotary.db"));
    let mut lock = SqliteConnection::connect(&url).await.unwrap();
    lock.execute("begin immediate").await.unwrap();
    lock
}

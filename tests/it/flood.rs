//! Two hundred thousand events in one burst, with a hundred calls among them.

use std::time::Duration;

use futures_util::future::join_all;
use rotary::demo::callee::Pace;
use rotary::demo::{self, Simulated};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::rotary::Rotary;
use crate::wait::until;

const CALLS: usize = 100;
const EVENTS: u64 = 200_000;

/// By how much a daemon's memory may grow, in bytes. The burst itself is five times as much.
const MARGIN: u64 = 16 << 20;

#[tokio::test]
async fn a_burst_of_200_000_events_loses_no_call_and_takes_no_memory() {
    let settings = demo::Settings { pace: PACE, ..demo::Settings::default() };
    let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let (address, control) = (asterisk.address().to_string(), asterisk.control());
    let tasks = TaskTracker::new();
    tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
    let rotary = Rotary::new()
        .set("ROTARY_ASTERISK__ADDRESS", &address)
        .set("ROTARY_ASTERISK__SECRET", "s3cret")
        .start_ready()
        .await;
    let did = json!({"number": "+14045550001", "status": "active"});
    assert_eq!(rotary.post("/api/asterisk-dids", &did).await.status, 201);
    // What a hundred calls take is not what is asked about.
    let calls = place_all(&rotary, "busy").await;
    all_end(&rotary, &calls, ("busy", 17)).await;

    let calls = place_all(&rotary, "answered").await;
    let before = (control.counts(), rotary.memory());
    control.flood(EVENTS);
    while control.counts().flood_left > 0 {
        let left = control.counts().flood_left;
        let less = async || (control.counts().flood_left < left || left == 0).then_some(());
        until("the burst to be read", less).await;
    }
    // Its events come behind the last of the burst.
    let last = rotary.post("/api/calls?wait=end", &to("last", 0)).await;
    all_end(&rotary, &calls, ("completed", 16)).await;
    let after = rotary.memory();

    assert_eq!((before.0.in_progress, before.0.ended), (CALLS, CALLS as u64), "before the burst");
    assert_eq!(last.json()["status"], "completed", "{last:?}");
    assert_eq!(rotary.usage().await[0].1, 2 * CALLS as u64 + 1);
    let grown = after.most.saturating_sub(before.1.most);
    assert!(grown < MARGIN, "{} to {after:?}: {grown} bytes", before.1.now);
}

/// Places a hundred calls at once; their ids.
async fn place_all(rotary: &Rotary, how: &str) -> Vec<String> {
    let placed = join_all((0..CALLS).map(|n| async move {
        let placed = rotary.post("/api/calls", &to(how, n)).await;
        assert_eq!(placed.status, 202, "{placed:?}");
        placed.json()["id"].as_str().unwrap().to_owned()
    }));
    placed.await
}

/// Waits until each of these calls has ended, and sees that each has so: with the cause that its
/// `Hangup` told, for a call whose end nobody heard has none.
async fn all_end(rotary: &Rotary, calls: &[String], (status, cause): (&str, u16)) {
    let ended = until("every call to end", async || {
        let page = rotary.get("/api/calls?limit=1000").await.json();
        let all = page["data"].as_array().unwrap().clone();
        all.iter().all(|call| call["endedAt"].is_string()).then_some(all)
    })
    .await;
    for id in calls {
        let call = ended.iter().find(|call| call["id"] == id.as_str()).unwrap();
        assert_eq!((&call["status"], &call["cause"]["code"]), (&json!(status), &json!(cause)));
    }
}

/// A call that ends so.
fn to(how: &str, n: usize) -> serde_json::Value {
    let end = if how == "busy" { "0486" } else { "0120" };
    json!({"to": format!("+1415{:03}{end}", 200 + n)})
}

/// Calls that last until the burst is under way.
const PACE: Pace = Pace {
    ring_after: Duration::from_millis(5),
    answer_after: Duration::from_millis(5),
    talk: Duration::from_secs(3),
    refuse_after: Duration::from_millis(5),
};

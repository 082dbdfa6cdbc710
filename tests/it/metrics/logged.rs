//! The log of the real daemon: a line for each step of a call, as JSON, and no number in it.

use std::collections::BTreeMap;

use rotary::demo::callee::Pace;
use rotary::demo::{self, Simulated};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::receiver::Receiver;
use crate::rotary::Rotary;
use crate::wait::until;

const CALLEES: [(&str, &str); 4] = [
    ("+14155550123", "completed"),
    ("+14155550486", "busy"),
    ("+14155550503", "failed"),
    ("+14155550180", "no-answer"),
];

#[tokio::test]
async fn every_step_of_a_call_is_one_line_and_no_line_has_a_number() {
    let rotary = beside_asterisk("json").await;
    let receiver = Receiver::open().await;
    let mut expected = BTreeMap::new();
    for (to, status) in CALLEES {
        for url in [Some(&receiver.url), None] {
            let body = json!({"to": to, "callbackUrl": url, "ringTimeoutSeconds": 1});
            let made = rotary.post("/api/calls?wait=end", &body).await.json();
            assert_eq!(made["status"], status);
            let call = rotary.get(&format!("/api/calls/{}", made["id"].as_str().unwrap())).await;
            expected.insert(made["id"].as_str().unwrap().to_owned(), steps(&call.json()));
        }
    }
    let refused = json!({"to": "not a number at all", "from": "+14045550001"});
    rotary.post("/api/calls", &refused).await;

    let log = until("the last line", async || {
        let log = rotary.log();
        let ends = log.matches("\"cause\":").count();
        (ends >= expected.len()).then_some(log)
    })
    .await;

    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let mut logged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in &lines {
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "{line}");
        }
        let Some(status) = line["status"].as_str().filter(|_| line["call.id"].is_string()) else {
            continue;
        };
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], format!("call {status}"));
        assert_eq!((&line["tenant"], &line["trunk"]), (&json!("default"), &json!("PJSIP")));
        let call = logged.entry(line["call.id"].as_str().unwrap().to_owned()).or_default();
        // A call that waited for its trunk gets its Asterisk after it has its place.
        let may_have_none = ["queued", "initiated"].contains(&status)
            && call.first().is_none_or(|first| first == "queued");
        let told = line["asterisk"] == "asterisk" || (may_have_none && line["asterisk"].is_null());
        assert!(line["did"].is_string() && told, "{line}");
        call.push(status.to_owned());
    }
    assert_eq!(logged, expected);
    for number in CALLEES.map(|(to, _)| to).into_iter().chain(["+14045550001", "not a number"]) {
        assert!(!log.contains(&number[1..]), "{number} is in the log:\n{log}");
    }
    assert!(!log.contains("s3cret"), "the secret is in the log:\n{log}");
}

#[tokio::test]
async fn a_daemon_that_starts_again_says_no_step_a_second_time() {
    let mut rotary = beside_asterisk("text").await;
    let body = json!({"to": "+14155550180", "ringTimeoutSeconds": 3});
    let made = rotary.post("/api/calls", &body).await.json();
    let id = made["id"].as_str().unwrap();
    rotary.call_is(id, "ringing").await;

    rotary.kill9().await;
    let first = rotary.log();
    rotary.start_again().await;
    let end = until("the call to end", async || {
        let call = rotary.get(&format!("/api/calls/{id}")).await.json();
        call["endedAt"].is_string().then(|| call["status"].as_str().unwrap().to_owned())
    })
    .await;
    let second = until("the line of its end", async || {
        let log = rotary.log().replacen(&first, "", 1);
        log.contains(&format!("call {end} ")).then_some(log)
    })
    .await;

    let lines = |log: &str, word: &str| {
        let said = |line: &&str| line.contains(&format!("call {word} ")) && line.contains(id);
        log.lines().filter(said).count()
    };
    assert_eq!((lines(&first, "initiated"), lines(&first, "ringing")), (1, 1), "{first}");
    assert_eq!((lines(&second, "initiated"), lines(&second, "ringing")), (0, 0), "{second}");
    assert_eq!(lines(&second, &end), 1, "{second}");
}

/// A daemon with one DID, beside a simulated Asterisk whose callees do all at once.
async fn beside_asterisk(format: &str) -> Rotary {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let address = asterisk.address().to_string();
    let tasks = TaskTracker::new();
    tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
    let rotary = Rotary::new()
        .set("ROTARY_ASTERISK__ADDRESS", &address)
        .set("ROTARY_ASTERISK__SECRET", "s3cret")
        .set("ROTARY_WEBHOOKS__ALLOW_PRIVATE_TARGETS", "true")
        .set("ROTARY_LOG__FORMAT", format)
        .start_ready()
        .await;
    let did = json!({"number": "+14045550001", "status": "active"});
    rotary.post("/api/asterisk-dids", &did).await;
    rotary
}

/// The states a call went through, by the times that its record has.
fn steps(call: &Value) -> Vec<String> {
    let times = [
        ("queuedAt", "queued"),
        ("initiatedAt", "initiated"),
        ("ringingAt", "ringing"),
        ("answeredAt", "in-progress"),
    ];
    let passed = times.into_iter().filter(|(time, _)| call[*time].is_string());
    let end = call["status"].as_str().unwrap();
    passed.map(|(_, status)| status.to_owned()).chain([end.to_owned()]).collect()
}

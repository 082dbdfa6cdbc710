//! The whole path: from a CSV and a request to the INVITE that a carrier receives, and back.

mod crashes;
mod hang_up;
mod next_trunk;
mod scene;

use serde_json::json;

use self::scene::{Scene, ending, steps};

use crate::real_asterisk::{Asterisk, Carrier, Version};
use crate::rotary::Rotary;

const CSV: &str = "\
number,areaCode,trunk,status,maxUsage,notes
+14045556701,404,PJSIP,active,,First
(404) 555-6702,,carrier,active,1000,Second
14045556703,404,,active,2,Third
4045556704,404,PJSIP,available,,Not in rotation yet
";
const FIRST: &str = "+14045556701";
const SECOND: &str = "+14045556702";
const THIRD: &str = "+14045556703";
const SPARE: &str = "+14045556704";

#[tokio::test]
async fn a_rotated_did_reaches_the_callee_on_22() {
    a_rotated_did_reaches_the_callee(Version::V22).await;
}

#[tokio::test]
async fn a_rotated_did_reaches_the_callee_on_16() {
    a_rotated_did_reaches_the_callee(Version::V16).await;
}

#[tokio::test]
async fn every_callee_ends_its_call_in_its_own_way_on_22() {
    every_callee_ends_its_call_in_its_own_way(Version::V22).await;
}

#[tokio::test]
async fn every_callee_ends_its_call_in_its_own_way_on_16() {
    every_callee_ends_its_call_in_its_own_way(Version::V16).await;
}
#[tokio::test]
async fn a_refused_call_gives_its_use_back() {
    for version in [Version::V22, Version::V16] {
        let scene = Scene::new(version).await;

        let nowhere = json!({"to": "+14155550123", "context": "nowhere"});
        let refused = scene.rotary.post("/api/calls", &nowhere).await;
        let by_hand = scene.rotary.cli(&["call", "+14155550123", "--context", "nowhere"]).await;

        let problem = refused.json();
        assert_eq!(refused.status, 502, "{problem}");
        assert_eq!(problem["code"], "originate_refused");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Extension does not exist"), "{detail}");
        assert_eq!(by_hand.code, 1, "{by_hand:?}");
        assert!(by_hand.stderr.contains("Extension does not exist"), "{by_hand:?}");
        assert_eq!(scene.uses().await, 0);
        let calls = scene.rotary.json(&["calls", "list"]).await;
        assert_eq!(calls["data"][0]["status"], "failed", "{calls}");
        assert!(scene.carrier.invites().is_empty());
    }
}

#[tokio::test]
async fn variables_arrive_as_they_were_sent() {
    let hard = [
        ("COMMAS", "a,b,,c"),
        ("QUOTES", r#"say "hello" and 'bye'"#),
        ("BACKSLASH", r"C:\dir\,x"),
        ("DOLLAR", "${CHANNEL} $[1+1]"),
        ("SIGNS", "x=y;z|w&v<u>#"),
        ("WORDS", "Grüße, 世界"),
        ("JSON", r#"{"journey":"j_1","nodes":["n_1","n_2"]}"#),
    ];
    for version in [Version::V22, Version::V16] {
        let scene = Scene::new(version).await;
        let mut variables = json!({"HOLD_SECONDS": 60});
        for (name, value) in hard {
            variables[name] = value.into();
        }

        let request = json!({"to": "+14155550123", "variables": variables});
        let call = scene.place(&request).await;
        scene.rotary.call_is(&call, "in-progress").await;

        let mut manager = scene.manager().await;
        for (name, value) in hard {
            let ask = [
                ("Action", "GetVar"),
                ("ActionID", name),
                ("Channel", call.as_str()),
                ("Variable", name),
            ];
            manager.send(&ask).await.unwrap();
            let answer = manager.event(|m| m.get("ActionID") == Some(name)).await;
            assert_eq!(answer.get("Value"), Some(value), "{version:?} {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_hundred_calls_at_once_are_all_told_how_they_ended() {
    let scene = Scene::new(Version::V22).await;

    let requests = (0..100).map(|n| {
        let to = match n % 3 {
            0 => format!("+14155{n:02}0486"),
            1 => format!("+14155{n:02}0503"),
            _ => format!("+14155{n:02}0120"),
        };
        scene.finished(json!({"to": to}))
    });
    let calls = futures_util::future::join_all(requests).await;

    let count = |status: &str| calls.iter().filter(|call| call["status"] == status).count();
    assert_eq!((count("busy"), count("failed"), count("completed")), (34, 33, 33), "{calls:#?}");
    assert_eq!(scene.carrier.invites().len(), 100);
    assert_eq!(scene.uses().await, 100);
}

async fn a_rotated_did_reaches_the_callee(version: Version) {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(version, carrier.address()).await;
    let rotary = Rotary::beside(&asterisk).start_ready().await;

    let csv = rotary.file("dids.csv", CSV);
    let imported = rotary.json(&["dids", "import", &csv]).await;
    assert_eq!((&imported["imported"], &imported["failed"]), (&json!(4), &json!(0)));
    let mut shown = Vec::new();
    for n in 0..5 {
        let next = rotary.json(&["dids", "next"]).await;
        let to = format!("+1415555010{n}");
        let request = json!({"to": to, "callerName": "Acme", "variables": {"JOURNEY": "j_1"}});
        let placed = rotary.post("/api/calls", &request).await;
        assert_eq!(placed.status, 202, "{placed:?}");
        let call = placed.json();
        let invite = carrier.wait_for_invite(&to).await;
        let over = rotary.call_is(call["id"].as_str().unwrap(), "completed").await;

        let number = call["did"]["number"].as_str().unwrap();
        assert_eq!(next["number"], number, "the next is the one that is used");
        assert_eq!(invite.from_user, number);
        assert_eq!(invite.pai_user.as_deref(), Some(number));
        assert_eq!(invite.from_name.as_deref(), Some("Acme"));
        assert_eq!(over["cause"], json!({"code": 16, "text": "Normal Clearing"}));
        assert_eq!(steps(&over), ["initiated", "ringing", "in-progress", "completed"]);
        shown.push(number.to_owned());
    }

    // Least used first, then the lowest id; ids rise in the order of the file.
    assert_eq!(shown, [FIRST, SECOND, THIRD, FIRST, SECOND]);
    assert_eq!(
        rotary.usage().await,
        [(FIRST, 2), (SECOND, 2), (THIRD, 1), (SPARE, 0)].map(|(n, uses)| (n.to_owned(), uses))
    );
    assert_eq!(rotary.json(&["dids", "next"]).await["number"], THIRD);
}

async fn every_callee_ends_its_call_in_its_own_way(version: Version) {
    let scene = Scene::new(version).await;
    let call = |to: &str| scene.finished(json!({"to": to, "ringTimeoutSeconds": 1}));

    let (answered, busy, unanswered, congested, unknown, declined) = tokio::join!(
        call("+14155550120"),
        call("+14155550486"),
        call("+14155550180"),
        call("+14155550503"),
        call("+14155550404"),
        call("+14155550603"),
    );

    assert_eq!(ending(&answered), ("completed", 16));
    assert_eq!(ending(&busy), ("busy", 17));
    assert_eq!(ending(&unanswered), ("no-answer", 19));
    assert_eq!(ending(&congested), ("failed", 34));
    assert_eq!(ending(&unknown), ("failed", 1));
    assert_eq!(ending(&declined), ("failed", 21));
    assert_eq!(steps(&answered), ["initiated", "ringing", "in-progress", "completed"]);
    assert_eq!(steps(&busy), ["initiated", "busy"]);
    assert_eq!(steps(&unanswered), ["initiated", "ringing", "no-answer"]);
    assert_eq!(steps(&congested), ["initiated", "failed"]);
    if version == Version::V22 {
        assert_eq!(busy["sipCode"], 486);
        assert_eq!(congested["sipCode"], 503);
    }
    assert_eq!(scene.uses().await, 6, "each was tried, so each counts");
}

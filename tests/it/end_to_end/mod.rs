//! The whole path: from a CSV and a request to the INVITE that a carrier receives, and back.

/// Stories on that Asterisk over AMI and over ARI, each a test.
macro_rules! stories {
    ($name:ident = $version:ident: $($story:ident)+) => {
        mod $name {
            mod ami {
                $(
                    #[tokio::test]
                    async fn $story() {
                        super::super::$story(Version::$version, Via::Ami).await;
                    }
                )+
                use crate::{real_asterisk::Version, rotary::Via};
            }
            mod ari {
                $(
                    #[tokio::test]
                    async fn $story() {
                        super::super::$story(Version::$version, Via::Ari).await;
                    }
                )+
                use crate::{real_asterisk::Version, rotary::Via};
            }
        }
    };
}

mod crashes;
mod hang_up;
mod next_trunk;
mod over_ari;
mod scene;

use serde_json::json;

use self::hang_up::a_carrier_hears_a_ringing_call_canceled_and_an_answered_one_ended;
use self::next_trunk::a_congested_trunk_hands_its_call_to_the_next;
use self::scene::{Scene, ending, steps};

use crate::real_asterisk::{Asterisk, Carrier, Version};
use crate::rotary::{Rotary, Via};

stories!(on_22 = V22:
    a_rotated_did_reaches_the_callee
    every_callee_ends_its_call_in_its_own_way
    a_refused_call_gives_its_use_back
    variables_arrive_as_they_were_sent
    a_carrier_hears_a_ringing_call_canceled_and_an_answered_one_ended
    a_congested_trunk_hands_its_call_to_the_next
    a_hundred_calls_at_once_are_all_told_how_they_ended);
stories!(on_16 = V16:
    a_rotated_did_reaches_the_callee
    every_callee_ends_its_call_in_its_own_way
    a_refused_call_gives_its_use_back
    variables_arrive_as_they_were_sent
    a_carrier_hears_a_ringing_call_canceled_and_an_answered_one_ended
    a_congested_trunk_hands_its_call_to_the_next);

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

async fn a_refused_call_gives_its_use_back(version: Version, via: Via) {
    let scene = Scene::new(version, via).await;

    // Over AMI Asterisk looks for the extension first, over ARI for the endpoint.
    let (key, option, words) = match via {
        Via::Ami => ("context", "--context", "Extension does not exist"),
        Via::Ari => ("trunk", "--trunk", "Allocation failed; is there an endpoint for"),
    };
    let nowhere = json!({"to": "+14155550123", key: "nowhere"});
    let refused = scene.rotary.post("/api/calls", &nowhere).await;
    let by_hand = scene.rotary.cli(&["call", "+14155550123", option, "nowhere"]).await;

    let problem = refused.json();
    assert_eq!(refused.status, 502, "{problem}");
    assert_eq!(problem["code"], "originate_refused");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{detail}");
    assert_eq!(by_hand.code, 1, "{by_hand:?}");
    assert!(by_hand.stderr.contains(words), "{by_hand:?}");
    assert_eq!(scene.uses().await, 0);
    let calls = scene.rotary.json(&["calls", "list"]).await;
    assert_eq!(calls["data"][0]["status"], "failed", "{calls}");
    assert!(scene.carrier.invites().is_empty());
}

async fn variables_arrive_as_they_were_sent(version: Version, via: Via) {
    let hard = [
        ("COMMAS", "a,b,,c"),
        ("QUOTES", r#"say "hello" and 'bye'"#),
        ("BACKSLASH", r"C:\dir\,x"),
        ("DOLLAR", "${CHANNEL} $[1+1]"),
        ("SIGNS", "x=y;z|w&v<u>#"),
        ("WORDS", "Grüße, 世界"),
        ("JSON", r#"{"journey":"j_1","nodes":["n_1","n_2"]}"#),
    ];
    let scene = Scene::new(version, via).await;
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

async fn a_hundred_calls_at_once_are_all_told_how_they_ended(version: Version, via: Via) {
    let scene = Scene::new(version, via).await;

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

async fn a_rotated_did_reaches_the_callee(version: Version, via: Via) {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(version, carrier.address()).await;
    let rotary = Rotary::over(via, &asterisk).start_ready().await;

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

async fn every_callee_ends_its_call_in_its_own_way(version: Version, via: Via) {
    let scene = Scene::new(version, via).await;
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

//! The whole path: from a CSV and a request to the INVITE that a carrier receives, and back.

use serde_json::{Value, json};

use crate::real_asterisk::{Asterisk, Carrier, Manager, Version};
use crate::rotary::Rotary;
use crate::wait::until;

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
async fn asterisk_restarts_in_the_middle_of_a_call_on_22() {
    asterisk_restarts_in_the_middle_of_a_call(Version::V22).await;
}

#[tokio::test]
async fn asterisk_restarts_in_the_middle_of_a_call_on_16() {
    asterisk_restarts_in_the_middle_of_a_call(Version::V16).await;
}

#[tokio::test]
async fn asterisk_crashes_in_the_middle_of_a_call() {
    let mut scene = Scene::new(Version::V22).await;
    let call = scene.call_that_lasts("+14155550120").await;

    scene.asterisk.kill9().await;
    let unready = scene.rotary.unready().await;
    scene.asterisk.start_again().await;
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(unready["checks"]["store"]["status"], "up");
    assert_eq!(over["cause"]["code"], 0, "nobody told how it ended: {over}");
    scene.rotary.ready().await;
    scene.a_call_completes("+14155550121").await;
    assert_eq!(scene.uses().await, 2);
}

#[tokio::test]
async fn rotary_crashes_and_follows_the_living_call_to_its_end() {
    let mut scene = Scene::new(Version::V22).await;
    let call = scene.call_that_lasts("+14155550120").await;

    scene.rotary.kill9().await;
    scene.rotary.start_again().await;
    scene.rotary.ready().await;
    let resumed = scene.rotary.json(&["calls", "show", &call]).await;
    let hang_up = [("Action", "Hangup"), ("Channel", call.as_str()), ("Cause", "16")];
    scene.manager().await.send(&hang_up).await.unwrap();
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(resumed["status"], "in-progress");
    assert_eq!(over["cause"]["code"], 16);
    assert_eq!(steps(&over), ["initiated", "ringing", "in-progress", "completed"]);
    assert_eq!(scene.uses().await, 1);
}

#[tokio::test]
async fn rotary_crashes_and_settles_the_call_that_ended_meanwhile() {
    let mut scene = Scene::new(Version::V22).await;
    let call = scene.call_that_lasts("+14155550120").await;

    scene.rotary.kill9().await;
    scene.hang_up_all().await;
    scene.rotary.start_again().await;
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(over["cause"]["code"], 0, "nobody told how it ended: {over}");
    assert_eq!(scene.uses().await, 1);
    scene.rotary.ready().await;
    scene.a_call_completes("+14155550121").await;
    assert_eq!(scene.uses().await, 2);
}

#[tokio::test]
async fn rotary_learns_of_an_answer_that_came_while_it_was_down() {
    let mut scene = Scene::new(Version::V22).await;
    let to = "+14155550120";
    let request = json!({"to": to, "variables": {"HOLD_SECONDS": 600}});

    scene.asterisk.freeze().await;
    let call = scene.place_unheard(&request).await;
    scene.rotary.kill9().await;
    scene.asterisk.thaw().await;
    scene.carrier.wait_for_invite(to).await;
    scene.one_channel_is_up().await;
    scene.rotary.start_again().await;
    scene.rotary.call_is(&call, "in-progress").await;
    scene.hang_up_all().await;
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(steps(&over), ["initiated", "in-progress", "completed"]);
    assert_eq!(scene.uses().await, 1);
}

#[tokio::test]
async fn rotary_crashes_while_the_phone_rings() {
    let mut scene = Scene::new(Version::V22).await;
    let ringing = json!({"to": "+14155550180", "ringTimeoutSeconds": 60});
    let call = scene.place(&ringing).await;
    scene.rotary.call_is(&call, "ringing").await;

    scene.rotary.kill9().await;
    scene.hang_up_all().await;
    scene.rotary.start_again().await;
    let over = scene.rotary.call_is(&call, "failed").await;

    assert_eq!(steps(&over), ["initiated", "ringing", "failed"]);
    assert_eq!(scene.uses().await, 1, "it may have rung");
}

#[tokio::test]
async fn asterisk_that_hangs_leaves_a_call_open_until_it_is_known_what_became_of_it() {
    let scene = Scene::new(Version::V22).await;

    let request = json!({"to": "+14155550120", "variables": {"HOLD_SECONDS": 600}});
    scene.asterisk.freeze().await;
    let placed = scene.rotary.post("/api/calls", &request).await;
    scene.rotary.unready().await;
    let uses = scene.uses().await;
    scene.asterisk.thaw().await;
    // The thawed Asterisk finds the Originate in its socket and places the call. Whatever it reports
    // before Rotary is back, nobody hears.
    scene.rotary.ready().await;
    let call = placed.json();
    let id = call["id"].as_str().unwrap();
    scene.rotary.call_is(id, "in-progress").await;
    scene.hang_up_all().await;
    scene.rotary.call_is(id, "completed").await;

    assert_eq!((placed.status, &call["status"]), (202, &json!("initiated")), "{call}");
    assert_eq!(uses, 1);
    assert_eq!(scene.uses().await, 1, "an unknown outcome is never refunded");
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

async fn asterisk_restarts_in_the_middle_of_a_call(version: Version) {
    let mut scene = Scene::new(version).await;
    let call = scene.call_that_lasts("+14155550120").await;

    scene.asterisk.stop().await;
    let unready = scene.rotary.unready().await;
    let status = scene.rotary.cli(&["status"]).await;
    let refused = scene.rotary.post("/api/calls", &json!({"to": "+14155550121"})).await;
    scene.asterisk.start_again().await;
    scene.rotary.ready().await;
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(unready["checks"]["asterisk"]["status"], "down", "{unready}");
    assert_eq!(unready["checks"]["store"]["status"], "up", "{unready}");
    assert!(status.stdout.contains("Asterisk"), "{status:?}");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("asterisk_unavailable")));
    assert_eq!(steps(&over), ["initiated", "ringing", "in-progress", "completed"]);
    scene.a_call_completes("+14155550122").await;
    assert_eq!(scene.uses().await, 2, "the refused call has used nothing");
}

/// A carrier, an Asterisk and a Rotary that is ready, with three DIDs in rotation.
struct Scene {
    carrier: Carrier,
    asterisk: Asterisk,
    rotary: Rotary,
}

impl Scene {
    async fn new(version: Version) -> Self {
        let carrier = Carrier::start().await;
        let asterisk = Asterisk::start(version, carrier.address()).await;
        let rotary = Rotary::beside(&asterisk).start_ready().await;
        for number in [FIRST, SECOND, THIRD] {
            let did = json!({"number": number, "status": "active"});
            let created = rotary.post("/api/asterisk-dids", &did).await;
            assert_eq!(created.status, 201, "{created:?}");
        }
        Self { carrier, asterisk, rotary }
    }

    /// Places a call; its id.
    async fn place(&self, request: &Value) -> String {
        let placed = self.rotary.post("/api/calls", request).await;
        assert_eq!(placed.status, 202, "{placed:?}");
        placed.json()["id"].as_str().unwrap().to_owned()
    }

    /// Places a call and waits for its end; the call with its timeline.
    async fn finished(&self, request: Value) -> Value {
        let placed = self.rotary.post("/api/calls?wait=end", &request).await;
        assert_eq!(placed.status, 202, "{placed:?}");
        let id = placed.json()["id"].as_str().unwrap().to_owned();
        self.rotary.get(&format!("/api/calls/{id}")).await.json()
    }

    /// A call that is answered and stays up until somebody ends it; its id.
    async fn call_that_lasts(&self, to: &str) -> String {
        let call = self.place(&json!({"to": to, "variables": {"HOLD_SECONDS": 600}})).await;
        self.rotary.call_is(&call, "in-progress").await;
        call
    }

    async fn a_call_completes(&self, to: &str) {
        let over = self.finished(json!({"to": to})).await;
        assert_eq!(ending(&over), ("completed", 16), "{over}");
    }

    /// Ends all calls on Asterisk's side, as an operator does.
    async fn hang_up_all(&self) {
        self.asterisk.cli("channel request hangup all").await;
        until("the channels to go", async || {
            let count = self.asterisk.cli("core show channels count").await;
            count.starts_with("0 active channels").then_some(())
        })
        .await;
    }

    /// Places a call that Asterisk does not answer for; its id, as soon as it is on record.
    async fn place_unheard(&self, request: &Value) -> String {
        let recorded = until("the call to be on record", async || {
            let calls = self.rotary.get("/api/calls").await.json();
            Some(calls["data"][0]["id"].as_str()?.to_owned())
        });
        tokio::select! {
            id = recorded => id,
            answer = self.rotary.post("/api/calls", request) => panic!("{answer:?}"),
        }
    }

    async fn one_channel_is_up(&self) {
        until("the channel to be up", async || {
            let channels = self.asterisk.cli("core show channels concise").await;
            channels.contains("!Up!").then_some(())
        })
        .await;
    }

    async fn uses(&self) -> u64 {
        self.rotary.usage().await.iter().map(|(_, uses)| uses).sum()
    }

    async fn manager(&self) -> Manager {
        let (asterisk, address) = (&self.asterisk, self.asterisk.ami_address());
        Manager::connect(address, asterisk.username(), asterisk.secret()).await.unwrap()
    }
}

fn ending(call: &Value) -> (&str, u64) {
    (call["status"].as_str().unwrap(), call["cause"]["code"].as_u64().unwrap_or(999))
}

fn steps(call: &Value) -> Vec<&str> {
    let steps = call["timeline"].as_array().expect("a timeline").iter();
    steps.map(|step| step["status"].as_str().unwrap()).collect()
}

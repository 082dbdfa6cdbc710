//! A real Asterisk whose dialplan asks Rotary for a number, dials with it and tells how that ended.

use rotary::domain::did::TrunkName;
use serde_json::{Value, json};

use crate::real_asterisk::{Asterisk, Carrier, Manager, Version};
use crate::rotary::Rotary;
use crate::wait::until;

const FIRST: &str = "+14045556701";
const SECOND: &str = "+14045556702";

#[tokio::test]
async fn a_dialplan_shows_our_number_and_tells_how_its_call_ended_on_22() {
    a_dialplan_shows_our_number_and_tells_how_its_call_ended(Version::V22).await;
}

#[tokio::test]
async fn a_dialplan_shows_our_number_and_tells_how_its_call_ended_on_16() {
    a_dialplan_shows_our_number_and_tells_how_its_call_ended(Version::V16).await;
}

#[tokio::test]
async fn an_inbound_call_learns_of_the_last_call_to_its_caller() {
    let scene = Scene::new(Version::V22).await;
    scene.originate("4155550120@out").await;
    scene.ended("completed").await;

    // The callee of a moment ago calls the number that it was shown.
    scene.originate("4045556701@called").await;
    let told = until("the inbound call to be told", async || {
        let globals = scene.asterisk.cli("dialplan show globals").await;
        globals.contains("TOLD_CALL=").then_some(globals)
    });
    let told = told.await;

    let call = &scene.calls().await[0];
    let id = call["id"].as_str().unwrap();
    assert!(told.contains(&format!("TOLD_CALL={id}\n")), "{told} {call}");
    assert!(told.contains("TOLD_TENANT=default\n"), "{told}");
}

async fn a_dialplan_shows_our_number_and_tells_how_its_call_ended(version: Version) {
    let scene = Scene::new(version).await;

    for to in ["4155550120", "4155550486", "4155550180"] {
        scene.originate(&format!("{to}@out")).await;
    }
    let completed = scene.ended("completed").await;
    let busy = scene.ended("busy").await;
    let unanswered = scene.ended("no-answer").await;

    let invites = scene.carrier.invites();
    assert_eq!(invites.len(), 3, "{invites:?}");
    for (call, to) in
        [(&completed, "+14155550120"), (&busy, "+14155550486"), (&unanswered, "+14155550180")]
    {
        let invite = invites.iter().find(|invite| invite.to_user == to).unwrap();
        assert_eq!(call["to"], to, "{call}");
        assert_eq!(call["from"], json!(invite.from_user), "{call}");
        assert_eq!(invite.pai_user.as_deref(), Some(invite.from_user.as_str()));
        assert_eq!(call["placedBy"], "dialplan");
        assert_eq!(call["did"]["trunk"], json!(TrunkName::pjsip()));
    }
    assert_eq!(busy["cause"]["code"], 17);
    assert_eq!(completed["cause"]["code"], 16);
    assert!(completed["talkSeconds"].as_i64().is_some(), "{completed}");
    let open = scene.rotary.get("/api/picks?settled=false").await.json();
    assert_eq!(open["data"], json!([]));
    let uses: u64 = scene.rotary.usage().await.iter().map(|(_, uses)| uses).sum();
    assert_eq!(uses, 3);

    // A call that the dialplan does not place after all uses nothing.
    scene.originate("nobody@out").await;
    until("the pick to be given back", async || {
        let picks = scene.rotary.get("/api/picks?settled=true").await.json();
        let picks = picks["data"].as_array()?.clone();
        picks.iter().any(|pick| pick["status"] == "released").then_some(())
    })
    .await;
    let uses: u64 = scene.rotary.usage().await.iter().map(|(_, uses)| uses).sum();
    assert_eq!(uses, 3);
}

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
        for number in [FIRST, SECOND] {
            let did = json!({"number": number, "status": "active"});
            assert_eq!(rotary.post("/api/asterisk-dids", &did).await.status, 201);
        }
        asterisk.add_dialplan(&dialplan(&rotary.agi_address().to_string())).await;
        Self { carrier, asterisk, rotary }
    }

    /// Has somebody inside dial an extension of a context, and stay for a second if that is answered.
    async fn originate(&self, extension: &str) {
        let (asterisk, address) = (&self.asterisk, self.asterisk.ami_address());
        let manager = Manager::connect(address, asterisk.username(), asterisk.secret()).await;
        let channel = format!("Local/{extension}");
        let action = [
            ("Action", "Originate"),
            ("ActionID", extension),
            ("Channel", channel.as_str()),
            ("Application", "Wait"),
            ("Data", "1"),
            ("Async", "true"),
        ];
        let mut manager = manager.expect("log in");
        manager.send(&action).await.expect("send the Originate");
        let answer = manager.event(|m| m.get("ActionID") == Some(extension)).await;
        assert_eq!(answer.get("Response"), Some("Success"), "{answer:?}");
    }

    async fn calls(&self) -> Vec<Value> {
        let calls = self.rotary.get("/api/calls").await.json();
        calls["data"].as_array().expect("a list of calls").clone()
    }

    /// The call that ended so, once there is one.
    async fn ended(&self, status: &str) -> Value {
        until(&format!("a call to be {status}"), async || {
            self.calls().await.into_iter().find(|call| call["status"] == status)
        })
        .await
    }
}

fn dialplan(agi: &str) -> String {
    format!(
        "\n[out]\n\
         exten => _X.,1,AGI(agi://{agi}/caller-id?to=${{EXTEN}})\n\
         same => n,GotoIf($[\"${{ROTARY_STATUS}}\" != \"OK\"]?none)\n\
         same => n,Dial(${{ROTARY_DIAL}},2,g)\n\
         same => n(none),Hangup()\n\
         exten => nobody,1,AGI(agi://{agi}/caller-id,tenant=default,to=4155550129)\n\
         same => n,AGI(agi://{agi}/release?pick=${{ROTARY_PICK_ID}})\n\
         same => n,Set(ROTARY_PICK_ID=)\n\
         same => n,Hangup()\n\
         exten => h,1,GotoIf($[\"${{DIALSTATUS}}\" = \"\"]?end)\n\
         same => n,AGI(agi://{agi}/outcome?pick=${{ROTARY_PICK_ID}}&status=${{DIALSTATUS}}&cause=${{HANGUPCAUSE}}&talk=${{ANSWEREDTIME}})\n\
         same => n(end),NoOp()\n\
         \n[called]\n\
         exten => _X.,1,Set(CALLERID(num)=4155550120)\n\
         same => n,AGI(agi://{agi}/inbound?number=${{EXTEN}})\n\
         same => n,Set(GLOBAL(TOLD_TENANT)=${{ROTARY_TENANT}})\n\
         same => n,Set(GLOBAL(TOLD_CALL)=${{ROTARY_LAST_CALL}})\n\
         same => n,Hangup()\n"
    )
}

//! The scene that the stories play on.

use serde_json::{Value, json};

use super::{FIRST, SECOND, THIRD};
use crate::real_asterisk::{Asterisk, Carrier, Manager, Version};
use crate::rotary::{Rotary, Via};
use crate::wait::until;

/// A carrier, an Asterisk and a Rotary that is ready, with three DIDs in rotation.
pub(super) struct Scene {
    pub(super) carrier: Carrier,
    pub(super) asterisk: Asterisk,
    pub(super) rotary: Rotary,
    via: Via,
}

impl Scene {
    pub(super) async fn new(version: Version, via: Via) -> Self {
        let carrier = Carrier::start().await;
        let asterisk = Asterisk::start(version, carrier.address()).await;
        let rotary = Rotary::over(via, &asterisk).start_ready().await;
        for number in [FIRST, SECOND, THIRD] {
            let did = json!({"number": number, "status": "active"});
            let created = rotary.post("/api/asterisk-dids", &did).await;
            assert_eq!(created.status, 201, "{created:?}");
        }
        Self { carrier, asterisk, rotary, via }
    }

    /// Places a call; its id.
    pub(super) async fn place(&self, request: &Value) -> String {
        let placed = self.rotary.post("/api/calls", request).await;
        assert_eq!(placed.status, 202, "{placed:?}");
        placed.json()["id"].as_str().unwrap().to_owned()
    }

    /// Places a call and waits for its end; the call with its timeline.
    pub(super) async fn finished(&self, request: Value) -> Value {
        let placed = self.rotary.post("/api/calls?wait=end", &request).await;
        assert_eq!(placed.status, 202, "{placed:?}");
        let id = placed.json()["id"].as_str().unwrap().to_owned();
        self.rotary.get(&format!("/api/calls/{id}")).await.json()
    }

    /// A call that is answered and stays up until somebody ends it; its id.
    pub(super) async fn call_that_lasts(&self, to: &str) -> String {
        let call = self.place(&json!({"to": to, "variables": {"HOLD_SECONDS": 600}})).await;
        self.rotary.call_is(&call, "in-progress").await;
        call
    }

    pub(super) async fn a_call_completes(&self, to: &str) {
        let over = self.finished(json!({"to": to})).await;
        assert_eq!(ending(&over), ("completed", 16), "{over}");
    }

    /// Ends all calls on Asterisk's side, as an operator does.
    pub(super) async fn hang_up_all(&self) {
        self.asterisk.cli("channel request hangup all").await;
        until("the channels to go", async || {
            let count = self.asterisk.cli("core show channels count").await;
            count.starts_with("0 active channels").then_some(())
        })
        .await;
    }

    /// Places a call that Asterisk does not answer for; its id, as soon as it is on record.
    pub(super) async fn place_unheard(&self, request: &Value) -> String {
        let recorded = until("the call to be on record", async || {
            let calls = self.rotary.get("/api/calls").await.json();
            Some(calls["data"][0]["id"].as_str()?.to_owned())
        });
        let id = tokio::select! {
            id = recorded => id,
            answer = self.rotary.post("/api/calls", request) => panic!("{answer:?}"),
        };
        // The call is on record before Asterisk hears of it; a kill in between places none.
        until("the Originate to reach Asterisk", async || self.originate_is_unread()).await;
        id
    }

    /// Whether more than a Ping, or over ARI than the look at an endpoint, waits for the frozen
    /// Asterisk, as the kernel counts it.
    fn originate_is_unread(&self) -> Option<()> {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let (address, most) = match self.via {
            Via::Ami => (self.asterisk.ami_address(), 200),
            Via::Ari => (self.asterisk.http_address(), 350),
        };
        let local = format!("0100007F:{:04X}", address.port());
        let unread = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let queues = fields.get(4).filter(|_| fields.get(1) == Some(&local.as_str()))?;
            u64::from_str_radix(queues.split_once(':')?.1, 16).ok()
        };
        sockets.lines().filter_map(unread).any(|bytes| bytes > most).then_some(())
    }

    pub(super) async fn one_channel_is_up(&self) {
        until("the channel to be up", async || {
            let channels = self.asterisk.cli("core show channels concise").await;
            channels.contains("!Up!").then_some(())
        })
        .await;
    }

    pub(super) async fn uses(&self) -> u64 {
        self.rotary.usage().await.iter().map(|(_, uses)| uses).sum()
    }

    pub(super) async fn manager(&self) -> Manager {
        let (asterisk, address) = (&self.asterisk, self.asterisk.ami_address());
        Manager::connect(address, asterisk.username(), asterisk.secret()).await.unwrap()
    }
}

/// How a call ended: its status, and its Q.850 cause.
pub(super) fn ending(call: &Value) -> (&str, u64) {
    (call["status"].as_str().unwrap(), call["cause"]["code"].as_u64().unwrap_or(999))
}

/// The states a call was in.
pub(super) fn steps(call: &Value) -> Vec<&str> {
    let steps = call["timeline"].as_array().expect("a timeline").iter();
    steps.map(|step| step["status"].as_str().unwrap()).collect()
}

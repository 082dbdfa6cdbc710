//! Clients that place calls by HTTP: they lose patience, ask again under the same key, and change
//! their minds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long a client goes on asking before it gives up for good.
const PERSISTENCE: Duration = Duration::from_secs(120);

/// What a tenant has and does.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    pub tenant: &'static str,
    pub trunk: &'static str,
    pub dids: u32,
    pub max_usage: Option<u32>,
    pub calls_per_second: f64,
    /// How many of its calls it hangs up again, of 1.
    pub hangs_up: f64,
}

/// A tenant's client.
#[derive(Clone)]
pub struct Caller {
    pub habits: Habits,
    pub door: String,
    pub key: String,
    pub hook: String,
    pub answers: Arc<Answers>,
}

/// What clients were told.
#[derive(Debug, Default)]
pub struct Answers(Mutex<Told>);

/// The same, for the sheet.
#[derive(Debug, Default, Clone)]
pub struct Told {
    pub requests: u64,
    /// By idempotency key, the call that the client was told of.
    pub placed: HashMap<String, Uuid>,
    /// Of them, those that were heard of by asking again.
    pub replayed: u64,
    /// By code, requests that came to nothing.
    pub refused: BTreeMap<String, u64>,
    pub unanswered: u64,
    /// Attempts without an answer: out of patience, or the daemon was just killed.
    pub asked_again: u64,
    pub hung_up: u64,
}

impl Answers {
    /// All that was told so far.
    pub fn take(&self) -> Told {
        self.with(|told| told.clone())
    }

    fn with<R>(&self, act: impl FnOnce(&mut Told) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Caller {
    /// Places calls until it is over, and returns when each has its answer.
    pub async fn run(self, over: CancellationToken) {
        let client = reqwest::Client::new();
        let mut tick = interval(Duration::from_secs_f64(1.0 / self.habits.calls_per_second));
        // A client's requests keep coming, however slow the daemon is.
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let requests = TaskTracker::new();
        for n in 0_u32.. {
            tokio::select! {
                () = over.cancelled() => break,
                _ = tick.tick() => {}
            }
            let (caller, client) = (self.clone(), client.clone());
            requests.spawn(async move { caller.request(&client, n).await });
        }
        requests.close();
        requests.wait().await;
    }

    async fn request(&self, client: &reqwest::Client, n: u32) {
        self.answers.with(|told| told.requests += 1);
        let key = format!("{}-{n}", self.habits.tenant);
        let body = json!({
            "to": callee(n), "callbackUrl": self.hook, "ringTimeoutSeconds": 3,
            "variables": {"JOURNEY": format!("j_{n}")}, "journey": {"journeyId": "j_1", "nodeId": n},
        });
        let Some((status, replayed, answer)) = self.insist(client, &key, body.to_string()).await
        else {
            self.answers.with(|told| told.unanswered += 1);
            return;
        };
        let id = answer["id"].as_str().and_then(|id| id.parse::<Uuid>().ok());
        let Some(id) = id.filter(|_| status == 202) else {
            let code = answer["code"].as_str().unwrap_or("no code").to_owned();
            self.answers
                .with(|told| *told.refused.entry(format!("{status} {code}")).or_default() += 1);
            return;
        };
        self.answers.with(|told| {
            told.placed.insert(key, id);
            told.replayed += u64::from(replayed);
        });
        if fastrand::f64() < self.habits.hangs_up {
            sleep(Duration::from_millis(fastrand::u64(0..2_000))).await;
            self.hang_up(client, id).await;
        }
    }

    /// Asks until there is an answer; now and then without the patience to wait for it.
    async fn insist(
        &self,
        client: &reqwest::Client,
        key: &str,
        body: String,
    ) -> Option<(u16, bool, Value)> {
        let begun = Instant::now();
        while begun.elapsed() < PERSISTENCE {
            let patience = match fastrand::u8(0..20) {
                0 => Duration::from_millis(fastrand::u64(1..30)),
                _ => Duration::from_secs(15),
            };
            let request = client
                .post(&self.door)
                .bearer_auth(&self.key)
                .header("content-type", "application/json")
                .header("idempotency-key", key)
                .timeout(patience)
                .body(body.clone());
            if let Some(answer) = answered(request).await {
                return Some(answer);
            }
            self.answers.with(|told| told.asked_again += 1);
            sleep(Duration::from_millis(fastrand::u64(50..500))).await;
        }
        None
    }

    async fn hang_up(&self, client: &reqwest::Client, id: Uuid) {
        let begun = Instant::now();
        while begun.elapsed() < PERSISTENCE {
            let request = client.delete(format!("{}/{id}", self.door)).bearer_auth(&self.key);
            let answer = answered(request.timeout(Duration::from_secs(15))).await;
            if answer.is_some_and(|(status, ..)| status < 300) {
                self.answers.with(|told| told.hung_up += 1);
                return;
            }
            sleep(Duration::from_millis(300)).await;
        }
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Option<(u16, bool, Value)> {
    let answer = request.send().await.ok()?;
    let replayed = answer.headers().contains_key("idempotent-replayed");
    let (status, body) = (answer.status().as_u16(), answer.text().await.ok()?);
    Some((status, replayed, serde_json::from_str(&body).unwrap_or_default()))
}

/// Most answer; some are busy, do not exist, meet congestion or never pick up.
fn callee(n: u32) -> String {
    let line = match n % 40 {
        3 | 13 | 23 => "0486",
        7 => "0404",
        17 => "0503",
        27 | 37 => "0180",
        other => return format!("+1415555{:04}", 1_000 + other),
    };
    format!("+1415555{line}")
}

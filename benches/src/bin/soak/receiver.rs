//! Receivers of callbacks that fail a third of the requests, and remember what they took.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::Utc;
use rotary::webhooks::WebhookSecret;
use serde_json::Value;
use tokio::net::TcpListener;
use uuid::Uuid;

/// How many of the requests fail, of 100, as long as fewer than [`IN_A_ROW`] of a callback did: the
/// wait after the fourth failure is two minutes, which is more than a short run has.
const FAIL: u8 = 35;
const IN_A_ROW: u8 = 3;

/// How far a signature's time may be from ours, in seconds.
const TOLERANCE: i64 = 60;

/// One for each tenant; together they keep one book.
#[derive(Default)]
pub struct Receivers {
    book: Arc<Mutex<Heard>>,
}

/// What all of them heard.
#[derive(Debug, Default, Clone)]
pub struct Heard {
    pub requests: u64,
    pub failed: u64,
    pub bad_signatures: u64,
    /// Requests that came before their turn, or once more after the next was taken.
    pub out_of_order: u64,
    /// Callbacks that came with another id than before, or another callback's.
    pub other_ids: u64,
    /// Requests with a callback that had been taken: its 2xx was lost.
    pub repeated: u64,
    /// By call, the ids that were taken, in order.
    pub taken: HashMap<Uuid, Vec<Uuid>>,
    ids: HashSet<Uuid>,
    failures: HashMap<Uuid, u8>,
}

enum Mood {
    Takes,
    Says500,
    BreaksOff,
    /// Takes it, and breaks off before the answer is out.
    TakesAndBreaksOff,
    NeverAnswers,
}

#[derive(Clone)]
struct Desk {
    secret: Arc<WebhookSecret>,
    book: Arc<Mutex<Heard>>,
}

impl Receivers {
    /// Opens one for a tenant; its URL.
    pub async fn open(&self, secret: WebhookSecret) -> anyhow::Result<String> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let desk = Desk { secret: Arc::new(secret), book: Arc::clone(&self.book) };
        let router = Router::new().route("/hook", post(take)).with_state(desk);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(url)
    }

    /// All that was heard so far.
    pub fn take(&self) -> Heard {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mood = {
        let mut heard = desk.book.lock().unwrap_or_else(PoisonError::into_inner);
        heard.hear(&desk.secret, &headers, &body)
    };
    match mood {
        Mood::Takes => StatusCode::NO_CONTENT,
        Mood::Says500 => StatusCode::INTERNAL_SERVER_ERROR,
        // hyper breaks off where a handler unwinds; so, no hook says that there was a panic.
        Mood::BreaksOff | Mood::TakesAndBreaksOff => std::panic::resume_unwind(Box::new(())),
        Mood::NeverAnswers => match std::future::pending::<Infallible>().await {},
    }
}

impl Heard {
    fn hear(&mut self, secret: &WebhookSecret, headers: &HeaderMap, body: &[u8]) -> Mood {
        self.requests += 1;
        let Some((id, call, sequence)) = read(secret, headers, body) else {
            self.bad_signatures += 1;
            return Mood::Says500;
        };
        let mood = self.mood(id);
        let taken = self.taken.entry(call).or_default();
        if sequence == taken.len() + 1 {
            if matches!(mood, Mood::Takes | Mood::TakesAndBreaksOff) {
                taken.push(id);
                self.other_ids += u64::from(!self.ids.insert(id));
            }
        } else if sequence > 0 && sequence == taken.len() {
            self.repeated += 1;
            self.other_ids += u64::from(taken[sequence - 1] != id);
        } else {
            self.out_of_order += 1;
        }
        mood
    }

    fn mood(&mut self, id: Uuid) -> Mood {
        let in_a_row = self.failures.entry(id).or_default();
        if *in_a_row >= IN_A_ROW || fastrand::u8(0..100) >= FAIL {
            return Mood::Takes;
        }
        *in_a_row += 1;
        self.failed += 1;
        match fastrand::u8(0..20) {
            0..12 => Mood::Says500,
            12..16 => Mood::BreaksOff,
            16..19 => Mood::TakesAndBreaksOff,
            _ => Mood::NeverAnswers,
        }
    }
}

/// The callback's id, its call and its place; none if it is not signed as it should be.
fn read(secret: &WebhookSecret, headers: &HeaderMap, body: &[u8]) -> Option<(Uuid, Uuid, usize)> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let timestamp: i64 = timestamp.parse().ok()?;
    let body = std::str::from_utf8(body).ok()?;
    let fresh = (Utc::now().timestamp() - timestamp).abs() <= TOLERANCE;
    let signed = header("webhook-signature")? == secret.sign(id, timestamp, body);
    let told: Value = serde_json::from_str(body).ok()?;
    let call = told["data"]["id"].as_str()?.parse().ok()?;
    let sequence = usize::try_from(told["sequence"].as_u64()?).ok()?;
    (fresh && signed).then_some((id.parse().ok()?, call, sequence))
}

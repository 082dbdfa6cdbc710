//! A receiver of callbacks that can be as bad as receivers are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a receiver does with a callback, after it has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers with this status, and with a place to go to for those that are redirects.
    Says(u16),
    /// Never answers.
    Stalls,
    /// Breaks the connection off.
    Closes,
}

/// A callback as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A receiver at work; it ends when dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    desk: Desk,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Desk {
    moods: Arc<Mutex<Moods>>,
    seen: watch::Sender<Vec<Seen>>,
}

struct Moods {
    next: VecDeque<Mood>,
    usual: Mood,
}

impl Receiver {
    /// One that takes everything.
    #[expect(clippy::disallowed_methods, reason = "a test stands in for the lifecycle")]
    pub(crate) async fn open() -> Self {
        let moods = Moods { next: VecDeque::new(), usual: Mood::Says(200) };
        let desk = Desk { moods: Arc::new(Mutex::new(moods)), seen: watch::Sender::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take)).with_state(desk.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, desk, server }
    }

    /// What it does with the next callbacks, and what from then on.
    pub(crate) fn feel(&self, next: &[Mood], usual: Mood) {
        let mut moods = self.desk.moods.lock().unwrap();
        *moods = Moods { next: next.iter().copied().collect(), usual };
    }

    /// Waits until it has seen what is looked for, and gives all it has seen.
    pub(crate) async fn until(&self, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut seen = self.desk.seen.subscribe();
        let enough = seen.wait_for(|seen| enough(seen));
        let waited = tokio::time::timeout(crate::wait::PATIENCE, enough).await;
        match waited {
            Ok(seen) => seen.unwrap().clone(),
            Err(_) => panic!("not seen in time: {:#?}", self.seen()),
        }
    }

    /// All it has seen.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.desk.seen.borrow().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.json()["sequence"].as_u64().unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// The sequences in the order in which they came.
pub(crate) fn sequences(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(Seen::sequence).collect()
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let mood = {
        let mut moods = desk.moods.lock().unwrap();
        moods.next.pop_front().unwrap_or(moods.usual)
    };
    desk.seen.send_modify(|seen| seen.push(Seen { headers, body }));
    match mood {
        Mood::Says(status) => {
            (StatusCode::from_u16(status).unwrap(), [(LOCATION, "/hook")]).into_response()
        }
        Mood::Stalls => std::future::pending().await,
        // hyper breaks off where a handler panics.
        Mood::Closes => panic!("the receiver breaks off"),
    }
}

//! What a caller meets who asks too much, at a time of the test's own.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rotary::http::auth::Door;
use rotary::http::limits::{Gate, Settings};
use serde_json::json;

use crate::house::{Answer, Ask, House};

const DIDS: &str = "/api/asterisk-dids";

/// A daemon's router behind a gate whose clock stands still until it is told.
struct Gated {
    house: House,
    router: axum::Router,
    now: Arc<Mutex<Instant>>,
}

impl Gated {
    async fn open(settings: Settings) -> Self {
        let house = House::open().await;
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = now.clone();
        let gate = Gate::with_clock(settings, move || *clock.lock().unwrap());
        let router = rotary::http::router(house.running.app.clone(), gate);
        Self { house, router, now }
    }

    async fn ask(&self, address: &str, ask: Ask) -> Answer {
        let peer = (address.parse::<IpAddr>().unwrap(), 49152).into();
        ask.of(self.router.clone(), Door::Tcp { peer }).await
    }

    async fn get(&self, address: &str, key: &str) -> u16 {
        self.ask(address, Ask::get(DIDS).key(key)).await.status.as_u16()
    }

    fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    async fn key(&self, role: &str) -> (String, String) {
        let made = self.house.ask(Ask::post("/api/keys", &json!({"role": role}))).await;
        (made.text("id").to_owned(), made.text("key").to_owned())
    }
}

fn attempts(failed_attempts_per_minute: u32) -> Settings {
    Settings { failed_attempts_per_minute, ..Settings::default() }
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back() {
    let settings = Settings { requests_per_second: 1, ..Settings::default() };
    let gated = Gated::open(settings).await;
    let ((_, key), (_, other)) = (gated.key("viewer").await, gated.key("viewer").await);

    assert_eq!(gated.get("192.0.2.1", &key).await, 200);
    assert_eq!(gated.get("192.0.2.2", &key).await, 200);
    let refused = gated.ask("192.0.2.3", Ask::get(DIDS).key(&key)).await;

    assert_eq!(refused.problem(), (429, "rate_limited"));
    assert_eq!(refused.body["limit"], "requests_per_second");
    assert_eq!((&refused.body["current"], &refused.body["max"]), (&json!(2), &json!(1)));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(gated.get("192.0.2.1", &other).await, 200);
    gated.pass(Duration::from_secs(1));
    assert_eq!(gated.get("192.0.2.1", &key).await, 200);
    assert_eq!(gated.get("192.0.2.1", &key).await, 429);
}

#[tokio::test]
async fn the_control_socket_has_no_limit() {
    let settings = Settings { requests_per_second: 1, failed_attempts_per_minute: 1 };
    let gated = Gated::open(settings).await;

    for _ in 0..5 {
        let door = Door::Socket { uid: 0 };
        assert_eq!(Ask::get(DIDS).of(gated.router.clone(), door).await.status, 200);
    }
}

#[tokio::test]
async fn an_address_that_guesses_is_refused_right_and_wrong_keys_alike() {
    let gated = Gated::open(attempts(2)).await;
    let (id, key) = gated.key("viewer").await;
    let wrong = with_another_secret(&key);

    assert_eq!(gated.get("192.0.2.1", &wrong).await, 401);
    assert_eq!(gated.get("192.0.2.1", "nonsense").await, 401);
    let refused = gated.ask("192.0.2.1", Ask::get(DIDS).key(&wrong)).await;

    assert_eq!(refused.problem(), (429, "too_many_failed_attempts"));
    assert_eq!(refused.body["limit"], "failed_attempts_per_minute");
    assert_eq!((&refused.body["current"], &refused.body["max"]), (&json!(3), &json!(2)));
    assert_eq!(refused.headers["retry-after"], "30");
    assert!(!refused.body.to_string().contains(&id));
    assert_eq!(gated.get("192.0.2.1", &key).await, 429);
    assert_eq!(gated.get("192.0.2.2", &key).await, 200);
    gated.pass(Duration::from_secs(30));
    assert_eq!(gated.get("192.0.2.1", &wrong).await, 401);
    assert_eq!(gated.get("192.0.2.1", &wrong).await, 429);
}

#[tokio::test]
async fn a_key_seen_before_goes_on_while_others_at_its_address_guess() {
    let gated = Gated::open(attempts(1)).await;
    let (id, key) = gated.key("viewer").await;
    assert_eq!(gated.get("192.0.2.1", &key).await, 200);

    for _ in 0..3 {
        gated.get("192.0.2.1", "guess").await;
    }
    let before = gated.get("192.0.2.1", &key).await;
    gated.house.ask(Ask::delete(&format!("/api/keys/{id}"))).await;

    assert_eq!(before, 200);
    // That it was good is not taken for its being good, and is forgotten with it.
    assert_eq!(gated.get("192.0.2.1", &key).await, 401);
    assert_eq!(gated.get("192.0.2.1", &key).await, 429);
}

#[tokio::test]
async fn only_a_wrong_key_is_a_failed_attempt() {
    let gated = Gated::open(attempts(1)).await;
    let (_, key) = gated.key("viewer").await;

    for _ in 0..3 {
        assert_eq!(gated.ask("192.0.2.1", Ask::get(DIDS)).await.status, 401);
        let forbidden = Ask::get("/api/keys").key(&key);
        assert_eq!(gated.ask("192.0.2.1", forbidden).await.status, 403);
    }

    assert_eq!(gated.get("192.0.2.1", "guess").await, 401);
    assert_eq!(gated.get("192.0.2.1", "guess").await, 429);
}

#[tokio::test]
async fn zero_is_no_limit() {
    let settings = Settings { requests_per_second: 0, failed_attempts_per_minute: 0 };
    let gated = Gated::open(settings).await;
    let (_, key) = gated.key("viewer").await;

    for _ in 0..50 {
        assert_eq!(gated.get("192.0.2.1", "guess").await, 401);
        assert_eq!(gated.get("192.0.2.1", &key).await, 200);
    }
}

#[tokio::test]
async fn a_large_head_names_its_bound() {
    let gated = Gated::open(Settings::default()).await;

    let long = "x".repeat(16 * 1024);
    let refused = gated.ask("192.0.2.1", Ask::get("/healthz").header("x-long", &long)).await;

    assert_eq!(refused.problem(), (431, "head_too_large"));
    assert_eq!(refused.body["limit"], "head_bytes");
    assert_eq!(refused.body["max"], 16 * 1024);
}

#[tokio::test]
async fn a_large_body_names_its_bound() {
    let gated = Gated::open(Settings::default()).await;
    let (_, key) = gated.key("operator").await;
    let body = vec![b' '; 1024 * 1024 + 1];

    let large = Ask::post_as(DIDS, "application/json", body).key(&key);
    let refused = gated.ask("192.0.2.1", large).await;

    assert_eq!(refused.problem(), (413, "body_too_large"));
    assert_eq!(refused.body["limit"], "body_bytes");
    assert_eq!(refused.body["max"], 1024 * 1024);
}

fn with_another_secret(key: &str) -> String {
    let (rest, last) = key.split_at(key.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

#[tokio::test]
async fn a_row_over_the_bound_names_it() {
    let house = House::open().await;
    let file = format!("number,notes\n+14045550001,{}\n", "x".repeat(100_000));

    let refused = house.ask(Ask::post_as("/api/asterisk-dids/import", "text/csv", file)).await;

    assert_eq!(refused.problem(), (422, "invalid_csv"));
    assert_eq!(
        (&refused.body["limit"], &refused.body["max"]),
        (&json!("row_bytes"), &json!(65536))
    );
}

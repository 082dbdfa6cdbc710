//! A daemon in this process, with SQLite in a directory of its own, alone or with a simulated Asterisk.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::response::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use rotary::config::{self, Config};
use rotary::daemon::{self, Running};
use rotary::demo::callee::Pace;
use rotary::demo::{self, Control, Simulated};
use rotary::http::auth::Door;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// A daemon that is up.
pub(crate) struct House {
    pub(crate) running: Running,
    folder: TempDir,
    /// The configuration's file, where it has one, and the Asterisk of the environment.
    configured: (Option<PathBuf>, Option<String>),
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body; as a text where it is no JSON, and null where there is none.
    pub(crate) body: Value,
}

/// A request that is not sent yet.
pub(crate) struct Ask {
    request: Request<Body>,
    /// The body, where it is JSON.
    body: String,
}

impl House {
    /// Starts it.
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Asterisk is where a moment ago there was a free port.
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::open_beside(folder, &nobody.to_string(), |_| {}).await
    }

    /// Starts it with its configuration changed so.
    pub(crate) async fn open_changed(change: impl FnOnce(&mut Config)) -> Self {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::open_beside(tempfile::tempdir().unwrap(), &nobody.to_string(), change).await
    }

    /// Starts it beside a simulated Asterisk whose callees do all at once, and waits for the line.
    pub(crate) async fn open_with_asterisk() -> (Self, Control) {
        let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
        Self::open_with(settings, |_| {}).await
    }

    /// Starts it beside a simulated Asterisk set up like this, its own configuration changed so.
    pub(crate) async fn open_with(
        settings: demo::Settings,
        change: impl FnOnce(&mut Config),
    ) -> (Self, Control) {
        let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
        let (address, control) = (asterisk.address().to_string(), asterisk.control());
        let tasks = TaskTracker::new();
        tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
        let house = Self::open_beside(tempfile::tempdir().unwrap(), &address, change).await;

        house.running.app.asterisks.all_up().await;
        (house, control)
    }

    /// Starts it beside simulated Asterisks of these names whose callees do all at once, with
    /// `more` in its configuration, and waits for all lines.
    pub(crate) async fn open_with_asterisks(names: &[&str], more: &str) -> (Self, Vec<Control>) {
        let folder = tempfile::tempdir().unwrap();
        let (mut text, mut controls) = (String::new(), Vec::new());
        for name in names {
            let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
            let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
            let address = asterisk.address();
            text += &format!("[[asterisk]]\nname = \"{name}\"\naddress = \"{address}\"\n");
            text += "secret = \"s3cret\"\n";
            controls.push(asterisk.control());
            let tasks = TaskTracker::new();
            tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
        }
        let file = folder.path().join("rotary.toml");
        std::fs::write(&file, text + more).unwrap();
        let house = Self::open_as(folder, (Some(file), None), |_| {}).await;
        house.running.app.asterisks.all_up().await;
        (house, controls)
    }

    /// Stops it and starts it again with its configuration's file changed so.
    pub(crate) async fn open_again(self, change: impl FnOnce(String) -> String) -> Self {
        let Self { running, folder, configured } = self;
        {
            // Its hold on the state directory goes with what is left of it.
            let running = running;
            running.lifecycle.stop(Duration::from_secs(60)).await;
        }
        if let (Some(file), _) = &configured {
            let text = std::fs::read_to_string(file).unwrap();
            std::fs::write(file, change(text)).unwrap();
        }
        Self::open_as(folder, configured, |_| {}).await
    }

    async fn open_beside(
        folder: TempDir,
        asterisk: &str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::open_as(folder, (None, Some(asterisk.to_owned())), change).await
    }

    async fn open_as(
        folder: TempDir,
        configured: (Option<PathBuf>, Option<String>),
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let place = folder.path().to_str().unwrap();
        let environment = [
            ("STATE_DIRECTORY", place),
            ("RUNTIME_DIRECTORY", place),
            ("ROTARY_HTTP__LISTEN", "127.0.0.1:0"),
            ("ROTARY_AGI__LISTEN", "127.0.0.1:0"),
            ("ROTARY_WEBHOOKS__ALLOW_PRIVATE_TARGETS", "true"),
        ];
        let (file, asterisk) = &configured;
        let lone = asterisk.as_deref().map(|address| {
            [("ROTARY_ASTERISK__ADDRESS", address), ("ROTARY_ASTERISK__SECRET", "s3cret")]
        });
        let environment = environment.into_iter().chain(lone.into_iter().flatten());
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut config = config::read(file.as_deref(), &environment.collect()).unwrap();
        // A busy machine is no reason for a default answer; a story about time says its own.
        config.agi.answer_within = crate::wait::PATIENCE;
        config.agi.prelude_patience = crate::wait::PATIENCE;
        change(&mut config);
        Self { running: daemon::start(config).await.unwrap(), folder, configured }
    }

    /// Stops it as SIGTERM does and starts it again with what it left, its configuration changed so.
    pub(crate) async fn restart(self, change: impl FnOnce(&mut Config)) -> Self {
        let Self { running, folder, configured } = self;
        {
            // Its hold on the state directory goes with what is left of it.
            let running = running;
            running.lifecycle.stop(Duration::from_secs(60)).await;
            running.app.store.close().await;
        }
        Self::open_as(folder, configured, change).await
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn close(self) {
        self.running.lifecycle.stop(Duration::from_secs(60)).await;
    }

    /// A file in the daemon's directory.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Where a file of the daemon's directory is.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Asks as an administrator on the control socket.
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        self.ask_by(Door::Socket { uid: 0 }, ask).await
    }

    /// Asks on TCP.
    pub(crate) async fn ask_on_tcp(&self, ask: Ask) -> Answer {
        self.ask_by(Door::Tcp { peer: ([127, 0, 0, 1], 49152).into() }, ask).await
    }

    /// Asks as [`House::ask`] does for what is no JSON.
    pub(crate) async fn fetch(&self, ask: Ask) -> (HeaderMap, Vec<u8>) {
        let (head, body) = ask.exchange(self.running.router.clone(), Door::Socket { uid: 0 }).await;
        assert_eq!(head.status, StatusCode::OK);
        (head.headers, body)
    }

    async fn ask_by(&self, door: Door, ask: Ask) -> Answer {
        ask.of(self.running.router.clone(), door).await
    }
}

impl Answer {
    /// Status and stable word of a problem.
    pub(crate) fn problem(&self) -> (u16, &str) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status.as_u16());
        (self.status.as_u16(), self.body["code"].as_str().unwrap())
    }

    /// A text in the answer.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap()
    }
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        Self::new(Method::GET, path, "", Body::empty())
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path, "", Body::empty())
    }

    pub(crate) fn post(path: &str, json: &Value) -> Self {
        let ask = Self::new(Method::POST, path, "application/json", json.to_string().into());
        Self { body: json.to_string(), ..ask }
    }

    pub(crate) fn put(path: &str, json: &Value) -> Self {
        let ask = Self::new(Method::PUT, path, "application/json", json.to_string().into());
        Self { body: json.to_string(), ..ask }
    }

    pub(crate) fn post_as(path: &str, kind: &str, body: impl Into<Body>) -> Self {
        Self::new(Method::POST, path, kind, body.into())
    }

    /// A line of JSON for each value.
    pub(crate) fn lines(path: &str, values: &[Value]) -> Self {
        let body: String = values.iter().map(|value| format!("{value}\n")).collect();
        let ask = Self::post_as(path, "application/x-ndjson", body.clone());
        Self { body, ..ask }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Method, path, headers and body, as far as they are JSON.
    pub(crate) fn text(&self) -> String {
        let (method, uri, headers) =
            (self.request.method(), self.request.uri(), self.request.headers());
        format!("{method} {uri} {headers:?} {}", self.body)
    }

    /// Asks this router, through this door.
    pub(crate) async fn of(self, router: Router, door: Door) -> Answer {
        let (head, body) = self.exchange(router, door).await;
        let body = match serde_json::from_slice(&body) {
            Ok(json) => json,
            Err(_) if body.is_empty() => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(&body).into_owned()),
        };
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn exchange(self, router: Router, door: Door) -> (Parts, Vec<u8>) {
        let mut request = self.request;
        request.extensions_mut().insert(door);
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        (head, body.collect().await.unwrap().to_bytes().to_vec())
    }

    pub(crate) fn new(method: Method, path: &str, kind: &str, body: Body) -> Self {
        let mut request = Request::builder().method(method).uri(path);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        Self { request: request.body(body).unwrap(), body: String::new() }
    }
}

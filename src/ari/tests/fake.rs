//! As much of Asterisk's web server as the line looks at: it answers what the story says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::SinkExt;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};
use tokio_util::sync::CancellationToken;

use crate::ari::{Client, Settings, line};
use crate::domain::call::{ChannelId, Report};
use crate::line::LineState;
use crate::line::reports::Reports;

/// What a request is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Is(u16, &'static str),
    /// Nothing ever comes.
    Silence,
    /// The connection is closed.
    Cut,
}

/// A line, and what it is connected to.
pub(super) struct House {
    pub(super) client: Client,
    pub(super) states: watch::Receiver<LineState>,
    pub(super) stop: CancellationToken,
    reports: Reports,
    replies: Replies,
    requests: mpsc::UnboundedReceiver<String>,
    sockets: mpsc::UnboundedReceiver<WebSocketStream<TcpStream>>,
    tasks: JoinSet<()>,
}

/// By method and path, without the query.
type Replies = Arc<Mutex<HashMap<&'static str, Reply>>>;

pub(super) fn settings() -> Settings {
    Settings {
        application: "rotary-1".to_owned(),
        secret: SecretString::from("s3cret"),
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(10),
        action_deadline: Duration::from_millis(500),
        ..Settings::default()
    }
}

impl House {
    /// A line to a server that has these replies beside those of an Asterisk in order.
    pub(super) async fn start(
        settings: Settings,
        replies: impl IntoIterator<Item = (&'static str, Reply)>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let all: Replies = Arc::new(Mutex::new(HashMap::from([
            ("GET /ari/asterisk/info", Reply::Is(200, r#"{"system": {"version": "22.10.1"}}"#)),
            ("PUT /ari/applications/rotary-1/eventFilter", Reply::Is(200, "{}")),
        ])));
        all.lock().unwrap().extend(replies);
        let (asked, requests) = mpsc::unbounded_channel();
        let (opened, sockets) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, all.clone(), asked, opened));

        let (client, line, reports) = line(Settings { address, ..settings });
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tasks.spawn(async move { line.run(stopped).await.unwrap() });
        let states = client.states();
        Self { client, states, stop, reports, replies: all, requests, sockets, tasks }
    }

    /// Another reply from now on.
    pub(super) fn reply(&self, to: &'static str, reply: Reply) {
        self.replies.lock().unwrap().insert(to, reply);
    }

    /// The WebSocket, once the line is up.
    pub(super) async fn up(&mut self) -> WebSocketStream<TcpStream> {
        let socket = self.socket().await;
        self.is(|state| matches!(state, LineState::Up { .. })).await;
        socket
    }

    /// The next WebSocket that is opened.
    pub(super) async fn socket(&mut self) -> WebSocketStream<TcpStream> {
        soon(self.sockets.recv()).await.unwrap()
    }

    /// Waits for such a state; the state in words.
    pub(super) async fn is(&mut self, wanted: impl FnMut(&LineState) -> bool) -> String {
        soon(self.states.wait_for(wanted)).await.unwrap().to_string()
    }

    /// The first request that begins so: its first line, and its body behind a line feed.
    pub(super) async fn request(&mut self, start: &str) -> String {
        loop {
            let request = soon(self.requests.recv()).await.unwrap();
            if request.starts_with(start) {
                return request;
            }
        }
    }

    pub(super) async fn take_reports(&mut self, count: usize) -> Vec<(ChannelId, Report)> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(soon(self.reports.next()).await.unwrap());
        }
        taken
    }

    /// Ends the server; the line goes on.
    pub(super) fn close_down(&mut self) {
        self.tasks.abort_all();
    }
}

/// What must come, and far sooner than this.
async fn soon<T>(waited: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), waited).await.expect("it comes in time")
}

pub(super) async fn say(socket: &mut WebSocketStream<TcpStream>, event: impl ToString) {
    socket.send(Message::text(event.to_string())).await.unwrap();
}

async fn serve(
    listener: TcpListener,
    replies: Replies,
    asked: mpsc::UnboundedSender<String>,
    opened: mpsc::UnboundedSender<WebSocketStream<TcpStream>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (replies, asked, opened) = (replies.clone(), asked.clone(), opened.clone());
        connections.spawn(async move {
            let mut start = [0; 16];
            let seen = stream.peek(&mut start).await.unwrap();
            if start[..seen].starts_with(b"GET /ari/events") {
                // Whoever gives up in between is the story's business.
                if let Ok(socket) = accept_async(stream).await {
                    let _ = opened.send(socket);
                }
            } else {
                answer(stream, &replies, &asked).await;
            }
        });
    }
}

/// One request, with `Connection: close`.
async fn answer(
    mut stream: TcpStream,
    replies: &Replies,
    asked: &mpsc::UnboundedSender<String>,
) -> Option<()> {
    let mut text = String::new();
    let (head, body) = loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        text.push_str(str::from_utf8(&part[..count]).ok()?);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            break (head, body);
        }
    };
    assert!(head.contains("authorization: Basic cm90YXJ5OnMzY3JldA=="), "{head}");
    let line = head.lines().next()?;
    let path = line.split([' ', '?']).take(2).collect::<Vec<_>>().join(" ");
    let reply = replies.lock().unwrap().get(path.as_str()).cloned();
    let _ = asked.send(format!("{line}\n{body}"));
    match reply.unwrap_or(Reply::Is(404, r#"{"message": "Resource not found"}"#)) {
        Reply::Is(status, body) => {
            let text = format!(
                "HTTP/1.1 {status} Told\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).await.ok()
        }
        Reply::Silence => std::future::pending().await,
        Reply::Cut => None,
    }
}

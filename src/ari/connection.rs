//! One connection from its beginning to its end: asks who is there, opens the WebSocket, says
//! what it wants to hear, and listens.
//!
//! Reading waits for nothing else. Requests have connections of their own; the WebSocket carries
//! events and pings alone.

use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{self, Instant, MissedTickBehavior, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::client::Counters;
use super::endpoints::offline;
use super::events::{self, Heard};
use super::rest::{Answer, Rest};
use super::{AriError, CHECK_ADDRESS, CHECK_LOGIN, Settings};
use crate::line::reports::Reporter;
use crate::line::{DownReason, LineState, Loss, tell};

/// The longest event, in bytes. Asterisk's longest are those that carry what a user sent it, of at
/// most 40,960 bytes; a longer one ends the connection.
const EVENT_MAX: usize = 1 << 20;

/// How many looks in a row may stay unanswered.
const SILENT_LOOKS: u32 = 2;

/// What outlives a connection.
pub(super) struct Around<'a> {
    pub(super) settings: &'a Settings,
    pub(super) rest: &'a Rest,
    pub(super) reporter: &'a Reporter,
    pub(super) counters: &'a Counters,
    pub(super) state: &'a watch::Sender<LineState>,
}

type Socket = WebSocketStream<TcpStream>;

#[derive(Deserialize)]
struct Info {
    system: Option<System>,
}

#[derive(Deserialize)]
struct System {
    version: Option<String>,
}

/// Connects, and listens until the connection ends.
pub(super) async fn run(around: &Around<'_>) -> DownReason {
    let version = match greet(around).await {
        Ok(version) => version,
        Err(why) => return why,
    };
    let mut socket = match open(around.settings).await {
        Ok(socket) => socket,
        Err(why) => return why,
    };
    // The application exists since the handshake was answered.
    if let Err(why) = choose_events(around).await {
        return why;
    }
    let Settings { endpoints, .. } = around.settings;
    let offline = offline(around.rest, endpoints).await.unwrap_or_default();
    around.counters.line.connected();
    tell(around.state, LineState::Up { version: version.clone(), missing: Vec::new(), offline });
    listen(&mut socket, version, around).await
}

/// Asks for Asterisk's version, to see whether it answers and lets us in.
async fn greet(around: &Around<'_>) -> Result<String, DownReason> {
    let answer = match around.rest.get("/asterisk/info?only=system").await {
        Ok(answer) => answer,
        Err(AriError::NotSent(cause)) => return Err(unreachable(around.settings, cause)),
        Err(_) => return Err(unreachable(around.settings, "no answer".to_owned())),
    };
    let_in(&answer, around.settings)?;
    match answer.json::<Info>() {
        Ok(info) => Ok(info.system.and_then(|system| system.version).unwrap_or_default()),
        Err(_) => {
            let status = answer.status;
            let cause = format!("what answers there does not speak ARI ({status})");
            Err(unreachable(around.settings, cause))
        }
    }
}

/// The WebSocket, on which Asterisk sends the events of all channels.
async fn open(settings: &Settings) -> Result<Socket, DownReason> {
    let late = || format!("no answer within {:?}", settings.connect_deadline);
    let opening = async {
        let socket = TcpStream::connect(&settings.address).await.map_err(Error::Io)?;
        socket.set_nodelay(true).map_err(Error::Io)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(EVENT_MAX))
            .max_frame_size(Some(EVENT_MAX));
        client_async_with_config(handshake(settings)?, socket, Some(config)).await
    };
    match timeout(settings.connect_deadline, opening).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(Error::Http(answer))) if answer.status() == StatusCode::UNAUTHORIZED => {
            Err(refused(settings, "Authentication required".to_owned()))
        }
        Ok(Err(error)) => Err(unreachable(settings, format!("open the WebSocket: {error}"))),
        Err(_) => Err(unreachable(settings, late())),
    }
}

fn handshake(settings: &Settings) -> Result<Request, Error> {
    let Settings { address, application, .. } = settings;
    let url = format!("ws://{address}/ari/events?app={application}&subscribeAll=true");
    let mut request = url.into_client_request()?;
    let pair = format!("{}:{}", settings.username, settings.secret.expose_secret());
    let mut shown = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .expect("base64 has no character that a header may not have");
    shown.set_sensitive(true);
    request.headers_mut().insert("authorization", shown);
    Ok(request)
}

/// Keeps away the events that say nothing to us. Asterisk before 16.3 cannot; then they all come,
/// and are passed over.
///
/// It is the first request that changes something, so a user who may only read is found here.
async fn choose_events(around: &Around<'_>) -> Result<(), DownReason> {
    let allowed: Vec<_> = events::WANTED.iter().map(|kind| json!({ "type": kind })).collect();
    let body = json!({ "allowed": allowed }).to_string().into_bytes();
    let path = format!("/applications/{}/eventFilter", around.settings.application);
    match around.rest.send(Method::PUT, &path, Some(body)).await {
        Ok(answer) => {
            let_in(&answer, around.settings)?;
            if let Err(error) = answer.done() {
                tracing::debug!("choose the events of ARI: {error}");
            }
            Ok(())
        }
        Err(error) => Err(lost(Loss::Protocol, format!("choose the events: {error}"))),
    }
}

async fn listen(socket: &mut Socket, version: String, around: &Around<'_>) -> DownReason {
    let settings = around.settings;
    let mut ping = time::interval(settings.ping_interval);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answer_by: Option<Instant> = None;
    let mut look_at = Instant::now() + settings.look_interval;
    let mut looking: Option<Pin<Box<dyn Future<Output = _> + Send>>> = None;
    let mut silent_looks = 0;

    loop {
        tokio::select! {
            message = socket.next() => {
                answer_by = None;
                if let Err(why) = hear(message, around) {
                    return why;
                }
            }
            _ = ping.tick() => {
                let sent = socket.send(Message::Ping(Bytes::new()));
                match timeout(settings.pong_deadline, sent).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return lost(Loss::Broken, error.to_string()),
                    Err(_) => return lost(Loss::Broken, "nothing can be written".to_owned()),
                }
                answer_by.get_or_insert_with(|| Instant::now() + settings.pong_deadline);
            }
            () = until(answer_by) => {
                return lost(Loss::Silent, format!("no answer to a ping within {:?}", settings.pong_deadline));
            }
            () = time::sleep_until(look_at), if looking.is_none() => {
                looking = Some(Box::pin(offline(around.rest, &settings.endpoints)));
            }
            found = done(&mut looking) => {
                looking = None;
                look_at = Instant::now() + settings.look_interval;
                silent_looks = if found == Err(AriError::Unknown) { silent_looks + 1 } else { 0 };
                if silent_looks == SILENT_LOOKS {
                    return lost(Loss::Silent, "requests are not answered".to_owned());
                }
                if let Ok(offline) = found {
                    let (version, missing) = (version.clone(), Vec::new());
                    tell(around.state, LineState::Up { version, missing, offline });
                }
            }
        }
    }
}

/// Takes in what came on the WebSocket; says why if that ends the connection.
fn hear(message: Option<Result<Message, Error>>, around: &Around<'_>) -> Result<(), DownReason> {
    let text = match message {
        Some(Ok(Message::Text(text))) => text,
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {
            return Ok(());
        }
        Some(Err(error)) => return Err(lost(Loss::Broken, error.to_string())),
        Some(Ok(Message::Close(_))) | None => {
            return Err(lost(Loss::Closed, "Asterisk closed the connection".to_owned()));
        }
    };
    Counters::add(&around.counters.events);
    let application = &around.settings.application;
    match events::read(&text, application) {
        Heard::Nothing => {}
        Heard::Unreadable => Counters::add(&around.counters.unreadable),
        Heard::Replaced => {
            return Err(lost(
                Loss::Protocol,
                format!(
                    "another program listens as {application:?} now, which is ours alone; does a daemon run with a \
                 copy of this one's state directory?"
                ),
            ));
        }
        Heard::Reports(call, first, second) => {
            for report in [Some(first), second].into_iter().flatten() {
                around.counters.line.reported(around.reporter.put(call, report));
            }
        }
    }
    Ok(())
}

fn let_in(answer: &Answer, settings: &Settings) -> Result<(), DownReason> {
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(refused(settings, answer.text())),
        _ => Ok(()),
    }
}

fn refused(settings: &Settings, message: String) -> DownReason {
    DownReason::LoginRefused { username: settings.username.clone(), message, check: CHECK_LOGIN }
}

fn unreachable(settings: &Settings, cause: String) -> DownReason {
    DownReason::Unreachable { address: settings.address.clone(), cause, check: CHECK_ADDRESS }
}

fn lost(how: Loss, cause: String) -> DownReason {
    DownReason::Lost { how, cause }
}

async fn done<F: Future + Unpin>(under_way: &mut Option<F>) -> F::Output {
    match under_way {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

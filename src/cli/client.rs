//! Asks the daemon over its control socket, which takes the same HTTP as TCP does.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::failure::{Failure, PROBLEM, UNREACHABLE};
use crate::http::problem::ProblemBody;

/// How long the daemon may take to answer a request that waits for nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer we take, in bytes: a thousand DIDs with their metadata fit many times.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// What a request carries.
pub type Body = BoxBody<Bytes, io::Error>;

/// A daemon's control socket, and the tenant to act for.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    tenant: Option<String>,
}

/// A request about to be sent.
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Body,
    patience: Option<Duration>,
}

impl Client {
    /// A client of the daemon behind this socket. Does not connect yet.
    pub fn new(socket: PathBuf, tenant: Option<String>) -> Self {
        Self { socket, tenant }
    }

    /// Sends a request and reads its answer, each request on a connection of its own.
    ///
    /// # Errors
    /// The daemon is not there, refused the request, or answered what we cannot read.
    pub async fn send<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Failure> {
        let answer = self.send_raw(ask).await?;
        let answer = if answer.is_empty() { b"null".as_slice() } else { &answer };
        serde_json::from_slice(answer).map_err(|error| {
            Failure::new(PROBLEM, format!("the daemon's answer cannot be read: {error}"))
                .hint("is the daemon of another version than this program?")
        })
    }

    /// Sends a request and hands its answer to `take` piece by piece, for as long as it takes.
    ///
    /// # Errors
    /// As [`Client::send`]; and `take` failed, or the answer broke off, after `take` has had some of it.
    pub async fn download(
        &self,
        ask: Ask,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let done = self.talk(ask, async |response| {
            let (head, mut body) = response.into_parts();
            if !head.status.is_success() {
                return Ok(Some((head.status, whole(body).await?)));
            }
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| {
                    let message = format!("the daemon's answer broke off: {error}");
                    Failure::new(UNREACHABLE, message)
                        .hint("what was written is not all; the daemon's log says why")
                })?;
                if let Some(bytes) = frame.data_ref() {
                    take(bytes)?;
                }
            }
            Ok(None)
        });
        done.await?.map_or(Ok(()), |(status, body)| Err(refused(status, &body)))
    }

    async fn send_raw(&self, ask: Ask) -> Result<Bytes, Failure> {
        let patience = ask.patience;
        let talking = self.talk(ask, async |response| {
            let (head, body) = response.into_parts();
            Ok((head.status, whole(body).await?))
        });
        let (status, body) = match patience {
            None => talking.await?,
            Some(patience) => timeout(patience, talking).await.map_err(|_| {
                let socket = self.socket.display();
                let message =
                    format!("the daemon on {socket} did not answer in {} s", patience.as_secs());
                Failure::new(UNREACHABLE, message).hint("its log may say what it is waiting for")
            })??,
        };
        if status.is_success() {
            return Ok(body);
        }
        Err(refused(status, &body))
    }

    async fn talk<T>(
        &self,
        ask: Ask,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let broke = |error: hyper::Error| {
            Failure::new(UNREACHABLE, format!("the daemon broke the connection off: {error}"))
                .hint("see its log; a request under way may or may not have been carried out")
        };
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| not_there(&self.socket, &error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
        let request = self.request(ask)?;

        let exchange = async move {
            let response = sender.send_request(request).await.map_err(broke)?;
            read(response).await
        };
        let (mut exchange, mut connection) = (std::pin::pin!(exchange), std::pin::pin!(connection));
        tokio::select! {
            answer = &mut exchange => answer,
            // What a broken connection means is for the exchange to say.
            _ended = &mut connection => exchange.await,
        }
    }

    fn request(&self, ask: Ask) -> Result<Request<Body>, Failure> {
        let mut request =
            Request::builder().method(ask.method).uri(ask.path).header(HOST, "rotary");
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("x-tenant-id", tenant);
        }
        request.body(ask.body).map_err(|error| Failure::new(super::failure::USAGE, error))
    }
}

impl Ask {
    /// Reads.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into(), Empty::new().map_err(|never| match never {}).boxed())
    }

    /// Removes.
    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// Sends JSON.
    pub fn post(path: impl Into<String>, json: &Value) -> Self {
        let body = Full::new(Bytes::from(json.to_string())).map_err(|never| match never {}).boxed();
        Self::new(Method::POST, path.into(), body).header(CONTENT_TYPE.as_str(), "application/json")
    }

    /// Sends JSON that changes what is there.
    pub fn put(path: impl Into<String>, json: &Value) -> Self {
        Self { method: Method::PUT, ..Self::post(path, json) }
    }

    /// Sends a stream of this type, for as long as it takes.
    pub fn stream(path: impl Into<String>, kind: &str, body: Body) -> Self {
        Self::new(Method::POST, path.into(), body).header(CONTENT_TYPE.as_str(), kind).patiently()
    }

    /// Waits for the answer however long it takes.
    pub fn patiently(mut self) -> Self {
        self.patience = None;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a parameter to the query.
    pub fn query(mut self, name: &str, value: Option<impl std::fmt::Display>) -> Self {
        if let Some(value) = value {
            self.path.push(if self.path.contains('?') { '&' } else { '?' });
            self.path.push_str(name);
            self.path.push('=');
            self.path.push_str(&escape(&value.to_string()));
        }
        self
    }

    fn new(method: Method, path: String, body: Body) -> Self {
        Self { method, path, headers: Vec::new(), body, patience: Some(PATIENCE) }
    }
}

async fn whole(body: Incoming) -> Result<Bytes, Failure> {
    let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|error| {
        let why = if error.is::<LengthLimitError>() { "is too long" } else { "broke off" };
        Failure::new(UNREACHABLE, format!("the daemon's answer {why}: {error}"))
    })?;
    Ok(body.to_bytes())
}

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    match serde_json::from_slice::<ProblemBody>(body) {
        Ok(problem) => Failure::refused(&problem),
        Err(_) => Failure::new(PROBLEM, format!("the daemon answered {status}")),
    }
}

/// A text as it may stand in a path or a query: all but RFC 3986's unreserved characters as `%XX`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

fn not_there(socket: &Path, error: &io::Error) -> Failure {
    let place = socket.display();
    let kind = error.kind();
    if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
        let message = format!("no daemon answers on {place}");
        Failure::new(UNREACHABLE, message)
            .hint("start it with `rotary serve`, or name its socket with --socket or ROTARY_SOCKET")
    } else if kind == io::ErrorKind::PermissionDenied {
        Failure::new(UNREACHABLE, format!("not allowed to use {place}")).hint(
            "run as the daemon's user, or join its group: the socket is open to owner and group",
        )
    } else {
        Failure::new(UNREACHABLE, format!("connect to {place}: {error}"))
    }
}

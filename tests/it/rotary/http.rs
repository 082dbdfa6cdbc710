//! As much of an HTTP client as the tests need, over TCP and over the control socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

/// How long an answer may take: longer than any bound that Rotary promises.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where requests go, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    door: Door,
    headers: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
enum Door {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Http {
    pub(super) fn tcp(address: SocketAddr) -> Self {
        Self { door: Door::Tcp(address), headers: Vec::new() }
    }

    pub(crate) fn socket(path: PathBuf) -> Self {
        Self { door: Door::Socket(path), headers: Vec::new() }
    }

    /// Adds a header to every request.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let answer = self.send("GET", path, Full::new(Bytes::new())).await;
        answer.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Reads; none where nobody answers.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Answer> {
        self.send("GET", path, Full::new(Bytes::new())).await.ok()
    }

    /// Sends JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let answer = self.post_json(path, body).await;
        answer.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Sends JSON; none where nobody answers, or no longer.
    pub(crate) async fn try_post(&self, path: &str, body: Value) -> Option<Answer> {
        self.post_json(path, &body).await.ok()
    }

    async fn post_json(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let json = Full::new(Bytes::from(body.to_string()));
        self.clone().with("content-type", "application/json").send("POST", path, json).await
    }

    /// Sends any request and reads its answer to the end.
    pub(crate) async fn send<B>(&self, method: &str, path: &str, body: B) -> anyhow::Result<Answer>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let mut request = Request::builder().method(method).uri(path).header("host", "rotary");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(body).expect("a request of the tests is well formed");
        match &self.door {
            Door::Tcp(address) => exchange(TcpStream::connect(address).await?, request).await,
            Door::Socket(path) => exchange(UnixStream::connect(path).await?, request).await,
        }
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn exchange<S, B>(stream: S, request: Request<B>) -> anyhow::Result<Answer>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    let mut exchange = std::pin::pin!(exchange);
    let either = async {
        tokio::select! {
            answer = &mut exchange => answer,
            // Why the connection ended is for the exchange to say.
            _ended = connection => exchange.await,
        }
    };
    tokio::time::timeout(PATIENCE, either).await?
}

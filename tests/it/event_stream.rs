//! A reader of Server-Sent Events that comes in by a door, and reads when it is told to.

use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::house::House;
use crate::wait::PATIENCE;

/// An open stream.
pub(crate) struct EventStream {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    text: String,
    connection: JoinHandle<()>,
}

/// One event, or a sign of life.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) data: Value,
}

impl EventStream {
    /// Asks by the control socket.
    pub(crate) async fn open(house: &House, path: &str, headers: &[(&str, &str)]) -> Self {
        let socket = UnixStream::connect(&house.running.socket).await.unwrap();
        Self::over(socket, path, headers).await
    }

    /// Asks by TCP.
    pub(crate) async fn open_on_tcp(house: &House, path: &str, key: &str) -> Self {
        let socket = TcpStream::connect(house.running.http).await.unwrap();
        Self::over(socket, path, &[("authorization", &format!("Bearer {key}"))]).await
    }

    /// Asks over this connection.
    pub(crate) async fn over<S>(socket: S, path: &str, headers: &[(&str, &str)]) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        let connection = TaskTracker::new().spawn(async move {
            // What it means that a connection broke is for the body to say.
            let _broke = connection.await;
        });
        let mut request = Request::get(path).header("host", "rotary");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        Self { status, headers, body, text: String::new(), connection }
    }

    /// The next event; none when the stream has come to its end, as it should.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let told = async {
            loop {
                let event = self.next_or_sign().await?;
                if event.data != Value::Null {
                    return Some(event);
                }
            }
        };
        timeout(PATIENCE, told).await.expect("nothing is told")
    }

    /// The next event or sign of life.
    pub(crate) async fn next_or_sign(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (Event::read(event), rest.to_owned());
                self.text = rest;
                return Some(event);
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("nothing is told");
            let frame = frame?.expect("the stream broke off");
            let bytes = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The types of all that is still told, to the end.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut kinds = Vec::new();
        while let Some(event) = self.next().await {
            kinds.push(event.kind.unwrap());
        }
        kinds
    }
}

impl Event {
    fn read(text: &str) -> Self {
        let mut event = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            match name {
                "id" => event.id = Some(value.to_owned()),
                "event" => event.kind = Some(value.to_owned()),
                "data" => event.data = serde_json::from_str(value).unwrap(),
                "" => {}
                other => panic!("{other:?} is no field of an event: {text:?}"),
            }
        }
        event
    }

    /// The id, which an event has.
    pub(crate) fn id(&self) -> &str {
        self.id.as_deref().unwrap()
    }

    /// The type.
    pub(crate) fn kind(&self) -> &str {
        self.kind.as_deref().unwrap()
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

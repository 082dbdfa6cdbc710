//! As much of AMI as the tests need on their own, apart from Rotary's client: what is tested must
//! not be its own witness.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wait::PATIENCE;

/// A logged-in AMI connection.
#[derive(Debug)]
pub(crate) struct Manager {
    stream: BufReader<TcpStream>,
    /// What came before the answer to Login.
    early: Vec<Message>,
}

/// A response or an event: its headers in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<(String, String)>);

impl Manager {
    /// Logs in.
    pub(crate) async fn connect(
        address: SocketAddr,
        username: &str,
        secret: &str,
    ) -> io::Result<Self> {
        let stream = BufReader::new(TcpStream::connect(address).await?);
        let mut manager = Self { stream, early: Vec::new() };
        let banner = manager.line().await?;
        assert!(banner.starts_with("Asterisk Call Manager/"), "no banner of AMI: {banner:?}");
        manager.send(&[("Action", "Login"), ("Username", username), ("Secret", secret)]).await?;
        loop {
            let message = manager.message().await?;
            match (message.get("Response"), message.get("Message")) {
                (Some("Success"), _) => return Ok(manager),
                // What Asterisk says while it starts or stops: try again.
                (Some("Error"), Some(text)) if text.contains("shutting down") => {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                (Some(_), text) => panic!("AMI refuses the login: {text:?}"),
                (None, _) => manager.early.push(message),
            }
        }
    }

    /// Waits for `FullyBooted`.
    pub(crate) async fn fully_booted(&mut self) {
        let booted = |message: &Message| message.is_event("FullyBooted");
        if !self.early.iter().any(booted) {
            self.event(booted).await;
        }
    }

    /// Sends an action; the values are trusted.
    pub(crate) async fn send(&mut self, headers: &[(&str, &str)]) -> io::Result<()> {
        let lines: String =
            headers.iter().map(|(key, value)| format!("{key}: {value}\r\n")).collect();
        self.stream.write_all(format!("{lines}\r\n").as_bytes()).await
    }

    /// The next message for which `wanted` holds; others are passed over.
    pub(crate) async fn event(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.message().await.expect("read from AMI");
            if wanted(&message) {
                return message;
            }
        }
    }

    async fn message(&mut self) -> io::Result<Message> {
        let mut message = Message::default();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(message);
            }
            let (key, value) = line.split_once(':').unwrap_or((&line, ""));
            message.0.push((key.to_owned(), value.trim_start().to_owned()));
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_until(b'\n', &mut line)).await;
        if read.expect("hear from AMI")? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

impl Message {
    /// The value of a header.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether it is an event of that name.
    pub(crate) fn is_event(&self, name: &str) -> bool {
        self.get("Event") == Some(name)
    }
}

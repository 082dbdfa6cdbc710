//! The Asterisk REST Interface, and nothing of Rotary but its words for a call.
//!
//! ```text
//! Client ──requests, each on a connection of a pool──> Asterisk
//! Line   <──────────events, on one WebSocket────────────┘
//! Reports <─ what became of our calls
//! ```
//!
//! What Asterisk 16.28 and 22.10 were seen to do, where the documentation is silent: an application
//! has one WebSocket, and who connects for it again takes the events from who had it, who is told by
//! `ApplicationReplaced` and hears nothing more; the application lives from before the handshake
//! is answered; 503 is said while Asterisk boots or stops.

mod client;
mod connection;
mod endpoints;
mod events;
mod inspect;
mod originate;
mod reconnect;
mod rest;

use std::time::Duration;

use secrecy::SecretString;

pub use self::client::{Client, Counters, line};
pub use self::originate::InvalidField;
pub use self::reconnect::Line;

/// What to look at when nobody answers.
const CHECK_ADDRESS: &str =
    "that http.conf has enabled=yes and no prefix, that ari.conf has enabled=yes";

/// What to look at when Asterisk does not let us in, or lets us only look on.
const CHECK_LOGIN: &str =
    "compare the user and the password with ari.conf, where the user needs read_only=no";

/// Where Asterisk is, who we are to it, and how patient we are with it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host and port of its web server.
    pub address: String,
    /// The section of ari.conf.
    pub username: String,
    /// Its password.
    pub secret: SecretString,
    /// Under which name we hear events. An application has one WebSocket, so each daemon has a name
    /// of its own.
    pub application: String,
    /// The PJSIP endpoints that our calls leave by, whose state is looked at.
    pub endpoints: Vec<String>,
    /// How often Asterisk is asked about them, and whether it still answers requests.
    pub look_interval: Duration,
    /// How long a connection may take to open; for a request at most half of `action_deadline`.
    pub connect_deadline: Duration,
    /// How long Asterisk may take to answer a request.
    pub action_deadline: Duration,
    /// How often a ping goes out on the WebSocket, whatever else is said.
    pub ping_interval: Duration,
    /// How long after a ping the WebSocket may be silent.
    pub pong_deadline: Duration,
    /// The first wait before trying again; it doubles with every failure.
    pub backoff_min: Duration,
    /// The longest wait before trying again.
    pub backoff_max: Duration,
    /// How long the line must have been up for the waits to begin again with the shortest.
    pub stable_after: Duration,
    /// How many requests may be under way; more wait in turn. Asterisk's own bound on connections
    /// is 100 by default.
    pub requests_max: usize,
    /// The longest answer that is read, in bytes. Ten thousand channels take about five million.
    pub answer_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8088".to_owned(),
            username: "rotary".to_owned(),
            secret: SecretString::from(String::new()),
            application: "rotary".to_owned(),
            endpoints: Vec::new(),
            look_interval: Duration::from_secs(10),
            connect_deadline: Duration::from_secs(5),
            action_deadline: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            pong_deadline: Duration::from_secs(3),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            stable_after: Duration::from_secs(10),
            requests_max: 32,
            answer_max: 32 << 20,
        }
    }
}

/// Why a request was not done, or not certainly.
///
/// The variants follow what the caller may do next, not where the fault arose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AriError {
    /// Asterisk never acted on it, so trying again is safe.
    #[error("not sent to Asterisk: {0}")]
    NotSent(String),

    /// It cannot be sent: trying again is useless.
    #[error("not sent to Asterisk: {0}")]
    Invalid(#[from] InvalidField),

    /// Asterisk said no.
    #[error("Asterisk refused: {0}")]
    Refused(String),

    /// It may have reached Asterisk and no answer came, so a call may exist.
    #[error("no answer from Asterisk")]
    Unknown,
}

#[cfg(test)]
mod tests;

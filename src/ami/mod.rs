//! The Asterisk Manager Interface, and nothing of Rotary but its words for a call.
//!
//! ```text
//! Client ──asked──> Line ──bytes──> Asterisk
//!    ^               │ └─ Session decides, and never waits
//!    └────answers────┘
//! Reports <─ what became of our calls
//! ```

pub mod action;
pub mod client;
pub mod codec;
mod connection;
pub mod frame;
mod reconnect;
pub mod report;
mod session;
pub mod tls;

use std::time::Duration;

use secrecy::SecretString;

use self::action::InvalidHeader;
pub use self::client::{Client, line};
pub use self::reconnect::Line;
use self::tls::Tls;
pub use crate::line::reports::Reports;
pub use crate::line::{Channel, DownReason, LineState, Loss};

/// The actions Rotary cannot do without, or not all of it.
pub const NEEDED_ACTIONS: [&str; 3] = ["Originate", "Hangup", "CoreShowChannels"];

/// Where Asterisk is, who we are to it, and how patient we are with it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host and port.
    pub address: String,
    /// How the line is encrypted; none: it is not.
    pub tls: Option<Tls>,
    /// The section of manager.conf.
    pub username: String,
    /// Its secret.
    pub secret: SecretString,
    /// How the secret is shown.
    pub login: Login,
    /// Classes of events asked for at login; without `system`, `FullyBooted` and `Shutdown` do not come.
    pub events: String,
    /// How long a connection may take to open, and Asterisk to greet.
    pub connect_deadline: Duration,
    /// How long Asterisk may take to answer an action, or to go on with a list.
    pub action_deadline: Duration,
    /// How long after login `FullyBooted` is awaited before Asterisk is asked.
    pub boot_deadline: Duration,
    /// How often a ping goes out, whatever else is said.
    pub ping_interval: Duration,
    /// How long after a ping the line may be silent.
    pub pong_deadline: Duration,
    /// The first wait before trying again; it doubles with every failure.
    pub backoff_min: Duration,
    /// The longest wait before trying again.
    pub backoff_max: Duration,
    /// How long the line must have been up for the waits to begin again with the shortest.
    pub stable_after: Duration,
    /// How long a stop waits for actions in flight.
    pub stop_patience: Duration,
    /// The most items a list may have.
    pub list_max: usize,
}

/// What to look at when nobody answers.
const CHECK_ADDRESS: &str = "that manager.conf has enabled=yes";

/// What to look at when Asterisk does not let us in.
const CHECK_LOGIN: &str = "compare the secret with manager.conf, and the permit and deny lines there with where \
                           Rotary connects from";

/// How the secret is shown to Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// As the MD5 of a challenge. Never falls back to plain: whoever stands between could ask for that.
    Md5,
    /// As it is.
    Plain,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:5038".to_owned(),
            tls: None,
            username: "rotary".to_owned(),
            secret: SecretString::from(String::new()),
            login: Login::Md5,
            events: "system,call".to_owned(),
            connect_deadline: Duration::from_secs(5),
            action_deadline: Duration::from_secs(5),
            boot_deadline: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            pong_deadline: Duration::from_secs(3),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            stable_after: Duration::from_secs(10),
            stop_patience: Duration::from_secs(5),
            list_max: 50_000,
        }
    }
}

/// Why an action was not done, or not certainly.
///
/// The variants follow what the caller may do next, not where the fault arose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmiError {
    /// Asterisk never acted on it, so trying again is safe.
    #[error("not sent to Asterisk: {0}")]
    NotSent(String),

    /// It cannot be sent: trying again is useless.
    #[error("not sent to Asterisk: {0}")]
    Invalid(#[from] InvalidHeader),

    /// Asterisk said no.
    #[error("Asterisk refused: {0}")]
    Refused(String),

    /// It may have reached Asterisk and no answer came, so a call may exist.
    #[error("no answer from Asterisk")]
    Unknown,
}

#[cfg(test)]
mod tests;

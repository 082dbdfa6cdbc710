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

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use self::action::InvalidHeader;
pub use self::client::{Channel, Client, line};
pub use self::reconnect::Line;
pub use self::report::Reports;

/// The actions Rotary cannot do without, or not all of it.
pub const NEEDED_ACTIONS: [&str; 3] = ["Originate", "Hangup", "CoreShowChannels"];

/// Where Asterisk is, who we are to it, and how patient we are with it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host and port.
    pub address: String,
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

/// Whether Asterisk can be asked for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineState {
    /// It cannot.
    Down {
        /// Why not.
        why: DownReason,
    },
    /// Logged in, and Asterisk has booted.
    Up {
        /// Asterisk's version, or that of its manager interface if it does not tell.
        version: String,
        /// Those of [`NEEDED_ACTIONS`] that our user may not run.
        missing: Vec<String>,
    },
}

/// How a line was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Asterisk closed the connection.
    Closed,
    /// Asterisk was silent for too long; the other end may be gone without a word.
    Silent,
    /// What came was not what Asterisk says.
    Protocol,
    /// The system reported an error on the connection.
    Broken,
}

/// Why the line is down. As text it says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownReason {
    /// The first connection is not made yet.
    Connecting,
    /// Nobody answers there.
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        cause: String,
    },
    /// Asterisk does not let us in: a wrong name or secret, or an address it does not allow.
    LoginRefused {
        /// As whom.
        username: String,
        /// What Asterisk said.
        message: String,
    },
    /// Asterisk is about to stop or to restart.
    ShuttingDown,
    /// There was a line, and it is gone.
    Lost {
        /// How, in one word.
        how: Loss,
        /// How, for people.
        cause: String,
    },
    /// Rotary is stopping.
    Stopped,
}

impl DownReason {
    /// The words for what ends a line, or keeps it from coming up.
    pub const WORDS: [&str; 7] =
        ["unreachable", "login_refused", "shutdown", "closed", "silent", "protocol", "broken"];

    /// The word for it; none while nothing has failed.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Connecting | Self::Stopped => None,
            Self::Unreachable { .. } => Some("unreachable"),
            Self::LoginRefused { .. } => Some("login_refused"),
            Self::ShuttingDown => Some("shutdown"),
            Self::Lost { how: Loss::Closed, .. } => Some("closed"),
            Self::Lost { how: Loss::Silent, .. } => Some("silent"),
            Self::Lost { how: Loss::Protocol, .. } => Some("protocol"),
            Self::Lost { how: Loss::Broken, .. } => Some("broken"),
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting to Asterisk for the first time"),
            Self::Unreachable { address, cause } => write!(
                f,
                "Asterisk is unreachable at {address}: {cause}; check that it runs, that manager.conf has \
                 enabled=yes, and asterisk.address here"
            ),
            Self::LoginRefused { username, message } => write!(
                f,
                "Asterisk refused the login of {username:?}: {message}; compare the secret with manager.conf, and the \
                 permit and deny lines there with where Rotary connects from"
            ),
            Self::ShuttingDown => {
                f.write_str("Asterisk is shutting down; Rotary connects again once it is back")
            }
            Self::Lost { cause, .. } => {
                write!(f, "the line to Asterisk was lost: {cause}; Rotary is connecting again")
            }
            Self::Stopped => f.write_str("Rotary is stopping"),
        }
    }
}

impl fmt::Display for LineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { why } => why.fmt(f),
            Self::Up { version, missing } if missing.is_empty() => {
                write!(f, "connected to Asterisk {version}")
            }
            Self::Up { version, missing } => write!(
                f,
                "connected to Asterisk {version}, whose user may not run {}; give it the privileges originate, call \
                 and reporting in the write= line of manager.conf",
                missing.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests;

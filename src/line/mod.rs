//! What every line to an Asterisk has in common, whatever is spoken on it.

pub mod backoff;
pub mod counters;
pub mod reports;

use std::fmt;

use tokio::sync::watch;

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
        /// Asterisk's version, or that of its interface if it does not tell.
        version: String,
        /// What Rotary must ask for and our user may not.
        missing: Vec<String>,
        /// The endpoints our calls leave by that Asterisk says it cannot reach, with what it says.
        offline: Vec<String>,
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
        /// What to check of Asterisk, beginning with `that`.
        check: &'static str,
    },
    /// Who answers there cannot be trusted, or does not speak TLS.
    Untrusted {
        /// Where.
        address: String,
        /// Why not, and what to do about it.
        fault: String,
    },
    /// What answers there does not greet as Asterisk does.
    NoGreeting {
        /// Where.
        address: String,
        /// What it does instead.
        cause: String,
        /// Whether the line is encrypted. One that is not may have come to a port that is.
        encrypted: bool,
    },
    /// Asterisk does not let us in: a wrong name or secret, or an address it does not allow.
    LoginRefused {
        /// As whom.
        username: String,
        /// What Asterisk said.
        message: String,
        /// What to do about it.
        check: &'static str,
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

/// A channel that Asterisk has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The id it was given, ours if we rang it.
    pub unique_id: String,
    /// Its name, such as `PJSIP/carrier-00000002`.
    pub channel: String,
    /// 0 down, 4 ring, 5 ringing, 6 up, as Asterisk counts them.
    pub state: u8,
}

/// Tells of a state, and logs it if it is another than before.
pub fn tell(state: &watch::Sender<LineState>, now: LineState) {
    let told = now.clone();
    let changed = state.send_if_modified(|before| {
        let changed = *before != now;
        *before = now;
        changed
    });
    if changed {
        match &told {
            LineState::Up { offline, .. } if offline.is_empty() => tracing::info!("{told}"),
            LineState::Down { why: DownReason::Stopped } => tracing::info!("{told}"),
            LineState::Up { .. } | LineState::Down { .. } => tracing::warn!("{told}"),
        }
    }
}

impl DownReason {
    /// The words for what ends a line, or keeps it from coming up.
    pub const WORDS: [&str; 9] = [
        "unreachable",
        "untrusted",
        "no_greeting",
        "login_refused",
        "shutdown",
        "closed",
        "silent",
        "protocol",
        "broken",
    ];

    /// The word for it; none while nothing has failed.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Connecting | Self::Stopped => None,
            Self::Unreachable { .. } => Some("unreachable"),
            Self::Untrusted { .. } => Some("untrusted"),
            Self::NoGreeting { .. } => Some("no_greeting"),
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
            Self::Unreachable { address, cause, check } => write!(
                f,
                "Asterisk is unreachable at {address}: {cause}; check that it runs, {check}, and \
                 asterisk.address here"
            ),
            Self::Untrusted { address, fault } => {
                write!(f, "no TLS with Asterisk at {address}: {fault}")
            }
            Self::NoGreeting { address, cause, encrypted } => {
                write!(
                    f,
                    "what answers at {address} does not greet as Asterisk's manager interface does: {cause}; check \
                     asterisk.address"
                )?;
                match encrypted {
                    true => Ok(()),
                    false => f.write_str(
                        ", and if that is the port of tlsbindaddr in manager.conf, set asterisk.tls = true",
                    ),
                }
            }
            Self::LoginRefused { username, message, check } => {
                write!(f, "Asterisk refused the login of {username:?}: {message}; {check}")
            }
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
        let (version, missing, offline) = match self {
            Self::Down { why } => return why.fmt(f),
            Self::Up { version, missing, offline } => (version, missing, offline),
        };
        write!(f, "connected to Asterisk {version}")?;
        if !missing.is_empty() {
            write!(
                f,
                ", whose user may not run {}; give it the privileges originate, call and reporting in the write= \
                 line of manager.conf",
                missing.join(", ")
            )?;
        }
        if !offline.is_empty() {
            write!(f, ", which cannot reach {}; calls that leave there fail", offline.join(", "))?;
        }
        Ok(())
    }
}

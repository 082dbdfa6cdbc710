//! How a command fails: what to tell the person, what they can do, and the exit code.

use std::fmt::Display;
use std::io;

use crate::http::problem::ProblemBody;

/// It ran and found a problem.
pub const PROBLEM: u8 = 1;
/// Wrong usage.
pub const USAGE: u8 = 2;
/// The daemon cannot be reached.
pub const UNREACHABLE: u8 = 69;
/// The configuration will not do.
pub const BAD_CONFIGURATION: u8 = 78;

/// A command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What went wrong; empty when the output has said it already.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with this exit code and message.
    pub fn new(code: u8, message: impl Display) -> Self {
        Self { code, message: message.to_string(), hint: None }
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failure that the output has told already.
    pub fn told() -> Self {
        Self::new(PROBLEM, "")
    }

    /// A request the daemon refused.
    pub fn refused(problem: &ProblemBody) -> Self {
        let argument = ["invalid_field", "missing_field", "unknown_field", "invalid_phone_number"];
        let code = if argument.contains(&problem.code.as_str()) { USAGE } else { PROBLEM };
        Self { code, message: problem.detail.clone(), hint: hint_for(&problem.code) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // `rotary dids list | head` closes our output and is content.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(0, "");
        }
        Self::new(PROBLEM, format!("write the output: {error}"))
    }
}

fn hint_for(code: &str) -> Option<String> {
    let hint = match code {
        "no_available_did" => {
            "only DIDs that are 'active' and below their limit are picked: see `rotary dids list`, \
             bring some in with `rotary dids import FILE`"
        }
        "asterisk_unavailable" => {
            "`rotary status` shows whether the line is up, `rotary config` where it should go"
        }
        "originate_refused" => {
            "those are Asterisk's words. \"Permission denied\": the manager user needs `write = originate`, \
             and `asterisk -rx 'manager show user rotary'` shows what it has. \"Extension does not \
             exist\": the call's context and extension are not in extensions.conf"
        }
        "store_unavailable" => {
            "`rotary status` shows the store; check [store] url and that the database runs"
        }
        "did_not_pickable" => "`rotary dids list` shows its status and its uses",
        _ => return None,
    };
    Some(hint.to_owned())
}

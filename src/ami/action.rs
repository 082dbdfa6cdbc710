//! What we say to Asterisk.
//!
//! Nothing from outside can end a line: Asterisk takes a bare CR, LF or NUL for the end of a
//! header, and what follows it for the next action. It also cuts lines of more than 1,024 bytes,
//! of which the rest may run as an action of its own, and refuses more than 128 headers.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::domain::call::Destination;
use crate::domain::call::originate::{Originate, fault_of_name};

/// The longest line sent, in bytes, without its end.
pub const MAX_LINE: usize = 1000;

/// The most headers a message may have, its first included.
pub const MAX_HEADERS: usize = 128;

/// Asterisk cuts `Channel` and `CallerID` here, in bytes.
const MAX_NAME: usize = 255;

/// Asterisk refuses a longer `ChannelId`, in bytes.
const MAX_CHANNEL_ID: usize = 149;

/// A message to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    text: String,
    headers: usize,
    action_id: Option<String>,
}

/// A header that cannot be sent. Sending it again is useless: what it says must change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct InvalidHeader {
    /// The header, or the part of [`Originate`], at fault.
    pub field: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Message {
    /// A message of one header, such as `Action: Ping` or `Event: Hangup`.
    pub fn new(kind: &'static str, name: &'static str) -> Self {
        debug_assert!(![kind, name].iter().any(|part| part.contains(['\r', '\n', '\0'])));
        Self { text: format!("{kind}: {name}\r\n"), headers: 1, action_id: None }
    }

    /// Adds a header.
    ///
    /// # Errors
    /// Nothing that could end a line may be in it, it may have [`MAX_LINE`] bytes, and the message
    /// [`MAX_HEADERS`] of them.
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Result<Self, InvalidHeader> {
        let value = value.as_ref();
        let invalid = |why| Err(InvalidHeader { field: name.to_owned(), why });
        if name.is_empty() || name.contains(['\r', '\n', '\0', ':']) {
            return invalid("is no name for a header");
        }
        if value.contains(['\r', '\n', '\0']) {
            return invalid("must not contain CR, LF or NUL");
        }
        if name.len() + ": ".len() + value.len() > MAX_LINE {
            return invalid("is too long: a line may have 1000 bytes");
        }
        if self.headers == MAX_HEADERS {
            return invalid("is one header too many: a message may have 128");
        }
        if self.action_id.is_none() && name.eq_ignore_ascii_case("ActionID") {
            self.action_id = Some(value.to_owned());
        }
        self.text.extend([name, ": ", value, "\r\n"]);
        self.headers += 1;
        Ok(self)
    }

    /// The `ActionID` it carries.
    pub fn action_id(&self) -> Option<&str> {
        self.action_id.as_deref()
    }

    /// Writes the message and its end.
    pub(super) fn write_to(&self, buffer: &mut BytesMut) {
        buffer.reserve(self.text.len() + 2);
        buffer.put_slice(self.text.as_bytes());
        buffer.put_slice(b"\r\n");
    }
}

impl fmt::Debug for Message {
    /// Only what it is: a login carries the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.text.lines().next().unwrap_or_default();
        f.debug_struct("Message").field("first", &first).field("id", &self.action_id).finish()
    }
}

/// The action that rings somebody.
///
/// Always asynchronous: a synchronous one would block the session until the phone is answered.
///
/// # Errors
/// Names the field that cannot be sent; a variable as `variables.NAME`.
pub fn message_of(asked: &Originate) -> Result<Message, InvalidHeader> {
    let caller = asked.caller_id();
    at_most("id", &asked.id, MAX_CHANNEL_ID)?;
    at_most("channel", &asked.channel, MAX_NAME)?;
    at_most("callerName", &caller, MAX_NAME)?;
    let message = Message::new("Action", "Originate")
        .header("ActionID", &asked.id)?
        .header("ChannelId", &asked.id)?
        .header("Channel", &asked.channel)?
        .header("CallerID", caller)?
        .header("Async", "true")?
        .header("Timeout", asked.ring_timeout.as_millis().to_string())?;
    let message = match &asked.destination {
        Destination::Dialplan { context, exten, priority } => message
            .header("Context", context)?
            .header("Exten", exten)?
            .header("Priority", priority.to_string())?,
        Destination::Application { application, data } => {
            message.header("Application", application)?.header("Data", data)?
        }
        // Asterisk would ring the callee, and drop the call once it is answered.
        Destination::Untold => {
            let field = "context".to_owned();
            return Err(InvalidHeader { field, why: "must say where the call goes" });
        }
    };
    asked.variables.iter().try_fold(message, |message, (name, value)| {
        let field = |why| InvalidHeader { field: format!("variables.{name}"), why };
        if let Some(why) = fault_of_name(name) {
            return Err(field(why));
        }
        let text = format!("{name}={}", escaped(value));
        message.header("Variable", text).map_err(|invalid| field(invalid.why))
    })
}

/// A variable's value such that it arrives as it is: Asterisk splits at commas, takes quotes away
/// and a backslash for the escape of what follows.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, ',' | '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn at_most(field: &str, value: &str, max: usize) -> Result<(), InvalidHeader> {
    let why = "is longer than Asterisk keeps";
    if value.len() > max { Err(InvalidHeader { field: field.to_owned(), why }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;

//! What the simulated Asterisk says, as bytes.
//!
//! Written here and not with the client's encoder: a real Asterisk writes lines of any length and
//! repeats keys, and what both ends shared they would also both get wrong.

use std::fmt::{self, Display, Write};

use bytes::{Bytes, BytesMut};

use super::user::Classes;

/// One message in the making. Ends with [`Text::end`].
#[derive(Debug)]
pub(super) struct Text {
    bytes: BytesMut,
    /// What follows `Event:` or `Response:`.
    pub(super) name: &'static str,
    /// Who may hear an event; [`Classes::NONE`] for what only the asker hears.
    pub(super) class: Classes,
}

impl Text {
    /// An answer: `Success`, `Error` or `Goodbye`, with the asker's `ActionID` if there was one.
    pub(super) fn response(kind: &'static str, action_id: Option<&str>) -> Self {
        Self::begin("Response", kind, Classes::NONE).action_id(action_id)
    }

    /// An event that everybody with `class` hears.
    pub(super) fn event(name: &'static str, class: Classes) -> Self {
        let text = Self::begin("Event", name, class);
        text.header("Privilege", format_args!("{},all", class.name()))
    }

    /// An entry of a list, which only the asker hears.
    pub(super) fn list_event(name: &'static str, action_id: Option<&str>) -> Self {
        Self::begin("Event", name, Classes::NONE).action_id(action_id)
    }

    /// One line more. CR, LF and NUL in the value become spaces.
    pub(super) fn header(mut self, name: impl Display, value: impl Display) -> Self {
        let mut line = OneLine(&mut self.bytes);
        // Writing to memory does not fail.
        let _ = write!(line, "{name}: {value}");
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// A `Message` as it is: one of Asterisk's own ends in a bare line feed.
    pub(super) fn message(mut self, message: &str) -> Self {
        self.bytes.extend_from_slice(b"Message: ");
        self.bytes.extend_from_slice(message.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// The finished message.
    pub(super) fn end(mut self) -> Bytes {
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.freeze()
    }

    fn begin(kind: &str, name: &'static str, class: Classes) -> Self {
        Self { bytes: BytesMut::with_capacity(640), name, class }.header(kind, name)
    }

    fn action_id(self, action_id: Option<&str>) -> Self {
        match action_id {
            Some(id) => self.header("ActionID", id),
            None => self,
        }
    }
}

/// Keeps what comes from outside on its line.
struct OneLine<'a>(&'a mut BytesMut);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let from = self.0.len();
        self.0.extend_from_slice(text.as_bytes());
        for byte in &mut self.0[from..] {
            if matches!(byte, b'\r' | b'\n' | 0) {
                *byte = b' ';
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_names_the_action_it_answers() {
        let pong = Text::response("Success", Some("a2")).header("Ping", "Pong").end();

        assert_eq!(&pong[..], b"Response: Success\r\nActionID: a2\r\nPing: Pong\r\n\r\n");
    }

    #[test]
    fn a_value_from_outside_stays_on_its_line() {
        let event = Text::event("Newstate", Classes::CALL).header("Name", "a\r\n\r\nEvent: b\0");

        let bytes = event.end();

        assert_eq!(
            &bytes[..],
            b"Event: Newstate\r\nPrivilege: call,all\r\nName: a    Event: b \r\n\r\n"
        );
    }
}

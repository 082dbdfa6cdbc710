//! What Asterisk is asked for when a call is placed, whatever line it is asked on.

use std::time::Duration;

use super::Destination;

/// Rings somebody, and sends the call to the dialplan or an application once it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Originate {
    /// The channel's unique id, and the action's: what its events are recognised by.
    pub id: String,
    /// Technology and destination, such as `PJSIP/+14155550123@carrier`.
    pub channel: String,
    /// The number shown.
    pub caller_number: String,
    /// The name shown.
    pub caller_name: Option<String>,
    /// Where the answered call goes.
    pub destination: Destination,
    /// How long it may ring.
    pub ring_timeout: Duration,
    /// Channel variables, in order; Asterisk takes the first of two with the same name.
    pub variables: Vec<(String, String)>,
}

impl Originate {
    /// Who is shown, as `"Name" <number>`. Asterisk's parsers differ in how they read a quote, a
    /// backslash or an angle bracket inside the name, so those are replaced by what looks alike.
    pub fn caller_id(&self) -> String {
        let Some(name) = &self.caller_name else { return format!("<{}>", self.caller_number) };
        let alike = |letter| match letter {
            '"' => '\'',
            '\\' => '/',
            '<' => '(',
            '>' => ')',
            other => other,
        };
        let name: String = name.chars().map(alike).collect();
        format!("\"{name}\" <{}>", self.caller_number)
    }
}

/// Why this can be no variable's name, if so. A name like `FILE(/etc/passwd)` would be a dialplan
/// function, run by Asterisk.
pub fn fault_of_name(variable: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let named = !variable.is_empty() && variable.bytes().all(is_plain);
    (!named).then_some("may have letters, digits and _ in its name")
}

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

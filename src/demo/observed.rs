//! What can be seen of the simulated Asterisk from outside.

/// What happened so far; read it to wait for something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines with a login.
    pub logged_in: usize,
    /// Logins since the start.
    pub logins: u64,
    /// Refused logins since the start.
    pub refused_logins: u64,
    /// Actions read since the start, those thrown away too.
    pub actions: u64,
    /// Originates that were accepted since the start.
    pub originates: u64,
    /// Calls that are going on.
    pub in_progress: usize,
    /// Calls answered since the start.
    pub answered: u64,
    /// Calls ended since the start.
    pub ended: u64,
    /// Events lost on purpose since the start.
    pub lost_events: u64,
    /// Events of floods that are still to be sent, on all lines.
    pub flood_left: u64,
}

/// An Originate that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenOriginate {
    /// Its `ChannelId`, empty if it had none.
    pub channel_id: String,
    /// Its `Channel`, such as `PJSIP/15551230000@carrier`.
    pub dial_string: String,
    /// The number it shows, empty if none.
    pub caller_number: String,
    /// The name it shows, empty if none.
    pub caller_name: String,
    /// The variables as the channel has them.
    pub variables: Vec<(String, String)>,
}

//! Which attempt of which call a channel of Asterisk is: its unique id, which we choose.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::CallId;

/// A channel's unique id: the call's id, and `-2`, `-3`, … behind it for a later attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelId {
    /// The call.
    pub call: CallId,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// A unique id that we did not choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no channel of ours")]
pub struct NotOurs;

impl ChannelId {
    /// The channel of a call's first attempt.
    pub const fn first(call: CallId) -> Self {
        Self { call, attempt: 1 }
    }
}

impl From<CallId> for ChannelId {
    /// The first attempt's.
    fn from(call: CallId) -> Self {
        Self::first(call)
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempt {
            0 | 1 => fmt::Display::fmt(&self.call, f),
            attempt => write!(f, "{}-{attempt}", self.call),
        }
    }
}

impl FromStr for ChannelId {
    type Err = NotOurs;

    /// Takes the one form that [`ChannelId`] prints: an attempt told in another way is a stranger's.
    fn from_str(text: &str) -> Result<Self, NotOurs> {
        let (id, attempt) = text.split_at_checked(36).ok_or(NotOurs)?;
        let call = CallId(Uuid::try_parse(id).map_err(|_| NotOurs)?);
        if attempt.is_empty() {
            return Ok(Self::first(call));
        }
        let number = attempt.strip_prefix('-').filter(|number| !number.starts_with(['0', '+']));
        let attempt = number.and_then(|number| number.parse().ok()).ok_or(NotOurs)?;
        if attempt < 2 { Err(NotOurs) } else { Ok(Self { call, attempt }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01920000-0000-7000-8000-000000000001";

    #[test]
    fn each_attempt_has_an_id_of_its_own_that_is_read_back() {
        let call = CallId(ID.parse().unwrap());

        for (attempt, text) in
            [(1, ID.to_owned()), (2, format!("{ID}-2")), (12, format!("{ID}-12"))]
        {
            let channel = ChannelId { call, attempt };
            assert_eq!(channel.to_string(), text);
            assert_eq!(text.parse(), Ok(channel));
        }
    }

    #[test]
    fn what_we_did_not_choose_is_not_ours() {
        let strange = ["-1", "-0", "-02", "-+2", "-", ";2", "2", "-2;2", "-99999999999"];
        for end in strange {
            assert_eq!(format!("{ID}{end}").parse::<ChannelId>(), Err(NotOurs), "{end}");
        }
        for other in ["", "1700000000.12", "01920000", "01920000-0000-7000-8000-00000000000é"] {
            assert_eq!(other.parse::<ChannelId>(), Err(NotOurs), "{other}");
        }
    }
}

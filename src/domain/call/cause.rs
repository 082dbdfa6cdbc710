//! Why a call ended, in the numbers of ITU-T Q.850 as Asterisk uses them.

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A Q.850 cause. 0 is Asterisk's "not defined": how the call ended is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cause(pub u16);

impl Cause {
    /// Not defined.
    pub const UNKNOWN: Self = Self(0);
    /// Normal clearing.
    pub const NORMAL: Self = Self(16);
    /// User busy.
    pub const USER_BUSY: Self = Self(17);
    /// No user responding.
    pub const NO_USER_RESPONSE: Self = Self(18);
    /// User alerting, no answer.
    pub const NO_ANSWER: Self = Self(19);
    /// No circuit or channel available: congestion.
    pub const CONGESTION: Self = Self(34);
    /// Interworking, unspecified: the other side's reason has no number here.
    pub const INTERWORKING: Self = Self(127);

    /// Requested circuit or channel not available: none was free for as long as the call could wait.
    pub const NO_CHANNEL: Self = Self(44);

    /// The cause behind `OriginateResponse`'s `Reason`, for the calls whose `Hangup` says nothing:
    /// Asterisk 16 hangs an unanswered call up with cause 0.
    pub fn of_originate_reason(reason: u8) -> Self {
        match reason {
            3 => Self::NO_ANSWER,
            5 => Self::USER_BUSY,
            8 => Self::CONGESTION,
            _ => Self::UNKNOWN,
        }
    }

    /// The cause in words, as `Cause-txt` has them.
    pub fn text(self) -> &'static str {
        match self.0 {
            1 => "Unallocated (unassigned) number",
            2 => "No route to specified transmit network",
            3 => "No route to destination",
            6 => "Channel unacceptable",
            7 => "Call awarded and being delivered in an established channel",
            16 => "Normal Clearing",
            17 => "User busy",
            18 => "No user responding",
            19 => "User alerting, no answer",
            20 => "Subscriber absent",
            21 => "Call Rejected",
            22 => "Number changed",
            23 => "Redirected to new destination",
            26 => "Answered elsewhere",
            27 => "Destination out of order",
            28 => "Invalid number format",
            29 => "Facility rejected",
            30 => "Response to STATus ENQuiry",
            31 => "Normal, unspecified",
            34 => "Circuit/channel congestion",
            38 => "Network out of order",
            41 => "Temporary failure",
            42 => "Switching equipment congestion",
            43 => "Access information discarded",
            44 => "Requested channel not available",
            50 => "Facility not subscribed",
            52 => "Outgoing call barred",
            54 => "Incoming call barred",
            57 => "Bearer capability not authorized",
            58 => "Bearer capability not available",
            65 => "Bearer capability not implemented",
            66 => "Channel not implemented",
            69 => "Facility not implemented",
            81 => "Invalid call reference value",
            88 => "Incompatible destination",
            95 => "Invalid message unspecified",
            96 => "Mandatory information element is missing",
            97 => "Message type nonexist.",
            98 => "Wrong message",
            99 => "Info. element nonexist or not implemented",
            100 => "Invalid information element contents",
            101 => "Message not compatible with call state",
            102 => "Recover on timer expiry",
            103 => "Mandatory information element length error",
            111 => "Protocol error, unspecified",
            127 => "Interworking, unspecified",
            _ => "Unknown",
        }
    }
}

/// `{"code": 17, "text": "User busy"}`
impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cause = serializer.serialize_struct("Cause", 2)?;
        cause.serialize_field("code", &self.0)?;
        cause.serialize_field("text", self.text())?;
        cause.end()
    }
}

//! One line to a client: who is at its other end, and what waits to be written.

use bytes::{Bytes, BytesMut};

use super::super::text::Text;
use super::super::user::Classes;

/// What is held for a client that does not read before its line is cut, in bytes. A real
/// Asterisk holds without bound and cuts by time, which the writer does besides.
const OUTPUT_MAX: usize = 64 << 20;

/// How many events of a flood are made at once.
const FLOOD_PIECE: u64 = 64;

/// One line to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct SessionId(pub(super) u64);

/// What a session has to write.
#[derive(Debug)]
pub(in super::super) struct Output {
    /// Possibly empty.
    pub(in super::super) bytes: Bytes,
    /// Whether the line ends after it.
    pub(in super::super) close: bool,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) login: Option<Login>,
    pub(super) challenge: Option<String>,
    out: BytesMut,
    /// Events of a flood still to be made.
    flood: u64,
    pub(super) end: End,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Login {
    pub(super) hears: Classes,
    pub(super) read: Classes,
    pub(super) write: Classes,
}

/// How far a session is from its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Open,
    /// Nothing more is read; the refusal of the login is still to be said.
    Refused,
    /// It closes once everything is written.
    AfterOutput,
    /// It closes now.
    Now,
}

impl Session {
    /// A session that begins with this banner.
    pub(super) fn greeted(banner: &str) -> Self {
        Self { out: BytesMut::from(banner), ..Self::default() }
    }

    /// Everything there is to write, with a piece of the flood behind it.
    pub(super) fn take_output(&mut self) -> Output {
        let mut bytes = self.out.split();
        let piece = self.flood.min(FLOOD_PIECE);
        self.flood -= piece;
        for number in 0..piece {
            bytes.extend_from_slice(&foreign_event(self.flood + number));
        }
        Output { bytes: bytes.freeze(), close: self.end == End::AfterOutput }
    }

    /// Makes so many events of nobody's channels, a piece with each output.
    pub(super) fn flood(&mut self, events: u64) {
        self.flood += events;
    }

    /// How many of them are still to be made.
    pub(super) fn flood_left(&self) -> u64 {
        self.flood
    }

    /// Something more to write.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self.end {
            End::Open | End::Refused if self.out.len() + bytes.len() > OUTPUT_MAX => {
                self.end = End::Now;
            }
            End::Open | End::Refused => self.out.extend_from_slice(bytes),
            End::AfterOutput | End::Now => {}
        }
    }
}

/// An event of somebody else's channel.
fn foreign_event(number: u64) -> Bytes {
    let (num, name) = ("+15550001111", "Somebody Else");
    Text::event("Newstate", Classes::CALL)
        .header("Channel", format_args!("PJSIP/elsewhere-{number:08x}"))
        .header("ChannelState", 6)
        .header("ChannelStateDesc", "Up")
        .header("CallerIDNum", num)
        .header("CallerIDName", name)
        .header("ConnectedLineNum", num)
        .header("ConnectedLineName", name)
        .header("Language", "en")
        .header("AccountCode", "")
        .header("Context", "elsewhere")
        .header("Exten", "s")
        .header("Priority", 1)
        .header("Uniqueid", format_args!("1795237042.{number}"))
        .header("Linkedid", format_args!("1795237042.{number}"))
        .end()
}

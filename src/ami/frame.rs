//! One AMI message as slices of the bytes it came in.
//!
//! A frame keeps the read buffer's bytes and where each line ends; names and values are found on
//! demand. Bytes stay bytes: Asterisk passes on whatever a SIP peer or a dialplan wrote.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use nom::bytes::complete::{tag, take_while};
use nom::combinator::{opt, rest};
use nom::sequence::separated_pair;
use nom::{IResult, Parser};
use smallvec::SmallVec;

/// Ends the raw output of a `Command` in Asterisk 13 and older.
pub(super) const END_COMMAND: &[u8] = b"--END COMMAND--";

/// Where lines end, just past their line feed, counted from the frame's first byte.
pub(super) type LineEnds = SmallVec<[u32; 24]>;

/// What a message is, by its first header alone.
///
/// `OriginateResponse` is an event that carries `Response:`, and whoever may send a `UserEvent`
/// can put an `Event:` or `Response:` line into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The answer to an action.
    Response,
    /// Something that happened, or an item of a list.
    Event,
    /// What a client asks.
    Action,
    /// Anything else.
    Other,
}

impl Kind {
    /// What a message is whose first header has this name.
    pub(super) fn of(name: &[u8]) -> Self {
        let kinds =
            [("Event", Self::Event), ("Response", Self::Response), ("Action", Self::Action)];
        kinds.into_iter().find(|(word, _)| is(name, word)).map_or(Self::Other, |(_, kind)| kind)
    }
}

/// One message. Cloning it copies no text.
#[derive(Clone)]
pub struct Frame {
    bytes: Bytes,
    ends: LineEnds,
    kind: Kind,
    /// Where the value of the first header begins.
    name: usize,
    /// How many of the lines are headers: all, but for the raw output of an old `Command`.
    headers: usize,
}

impl Frame {
    /// A frame of `bytes`, whose lines end where `ends` says; at least one line.
    pub(super) fn new(bytes: Bytes, ends: LineEnds) -> Self {
        let mut frame = Self { headers: ends.len(), bytes, ends, kind: Kind::Other, name: 0 };
        let first = frame.line(0);
        let (name, value) = header(first);
        (frame.kind, frame.name) = (Kind::of(name), first.len() - value.len());
        if frame.is_raw_output() {
            let heads = |line: &&[u8]| {
                let name = header(line).0;
                ["Response", "Privilege", "ActionID"].iter().any(|head| is(name, head))
            };
            frame.headers = frame.lines().take_while(heads).count();
        }
        frame
    }

    /// What the message is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The value of the first header: `Success`, `Hangup`, `Originate`.
    pub fn name(&self) -> &[u8] {
        &self.line(0)[self.name..]
    }

    /// Whether this is the event `name`.
    pub fn is_event(&self, name: &str) -> bool {
        self.kind == Kind::Event && is(self.name(), name)
    }

    /// The first value of the header `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// [`Frame::get`] as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(String::from_utf8_lossy)
    }

    /// Every value of the header `name`, in the order they came.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.header_lines().filter_map(move |line| {
            let (head, tail) = line.split_at_checked(name.len())?;
            let value = tail.strip_prefix(b":").filter(|_| is(head, name))?;
            Some(value.strip_prefix(b" ").unwrap_or(value))
        })
    }

    /// Every header as name and value. A line without a colon is a value without a name.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.header_lines().map(header)
    }

    /// What a `Command` printed, line by line, from any age of Asterisk.
    pub fn output(&self) -> impl Iterator<Item = &[u8]> {
        let raw = self.lines().skip(self.headers).filter_map(|line| {
            line.strip_suffix(END_COMMAND).map_or(Some(line), |rest| {
                // The last line has no line feed of its own if the command printed none.
                (!rest.is_empty()).then_some(rest)
            })
        });
        self.all("Output").chain(raw)
    }

    /// The message as it came, with its end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether this is the answer to a `Command` of Asterisk 13 or older.
    fn is_raw_output(&self) -> bool {
        self.kind == Kind::Response && is(self.name(), "Follows")
    }

    fn header_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines().take(self.headers)
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.line(index))
    }

    fn line(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        without_end(&self.bytes[start..self.ends[index] as usize])
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        f.debug_list().entries(self.headers().map(|(n, v)| (text(n), text(v)))).finish()
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.lines().eq(other.lines())
    }
}

impl Eq for Frame {}

/// A line without its `\r\n` or `\n`.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a name from the wire is `name`.
pub(super) fn is(bytes: &[u8], name: &str) -> bool {
    bytes.eq_ignore_ascii_case(name.as_bytes())
}

/// A line's name and value; a line without a colon is all value.
#[inline]
pub(super) fn header(line: &[u8]) -> (&[u8], &[u8]) {
    fn parse(line: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
        let name = take_while(|byte| byte != b':');
        separated_pair(name, (tag(":"), opt(tag(" "))), rest).parse_complete(line)
    }
    parse(line).map_or((b"", line), |(_, header)| header)
}

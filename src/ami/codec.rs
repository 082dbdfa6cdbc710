//! Cuts the bytes of an AMI connection into frames, and writes messages.
//!
//! Every byte is looked at once, however the stream is split into reads: the search for line feeds
//! goes on where it stopped. Only the lines' ends are kept; what they say is read on demand.
//!
//! A message ends at an empty line, but a value may hold a bare line feed (Asterisk writes
//! `Message: No Contacts found\n\r\n\r\n`), some patched ones forget a carriage return, and old
//! ones print a command's output raw. So: `\r\n\r\n`, `\r\n\n` and `\n\n` end a message, `\n\r\n`
//! does not, and after `Response: Follows` nothing does before `--END COMMAND--`.

mod line_feeds;

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use self::line_feeds::LineFeeds;
use super::action::Message;
use super::frame::{END_COMMAND, Frame, Kind, LineEnds, header, is, without_end};

/// The longest message kept, in bytes: room for a command that prints some 15,000 lines.
pub const MAX_FRAME: usize = 1 << 20;

/// The longest greeting, in bytes.
const MAX_BANNER: usize = 1 << 10;

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// Asterisk's greeting, `Asterisk Call Manager/11.0.0`, without its line end.
    Banner(Bytes),
    /// A message.
    Frame(Frame),
    /// A message over the bound. The rest of it is skipped; the connection goes on.
    TooLong {
        /// What it was.
        kind: Kind,
        /// Whose answer or list item it was, if that was said within the bound.
        action_id: Option<Bytes>,
    },
}

/// One direction of an AMI connection, for either side of it.
#[derive(Debug)]
pub struct Codec {
    max_frame: usize,
    expect_banner: bool,
    scan: Scan,
}

/// How far the message at the start of the buffer has been looked at.
#[derive(Debug, Default)]
struct Scan {
    /// The message is over the bound; only its end is looked for.
    skipping: bool,
    /// How far the search has come. What it knows of bytes beyond a message's end, the next is told.
    feeds: LineFeeds,
    /// Just past the message, once its end is found.
    end: usize,
    /// Just past the last line feed.
    segment: usize,
    ends: LineEnds,
    ending: Ending,
    /// The last line feed followed a carriage return.
    after_crlf: bool,
    /// Inside the raw output of an old `Command`.
    raw: bool,
    /// Bytes of the current segment were thrown away while skipping.
    cut: bool,
}

/// How this message ends its lines: decided by its first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Ending {
    #[default]
    Unknown,
    CrLf,
    Lf,
}

/// What a look at the buffer told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// More bytes are needed.
    Nothing,
    /// The message ends at `Scan::end`.
    End,
    /// The message is longer than allowed, and so far without an end.
    TooLong,
}

impl Codec {
    /// For the side that Asterisk greets.
    pub fn client() -> Self {
        Self { expect_banner: true, ..Self::server() }
    }

    /// For the side of Asterisk.
    pub fn server() -> Self {
        let scan = Scan::default();
        Self { max_frame: MAX_FRAME, expect_banner: false, scan }
    }

    /// Sets the longest message kept, in bytes, its end included.
    #[must_use]
    pub fn with_max_frame(self, max_frame: usize) -> Self {
        Self { max_frame, ..self }
    }

    #[cold]
    fn decode_banner(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Incoming>> {
        let end = memchr::memchr(b'\n', buffer);
        if end.unwrap_or(buffer.len()) > MAX_BANNER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no AMI greeting came"));
        }
        let Some(end) = end else { return Ok(None) };
        self.expect_banner = false;
        if memchr::memchr(b':', &buffer[..end]).is_some() {
            // A message at once; the greeting is a courtesy.
            return self.decode(buffer);
        }
        let line = buffer.split_to(end + 1).freeze();
        let length = without_end(&line).len();
        Ok(Some(Incoming::Banner(line.slice(..length))))
    }

    /// Cuts off the message that ends at `Scan::end`.
    #[inline(never)]
    fn cut(&mut self, buffer: &mut BytesMut) -> Frame {
        let feeds = self.scan.feeds.after(self.scan.end);
        let scan = std::mem::replace(&mut self.scan, Scan { feeds, ..Scan::default() });
        Frame::new(buffer.split_to(scan.end).freeze(), scan.ends)
    }

    /// Throws away what has come of a message over the bound; whether it has ended.
    #[cold]
    fn skip(&mut self, buffer: &mut BytesMut) -> bool {
        match self.scan.find_end(buffer, usize::MAX) {
            Found::End => {
                buffer.advance(self.scan.end);
                let feeds = self.scan.feeds.after(self.scan.end);
                self.scan = Scan { feeds, ..Scan::default() };
                true
            }
            Found::Nothing | Found::TooLong => {
                self.scan.forget(buffer);
                false
            }
        }
    }

    #[cold]
    fn too_long(&mut self, buffer: &BytesMut) -> Incoming {
        self.scan.skipping = true;
        let mut start = 0;
        let mut kind = Kind::Other;
        let mut action_id = None;
        for end in self.scan.ends.drain(..).map(|end| end as usize) {
            let (name, value) = header(without_end(&buffer[start..end]));
            if start == 0 {
                kind = Kind::of(name);
            }
            if action_id.is_none() && is(name, "ActionID") {
                action_id = Some(Bytes::copy_from_slice(value));
            }
            start = end;
        }
        Incoming::TooLong { kind, action_id }
    }
}

impl Scan {
    /// Goes on to the message's end, or to the end of the buffer.
    fn find_end(&mut self, buffer: &[u8], max: usize) -> Found {
        // What nearly every line is: it ends as those before it, is not empty and no raw output.
        let mut plain = self.is_plain();
        while let Some(at) = self.feeds.next(buffer) {
            if at >= max {
                self.feeds = LineFeeds::from(at);
                return Found::TooLong;
            }
            if plain && at > self.segment + 1 && buffer[at - 1] == b'\r' {
                self.ends.push(offset(at + 1));
                self.after_crlf = true;
                self.segment = at + 1;
                continue;
            }
            if self.ends_at(buffer, at) {
                self.end = at + 1;
                return Found::End;
            }
            plain = self.is_plain();
        }
        if buffer.len() > max { Found::TooLong } else { Found::Nothing }
    }

    fn is_plain(&self) -> bool {
        self.ending == Ending::CrLf && !self.raw && !self.skipping
    }

    /// Takes in the line feed at `at`; whether the message ends with it.
    fn ends_at(&mut self, buffer: &[u8], at: usize) -> bool {
        let segment = &buffer[self.segment..at];
        let crlf = segment.last() == Some(&b'\r');
        let blank = !self.cut && segment.len() == usize::from(crlf);
        if blank && !self.raw {
            if !crlf || self.after_crlf {
                // The last line may still be open, if it was thought to hold a bare line feed.
                let open = self.ends.last().is_some_and(|end| *end as usize != self.segment);
                if open {
                    self.ends.push(offset(self.segment));
                }
                return true;
            }
            if self.ending == Ending::Lf {
                // `\n\r\n`: the line feed belonged to the value.
                self.ends.pop();
            }
        }
        if self.ending == Ending::Unknown {
            self.ending = if crlf { Ending::CrLf } else { Ending::Lf };
            self.raw = !self.skipping && begins_raw_output(segment);
        } else if self.raw && without_end(segment).ends_with(END_COMMAND) {
            self.raw = false;
        }
        if crlf || self.raw || self.ending == Ending::Lf {
            self.ends.push(offset(at + 1));
        }
        self.after_crlf = crlf;
        self.segment = at + 1;
        self.cut = false;
        false
    }

    /// Throws away what is not needed to find the end of a message that is skipped.
    fn forget(&mut self, buffer: &mut BytesMut) {
        self.ends.clear();
        let keep = (buffer.len() - self.segment).min(END_COMMAND.len() + 1);
        let drop = buffer.len() - keep;
        self.cut |= drop > self.segment;
        self.segment = self.segment.saturating_sub(drop);
        buffer.advance(drop);
        self.feeds = LineFeeds::from(buffer.len());
    }
}

/// Whether a first line is that of an old `Command`'s answer, whose output comes raw.
fn begins_raw_output(line: &[u8]) -> bool {
    let (name, value) = header(without_end(line));
    value.len() == "Follows".len() && is(value, "Follows") && Kind::of(name) == Kind::Response
}

/// An offset into a message, which is never longer than [`Codec::with_max_frame`] allows.
fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("messages are far shorter than 4 GiB")
}

impl Decoder for Codec {
    type Item = Incoming;
    type Error = io::Error;

    /// Cuts off the next message.
    ///
    /// # Errors
    /// Only if a greeting is expected and what comes cannot be one.
    #[inline]
    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Incoming>> {
        if self.expect_banner {
            return self.decode_banner(buffer);
        }
        if self.scan.skipping && !self.skip(buffer) {
            return Ok(None);
        }
        if self.scan.segment == 0 {
            skip_blank_lines(buffer, &mut self.scan.feeds);
        }
        match self.scan.find_end(buffer, self.max_frame) {
            Found::Nothing => Ok(None),
            Found::TooLong => Ok(Some(self.too_long(buffer))),
            Found::End => Ok(Some(Incoming::Frame(self.cut(buffer)))),
        }
    }
}

/// Empty lines may stand between messages.
fn skip_blank_lines(buffer: &mut BytesMut, feeds: &mut LineFeeds) {
    loop {
        let blank = match &buffer[..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return,
        };
        buffer.advance(blank);
        *feeds = feeds.after(blank);
    }
}

impl Encoder<Message> for Codec {
    type Error = io::Error;

    fn encode(&mut self, message: Message, buffer: &mut BytesMut) -> io::Result<()> {
        message.write_to(buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

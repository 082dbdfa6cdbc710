//! A body as lines, read no further than they are asked for.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use bytes::{Buf, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{CALLS_MAX, LINE_MAX};
use crate::http::problem::{Code, Limit, Problem};
use crate::http::request::too_large;

/// How many lines a body may have, empty ones included.
const LINES_MAX: u32 = 2 * CALLS_MAX;

/// How long the sender may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How much is still read of a body of which nothing more is taken, in bytes: a sender that is
/// still writing would not read the answer.
const DROPPED_MAX: usize = 16 * 1024 * 1024;

/// Reads a body line by line.
pub(super) struct Lines {
    body: BodyDataStream,
    /// What came and was not asked for yet.
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of a line.
    searched: usize,
    /// Whether the buffer begins within a line that was too long.
    skipping: bool,
    /// The lines so far, and how many of them were not empty.
    number: u32,
    calls: u32,
    progress: Progress,
    stopping: CancellationToken,
}

/// One line that is not empty, with its number, from 1.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u32,
    /// The line, or why it cannot be had.
    pub(super) text: Result<Bytes, Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Reading,
    /// The body is at its end; the last line may be in the buffer.
    AtEnd,
    /// Nothing more is taken. The rest is still to be dropped.
    GivenUp,
    Over,
}

impl Lines {
    /// The lines of this body, until it ends or the daemon stops.
    pub(super) fn of(body: Body, stopping: CancellationToken) -> Self {
        Self {
            body: body.into_data_stream(),
            buffer: BytesMut::new(),
            searched: 0,
            skipping: false,
            number: 0,
            calls: 0,
            progress: Progress::Reading,
            stopping,
        }
    }

    /// The next line; none after the last. A body that breaks off, has too many lines or comes too
    /// slowly ends with a line that says so; what it began and did not end is not given.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            match self.progress {
                Progress::Over => return None,
                Progress::GivenUp => {
                    self.progress = Progress::Over;
                    self.drop_the_rest().await;
                    return None;
                }
                Progress::Reading | Progress::AtEnd => {}
            }
            if let Some(text) = self.take_line() {
                if let Some(line) = self.judge(text) {
                    return Some(line);
                }
                continue;
            }
            if self.buffer.len() > LINE_MAX {
                let first = !std::mem::replace(&mut self.skipping, true);
                self.buffer.clear();
                self.searched = 0;
                if first {
                    self.number += 1;
                    self.calls += 1;
                    return Some(self.refused(too_long()));
                }
            }
            if self.progress == Progress::AtEnd {
                self.progress = Progress::Over;
                return None;
            }
            if let Err(problem) = self.fill().await {
                self.progress = Progress::GivenUp;
                self.number += 1;
                return Some(self.refused(problem));
            }
        }
    }

    /// The next line of the buffer, its end included; at the end of the body, what is left.
    fn take_line(&mut self) -> Option<Bytes> {
        let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
        let end = match found {
            Some(place) => self.searched + place + 1,
            None if self.progress == Progress::AtEnd && !self.buffer.is_empty() => {
                self.buffer.len()
            }
            None => {
                self.searched = self.buffer.len();
                return None;
            }
        };
        self.searched = 0;
        Some(self.buffer.split_to(end).freeze())
    }

    /// What is to be done with a line; none where it is empty, or the rest of one that was too long.
    fn judge(&mut self, mut text: Bytes) -> Option<Line> {
        if std::mem::replace(&mut self.skipping, false) {
            return None;
        }
        self.number += 1;
        let trimmed = text.trim_ascii();
        let (before, length) = (text.len() - text.trim_ascii_start().len(), trimmed.len());
        self.calls += u32::from(length > 0);
        if self.calls > CALLS_MAX || self.number > LINES_MAX {
            self.progress = Progress::GivenUp;
            return Some(self.refused(too_many()));
        }
        if length == 0 {
            return None;
        }
        if length > LINE_MAX {
            return Some(self.refused(too_long()));
        }
        text.advance(before);
        text.truncate(length);
        Some(Line { number: self.number, text: Ok(text) })
    }

    async fn fill(&mut self) -> Result<(), Problem> {
        let piece = tokio::select! {
            piece = timeout(SILENCE_MAX, self.body.next()) => piece,
            () = self.stopping.cancelled() => {
                let detail = "Rotary is stopping; neither this line nor any after it was read";
                return Err(Problem::new(Code::Stopping, detail));
            }
        };
        match piece {
            Ok(Some(Ok(bytes))) => self.buffer.extend_from_slice(&bytes),
            Ok(Some(Err(why))) => {
                return Err(Problem::new(Code::InvalidBody, format!("The body broke off: {why}")));
            }
            Ok(None) => self.progress = Progress::AtEnd,
            Err(_) => {
                let detail = format!("No line came for {} s", SILENCE_MAX.as_secs());
                return Err(Problem::new(Code::BodyTimeout, detail));
            }
        }
        Ok(())
    }

    fn refused(&self, problem: Problem) -> Line {
        Line { number: self.number, text: Err(problem) }
    }

    async fn drop_the_rest(&mut self) {
        let mut length = 0;
        while length < DROPPED_MAX
            && let Ok(Some(Ok(bytes))) = timeout(SILENCE_MAX, self.body.next()).await
        {
            length += bytes.len();
        }
    }
}

fn too_long() -> Problem {
    too_large(LINE_MAX).saying(format!("A line may have {LINE_MAX} bytes"))
}

fn too_many() -> Problem {
    let (current, max) = (u64::from(CALLS_MAX) + 1, u64::from(CALLS_MAX));
    let detail = format!(
        "A batch may have {CALLS_MAX} calls, and as many empty lines; neither this line nor any after it was read"
    );
    Problem::new(Code::BodyTooLarge, detail).over(Limit { name: "batch_calls", current, max })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn lines_are_numbered_as_they_stand_and_empty_ones_passed_over() {
        let lines = read(["a\r\n\n  b  \nlast"]).await;

        assert_eq!(lines, [(1, Ok("a")), (3, Ok("b")), (4, Ok("last"))].map(owned));
    }

    #[tokio::test]
    async fn a_line_may_come_in_pieces() {
        let lines = read(["a", "b", "c\nd", "\n"]).await;

        assert_eq!(lines, [(1, Ok("abc")), (2, Ok("d"))].map(owned));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_and_the_next_is_read() {
        let long = "x".repeat(LINE_MAX + 1);
        let (in_one_piece, half) = (format!("{long}\nb\n"), "x".repeat(LINE_MAX));

        for pieces in [vec![in_one_piece.as_str()], vec![&half, &half, &half, "\nb\n"]] {
            let lines = read(pieces).await;
            assert_eq!(lines, [(1, Err(Code::BodyTooLarge)), (2, Ok("b"))].map(owned));
        }
    }

    #[tokio::test]
    async fn the_longest_line_is_taken() {
        let line = "x".repeat(LINE_MAX);

        assert_eq!(read([format!("{line}\r\n").as_str()]).await, [owned((1, Ok(&line)))]);
    }

    #[tokio::test]
    async fn more_calls_than_a_batch_may_have_are_not_read() {
        let body = "a\n\n".repeat(CALLS_MAX as usize) + "b\nc\n";

        let lines = read([body.as_str()]).await;

        assert_eq!(lines.len(), CALLS_MAX as usize + 1);
        assert_eq!(lines.last(), Some(&owned((2 * CALLS_MAX + 1, Err(Code::BodyTooLarge)))));
        let empty = "\n".repeat(LINES_MAX as usize + 5);
        assert_eq!(read([empty.as_str()]).await.len(), 1);
    }

    #[tokio::test]
    async fn what_a_broken_body_did_not_end_is_not_given() {
        let pieces = [Ok(Bytes::from_static(b"a\nhalf")), Err(std::io::Error::other("gone"))];
        let body = Body::from_stream(stream::iter(pieces));

        let lines = all(Lines::of(body, CancellationToken::new())).await;

        assert_eq!(lines, [(1, Ok("a")), (2, Err(Code::InvalidBody))].map(owned));
    }

    #[tokio::test]
    async fn a_daemon_that_stops_reads_no_more() {
        let stopping = CancellationToken::new();
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"a\n"))]);
        let mut lines =
            Lines::of(Body::from_stream(first.chain(stream::pending())), stopping.clone());
        assert!(lines.next().await.unwrap().text.is_ok());

        stopping.cancel();

        let last = lines.next().await.unwrap();
        assert_eq!((last.number, last.text.unwrap_err().code()), (2, Code::Stopping));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_falls_silent_is_given_up() {
        let silent = stream::pending::<Result<Bytes, Infallible>>();
        let mut lines = Lines::of(Body::from_stream(silent), CancellationToken::new());

        let last = lines.next().await.unwrap();

        assert_eq!(last.text.unwrap_err().code(), Code::BodyTimeout);
    }

    type Read = (u32, Result<String, Code>);

    fn owned((number, text): (u32, Result<&str, Code>)) -> Read {
        (number, text.map(str::to_owned))
    }

    async fn read<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<Read> {
        let pieces: Vec<Result<Bytes, Infallible>> =
            pieces.into_iter().map(|piece| Ok(Bytes::from(piece.to_owned()))).collect();
        let body = Body::from_stream(stream::iter(pieces));
        all(Lines::of(body, CancellationToken::new())).await
    }

    async fn all(mut lines: Lines) -> Vec<Read> {
        let mut read = Vec::new();
        while let Some(line) = lines.next().await {
            let text = line.text.map(|text| String::from_utf8(text.to_vec()).unwrap());
            read.push((line.number, text.map_err(|problem| problem.code())));
        }
        read
    }
}

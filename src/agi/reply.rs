//! What Asterisk answers a command.

use super::take_line;

/// The longest line, in bytes: a value of 1,023 and what stands around it, several times over.
const LINE_MAX: usize = 8192;

/// The most lines that the explanation of a command may have.
const USAGE_MAX: usize = 1000;

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `200`: it was done, with this result. -1 where the channel hung up meanwhile.
    Done(i64),
    /// `510`: Asterisk knows no such command.
    Unknown,
    /// `511`: not on a channel that has hung up.
    Dead,
    /// `520`: not in this form.
    Misused,
}

/// What is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Something without an end.
    #[error("a reply without an end")]
    TooLong,
    /// Something else.
    #[error("a line that is no reply")]
    Strange,
}

/// Reads replies out of whatever pieces they come in.
#[derive(Debug, Default)]
pub struct ReplyReader {
    buffer: Vec<u8>,
    seen: usize,
    /// How many lines of an explanation were read; none outside of one.
    usage: Option<usize>,
    hung_up: bool,
}

impl ReplyReader {
    /// Takes in what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether Asterisk said that the channel hung up.
    pub fn hung_up(&self) -> bool {
        self.hung_up
    }

    /// The next reply; none until more has come.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        while let Some(line) = take_line(&mut self.buffer, &mut self.seen) {
            if let Some(reply) = self.take(&line)? {
                return Ok(Some(reply));
            }
        }
        match self.buffer.len() > LINE_MAX {
            true => Err(ReplyError::TooLong),
            false => Ok(None),
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        if line == b"HANGUP" {
            self.hung_up = true;
            return Ok(None);
        }
        if let Some(lines) = self.usage {
            if line.starts_with(b"520 ") {
                self.usage = None;
                return Ok(Some(Reply::Misused));
            }
            self.usage = Some(lines + 1);
            return if lines < USAGE_MAX { Ok(None) } else { Err(ReplyError::TooLong) };
        }
        match line.split_at_checked(4) {
            Some((b"200 ", rest)) => result(rest).map(|result| {
                self.hung_up |= result == -1;
                Some(Reply::Done(result))
            }),
            // `100 result=0 Trying...` goes before the reply.
            Some((b"100 ", _)) => Ok(None),
            Some((b"510 ", _)) => Ok(Some(Reply::Unknown)),
            Some((b"511 ", _)) => Ok(Some(Reply::Dead)),
            Some((b"520 ", _)) => Ok(Some(Reply::Misused)),
            Some((b"520-", _)) => {
                self.usage = Some(0);
                Ok(None)
            }
            Some(_) | None => Err(ReplyError::Strange),
        }
    }
}

/// The number after `result=`; a value in brackets may follow.
fn result(rest: &[u8]) -> Result<i64, ReplyError> {
    let number = rest.strip_prefix(b"result=").ok_or(ReplyError::Strange)?;
    let number = number.split(|byte| *byte == b' ').next().unwrap_or(number);
    let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
    number.ok_or(ReplyError::Strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str = include_str!("../../tests/fixtures/agi/commands.replies");
    const USAGES: &str = include_str!("../../tests/fixtures/agi/usages.replies");

    #[test]
    fn every_captured_reply_is_read_in_whatever_pieces_it_comes() {
        let (whole, hung_up) = read(CAPTURED.as_bytes(), usize::MAX);

        assert_eq!(whole.len(), 38, "{whole:?}");
        let count = |wanted: &Reply| whole.iter().filter(|reply| *reply == wanted).count();
        assert_eq!(count(&Reply::Unknown), 1);
        assert_eq!(count(&Reply::Dead), 1);
        assert_eq!(count(&Reply::Misused), 1);
        assert_eq!(count(&Reply::Done(-2)), 1);
        assert!(hung_up);
        for size in [1, 3, 64] {
            assert_eq!(read(CAPTURED.as_bytes(), size), (whole.clone(), true), "pieces of {size}");
        }
    }

    #[test]
    fn an_explanation_of_several_lines_is_one_reply() {
        let (replies, _) = read(USAGES.as_bytes(), 5);

        let misused = Reply::Misused;
        assert_eq!(replies, [misused.clone(), misused.clone(), misused, Reply::Done(0)]);
    }

    #[test]
    fn a_hangup_may_stand_anywhere() {
        let text =
            "HANGUP\n520-Usage:\nHANGUP\nx\n520 End of proper usage.\nHANGUP\n200 result=1 (a)b)\n";

        let (replies, hung_up) = read(text.as_bytes(), usize::MAX);

        assert_eq!(replies, [Reply::Misused, Reply::Done(1)]);
        assert!(hung_up);
        assert!(read(b"200 result=-1\n", 99).1);
        assert!(!read(b"200 result=1 (HANGUP)\n", 99).1);
    }

    #[test]
    fn what_is_no_reply_is_told() {
        for strange in ["\n", "hello\n", "200 ok\n", "200 result=\n", "99\n"] {
            let mut reader = ReplyReader::default();
            reader.push(strange.as_bytes());
            assert_eq!(reader.next_reply(), Err(ReplyError::Strange), "{strange:?}");
        }
        let mut reader = ReplyReader::default();
        reader.push(&[b'x'; LINE_MAX + 1]);
        assert_eq!(reader.next_reply(), Err(ReplyError::TooLong));
        let mut reader = ReplyReader::default();
        reader.push(format!("520-Usage:\n{}", "x\n".repeat(USAGE_MAX + 1)).as_bytes());
        assert_eq!(reader.next_reply(), Err(ReplyError::TooLong));
    }

    fn read(bytes: &[u8], size: usize) -> (Vec<Reply>, bool) {
        let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
        for piece in bytes.chunks(size) {
            reader.push(piece);
            while let Some(reply) = reader.next_reply().unwrap() {
                replies.push(reply);
            }
        }
        (replies, reader.hung_up())
    }
}

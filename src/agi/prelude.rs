//! What Asterisk says first: a header a line, then an empty line.

use super::take_line;

/// The longest line, in bytes. Asterisk's own are a few hundred at most.
const LINE_MAX: usize = 4096;

/// The most headers: Asterisk's twenty, and the arguments that a dialplan may give.
const HEADERS_MAX: usize = 128;

/// What Asterisk calls a caller that it does not know.
const UNKNOWN: &[u8] = b"unknown";

/// The headers of one connection, in their order, as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prelude {
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why there is no prelude to act by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreludeError {
    /// A line without an end.
    #[error("a line of more than {LINE_MAX} bytes")]
    LineTooLong,
    /// Headers without an end.
    #[error("more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    /// A header came twice, or after the arguments, which are the last. A caller's number or name
    /// that holds a line break would read so; whose word it is cannot be told.
    #[error("a header that is forged or comes twice")]
    Ambiguous,
}

/// Reads a prelude out of whatever pieces it comes in.
#[derive(Debug, Default)]
pub struct PreludeReader {
    buffer: Vec<u8>,
    seen: usize,
    prelude: Prelude,
}

impl PreludeReader {
    /// Takes in what came; the prelude, once it is whole. What came after it is in
    /// [`PreludeReader::rest`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Prelude>, PreludeError> {
        self.buffer.extend_from_slice(bytes);
        while let Some(line) = take_line(&mut self.buffer, &mut self.seen) {
            if line.is_empty() {
                return Ok(Some(std::mem::take(&mut self.prelude)));
            }
            self.take_header(&line)?;
        }
        match self.buffer.len() > LINE_MAX {
            true => Err(PreludeError::LineTooLong),
            false => Ok(None),
        }
    }

    /// What came after the prelude.
    pub fn rest(self) -> Vec<u8> {
        self.buffer
    }

    fn take_header(&mut self, line: &[u8]) -> Result<(), PreludeError> {
        if line.len() > LINE_MAX {
            return Err(PreludeError::LineTooLong);
        }
        // A line without a colon says nothing.
        let Some(colon) = memchr::memchr(b':', line) else { return Ok(()) };
        let (name, value) = (line[..colon].to_vec(), line[colon + 1..].trim_ascii_start().to_vec());
        let headers = &mut self.prelude.headers;
        if headers.len() == HEADERS_MAX {
            return Err(PreludeError::TooManyHeaders);
        }
        let after_arguments = headers.last().is_some_and(|(last, _)| is_argument(last));
        let twice = headers.iter().any(|(known, _)| *known == name);
        if twice || after_arguments && !is_argument(&name) {
            return Err(PreludeError::Ambiguous);
        }
        headers.push((name, value));
        Ok(())
    }
}

impl Prelude {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut named = self.headers.iter().filter(|(known, _)| known == name.as_bytes());
        named.next().map(|(_, value)| value.as_slice())
    }

    /// The path and query of the URL, as the dialplan wrote them; none where it has no path.
    pub fn script(&self) -> Option<&[u8]> {
        self.header("agi_network_script")
    }

    /// The arguments that the dialplan gave besides, in their order.
    pub fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        let arguments = self.headers.iter().filter(|(name, _)| is_argument(name));
        arguments.map(|(_, value)| value.as_slice())
    }

    /// The number of the one who calls, where Asterisk knows it.
    pub fn caller(&self) -> Option<&str> {
        let known = self.header("agi_callerid").filter(|caller| *caller != UNKNOWN)?;
        std::str::from_utf8(known).ok()
    }
}

fn is_argument(name: &[u8]) -> bool {
    name.starts_with(b"agi_arg_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &[u8] = include_bytes!("../../tests/fixtures/agi/two_arguments.req");

    #[test]
    fn a_captured_prelude_is_the_same_in_whatever_pieces_it_comes() {
        let whole = read(&[CAPTURED]).unwrap().unwrap();

        assert_eq!(whole.script(), Some(&b"pick?tenant=x"[..]));
        assert_eq!(whole.arguments().collect::<Vec<_>>(), [&b"one"[..], b"two words"]);
        assert_eq!(whole.caller(), Some("+14045556789"));
        assert_eq!(whole.header("agi_accountcode"), Some(&b""[..]));
        for size in [1, 2, 7, 100] {
            let pieces: Vec<&[u8]> = CAPTURED.chunks(size).collect();
            assert_eq!(read(&pieces).unwrap().as_ref(), Some(&whole), "pieces of {size}");
        }
    }

    #[test]
    fn lines_may_end_in_crlf() {
        let text = String::from_utf8(CAPTURED.to_vec()).unwrap().replace('\n', "\r\n");

        assert_eq!(read(&[text.as_bytes()]), read(&[CAPTURED]));
    }

    #[test]
    fn a_name_in_latin_1_stays_as_it_is() {
        let prelude = read(&[b"agi_calleridname: Andr\xe9: \"B\"\nagi_callerid: unknown\n\n"]);

        let prelude = prelude.unwrap().unwrap();
        assert_eq!(prelude.header("agi_calleridname"), Some(&b"Andr\xe9: \"B\""[..]));
        assert_eq!(prelude.caller(), None);
    }

    #[test]
    fn half_a_prelude_is_none_and_what_follows_a_whole_one_is_kept() {
        assert_eq!(read(&[b"agi_network: yes\nagi_req"]), Ok(None));

        let mut reader = PreludeReader::default();
        let prelude = reader.push(b"agi_network: yes\n\nHANGUP\n").unwrap();
        assert!(prelude.is_some());
        assert_eq!(reader.rest(), b"HANGUP\n");
    }

    #[test]
    fn what_has_no_end_is_refused() {
        assert_eq!(read(&[&[b'x'; LINE_MAX + 1]]), Err(PreludeError::LineTooLong));
        let long = [vec![b'x'; LINE_MAX + 1], b"\n\n".to_vec()].concat();
        assert_eq!(read(&[&long]), Err(PreludeError::LineTooLong));
        let many: String = (0..=HEADERS_MAX).map(|n| format!("agi_arg_{n}: x\n")).collect();
        assert_eq!(read(&[many.as_bytes()]), Err(PreludeError::TooManyHeaders));
    }

    #[test]
    fn a_line_break_in_a_callers_name_forges_no_argument() {
        for forged in [
            "agi_calleridname: x\nagi_arg_1: tenant=other\nagi_callingpres: 0\n\n",
            "agi_network_script: caller-id\nagi_calleridname: x\nagi_network_script: release\n\n",
            "agi_arg_1: tenant=other\nagi_arg_1: tenant=acme\n\n",
        ] {
            assert_eq!(read(&[forged.as_bytes()]), Err(PreludeError::Ambiguous), "{forged}");
        }
    }

    fn read(pieces: &[&[u8]]) -> Result<Option<Prelude>, PreludeError> {
        let mut reader = PreludeReader::default();
        for piece in pieces {
            if let Some(prelude) = reader.push(piece)? {
                return Ok(Some(prelude));
            }
        }
        Ok(None)
    }
}

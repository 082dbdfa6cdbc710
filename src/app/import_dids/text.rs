//! The bytes of a file as UTF-8, whatever the program that saved it had in mind.
//!
//! UTF-8 goes through as it is. UTF-16 is known by its mark, or by the NUL that every other byte of
//! its beginning is. What is neither is not guessed at: its rows are found not to be UTF-8.

use std::mem;

use bytes::{Bytes, BytesMut};
use encoding_rs::{Decoder, DecoderResult, UTF_16BE, UTF_16LE};

/// How much of a file is looked at for its encoding, in bytes: the `number` of a header and more.
const LOOK: usize = 12;

/// A byte that no UTF-8 has, in place of what is no text, so that its row is refused.
const NO_TEXT: u8 = 0xff;

/// Reads one file.
pub(super) enum Text {
    /// Too little has come to say what it is.
    Unknown(BytesMut),
    Utf8,
    Utf16(Box<Decoder>),
}

impl Text {
    pub(super) fn new() -> Self {
        Self::Unknown(BytesMut::new())
    }

    /// The next bytes as UTF-8; empty while it is not known what they are.
    pub(super) fn take(&mut self, bytes: Bytes) -> Bytes {
        match self {
            Self::Utf8 => bytes,
            Self::Utf16(decoder) => decode(decoder, &bytes, false),
            Self::Unknown(beginning) => {
                beginning.extend_from_slice(&bytes);
                if beginning.len() < LOOK {
                    return Bytes::new();
                }
                self.decide()
            }
        }
    }

    /// What is left when no more bytes come.
    pub(super) fn finish(&mut self) -> Bytes {
        let known = match self {
            Self::Unknown(_) => self.decide(),
            Self::Utf8 | Self::Utf16(_) => Bytes::new(),
        };
        match self {
            Self::Utf16(decoder) => {
                let rest = decode(decoder, &[], true);
                [known, rest].concat().into()
            }
            Self::Utf8 | Self::Unknown(_) => known,
        }
    }

    fn decide(&mut self) -> Bytes {
        let Self::Unknown(beginning) = self else { return Bytes::new() };
        let beginning = mem::take(beginning).freeze();
        let (utf16, mark) = match beginning.as_ref() {
            [0xef, 0xbb, 0xbf, ..] => (None, 3),
            [0xff, 0xfe, ..] => (Some(UTF_16LE), 2),
            [0xfe, 0xff, ..] => (Some(UTF_16BE), 2),
            bytes if nul_is_every(bytes, 1) => (Some(UTF_16LE), 0),
            bytes if nul_is_every(bytes, 0) => (Some(UTF_16BE), 0),
            _ => (None, 0),
        };
        let beginning = beginning.slice(mark..);
        *self = match utf16 {
            None => Self::Utf8,
            Some(encoding) => Self::Utf16(Box::new(encoding.new_decoder_without_bom_handling())),
        };
        self.take(beginning)
    }
}

/// Whether every other byte, from this one on, is a NUL and no byte between them is.
fn nul_is_every(bytes: &[u8], first: usize) -> bool {
    let looked_at = bytes.get(..bytes.len().min(LOOK) & !1).unwrap_or_default();
    let fits = |(place, byte): (usize, &u8)| (*byte == 0) == (place % 2 == first);
    looked_at.len() >= 4 && looked_at.iter().enumerate().all(fits)
}

fn decode(decoder: &mut Decoder, mut bytes: &[u8], last: bool) -> Bytes {
    let mut text = Vec::new();
    loop {
        let start = text.len();
        let most = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
        text.resize(start + most.unwrap_or(bytes.len() * 2 + 8), 0);
        let (result, read, wrote) =
            decoder.decode_to_utf8_without_replacement(bytes, &mut text[start..], last);
        text.truncate(start + wrote);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return text.into(),
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => text.push(NO_TEXT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_save_a_text_reads_the_same() {
        let text = "number,notes\n+14045556789,caf\u{e9} \u{1f4de}\n";
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe", little.as_slice()].concat(),
            [b"\xfe\xff", big.as_slice()].concat(),
            little,
            big,
        ] {
            for piece in [1, 3, bytes.len()] {
                assert_eq!(read(&bytes, piece), text.as_bytes(), "{bytes:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_file_of_a_few_bytes_is_read() {
        for short in ["", "n", "ab", "\u{feff}"] {
            assert_eq!(read(short.as_bytes(), 1), short.trim_matches('\u{feff}').as_bytes());
        }
    }

    #[test]
    fn half_a_character_is_no_text() {
        let lone = b"\xff\xfen\0u\0m\0b\0e\0r\0\n\0\x3d\xd8\n\0";

        assert_eq!(read(lone, 1), b"number\n\xff\n");
        assert_eq!(read(b"\xff\xfen\0u\0m\0b\0e\0r\0\n", 99), b"number\xff");
    }

    #[test]
    fn a_nul_alone_makes_no_utf_16() {
        assert_eq!(read(b"number\nab\0c\n", 99), b"number\nab\0c\n");
    }

    fn read(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut text = Text::new();
        let pieces = bytes.chunks(piece).map(Bytes::copy_from_slice);
        let mut read: Vec<u8> = pieces.flat_map(|piece| text.take(piece)).collect();
        read.extend(text.finish());
        read
    }
}

//! Whatever comes, and however it is split, the codec finds the same messages and keeps to its bound.
//!
//! The first byte says how long the reads are, the rest is the stream, so that captures are seeds as
//! they are. New finds go into the first folder:
//!
//! ```text
//! cargo fuzz run codec fuzz/corpus/codec fuzz/seeds/codec tests/fixtures/ami -- \
//!     -max_len=4096 -dict=fuzz/codec.dict
//! ```
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rotary::ami::codec::{Codec, Incoming};
use tokio_util::codec::Decoder;

const MAX_FRAME: usize = 512;

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = decode(bytes, bytes.len().max(1));
    let pieces = decode(bytes, usize::from(step).max(1));
    assert_eq!(whole, pieces);
    for incoming in &whole {
        if let Incoming::Frame(frame) = incoming {
            assert!(frame.as_bytes().len() <= MAX_FRAME);
            // Reading must not panic either.
            let _ = (frame.kind(), frame.name(), frame.get("ActionID"));
            assert!(frame.headers().count() >= 1);
            let _ = frame.output().count();
        }
    }
});

fn decode(bytes: &[u8], step: usize) -> Vec<Incoming> {
    let mut codec = Codec::server().with_max_frame(MAX_FRAME);
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        while let Some(incoming) = codec.decode(&mut buffer).expect("no greeting is expected") {
            found.push(incoming);
        }
    }
    found
}

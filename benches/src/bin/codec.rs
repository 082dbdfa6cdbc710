//! Codec throughput on 105 MB of events, beside a bare search for line feeds in the same bytes and
//! beside asterisk-rs 0.8. Prints `name | value | baseline | ratio`, in MB/s.
//!
//! What is compared runs in turns, and the best of its rounds counts: other work on the machine
//! then falls on all alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

use asterisk_rs_ami::codec::AmiCodec;
use bytes::BytesMut;
use rotary::ami::codec::{Codec, Incoming};
use rotary::ami::frame::Frame;
use tokio_util::codec::Decoder;

const CAPTURE: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/120_calls_interleaved_with_lists_and_pings.s2c");
const READS: [usize; 6] = [64, 256, 1 << 10, 8 << 10, 32 << 10, 64 << 10];
const ROUNDS: usize = 7;

fn main() {
    let greeting = memchr::memchr(b'\n', CAPTURE).map_or(0, |end| end + 1);
    let stream = &CAPTURE[greeting..].repeat(107)[..];
    let name = |frame: &Frame| {
        black_box(frame.name());
    };

    for read in READS {
        let [ours, theirs, scan, copy] = rates(
            stream,
            [
                &|| decode(stream, read, name),
                &|| decode_theirs(stream, read),
                &|| search(stream),
                &|| copy(stream, read),
            ],
        );
        // The copy out of the kernel is no work of the codec's.
        let alone = 1.0 / (1.0 / ours - 1.0 / copy);
        row(&format!("codec, {read}-byte reads, beside asterisk-rs 0.8"), ours, theirs);
        row(&format!("codec, {read}-byte reads, beside memchr"), ours, scan);
        row(&format!("codec less the copy, {read}-byte reads, beside memchr"), alone, scan);
    }

    let flat: [&dyn Fn(); 4] = [
        &|| decode(stream, 64, name),
        &|| decode(stream, 64 << 10, name),
        &|| copy(stream, 64),
        &|| copy(stream, 64 << 10),
    ];
    let [small, large, small_copy, large_copy] = rates(stream, flat);
    let less = |rate: f64, copy: f64| 1.0 / (1.0 / rate - 1.0 / copy);
    row("codec, 64-byte reads beside 64 KiB reads", small, large);
    row(
        "codec less the copy, 64-byte reads beside 64 KiB reads",
        less(small, small_copy),
        less(large, large_copy),
    );

    let two = |frame: &Frame| {
        black_box((frame.get("Uniqueid"), frame.get("ActionID")));
    };
    let all = |frame: &Frame| {
        for header in frame.headers() {
            black_box(header);
        }
    };
    let [two, all, theirs] = rates(
        stream,
        [&|| decode(stream, 8 << 10, two), &|| decode(stream, 8 << 10, all), &|| {
            decode_theirs(stream, 8 << 10)
        }],
    );
    row("codec and two headers of each message, beside asterisk-rs 0.8", two, theirs);
    row("codec and every header of each message, beside asterisk-rs 0.8", all, theirs);
}

fn row(name: &str, value: f64, baseline: f64) {
    println!("{name} | {value:.0} | {baseline:.0} | {:.2}", value / baseline);
}

/// Megabytes per second of each, run in turns.
fn rates<const N: usize>(stream: &[u8], works: [&dyn Fn(); N]) -> [f64; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (work, best) in works.iter().zip(&mut best) {
            let start = Instant::now();
            work();
            *best = start.elapsed().min(*best);
        }
    }
    best.map(|time| stream.len() as f64 / 1e6 / time.as_secs_f64())
}

fn search(stream: &[u8]) {
    for feed in memchr::memchr_iter(b'\n', stream) {
        black_box(feed);
    }
}

fn decode(stream: &[u8], read: usize, look: impl Fn(&Frame)) {
    let mut codec = Codec::server();
    let mut buffer = BytesMut::new();
    for bytes in stream.chunks(read) {
        take(&mut buffer, bytes);
        while let Some(incoming) = codec.decode(&mut buffer).expect("the capture is well formed") {
            if let Incoming::Frame(frame) = &incoming {
                look(frame);
            }
        }
    }
}

fn decode_theirs(stream: &[u8], read: usize) {
    let mut codec = AmiCodec::new();
    let mut buffer = BytesMut::new();
    let stream = [b"Asterisk Call Manager/11.0.0\r\n", stream];
    for bytes in stream.into_iter().flat_map(|part| part.chunks(read)) {
        take(&mut buffer, bytes);
        while let Some(message) = codec.decode(&mut buffer).expect("the capture is well formed") {
            black_box(message);
        }
    }
}

fn copy(stream: &[u8], read: usize) {
    let mut buffer = BytesMut::new();
    for bytes in stream.chunks(read) {
        take(&mut buffer, bytes);
        if buffer.len() >= 512 {
            black_box(buffer.split());
        }
    }
}

/// As a connection does: room for a large read, however little comes.
fn take(buffer: &mut BytesMut, bytes: &[u8]) {
    if buffer.capacity() - buffer.len() < bytes.len() {
        buffer.reserve(64 << 10);
    }
    buffer.extend_from_slice(bytes);
}

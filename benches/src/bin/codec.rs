//! Codec throughput on 105 MB of events, beside a bare search for line feeds in the same bytes and
//! beside asterisk-rs 0.8. Prints `name | value | baseline | ratio`; best of three runs each.

use std::hint::black_box;
use std::time::Instant;

use asterisk_rs_ami::codec::AmiCodec;
use bytes::BytesMut;
use rotary::ami::codec::{Codec, Incoming};
use tokio_util::codec::Decoder;

const CAPTURE: &[u8] = include_bytes!(
    "../../../tests/fixtures/ami/120_calls_interleaved_with_lists_and_pings.s2c"
);
const READS: [usize; 6] = [64, 256, 1024, 8 << 10, 32 << 10, 64 << 10];

fn main() {
    let greeting = memchr::memchr(b'\n', CAPTURE).map_or(0, |end| end + 1);
    let stream = CAPTURE[greeting..].repeat(107);
    println!("name | value | baseline | ratio");

    let scan = rate(&stream, || {
        black_box(memchr::memchr_iter(b'\n', &stream).count());
    });
    println!("memchr over every line feed (MB/s) | {scan:.0} | - | -");

    let mut slowest = f64::MAX;
    let mut fastest: f64 = 0.0;
    for read in READS {
        let ours = rate(&stream, || decode(&stream, read, |frame| {
            black_box(frame.name());
        }));
        let theirs = rate(&stream, || decode_theirs(&stream, read));
        slowest = slowest.min(ours);
        fastest = fastest.max(ours);
        println!("codec, {read}-byte reads (MB/s; baseline asterisk-rs 0.8) | {ours:.0} | {theirs:.0} | {:.1}", ours / theirs);
        println!("codec, {read}-byte reads (MB/s; baseline memchr) | {ours:.0} | {scan:.0} | {:.2}", ours / scan);
    }
    println!("codec, slowest read size beside fastest (MB/s) | {slowest:.0} | {fastest:.0} | {:.2}", slowest / fastest);

    let read = rate(&stream, || decode(&stream, 8 << 10, |frame| {
        black_box(frame.get("Uniqueid"));
        black_box(frame.get("ActionID"));
    }));
    let all = rate(&stream, || decode(&stream, 8 << 10, |frame| {
        for header in frame.headers() {
            black_box(header);
        }
    }));
    let theirs = rate(&stream, || decode_theirs(&stream, 8 << 10));
    println!("codec and two headers of each message (MB/s; baseline asterisk-rs 0.8) | {read:.0} | {theirs:.0} | {:.1}", read / theirs);
    println!("codec and every header of each message (MB/s; baseline asterisk-rs 0.8) | {all:.0} | {theirs:.0} | {:.1}", all / theirs);
}

fn decode(stream: &[u8], read: usize, mut look: impl FnMut(&rotary::ami::frame::Frame)) {
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

/// As a connection does: room for a large read, however little comes.
fn take(buffer: &mut BytesMut, bytes: &[u8]) {
    if buffer.capacity() - buffer.len() < bytes.len() {
        buffer.reserve(64 << 10);
    }
    buffer.extend_from_slice(bytes);
}

/// Megabytes per second, the best of three.
fn rate(stream: &[u8], mut work: impl FnMut()) -> f64 {
    let seconds = (0..3).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    });
    stream.len() as f64 / 1e6 / seconds.fold(f64::MAX, f64::min)
}

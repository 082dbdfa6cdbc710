//! Codec throughput on 105 MB of events, beside a bare search for line feeds in the same bytes and
//! beside asterisk-rs 0.8. Prints `name | value | baseline | ratio`; best of three runs each.

use std::hint::black_box;
use std::time::Instant;

use asterisk_rs_ami::codec::AmiCodec;
use bytes::BytesMut;
use rotary::ami::codec::{Codec, Incoming};
use tokio_util::codec::Decoder;

const CAPTURE: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/120_calls_interleaved_with_lists_and_pings.s2c");
const READS: [usize; 6] = [64, 256, 1024, 8 << 10, 32 << 10, 64 << 10];

fn main() {
    let greeting = memchr::memchr(b'\n', CAPTURE).map_or(0, |end| end + 1);
    let stream = CAPTURE[greeting..].repeat(107);
    println!("name | value | baseline | ratio");

    let scan = rate(&stream, || {
        for feed in memchr::memchr_iter(b'\n', &stream) {
            black_box(feed);
        }
    });
    println!("memchr over every line feed (MB/s) | {scan:.0} | - | -");

    let (mut with_copy, mut without_copy) = (Vec::new(), Vec::new());
    for read in READS {
        let ours = rate(&stream, || {
            decode(&stream, read, |frame| {
                black_box(frame.name());
            })
        });
        let theirs = rate(&stream, || decode_theirs(&stream, read));
        // The copy out of the kernel is no work of the codec's, and in small reads it is half of all.
        let copy = rate(&stream, || copy(&stream, read));
        let alone = 1.0 / (1.0 / ours - 1.0 / copy);
        with_copy.push(ours);
        without_copy.push(alone);
        println!(
            "codec without the copy, {read}-byte reads (MB/s; baseline memchr) | {alone:.0} | {scan:.0} | {:.2}",
            alone / scan
        );
        println!(
            "codec, {read}-byte reads (MB/s; baseline asterisk-rs 0.8) | {ours:.0} | {theirs:.0} | {:.1}",
            ours / theirs
        );
        println!(
            "codec, {read}-byte reads (MB/s; baseline memchr) | {ours:.0} | {scan:.0} | {:.2}",
            ours / scan
        );
    }
    for (name, rates) in [("with", with_copy), ("without", without_copy)] {
        let (first, last) = (rates[0], rates[READS.len() - 1]);
        println!(
            "codec {name} the copy, 64-byte reads (MB/s; baseline 64 KiB reads) | {first:.0} | {last:.0} | {:.2}",
            first / last
        );
    }

    let read = rate(&stream, || {
        decode(&stream, 8 << 10, |frame| {
            black_box(frame.get("Uniqueid"));
            black_box(frame.get("ActionID"));
        })
    });
    let all = rate(&stream, || {
        decode(&stream, 8 << 10, |frame| {
            for header in frame.headers() {
                black_box(header);
            }
        })
    });
    let theirs = rate(&stream, || decode_theirs(&stream, 8 << 10));
    println!(
        "codec and two headers of each message (MB/s; baseline asterisk-rs 0.8) | {read:.0} | {theirs:.0} | {:.1}",
        read / theirs
    );
    println!(
        "codec and every header of each message (MB/s; baseline asterisk-rs 0.8) | {all:.0} | {theirs:.0} | {:.1}",
        all / theirs
    );
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

fn copy(stream: &[u8], read: usize) {
    let mut buffer = BytesMut::new();
    for bytes in stream.chunks(read) {
        take(&mut buffer, bytes);
        if buffer.len() >= 512 {
            black_box(buffer.split().freeze());
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

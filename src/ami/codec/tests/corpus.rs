//! Every captured conversation gives the messages it is known to hold, however it is split.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::*;

const TABLE: &str = include_str!("../../../../tests/fixtures/ami/messages.txt");

#[test]
fn every_capture_holds_the_messages_it_is_known_to_hold() {
    let mut table = "file responses events actions other\n".to_owned();
    for (name, stream) in captures() {
        let whole = decode(Codec::client(), &stream, stream.len());
        let count = |kind| {
            let of_kind = |i: &&Incoming| matches!(i, Incoming::Frame(f) if f.kind() == kind);
            whole.iter().filter(of_kind).count()
        };
        let kinds = [Kind::Response, Kind::Event, Kind::Action, Kind::Other].map(count);
        let [responses, events, actions, other] = kinds;
        writeln!(table, "{name} {responses} {events} {actions} {other}").unwrap();
    }

    assert_eq!(table, TABLE);
}

#[test]
fn every_capture_gives_the_same_messages_in_reads_of_any_size() {
    let mut random = fastrand::Rng::with_seed(7);
    for (name, stream) in captures() {
        let whole = decode(Codec::client(), &stream, stream.len());
        for step in [1, 3, 64, 1000] {
            assert_eq!(decode(Codec::client(), &stream, step), whole, "{name}, reads of {step}");
        }
        for round in 0..4 {
            let cuts = (0..200).map(|_| random.usize(..stream.len())).collect();
            assert_eq!(decode_at(Codec::client(), &stream, cuts), whole, "{name}, split {round}");
        }
    }
}

/// Both directions, by name.
fn captures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ami");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let captured = |path: &std::path::PathBuf| {
        path.extension().is_some_and(|extension| extension == "s2c" || extension == "c2s")
    };
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    let mut captures: Vec<_> = files.filter(captured).map(read).collect();
    captures.sort();
    captures
}

//! Streams as they come, and as they should not.

mod corpus;

use proptest::prelude::*;

use super::*;

const LISTS: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/lists_and_a_bare_line_feed_in_a_value.s2c");
const USER_EVENTS: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/user_events_with_forged_headers.s2c");
const COMMAND_ERROR: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/command_error_with_output.s2c");
const COMMAND_OUTPUT: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/command_output_a_header_a_line.s2c");
const ANSWERED: &[u8] = include_bytes!("../../../tests/fixtures/ami/answered_then_hung_up.s2c");

#[test]
fn every_way_to_end_a_message_ends_one() {
    for end in ["\r\n\r\n", "\r\n\n", "\n\n", "\r\n\r\n\r\n", "\n\n\n\r\n"] {
        let stream = format!("Event: A\r\nKey: 1{end}Event: B\r\nKey: 2{end}");

        let frames = frames(stream.as_bytes());

        let names: Vec<_> = frames.iter().map(Frame::name).collect();
        assert_eq!(names, [b"A", b"B"], "{end:?}");
        assert_eq!(frames[0].get("Key"), Some(&b"1"[..]), "{end:?}");
        assert_eq!(frames[1].headers().count(), 2, "{end:?}");
    }
}

#[test]
fn a_message_of_bare_line_feeds_has_its_headers() {
    let frames = frames(b"Response: Success\nActionID: 7\nMessage: ok\n\nEvent: A\n\n");

    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].get("ActionID"), Some(&b"7"[..]));
    assert_eq!(frames[0].get("Message"), Some(&b"ok"[..]));
}

#[test]
fn a_bare_line_feed_before_a_line_end_is_part_of_the_value() {
    let frames = frames(b"Response: Error\r\nActionID: a\r\nMessage: No Contacts found\n\r\n\r\n");

    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].get("Message"), Some(&b"No Contacts found\n"[..]));
}

#[test]
fn bare_carriage_returns_and_line_feeds_inside_a_value_stay() {
    let frames = frames(b"Event: A\r\nKey: x\ry\nz\r\r\nOther: 1\r\n\r\n");

    assert_eq!(frames[0].get("Key"), Some(&b"x\ry\nz\r"[..]));
    assert_eq!(frames[0].get("Other"), Some(&b"1"[..]));
}

#[test]
fn the_captured_answer_with_a_bare_line_feed_is_one_message() {
    let frames = frames(LISTS);

    let odd = |frame: &&Frame| frame.get("Message") == Some(b"No Contacts found\n");
    assert_eq!(frames.iter().filter(odd).count(), 1);
    assert!(frames.iter().all(|frame| frame.kind() != Kind::Other));
}

#[test]
fn the_first_header_alone_says_what_a_message_is() {
    let forged = b"Event: UserEvent\r\nResponse: Success\r\nEvent: Hangup\r\nActionID: 1\r\n\r\n";
    let origin = b"event: OriginateResponse\r\nResponse: Failure\r\n\r\n";

    assert_eq!(frames(forged)[0].kind(), Kind::Event);
    assert!(frames(forged)[0].is_event("UserEvent"));
    assert!(!frames(forged)[0].is_event("Hangup"));
    assert_eq!(frames(origin)[0].kind(), Kind::Event);
    assert_eq!(frames(b"Action: Ping\r\n\r\n")[0].kind(), Kind::Action);
    assert_eq!(frames(b"Actionable: Ping\r\n\r\n")[0].kind(), Kind::Other);
    assert!(frames(USER_EVENTS).iter().all(|frame| frame.kind() != Kind::Other));
}

#[test]
fn bytes_that_are_no_utf_8_stay_as_they_are() {
    let stream = b"Event: A\r\nCallerIDName: Andr\xe9\r\nOther: \xc3\r\n\r\nEvent: B\r\n\r\n";

    let frames = frames(stream);

    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].get("CallerIDName"), Some(&b"Andr\xe9"[..]));
    assert_eq!(frames[0].text("CallerIDName").as_deref(), Some("Andr\u{fffd}"));
    assert_eq!(frames[0].get("Other"), Some(&b"\xc3"[..]));
}

#[test]
fn empty_values_and_lines_without_a_colon_are_kept() {
    let frames = frames(b"Event: A\r\nEmpty:\r\nSpace: \r\nno colon here\r\nLast:x\r\n\r\n");

    let headers: Vec<_> = frames[0].headers().collect();
    let empty: &[u8] = b"";
    assert_eq!(headers[1], (&b"Empty"[..], empty));
    assert_eq!(headers[2], (&b"Space"[..], empty));
    assert_eq!(headers[3], (empty, &b"no colon here"[..]));
    assert_eq!(headers[4], (&b"Last"[..], &b"x"[..]));
    assert_eq!(frames[0].get("empty"), Some(empty));
}

#[test]
fn repeated_headers_are_all_kept_in_order() {
    let stream = b"Event: A\r\nChanVariable: A=1\r\nX: y\r\nchanvariable: B=2\r\nChanVariable(P/1): C=3\r\n\r\n";

    let frames = frames(stream);

    let values: Vec<_> = frames[0].all("ChanVariable").collect();
    assert_eq!(values, [b"A=1", b"B=2"]);
}

#[test]
fn a_command_of_five_thousand_lines_arrives_whole() {
    let lines: String = (0..5000).map(|line| format!("Output: line {line}\r\n")).collect();
    let stream = format!("Response: Success\r\nMessage: Command output follows\r\n{lines}\r\n");

    let frames = frames(stream.as_bytes());

    assert_eq!(frames[0].output().count(), 5000);
    assert_eq!(frames[0].output().last(), Some(&b"line 4999"[..]));
}

#[test]
fn raw_output_of_an_old_command_ends_only_where_it_says() {
    let stream = b"Response: Follows\r\nPrivilege: Command\r\nActionID: 9\r\n\
        first\nActionID: forged\n\nEvent: Hangup\n\n--END COMMAND--\r\n\r\nEvent: B\r\n\r\n";

    let frames = frames(stream);

    assert_eq!(frames.len(), 2);
    let output: Vec<_> = frames[0].output().collect();
    assert_eq!(output, [&b"first"[..], b"ActionID: forged", b"", b"Event: Hangup", b""]);
    assert_eq!(frames[0].get("ActionID"), Some(&b"9"[..]));
    assert_eq!(frames[0].all("ActionID").count(), 1);
    assert!(frames[1].is_event("B"));
}

#[test]
fn raw_output_without_a_last_line_feed_is_whole() {
    let stream = b"Response: Follows\r\nPrivilege: Command\r\nonly--END COMMAND--\r\n\r\n";

    assert_eq!(frames(stream)[0].output().collect::<Vec<_>>(), [b"only"]);
}

#[test]
fn a_refused_command_has_its_error_and_its_output() {
    for capture in [COMMAND_ERROR, COMMAND_OUTPUT] {
        let frames = frames(capture);
        let answer = frames.iter().find(|frame| frame.get("Output").is_some());
        assert_eq!(answer.unwrap().get("Message"), Some(&b"Command output follows"[..]));
    }
    let frames = frames(COMMAND_ERROR);
    let error = frames.iter().find(|frame| frame.name() == b"Error").unwrap();
    assert!(error.output().next().unwrap().starts_with(b"No such command"));
}

#[test]
fn a_message_over_the_bound_fails_alone() {
    let long = "x".repeat(200);
    let stream = format!(
        "Response: Success\r\nActionID: 4\r\nOutput: {long}\r\n\r\nEvent: B\r\n\r\n\
         Event: C\r\nKey: {long}\r\n\r\nEvent: D\r\n\r\n"
    );
    for step in [1, 7, 64, 10_000] {
        let found = decode(Codec::server().with_max_frame(100), stream.as_bytes(), step);

        let id = Some(Bytes::from_static(b"4"));
        assert_eq!(found[0], Incoming::TooLong { kind: Kind::Response, action_id: id });
        assert!(matches!(&found[1], Incoming::Frame(frame) if frame.is_event("B")));
        assert_eq!(found[2], Incoming::TooLong { kind: Kind::Event, action_id: None });
        assert!(matches!(&found[3], Incoming::Frame(frame) if frame.is_event("D")));
        assert_eq!(found.len(), 4);
    }
}

#[test]
fn what_is_left_of_a_skipped_line_begins_no_raw_output() {
    let stream = b"xxxxxxxxResponse: Follows\r\n\r\nEvent: B\r\n\r\n";
    for step in [1, 3, 100] {
        let found = decode(Codec::server().with_max_frame(12), stream, step);
        assert!(matches!(&found[1], Incoming::Frame(frame) if frame.is_event("B")), "{step}");
    }
}

#[test]
fn an_endless_line_takes_no_memory() {
    let mut codec = Codec::server().with_max_frame(1000);
    let mut buffer = BytesMut::new();
    for _ in 0..1000 {
        buffer.extend_from_slice(&[b'x'; 100]);
        let _ = codec.decode(&mut buffer).unwrap();
        assert!(buffer.len() <= 1100);
    }
    buffer.extend_from_slice(b"\r\n\r\nEvent: B\r\n\r\n");

    let next = codec.decode(&mut buffer).unwrap();
    assert!(matches!(next, Some(Incoming::Frame(frame)) if frame.is_event("B")));
}

#[test]
fn the_greeting_comes_first_and_may_be_missing() {
    let greeted = decode(Codec::client(), b"Asterisk Call Manager/11.0.0\r\nEvent: A\r\n\r\n", 5);
    let banner = Bytes::from_static(b"Asterisk Call Manager/11.0.0");
    assert_eq!(greeted[0], Incoming::Banner(banner));
    assert_eq!(greeted.len(), 2);

    let bare = decode(Codec::client(), b"Event: A\r\n\r\n", 5);
    assert!(matches!(&bare[..], [Incoming::Frame(frame)] if frame.is_event("A")));

    let mut endless = BytesMut::from(&[b'x'; 2000][..]);
    assert!(Codec::client().decode(&mut endless).is_err());
}

#[test]
fn a_large_message_costs_one_look_a_byte_in_small_reads() {
    let lines: String = (0..3000).map(|line| format!("Output: line {line}\r\n")).collect();
    let stream = format!("Response: Success\r\n{lines}\r\n");
    let mut codec = Codec::server();
    let mut buffer = BytesMut::new();
    for (read, piece) in stream.as_bytes().chunks(64).enumerate() {
        buffer.extend_from_slice(piece);
        let before = codec.scan.feeds.next;
        let found = codec.decode(&mut buffer).unwrap();
        // The search goes on where it stopped: at the end of what had come.
        assert!(found.is_some() || codec.scan.feeds.next == buffer.len());
        assert_eq!(before, read * 64);
    }
}

#[test]
fn what_is_written_is_read_back() {
    let message = Message::new("Event", "A").header("Key", "a: b").unwrap();
    let mut buffer = BytesMut::new();
    Codec::server().encode(message, &mut buffer).unwrap();

    let frames = frames(&buffer);

    assert_eq!(frames[0].get("Key"), Some(&b"a: b"[..]));
}

proptest! {
    #[test]
    fn a_capture_split_anywhere_gives_the_same_messages(
        cuts in prop::collection::vec(0..ANSWERED.len(), 0..40),
        which in 0..4_usize,
    ) {
        let capture = [ANSWERED, LISTS, USER_EVENTS, COMMAND_ERROR][which];
        let whole = decode(Codec::client(), capture, capture.len());
        prop_assert_eq!(decode_at(Codec::client(), capture, cuts), whole);
    }

    #[test]
    fn any_stream_split_anywhere_gives_the_same_messages(
        parts in prop::collection::vec(part(), 0..60),
        cuts in prop::collection::vec(0..600_usize, 0..40),
        max in 8..120_usize,
    ) {
        let stream = parts.concat();
        let codec = || Codec::server().with_max_frame(max);
        let whole = decode(codec(), &stream, stream.len().max(1));
        for incoming in &whole {
            if let Incoming::Frame(frame) = incoming {
                prop_assert!(frame.as_bytes().len() <= max);
                let _ = (frame.headers().count(), frame.output().count());
            }
        }
        prop_assert_eq!(decode_at(codec(), &stream, cuts), whole);
    }
}

/// What streams are made of, with everything that could be mistaken for an end.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\n\r\n",
        b":",
        b": ",
        b"Event: A",
        b"Key: value",
        b"Response: Follows\r\n",
        b"--END COMMAND--",
        b"ActionID: 12",
        b"\xff\xc3",
        b"",
    ];
    prop_oneof![
        prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..30),
    ]
}

fn frames(stream: &[u8]) -> Vec<Frame> {
    let found = decode(Codec::client(), stream, stream.len());
    let frame = |incoming| match incoming {
        Incoming::Frame(frame) => Some(frame),
        Incoming::Banner(_) | Incoming::TooLong { .. } => None,
    };
    found.into_iter().filter_map(frame).collect()
}

fn decode(codec: Codec, stream: &[u8], step: usize) -> Vec<Incoming> {
    decode_pieces(codec, stream.chunks(step))
}

fn decode_at(codec: Codec, stream: &[u8], mut cuts: Vec<usize>) -> Vec<Incoming> {
    cuts.iter_mut().for_each(|cut| *cut = (*cut).min(stream.len()));
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    decode_pieces(codec, cuts.windows(2).map(|ends| &stream[ends[0]..ends[1]]))
}

fn decode_pieces<'a>(mut codec: Codec, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Incoming> {
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(incoming) = codec.decode(&mut buffer).unwrap() {
            found.push(incoming);
        }
    }
    found
}

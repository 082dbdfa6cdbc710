//! What captured calls report.

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::ami::codec::{Codec, Incoming};

use uuid::Uuid;

use crate::domain::call::CallId;

use super::*;

const BUSY: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/busy_has_reason_0_and_cause_17.s2c");
const CONGESTION: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/congestion_has_reason_0_and_cause_34.s2c");
const ANSWERED: &[u8] = include_bytes!("../../../tests/fixtures/ami/answered_then_hung_up.s2c");
const UNANSWERED: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/unanswered_without_a_channel_id.s2c");
const LOCAL: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/local_channel_with_two_halves.s2c");

const OURS: ChannelId = ours(7);

#[test]
fn a_captured_busy_callee_ends_with_its_cause() {
    let reports = reports_of(BUSY, "cap-f486");

    let end = Report::HungUp { cause: 17, sip_code: Some(486) };
    assert!(reports.contains(&end));
    assert!(reports.contains(&Report::OriginateFailed { reason: 0 }));
    assert!(!reports.contains(&Report::Answered));
}

#[test]
fn captured_congestion_is_not_busy() {
    let reports = reports_of(CONGESTION, "cap-f503");

    let end = Report::HungUp { cause: 34, sip_code: Some(503) };
    assert!(reports.contains(&end));
}

#[test]
fn a_captured_answered_call_rings_is_answered_and_ends() {
    let reports = reports_of(ANSWERED, "cap-1");

    let first = |wanted: &dyn Fn(&Report) -> bool| reports.iter().position(wanted).unwrap();
    let rings = first(&|report| *report == Report::Ringing);
    let answered = first(&|report| *report == Report::Answered);
    let ends = first(&|report| matches!(report, Report::HungUp { .. }));
    assert!(rings < answered && answered < ends);
    assert_eq!(ends, reports.len() - 1);
}

#[test]
fn a_captured_unanswered_call_rings_and_ends() {
    let reports = reports_of(UNANSWERED, "1795237042.13");

    assert_eq!(reports[0], Report::Ringing);
    assert!(reports.contains(&Report::HungUp { cause: 19, sip_code: Some(480) }));
}

#[test]
fn the_second_half_of_a_local_channel_is_not_ours() {
    // Asterisk puts `;2` behind the id of the second half when the first was given one.
    let text = str::from_utf8(LOCAL).unwrap().replace("1795237075.22", "1795237075.21;2");
    let reports = reports_of(text.as_bytes(), "1795237075.21");

    let ends = reports.iter().filter(|report| matches!(report, Report::HungUp { .. }));
    assert_eq!(ends.count(), 1);
}

#[test]
fn calls_of_others_and_what_they_dial_are_not_ours() {
    let events = [
        "Event: Hangup\r\nUniqueid: 1795237042.13\r\nCause: 17\r\n\r\n".to_owned(),
        format!("Event: Hangup\r\nUniqueid: {OURS};2\r\nCause: 17\r\n\r\n"),
        // Our answered call dials somebody: their answer is not ours.
        format!(
            "Event: DialEnd\r\nUniqueid: {OURS}\r\nDestUniqueid: 1.2\r\nDialStatus: ANSWER\r\n\r\n"
        ),
        format!("Event: UserEvent\r\nUniqueid: {OURS}\r\nEvent: Hangup\r\nCause: 17\r\n\r\n"),
        format!("Response: Success\r\nEvent: Hangup\r\nUniqueid: {OURS}\r\n\r\n"),
    ];
    for event in events {
        assert_eq!(frames(event.as_bytes()).iter().find_map(read), None, "{event}");
    }
}

#[test]
fn an_originate_response_is_known_by_its_action_id() {
    let event = format!(
        "Event: OriginateResponse\r\nActionID: {OURS}\r\nResponse: Failure\r\nReason: 3\r\n\
         Uniqueid: <null>\r\n\r\n"
    );
    let report = Report::OriginateFailed { reason: 3 };

    assert_eq!(read(&frames(event.as_bytes())[0]), Some((OURS, report)));
}

/// What a capture says of the channel `id`, as if we had chosen that id.
fn reports_of(capture: &[u8], id: &str) -> Vec<Report> {
    let text = str::from_utf8(capture).unwrap().replace(id, &OURS.to_string());
    let found = frames(text.as_bytes());
    let reports = found.iter().filter_map(read);
    reports
        .map(|(call, report)| {
            assert_eq!(call, OURS);
            report
        })
        .collect()
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let (mut codec, mut buffer) = (Codec::client(), BytesMut::from(bytes));
    let mut found = Vec::new();
    while let Some(incoming) = codec.decode(&mut buffer).unwrap() {
        if let Incoming::Frame(frame) = incoming {
            found.push(frame);
        }
    }
    found
}

const fn ours(call: u128) -> ChannelId {
    ChannelId { call: CallId(Uuid::from_u128(call)), attempt: 1 }
}

//! Calls recorded from real Asterisks, each of their channels taken as a call of ours: each comes to
//! the right end, whatever order its events come in and whichever are lost.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use rotary::ami::codec::{Codec, Incoming};
use rotary::ami::frame::Frame;
use rotary::ami::report;
use rotary::domain::call::{
    Call, CallId, CallRequest, CallStatus, Destination, PlacedBy, Report, SETTLE,
};
use rotary::domain::did::{DidId, TrunkName};
use rotary::domain::tenant::TenantId;
use serde_json::Value;
use tokio_util::codec::Decoder;
use uuid::Uuid;

/// The most reports of one call that the stories below mix up.
const MOST: usize = 32;

/// What was reported of the channels of one recording, in its order, and the channels.
struct Recording {
    name: String,
    channels: Vec<CallId>,
    reports: Vec<(CallId, Report)>,
}

#[test]
fn every_channel_of_a_recorded_call_ends_as_it_did() {
    let mut table = "file completed busy no-answer failed\n".to_owned();
    for recording in recorded_elsewhere() {
        let ends = ends(&recording);
        let of = |status| ends.iter().filter(|(_, end)| *end == status).count();
        let [completed, busy, unanswered, failed] =
            [CallStatus::Completed, CallStatus::Busy, CallStatus::NoAnswer, CallStatus::Failed]
                .map(of);
        assert_eq!(completed + busy + unanswered + failed, ends.len(), "{}", recording.name);
        table += &format!("{} {completed} {busy} {unanswered} {failed}\n", recording.name);
    }

    assert_eq!(table, fs::read_to_string(folder("recorded-calls").join("ends.txt")).unwrap());
}

#[test]
fn every_captured_call_of_ours_ends_as_its_callee_was_told_to() {
    let ends = |name: &str| {
        let stream = fs::read(folder(name)).unwrap();
        let recording = recording(name, frames(&stream));
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, end) in self::ends(&recording) {
            *ends.entry(end.as_str()).or_default() += 1;
        }
        ends.into_iter().collect::<Vec<_>>()
    };

    assert_eq!(ends("ami/answered_then_hung_up.s2c"), [("completed", 1)]);
    assert_eq!(ends("ami/busy_has_reason_0_and_cause_17.s2c"), [("busy", 1)]);
    assert_eq!(ends("ami/congestion_has_reason_0_and_cause_34.s2c"), [("failed", 1)]);
    assert_eq!(ends("ami/unanswered_without_a_channel_id.s2c"), [("no-answer", 1)]);
    // The caller's half goes without a cause, and no reason names it where no id was chosen.
    assert_eq!(ends("ami/local_channel_with_two_halves.s2c"), [("busy", 1), ("failed", 1)]);
    assert_eq!(ends("simulator/486.s2c"), [("busy", 1)]);
    assert_eq!(ends("simulator/404.s2c"), [("failed", 1)]);
    let many = ends("ami/120_calls_interleaved_with_lists_and_pings.s2c");
    assert_eq!(many.iter().map(|(_, count)| count).sum::<usize>(), 120, "{many:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_call_ends_once_whatever_comes_late_twice_or_never(
        which in any::<usize>(),
        window in 1_usize..12,
        late in vec(0_usize..12, MOST),
        copies in vec(0_usize..4, MOST),
        pauses in vec(0_i64..4_000, 4 * MOST),
    ) {
        let stories = stories();
        let told = &stories[which % stories.len()];
        let places = 0..told.len().min(MOST);
        let mut order: Vec<usize> = places.collect();
        order.sort_by_key(|place| place + late[*place] % window);
        let heard = order.iter().flat_map(|place| vec![told[*place]; copies[*place]]);

        lives_and_ends_once(heard.collect(), &pauses);
    }
}

/// Tells a call these reports, with these pauses between them in milliseconds, and then that
/// Asterisk no longer has it.
fn lives_and_ends_once(heard: Vec<Report>, pauses: &[i64]) {
    let mut call = call(CallId(Uuid::from_u128(1)), at(0));
    let mut watch = Watch::of(&call);
    let mut now = at(0);
    for (report, pause) in heard.iter().zip(pauses) {
        now += TimeDelta::milliseconds(*pause);
        while call.next_timeout().is_some_and(|due| due <= now) {
            let due = call.next_timeout().unwrap();
            watch.saw(call.handle_timeout(due), &call);
        }
        watch.saw(call.handle_report(*report, now), &call);
    }
    call.handle_missing(now);
    let due = call.next_timeout();
    if let Some(due) = due {
        assert!(due <= now + SETTLE, "it is followed for ever");
        watch.saw(call.handle_timeout(due), &call);
    }
    watch.saw(call.handle_report(Report::HungUp { cause: 16, sip_code: None }, now), &call);

    assert_eq!(watch.ends, 1, "{heard:?}: {call:?}");
    let answered = heard.iter().position(|report| *report == Report::Answered);
    let completed = call.progress.status == CallStatus::Completed;
    assert_eq!(completed, call.progress.answered_at.is_some(), "{heard:?}");
    assert!(!completed || answered.is_some(), "{heard:?}: nobody answered");
}

/// Sees that a call only ever goes forward.
struct Watch {
    before: Call,
    ends: usize,
}

impl Watch {
    fn of(call: &Call) -> Self {
        Self { before: call.clone(), ends: 0 }
    }

    fn saw(&mut self, moved: bool, call: &Call) {
        let (was, is) = (&self.before.progress, &call.progress);
        assert_eq!(moved, was.status != is.status, "{was:?} to {is:?}");
        assert!(rank(was.status) <= rank(is.status), "{was:?} to {is:?}");
        if was.status.is_end() {
            assert_eq!(was, is, "it has ended");
        } else if is.status.is_end() {
            self.ends += 1;
        }
        let (before, steps) = (was.steps(), is.steps());
        assert!(steps.starts_with(&before), "{before:?} to {steps:?}");
        assert!(steps.is_sorted_by_key(|(_, at)| *at), "{steps:?}");
        assert!(steps.is_sorted_by(|(one, _), (other, _)| rank(*one) < rank(*other)), "{steps:?}");
        self.before = call.clone();
    }
}

fn rank(status: CallStatus) -> u8 {
    match status {
        CallStatus::Queued => 0,
        CallStatus::Initiated => 1,
        CallStatus::Ringing => 2,
        CallStatus::InProgress => 3,
        CallStatus::Completed
        | CallStatus::Busy
        | CallStatus::NoAnswer
        | CallStatus::Canceled
        | CallStatus::Failed => 4,
    }
}

/// What was reported of each channel of all recordings; those of which nothing was are left out.
fn stories() -> &'static [Vec<Report>] {
    static STORIES: std::sync::OnceLock<Vec<Vec<Report>>> = std::sync::OnceLock::new();
    STORIES.get_or_init(|| {
        let mut recordings = recorded_elsewhere();
        let many = "ami/120_calls_interleaved_with_lists_and_pings.s2c";
        recordings.push(recording(many, frames(&fs::read(folder(many)).unwrap())));
        let mut stories = Vec::new();
        for recording in recordings {
            let mut calls: BTreeMap<CallId, Vec<Report>> = BTreeMap::new();
            for (call, report) in recording.reports {
                calls.entry(call).or_default().push(report);
            }
            stories.extend(calls.into_values());
        }
        assert!(stories.len() > 350, "only {} channels", stories.len());
        stories
    })
}

/// How each channel ended.
fn ends(recording: &Recording) -> Vec<(CallId, CallStatus)> {
    let mut calls: HashMap<CallId, Call> =
        recording.channels.iter().map(|id| (*id, call(*id, at(0)))).collect();
    for (n, (id, report)) in (1..).zip(&recording.reports) {
        calls.get_mut(id).expect("a channel is new once").handle_report(*report, at(n));
    }
    let late = at(i64::try_from(recording.reports.len()).unwrap()) + SETTLE;
    let ended = |id: &CallId| {
        let mut call = calls[id].clone();
        call.handle_timeout(late);
        (*id, call.progress.status)
    };
    recording.channels.iter().map(ended).collect()
}

/// The calls that others recorded, as the events of a client library.
fn recorded_elsewhere() -> Vec<Recording> {
    let files = fs::read_dir(folder("recorded-calls")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    assert_eq!(files.len(), 36);
    let read = |file: &PathBuf| {
        let events: Vec<BTreeMap<String, Value>> =
            serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let headers = |event: &BTreeMap<String, Value>| {
            let text = |name: &str| (name.to_owned(), event[name].as_str().unwrap().to_owned());
            let rest = event.keys().filter(|name| !["Event", "content"].contains(&name.as_str()));
            [text("Event")].into_iter().chain(rest.map(|name| text(name))).collect()
        };
        let name = file.file_name().unwrap().to_str().unwrap();
        recording(name, events.iter().map(headers).collect())
    };
    files.iter().map(read).collect()
}

/// The messages of a capture, as names and values.
fn frames(stream: &[u8]) -> Vec<Headers> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = |frame: Frame| {
        frame.headers().map(|(name, value)| (text(name), text(value))).collect::<Headers>()
    };
    decode(stream).into_iter().map(headers).collect()
}

type Headers = Vec<(String, String)>;

/// Writes the messages as Asterisk would had the channels ids that we chose, and reads them as the
/// line does.
fn recording(name: &str, messages: Vec<Headers>) -> Recording {
    let value = |message: &Headers, name: &str| {
        message.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone())
    };
    let new = messages
        .iter()
        .filter(|message| message[0] == ("Event".to_owned(), "Newchannel".to_owned()))
        .filter_map(|message| value(message, "Uniqueid"));
    let mut ids: HashMap<String, CallId> = HashMap::new();
    let mut channels = Vec::new();
    for (n, unique) in (1..).zip(new) {
        let id = CallId(Uuid::from_u128(n));
        assert!(ids.insert(unique, id).is_none(), "a channel is new once");
        channels.push(id);
    }
    let mut stream = String::new();
    for (header, value) in messages.iter().flat_map(|message| {
        message.iter().map(|(name, value)| (&**name, &**value)).chain([("", "")])
    }) {
        match (header, ids.get(value)) {
            ("", _) => stream += "\r\n",
            ("Uniqueid" | "DestUniqueid", Some(ours)) => {
                stream += &format!("{header}: {ours}\r\n");
            }
            _ => stream += &format!("{header}: {value}\r\n"),
        }
    }
    let heard = decode(stream.as_bytes());
    let reports = heard.iter().filter_map(report::read);
    let reports = reports.map(|(channel, report)| (channel.call, report));
    let reports = reports.filter(|(id, _)| channels.contains(id)).collect();
    Recording { name: name.to_owned(), channels, reports }
}

fn decode(stream: &[u8]) -> Vec<Frame> {
    let mut codec = Codec::client();
    let mut bytes = BytesMut::from(stream);
    let mut frames = Vec::new();
    while let Some(incoming) = codec.decode(&mut bytes).unwrap() {
        match incoming {
            Incoming::Frame(frame) => frames.push(frame),
            Incoming::Banner(_) => {}
            Incoming::TooLong { .. } => panic!("a recorded message is too long"),
        }
    }
    frames
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// So many milliseconds into the story.
fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
}

fn call(id: CallId, now: DateTime<Utc>) -> Call {
    let request = CallRequest {
        id,
        tenant: TenantId::default_tenant(),
        to: "+14155550123".parse().unwrap(),
        did: DidId(Uuid::nil()),
        from: "+14045550001".parse().unwrap(),
        trunk: TrunkName::pjsip(),
        campaign: None,
        destination: Destination::Application { application: "Echo".into(), data: String::new() },
        variables: Vec::new(),
        caller_name: None,
        ring_timeout_seconds: 30,
        callback_url: None,
        journey: None,
        reason: None,
        time_limit_seconds: None,
        created_at: now,
        placed_by: PlacedBy::Rotary,
    };
    Call::initiated(request, now)
}

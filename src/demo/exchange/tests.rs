//! What the simulated Asterisk does, and how it misbehaves.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::ami::codec::{Codec, Incoming};
use crate::ami::frame::Frame;

use super::super::callee::Pace;
use super::super::misbehave::DropLine;
use super::super::user::User;
use super::*;

#[test]
fn an_md5_login_proves_the_secret_without_saying_it() {
    let mut simulated = Driven::new(Settings::default());
    let line = simulated.connect();
    simulated.ask(line, "Action: Challenge\r\nAuthType: MD5\r\n\r\n");
    let challenge = simulated.hear(line)[0].text("Challenge").unwrap().into_owned();

    let key = actions::md5_hex(&challenge, "s3cret");
    let login = format!(
        "Action: Login\r\nAuthType: MD5\r\nUsername: rotary\r\nKey: {key}\r\nEvents: off\r\n\r\n"
    );
    simulated.ask(line, &login);

    assert_eq!(names(&simulated.hear(line)), ["Success"]);
    assert_eq!(simulated.exchange.counts().logged_in, 1);
}

#[test]
fn a_refused_login_waits_for_its_answer_and_loses_its_line() {
    let mut simulated = Driven::new(Settings::default());
    let line = simulated.connect();
    simulated.ask(line, "Action: Login\r\nUsername: rotary\r\nSecret: wrong\r\n\r\n");

    simulated.run_for(Duration::from_millis(999));
    assert!(simulated.hear(line).is_empty());

    simulated.run_for(Duration::from_millis(1));
    assert_eq!(names(&simulated.hear(line)), ["Error"]);
    assert!(simulated.exchange.take_output(line).close);
}

#[test]
fn a_line_without_a_login_is_cut_in_the_end() {
    let mut simulated = Driven::new(Settings::default());
    let line = simulated.connect();

    simulated.run_for(Duration::from_secs(30));

    assert!(simulated.exchange.take_output(line).close);
}

#[test]
fn a_user_without_originate_is_refused_and_not_shown_the_command() {
    let mut poor = User::new("rotary", "s3cret");
    poor.write = Classes::SYSTEM | Classes::CALL;
    let mut simulated = Driven::new(Settings { users: vec![poor], ..Settings::default() });
    let line = simulated.log_in();

    simulated.ask(line, "Action: ListCommands\r\n\r\n");
    simulated.ask(line, ORIGINATE);

    let said = simulated.hear(line);
    assert_eq!(said[0].get("Originate"), None);
    assert!(said[0].get("Hangup").is_some());
    assert_eq!(said[1].text("Message").unwrap(), "Permission denied");
}

#[test]
fn the_channels_list_has_every_call_until_it_ends() {
    let mut simulated = Driven::new(Settings { pace: PACE, ..Settings::default() });
    let line = simulated.log_in();
    simulated.ask(line, ORIGINATE);
    simulated.run_for(PACE.ring_after);
    simulated.hear(line);

    simulated.ask(line, "Action: CoreShowChannels\r\nActionID: l\r\n\r\n");
    let said = simulated.hear(line);
    assert_eq!(names(&said), ["Success", "CoreShowChannel", "CoreShowChannelsComplete"]);
    assert_eq!(said[1].text("Uniqueid").unwrap(), "call-1");
    assert_eq!(said[1].text("ChannelStateDesc").unwrap(), "Ringing");
    assert_eq!(said[2].text("ListItems").unwrap(), "1");

    simulated.run_for(Duration::from_secs(20));
    simulated.hear(line);
    simulated.ask(line, "Action: CoreShowChannels\r\n\r\n");
    assert_eq!(simulated.hear(line)[1].text("ListItems").unwrap(), "0");
}

#[test]
fn a_call_can_be_hung_up_by_its_id_and_says_nothing_more() {
    let mut simulated = Driven::new(Settings { pace: PACE, ..Settings::default() });
    let line = simulated.log_in();
    simulated.ask(line, ORIGINATE);
    simulated.run_for(PACE.ring_after);
    simulated.hear(line);

    simulated.ask(line, "Action: Hangup\r\nChannel: call-1\r\n\r\n");
    simulated.run_for(Duration::from_secs(20));

    let said = simulated.hear(line);
    let expected = ["Success", "SoftHangupRequest", "DialEnd", "OriginateResponse", "Hangup"];
    assert_eq!(names(&said), [&expected[..], &["DeviceStateChange"]].concat());
    assert_eq!(simulated.exchange.counts().in_progress, 0);

    simulated.ask(line, "Action: Hangup\r\nChannel: call-1\r\n\r\n");
    assert_eq!(simulated.hear(line)[0].text("Message").unwrap(), "No such channel");
}

#[test]
fn a_channel_id_in_use_fails_the_second_call() {
    let mut simulated = Driven::new(Settings { pace: PACE, ..Settings::default() });
    let line = simulated.log_in();
    simulated.ask(line, ORIGINATE);
    simulated.hear(line);

    simulated.ask(line, ORIGINATE);

    let said = simulated.hear(line);
    assert_eq!(names(&said), ["Success", "OriginateResponse"]);
    assert_eq!(said[1].text("Reason").unwrap(), "0");
    assert_eq!(said[1].text("Uniqueid").unwrap(), "call-1");
}

#[test]
fn a_refused_originate_makes_no_call() {
    let (mut simulated, line) = misbehaving(|m| m.refuse_originates = Some("No.".to_owned()));

    simulated.ask(line, ORIGINATE);

    assert_eq!(simulated.hear(line)[0].text("Message").unwrap(), "No.");
    assert_eq!(simulated.exchange.counts().originates, 0);
}

#[test]
fn a_line_dropped_before_an_originate_makes_no_call_and_one_dropped_after_it_does() {
    for (when, calls) in [(DropLine::BeforeOriginate, 0), (DropLine::AfterOriginate, 1)] {
        let (mut simulated, line) = misbehaving(|m| m.drop_line = Some(when));

        simulated.ask(line, ORIGINATE);

        let output = simulated.exchange.take_output(line);
        assert!(output.close && output.bytes.is_empty(), "{when:?}");
        assert_eq!(simulated.exchange.counts().in_progress, calls, "{when:?}");
        assert_eq!(simulated.exchange.misbehaviour.drop_line, None);
    }
}

#[test]
fn a_stalled_line_says_everything_later_and_a_deaf_one_never() {
    let (mut simulated, line) = misbehaving(|m| m.line = Line::Stalled);
    simulated.ask(line, "Action: Ping\r\n\r\n");
    assert!(simulated.hear(line).is_empty());
    simulated.exchange.misbehaviour.line = Line::Works;
    assert_eq!(names(&simulated.hear(line)), ["Success"]);

    simulated.exchange.misbehaviour.line = Line::Deaf;
    simulated.ask(line, "Action: Ping\r\n\r\n");
    simulated.exchange.misbehaviour.line = Line::Works;
    assert!(simulated.hear(line).is_empty());
}

#[test]
fn events_overtake_a_late_answer() {
    let (mut simulated, line) = misbehaving(|m| m.late_answers = Some(Duration::from_millis(100)));

    simulated.ask(line, ORIGINATE);
    simulated.run_for(Duration::from_millis(100));

    let said = simulated.hear(line);
    assert_eq!(said[0].name(), b"Newchannel");
    assert!(names(&said).contains(&"Success".to_owned()));
}

#[test]
fn lost_events_are_lost_and_repeated_ones_come_twice() {
    let (mut simulated, line) = misbehaving(|m| m.lose = vec!["Hangup".to_owned()]);
    simulated.ask(line, ORIGINATE);
    simulated.run_for(Duration::from_secs(20));
    assert!(!names(&simulated.hear(line)).contains(&"Hangup".to_owned()));
    assert_eq!(simulated.exchange.counts().lost_events, 1);

    let (mut simulated, line) = misbehaving(|m| m.lose_every = NonZeroU32::new(2));
    simulated.ask(line, ORIGINATE);
    simulated.run_for(Duration::from_secs(20));
    assert_eq!(simulated.exchange.counts().lost_events, simulated.exchange.events / 2);

    let (mut simulated, line) = misbehaving(|m| m.repeat_events = true);
    simulated.ask(line, ORIGINATE);
    simulated.run_for(Duration::from_secs(20));
    let said = names(&simulated.hear(line));
    assert_eq!(said.iter().filter(|name| *name == "Hangup").count(), 2);
}

#[test]
fn a_hangup_can_come_before_the_originate_response() {
    let (mut simulated, line) = misbehaving(|m| m.hang_up_first = true);

    simulated.ask(line, &ORIGINATE.replace("0000@", "0486@"));
    simulated.run_for(Duration::from_secs(20));

    let said = names(&simulated.hear(line));
    assert_eq!(said[said.len() - 2..], ["Hangup", "OriginateResponse"]);
}

#[test]
fn a_graceful_stop_refuses_even_a_login() {
    let mut simulated = Driven::new(Settings::default());
    simulated.exchange.misbehaviour.shutting_down = true;
    let line = simulated.connect();

    simulated.ask(line, LOGIN);

    assert_eq!(simulated.hear(line)[0].text("Message").unwrap(), "Asterisk is shutting down");
}

#[test]
fn a_flood_has_as_many_events_as_asked_for_and_loses_nothing_else() {
    let (mut simulated, line) = misbehaving(|_| {});

    simulated.exchange.flood(1000);
    simulated.ask(line, "Action: Ping\r\n\r\n");

    let said = simulated.hear(line);
    let pongs = said.iter().filter(|frame| frame.get("Ping").is_some()).count();
    assert_eq!((said.len(), pongs), (1001, 1));
}

#[test]
fn a_clean_stop_says_so_and_forgets_the_calls() {
    let (mut simulated, line) = misbehaving(|_| {});
    simulated.ask(line, ORIGINATE);
    simulated.hear(line);

    simulated.exchange.stop(Stop::Cleanly);

    assert_eq!(names(&simulated.hear(line)), ["Shutdown"]);
    assert!(simulated.exchange.take_output(line).close);
    assert_eq!(simulated.exchange.counts().in_progress, 0);
}

pub(super) const PACE: Pace = Pace {
    ring_after: Duration::from_millis(100),
    answer_after: Duration::from_millis(400),
    talk: Duration::from_secs(3),
    refuse_after: Duration::from_millis(200),
};

const LOGIN: &str = "Action: Login\r\nUsername: rotary\r\nSecret: s3cret\r\n\
    Events: call,system\r\n\r\n";

const ORIGINATE: &str = "Action: Originate\r\nChannel: PJSIP/15551230000@carrier\r\n\
    CallerID: <+14045556789>\r\nContext: DynamicIVR\r\nExten: s\r\nPriority: 1\r\n\
    Async: true\r\nChannelId: call-1\r\nActionID: call-1\r\n\r\n";

/// The exchange with a clock that only the test moves.
pub(super) struct Driven {
    exchange: Exchange,
    now: Instant,
}

impl Driven {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self { exchange: Exchange::new(settings, 1, now, DateTime::UNIX_EPOCH), now }
    }

    pub(super) fn connect(&mut self) -> SessionId {
        self.exchange.handle_connect(self.now).unwrap()
    }

    fn log_in(&mut self) -> SessionId {
        let line = self.connect();
        self.ask(line, LOGIN);
        assert_eq!(names(&self.hear(line)), ["Success", "FullyBooted"]);
        line
    }

    fn ask(&mut self, line: SessionId, bytes: &str) {
        for action in frames(bytes.as_bytes(), Codec::server()) {
            self.act(line, &action);
        }
    }

    pub(super) fn act(&mut self, line: SessionId, action: &Frame) {
        self.exchange.handle_action(line, action, self.now);
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.exchange.next_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.exchange.handle_timeout(due);
        }
        self.now = end;
    }

    pub(super) fn hear(&mut self, line: SessionId) -> Vec<Frame> {
        let mut heard = BytesMut::new();
        loop {
            let output = self.exchange.take_output(line);
            if output.bytes.is_empty() {
                let begins = heard.starts_with(b"Asterisk Call Manager");
                let codec = if begins { Codec::client() } else { Codec::server() };
                return frames(&heard, codec);
            }
            heard.extend_from_slice(&output.bytes);
        }
    }
}

fn misbehaving(change: impl FnOnce(&mut Misbehaviour)) -> (Driven, SessionId) {
    let mut simulated = Driven::new(Settings { pace: PACE, ..Settings::default() });
    let line = simulated.log_in();
    change(&mut simulated.exchange.misbehaviour);
    (simulated, line)
}

pub(super) fn frames(bytes: &[u8], mut codec: Codec) -> Vec<Frame> {
    let mut buffer = BytesMut::from(bytes);
    let mut frames = Vec::new();
    while let Some(incoming) = codec.decode(&mut buffer).unwrap() {
        match incoming {
            Incoming::Frame(frame) => frames.push(frame),
            Incoming::Banner(banner) => assert_eq!(&banner[..], b"Asterisk Call Manager/11.0.0"),
            Incoming::TooLong { .. } => panic!("a frame over the bound"),
        }
    }
    assert!(buffer.is_empty(), "a message without an end");
    frames
}

fn names(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(|frame| String::from_utf8_lossy(frame.name()).into_owned()).collect()
}

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use secrecy::SecretString;
use tokio_util::codec::Decoder;

use crate::ami::codec::Codec;

use super::*;

const BANNER: &[u8] = b"Asterisk Call Manager/11.0.0\r\n";
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_login_shows_the_md5_of_the_challenge_and_comes_up_once_booted() {
    let mut story = Story::begin(Login::Md5);

    story.hear(BANNER);
    assert_eq!(story.said(), ["Challenge"]);
    story.reply("Success", "Challenge: 809882907\r\n");
    assert!(story.last().contains("Key: 4f919bf61530a343dffb77edfaa0a740\r\n"));
    assert!(story.last().contains("Events: system,call\r\n"));
    story.reply("Success", "Message: Authentication accepted\r\n");
    story.hear(b"Event: PeerStatus\r\n\r\nEvent: FullyBooted\r\n\r\n");
    assert_eq!(story.said()[2..], ["ListCommands", "CoreSettings"]);
    assert!(story.ups.is_empty());
    story.reply_to("ListCommands", "Success", "Originate: x\r\nHangup: y\r\n");
    story.reply_to("CoreSettings", "Success", "AsteriskVersion: 22.4.1\r\n");

    assert_eq!(story.ups, [("22.4.1".to_owned(), vec!["CoreShowChannels".to_owned()])]);
}

#[test]
fn without_fully_booted_asterisk_is_asked() {
    let mut story = Story::begin(Login::Plain);
    story.hear(BANNER);
    story.reply("Success", "");

    story.wait(5 * SECOND);
    assert!(story.said().contains(&"CoreStatus".to_owned()));
    story.reply_to("CoreStatus", "Error", "Message: Permission denied\r\n");

    assert_eq!(story.said().last().unwrap(), "CoreSettings");
}

#[test]
fn a_wrong_secret_and_a_shutdown_are_told_apart() {
    let mut refused = Story::begin(Login::Plain);
    refused.hear(BANNER);
    refused.reply("Error", "Message: Authentication failed\r\n");
    assert!(matches!(&refused.closed[..], [DownReason::LoginRefused { .. }]));

    let mut stopping = Story::begin(Login::Plain);
    stopping.hear(BANNER);
    stopping.reply("Error", "Message: Asterisk is shutting down\r\n");
    assert_eq!(stopping.closed, [DownReason::ShuttingDown]);
}

#[test]
fn something_else_than_asterisk_is_not_logged_in_to() {
    let mut story = Story::begin(Login::Plain);

    story.hear(b"SSH-2.0-OpenSSH_9.2\r\n");

    assert!(matches!(&story.closed[..], [DownReason::Lost { cause }] if cause.contains("SSH-2.0")));
    assert!(story.said().is_empty());
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut story = Story::begin(Login::Plain);
    story.wait(5 * SECOND);
    assert!(matches!(&story.closed[..], [DownReason::Lost { .. }]));

    let mut story = Story::begin(Login::Plain);
    story.hear(BANNER);
    story.wait(5 * SECOND);
    assert!(matches!(&story.closed[..], [DownReason::Lost { cause }] if cause.contains("login")));
}

#[test]
fn answers_find_their_actions_in_any_order() {
    let mut story = Story::up();
    let first = story.ask("A", Want::Response);
    let second = story.ask("B", Want::Response);

    story.reply_to("B", "Error", "Message: no\r\n");
    story.reply_to("A", "Success", "");

    assert_eq!(story.answers[0], (second, Err(AmiError::Refused("no".to_owned()))));
    assert!(matches!(&story.answers[1], (ticket, Ok(_)) if *ticket == first));
}

#[test]
fn an_action_before_the_line_is_up_is_not_sent() {
    let mut story = Story::begin(Login::Plain);

    let ticket = story.ask("A", Want::Response);

    assert!(matches!(&story.answers[..], [(t, Err(AmiError::NotSent(_)))] if *t == ticket));
}

#[test]
fn a_second_action_with_the_same_id_is_not_sent() {
    let mut story = Story::up();
    let originate = || Message::new("Action", "Originate").header("ActionID", "same").unwrap();
    story.act(originate(), Want::Response);
    let second = story.act(originate(), Want::Response);

    assert!(matches!(&story.answers[..], [(t, Err(AmiError::NotSent(_)))] if *t == second));
}

#[test]
fn an_answer_after_the_deadline_is_counted_and_dropped() {
    let mut story = Story::up();
    let ticket = story.ask("A", Want::Response);
    story.wait(4 * SECOND);
    assert!(story.answers.is_empty());

    story.wait(SECOND);
    story.reply_to("A", "Success", "");

    assert_eq!(story.answers, [(ticket, Err(AmiError::Unknown))]);
    assert_eq!(story.counters.orphans(), 1);
}

#[test]
fn an_action_never_written_is_not_sent_when_its_time_is_over() {
    let mut story = Story::up();
    story.writes = false;
    let ticket = story.ask("A", Want::Response);

    story.wait(5 * SECOND);

    assert!(matches!(&story.answers[..], [(t, Err(AmiError::NotSent(_)))] if *t == ticket));
    assert_eq!(story.cancelled, [ticket]);
}

#[test]
fn a_lost_line_leaves_written_actions_unknown_and_others_not_sent() {
    let mut story = Story::up();
    let written = story.ask("A", Want::Response);
    story.writes = false;
    let unwritten = story.ask("B", Want::List);

    let why = story.session.handle_lost("reset".to_owned());
    story.take();

    assert_eq!(why, DownReason::Lost { cause: "reset".to_owned() });
    assert_eq!(story.answers[0], (written, Err(AmiError::Unknown)));
    assert!(matches!(&story.answers[1], (t, Err(AmiError::NotSent(_))) if *t == unwritten));
}

#[test]
fn an_announced_shutdown_names_the_loss() {
    let mut story = Story::up();
    story.hear(b"Event: Shutdown\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\n");

    assert_eq!(story.session.handle_lost("closed".to_owned()), DownReason::ShuttingDown);
}

#[test]
fn a_refusal_because_of_a_shutdown_may_be_tried_again() {
    let mut story = Story::up();
    story.ask("A", Want::Response);

    story.reply_to("A", "Error", "Message: Asterisk is shutting down\r\n");

    assert!(matches!(&story.answers[..], [(_, Err(AmiError::NotSent(_)))]));
}

#[test]
fn a_list_is_collected_among_other_events() {
    let mut story = Story::up();
    let ticket = story.ask("A", Want::List);
    story.reply_to("A", "Success", "EventList: start\r\n");
    story.event_for("A", "CoreShowChannel", "");
    story.hear(b"Event: Newchannel\r\nUniqueid: 1\r\n\r\n");
    story.event_for("A", "CoreShowChannel", "");
    story.event_for("A", "CoreShowChannelsComplete", "EventList: Complete\r\nListItems: 2\r\n");

    let [(answered, Ok(items))] = &story.answers[..] else { panic!("{:?}", story.answers) };
    assert_eq!((*answered, items.len()), (ticket, 2));
}

#[test]
fn a_list_goes_on_while_items_come_and_ends_when_they_stop() {
    let mut story = Story::up();
    story.pongs = true;
    let ticket = story.ask("A", Want::List);
    story.reply_to("A", "Success", "EventList: start\r\n");
    for _ in 0..3 {
        story.wait(4 * SECOND);
        story.event_for("A", "CoreShowChannel", "");
    }
    assert!(story.answers.is_empty());

    story.wait(5 * SECOND);

    assert_eq!(story.answers, [(ticket, Err(AmiError::Unknown))]);
}

#[test]
fn a_list_over_its_bound_is_not_taken_for_whole() {
    let mut story = Story::up();
    let ticket = story.ask("A", Want::List);
    for _ in 0..4 {
        story.event_for("A", "CoreShowChannel", "");
    }

    assert_eq!(story.answers, [(ticket, Err(AmiError::Unknown))]);
}

#[test]
fn a_cancelled_list_is_refused() {
    let mut story = Story::up();
    story.ask("A", Want::List);
    story.event_for("A", "CoreShowChannelsComplete", "EventList: Cancelled\r\n");

    assert!(matches!(&story.answers[..], [(_, Err(AmiError::Refused(_)))]));
}

#[test]
fn an_answer_over_the_bound_fails_its_action_alone() {
    let mut story = Story::up();
    let long = story.ask("A", Want::Response);
    let other = story.ask("B", Want::Response);
    let id = Bytes::from(story.id_of("A"));

    let incoming = Incoming::TooLong { kind: Kind::Response, action_id: Some(id) };
    story.session.handle_incoming(incoming, story.now);
    story.take();
    story.reply_to("B", "Success", "");

    assert_eq!(story.answers[0], (long, Err(AmiError::Unknown)));
    assert!(matches!(&story.answers[1], (t, Ok(_)) if *t == other));
}

#[test]
fn an_error_without_an_id_is_blamed_only_when_certain() {
    const UNREAD: &[u8] =
        b"Response: Error\r\nMessage: Too many lines in message or allocation failure\r\n\r\n";
    let mut alone = Story::up();
    alone.ask("A", Want::Response);
    alone.hear(UNREAD);
    assert!(matches!(&alone.answers[..], [(_, Err(AmiError::Refused(_)))]));

    let mut two = Story::up();
    two.ask("A", Want::Response);
    two.ask("B", Want::Response);
    two.hear(UNREAD);
    assert!(two.answers.is_empty());

    let mut second_complaint = Story::up();
    second_complaint.ask("A", Want::Response);
    second_complaint.hear(b"Response: Error\r\nMessage: Missing action in request\r\n\r\n");
    assert!(second_complaint.answers.is_empty());
    assert_eq!(second_complaint.counters.orphans(), 1);
}

#[test]
fn a_half_open_line_is_found_within_ping_interval_and_pong_deadline() {
    let mut story = Story::up();
    let up_since = story.now;

    while story.closed.is_empty() {
        story.step_to_next_timeout();
    }

    assert!(story.now <= up_since + 8 * SECOND);
    assert!(matches!(&story.closed[..], [DownReason::Lost { .. }]));
}

#[test]
fn a_busy_line_gets_longer_for_its_pong_but_not_for_ever() {
    let mut story = Story::up();
    story.wait(5 * SECOND);
    for _ in 0..3 {
        story.wait(2 * SECOND);
        story.hear(b"Event: Newchannel\r\n\r\n");
        story.wait(SECOND);
        assert!(story.closed.is_empty());
    }
    story.wait(2 * SECOND);
    story.hear(b"Event: Newchannel\r\n\r\n");
    story.wait(SECOND);

    assert_eq!(story.closed.len(), 1);
}

#[test]
fn a_line_that_answers_its_pings_stays_up() {
    let mut story = Story::up();
    story.pongs = true;
    story.wait(600 * SECOND);

    assert!(story.closed.is_empty());
}

#[test]
fn a_login_is_not_shown_in_debug_output() {
    let mut story = Story::begin(Login::Plain);
    story.hear(BANNER);

    assert!(story.last().contains("s3cret"));
    assert!(!format!("{:?}", story.messages).contains("s3cret"));
}

#[derive(Debug, Clone)]
enum Step {
    Ask(bool),
    Reply(usize, bool),
    Item(usize),
    Complete(usize),
    TooLong(usize),
    Garbage,
    Writes(bool),
    Wait(u64),
    Timeout,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Ask),
        4 => (0..40_usize, any::<bool>()).prop_map(|(which, ok)| Step::Reply(which, ok)),
        2 => (0..40_usize).prop_map(Step::Item),
        2 => (0..40_usize).prop_map(Step::Complete),
        1 => (0..40_usize).prop_map(Step::TooLong),
        1 => Just(Step::Garbage),
        1 => any::<bool>().prop_map(Step::Writes),
        2 => (0..4000_u64).prop_map(Step::Wait),
        1 => Just(Step::Timeout),
    ]
}

proptest! {
    #[test]
    fn every_action_is_answered_exactly_once(steps in prop::collection::vec(step(), 0..200)) {
        let mut story = Story::up();
        let mut asked = Vec::new();
        for step in steps {
            story.follow(step, &mut asked);
        }
        story.session.handle_lost("the end".to_owned());
        story.take();

        let mut answered: Vec<_> = story.answers.iter().map(|(ticket, _)| *ticket).collect();
        answered.sort_unstable();
        prop_assert_eq!(answered, asked);
        prop_assert!(story.session.is_idle());
        prop_assert!(story.session.pending.is_empty() && story.session.ids.is_empty());
        prop_assert!(story.session.deadlines.is_empty() && story.session.lists == 0);
        for (ticket, answer) in &story.answers {
            // Whatever may have reached Asterisk is never called not sent.
            let not_sent = matches!(answer, Err(AmiError::NotSent(_)));
            prop_assert!(!(not_sent && story.written.contains(ticket)));
        }
    }
}

/// A session, the time it lives in, and all it wanted done so far.
struct Story {
    session: Session,
    counters: Arc<Counters>,
    codec: Codec,
    now: Instant,
    writes: bool,
    /// Pings are answered at once.
    pongs: bool,
    messages: Vec<Message>,
    written: Vec<Ticket>,
    cancelled: Vec<Ticket>,
    answers: Vec<(Ticket, Answer)>,
    ups: Vec<(String, Vec<String>)>,
    closed: Vec<DownReason>,
}

impl Story {
    fn begin(login: Login) -> Self {
        let secret = SecretString::from("s3cret");
        let settings = Settings { login, secret, list_max: 3, ..Settings::default() };
        let (counters, now) = (Arc::new(Counters::default()), Instant::now());
        Self {
            session: Session::new(Arc::new(settings), counters.clone(), now),
            counters,
            codec: Codec::client(),
            now,
            writes: true,
            pongs: false,
            messages: Vec::new(),
            written: Vec::new(),
            cancelled: Vec::new(),
            answers: Vec::new(),
            ups: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn up() -> Self {
        let mut story = Self::begin(Login::Plain);
        story.hear(BANNER);
        story.reply("Success", "");
        story.hear(b"Event: FullyBooted\r\n\r\n");
        story.reply_to("ListCommands", "Success", "");
        story.reply_to("CoreSettings", "Success", "");
        assert_eq!(story.ups.len(), 1);
        story
    }

    fn follow(&mut self, step: Step, asked: &mut Vec<Ticket>) {
        let ids = self.messages.iter().filter_map(Message::action_id);
        let ids: Vec<_> = ids.map(str::to_owned).collect();
        let id = |which: usize| ids[ids.len() - 1 - which % ids.len()].clone();
        match step {
            Step::Ask(list) => {
                let want = if list { Want::List } else { Want::Response };
                asked.push(self.ask("A", want));
            }
            Step::Reply(which, ok) => {
                let verdict = if ok { "Success" } else { "Error" };
                self.hear(
                    format!("Response: {verdict}\r\nActionID: {}\r\n\r\n", id(which)).as_bytes(),
                );
            }
            Step::Item(which) => {
                self.hear(format!("Event: Item\r\nActionID: {}\r\n\r\n", id(which)).as_bytes());
            }
            Step::Complete(which) => self.hear(
                format!("Event: C\r\nActionID: {}\r\nEventList: Complete\r\n\r\n", id(which))
                    .as_bytes(),
            ),
            Step::TooLong(which) => {
                let action_id = Some(Bytes::from(id(which)));
                let incoming = Incoming::TooLong { kind: Kind::Response, action_id };
                self.session.handle_incoming(incoming, self.now);
                self.take();
            }
            Step::Garbage => self.hear(b"Response: Error\r\nMessage: Too many lines\r\n\r\n"),
            Step::Writes(writes) => self.writes = writes,
            Step::Wait(milliseconds) => self.wait(Duration::from_millis(milliseconds)),
            Step::Timeout => self.step_to_next_timeout(),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        while let Some(incoming) = self.codec.decode(&mut buffer).unwrap() {
            self.session.handle_incoming(incoming, self.now);
        }
        self.take();
    }

    /// Answers the last message.
    fn reply(&mut self, verdict: &str, headers: &str) {
        let id = self.messages.last().and_then(Message::action_id).unwrap().to_owned();
        self.hear(format!("Response: {verdict}\r\nActionID: {id}\r\n{headers}\r\n").as_bytes());
    }

    fn reply_to(&mut self, action: &str, verdict: &str, headers: &str) {
        let id = self.id_of(action);
        self.hear(format!("Response: {verdict}\r\nActionID: {id}\r\n{headers}\r\n").as_bytes());
    }

    fn event_for(&mut self, action: &str, event: &str, headers: &str) {
        let id = self.id_of(action);
        self.hear(format!("Event: {event}\r\nActionID: {id}\r\n{headers}\r\n").as_bytes());
    }

    fn ask(&mut self, action: &'static str, want: Want) -> Ticket {
        self.act(Message::new("Action", action), want)
    }

    fn act(&mut self, message: Message, want: Want) -> Ticket {
        let ticket = self.session.handle_action(message, want, self.now);
        self.take();
        ticket
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.session.next_timeout().is_some_and(|due| due <= until) {
            self.step_to_next_timeout();
        }
        self.now = until;
    }

    fn step_to_next_timeout(&mut self) {
        if let Some(due) = self.session.next_timeout() {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.take();
            if self.pongs && self.session.pulse.is_some_and(|pulse| pulse.sent == self.now) {
                self.reply_to("Ping", "Success", "Ping: Pong\r\n");
            }
            let next = self.session.next_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timeout must not be due twice");
        }
    }

    fn take(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Write(ticket, message) => {
                    self.messages.push(message);
                    if self.writes {
                        self.written.push(ticket);
                        self.session.handle_written(ticket);
                    }
                }
                Output::Cancel(ticket) => self.cancelled.push(ticket),
                Output::Answer(ticket, answer) => self.answers.push((ticket, answer)),
                Output::Up { version, missing } => self.ups.push((version, missing)),
                Output::Close(why) => self.closed.push(why),
            }
        }
    }

    fn said(&self) -> Vec<String> {
        let name = |message: &Message| {
            let text = text_of(message);
            text.lines().next().unwrap().trim_start_matches("Action: ").to_owned()
        };
        self.messages.iter().map(name).collect()
    }

    fn last(&self) -> String {
        text_of(self.messages.last().unwrap())
    }

    fn id_of(&self, action: &str) -> String {
        let first = format!("Action: {action}\r\n");
        let mut sent = self.messages.iter().rev();
        let message = sent.find(|message| text_of(message).starts_with(&first)).unwrap();
        message.action_id().unwrap().to_owned()
    }
}

fn text_of(message: &Message) -> String {
    let mut buffer = BytesMut::new();
    message.write_to(&mut buffer);
    String::from_utf8(buffer.to_vec()).unwrap()
}

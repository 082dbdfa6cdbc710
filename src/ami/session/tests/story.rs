//! What stories of a session are told with.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use secrecy::SecretString;
use tokio_util::codec::Decoder;

use super::*;
use crate::ami::Login;
use crate::ami::codec::Codec;

pub(super) const BANNER: &[u8] = b"Asterisk Call Manager/11.0.0\r\n";

/// A session, the time it lives in, and all it wanted done so far.
pub(super) struct Story {
    pub(super) session: Session,
    pub(super) counters: Arc<Counters>,
    pub(super) codec: Codec,
    pub(super) now: Instant,
    pub(super) writes: bool,
    /// Pings are answered at once.
    pub(super) pongs: bool,
    pub(super) messages: Vec<Message>,
    pub(super) written: Vec<Ticket>,
    pub(super) cancelled: Vec<Ticket>,
    pub(super) answers: Vec<(Ticket, Answer)>,
    pub(super) ups: Vec<(String, Vec<String>)>,
    pub(super) closed: Vec<DownReason>,
}

impl Story {
    pub(super) fn begin(login: Login) -> Self {
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

    pub(super) fn up() -> Self {
        let mut story = Self::begin(Login::Plain);
        story.hear(BANNER);
        story.reply("Success", "");
        story.hear(b"Event: FullyBooted\r\n\r\n");
        story.reply_to("ListCommands", "Success", "");
        story.reply_to("CoreSettings", "Success", "");
        assert_eq!(story.ups.len(), 1);
        story
    }

    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        while let Some(incoming) = self.codec.decode(&mut buffer).unwrap() {
            self.session.handle_incoming(incoming, self.now);
        }
        self.take();
    }

    /// Answers the last message.
    pub(super) fn reply(&mut self, verdict: &str, headers: &str) {
        let id = self.messages.last().and_then(Message::action_id).unwrap().to_owned();
        self.hear(format!("Response: {verdict}\r\nActionID: {id}\r\n{headers}\r\n").as_bytes());
    }

    pub(super) fn reply_to(&mut self, action: &str, verdict: &str, headers: &str) {
        let id = self.id_of(action);
        self.hear(format!("Response: {verdict}\r\nActionID: {id}\r\n{headers}\r\n").as_bytes());
    }

    pub(super) fn event_for(&mut self, action: &str, event: &str, headers: &str) {
        let id = self.id_of(action);
        self.hear(format!("Event: {event}\r\nActionID: {id}\r\n{headers}\r\n").as_bytes());
    }

    pub(super) fn ask(&mut self, action: &'static str, want: Want) -> Ticket {
        self.act(Message::new("Action", action), want)
    }

    pub(super) fn act(&mut self, message: Message, want: Want) -> Ticket {
        let ticket = self.session.handle_action(message, want, self.now);
        self.take();
        ticket
    }

    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.session.next_timeout().is_some_and(|due| due <= until) {
            self.step_to_next_timeout();
        }
        self.now = until;
    }

    pub(super) fn step_to_next_timeout(&mut self) {
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

    pub(super) fn take(&mut self) {
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

    pub(super) fn said(&self) -> Vec<String> {
        let name = |message: &Message| {
            let text = text_of(message);
            text.lines().next().unwrap().trim_start_matches("Action: ").to_owned()
        };
        self.messages.iter().map(name).collect()
    }

    pub(super) fn last(&self) -> String {
        text_of(self.messages.last().unwrap())
    }

    pub(super) fn id_of(&self, action: &str) -> String {
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

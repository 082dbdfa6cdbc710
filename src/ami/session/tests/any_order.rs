//! Whatever happens in whatever order, every action is answered once.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::story::Story;
use super::*;
use crate::ami::AmiError;

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

proptest! {
    #[test]
    fn every_action_is_answered_exactly_once(steps in prop::collection::vec(step(), 0..200)) {
        let mut story = Story::up();
        let mut asked = Vec::new();
        for step in steps {
            story.follow(step, &mut asked);
        }
        story.session.handle_lost(Loss::Closed, "the end".to_owned());
        story.take();

        let mut answered: Vec<_> = story.answers.iter().map(|(ticket, _)| *ticket).collect();
        answered.sort_unstable();
        prop_assert_eq!(answered, asked);
        prop_assert!(story.session.is_idle());
        prop_assert!(story.session.waiting.is_empty());
        for (ticket, answer) in &story.answers {
            // Whatever may have reached Asterisk is never called not sent.
            let not_sent = matches!(answer, Err(AmiError::NotSent(_)));
            prop_assert!(!(not_sent && story.written.contains(ticket)));
        }
    }
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

impl Story {
    /// Does one step; an action asked is added to `asked`.
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
}

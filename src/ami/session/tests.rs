//! Stories of actions, their answers and the line they wait on.

mod any_order;
mod login;
mod story;

use std::time::Duration;

use bytes::Bytes;

use self::story::Story;
use super::*;
use crate::ami::Login;

const SECOND: Duration = Duration::from_secs(1);

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

    let why = story.session.handle_lost(Loss::Broken, "reset".to_owned());
    story.take();

    assert_eq!(why, DownReason::Lost { how: Loss::Broken, cause: "reset".to_owned() });
    assert_eq!(story.answers[0], (written, Err(AmiError::Unknown)));
    assert!(matches!(&story.answers[1], (t, Err(AmiError::NotSent(_))) if *t == unwritten));
}

#[test]
fn an_announced_shutdown_names_the_loss() {
    let mut story = Story::up();
    story.hear(b"Event: Shutdown\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\n");

    assert_eq!(
        story.session.handle_lost(Loss::Closed, "closed".to_owned()),
        DownReason::ShuttingDown
    );
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

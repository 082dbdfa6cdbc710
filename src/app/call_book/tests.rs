//! Stories of calls in the book: what is stored when, and what a look at Asterisk's list ends.

use futures_util::FutureExt;
use uuid::Uuid;

use super::*;
use crate::app::live::{Filter, Heard, Reader};
use crate::domain::call::{CallRequest, CallStatus, Destination};
use crate::domain::did::{DidId, TrunkName};
use crate::domain::tenant::TenantId;

const BUSY: Report = Report::HungUp { cause: 17, sip_code: None };

#[test]
fn a_report_that_comes_before_the_answer_to_the_originate_is_not_lost() {
    let (book, id) = book_with_a_call();

    book.handle_reports(vec![(id.into(), Report::Ringing)], at(1));

    let call = book.placed(id, at(2)).unwrap();
    assert_eq!(call.progress.status, CallStatus::Ringing);
}

#[test]
fn a_change_is_announced_only_once_it_is_stored() {
    let (book, id) = book_with_a_call();
    let mut listener = book.listen();

    book.handle_reports(vec![(id.into(), Report::Ringing)], at(1));
    let changed = book.unsaved(10);
    assert!(listener.try_recv().is_err());
    book.saved(changed);

    assert_eq!(listener.try_recv().unwrap().progress.status, CallStatus::Ringing);
}

#[test]
fn a_call_leaves_the_book_when_its_end_is_stored() {
    let (book, id) = book_with_a_call();

    book.handle_reports(vec![(id.into(), BUSY)], at(1));
    assert_eq!(book.in_progress(), 0);
    let changed = book.unsaved(10);
    assert!(book.placed(id, at(1)).is_some());
    book.saved(changed);

    assert_eq!(book.placed(id, at(1)), None);
}

#[test]
fn what_could_not_be_stored_is_tried_again_as_it_then_is() {
    let (book, id) = book_with_a_call();

    book.handle_reports(vec![(id.into(), Report::Ringing)], at(1));
    let changed = book.unsaved(10);
    book.handle_reports(vec![(id.into(), Report::Answered)], at(2));
    book.keep_unsaved(&changed);

    let again = book.unsaved(10);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].call.progress.status, CallStatus::InProgress);
    assert!(book.unsaved(10).is_empty());
}

#[test]
fn a_call_that_moved_while_it_was_stored_stays_to_be_stored_again() {
    let (book, id) = book_with_a_call();

    book.handle_reports(vec![(id.into(), Report::Answered)], at(1));
    let changed = book.unsaved(10);
    book.handle_reports(vec![(id.into(), Report::HungUp { cause: 16, sip_code: None })], at(2));
    book.saved(changed);

    let again = book.unsaved(10);
    assert_eq!(again[0].call.progress.status, CallStatus::Completed);
}

#[test]
fn a_call_that_asterisk_no_longer_has_ends_a_moment_later() {
    let (book, id) = book_with_a_call();
    book.placed(id, at(0));

    assert_eq!(book.handle_list(&here(), &HashSet::new(), at(10)).missing, 1);

    assert_eq!(book.next_timeout(), Some(at(12)));
    book.handle_timeouts(at(11));
    assert_eq!(book.in_progress(), 1);
    book.handle_timeouts(at(12));
    assert_eq!(book.in_progress(), 0);
    assert_eq!(book.next_timeout(), None);
    assert_eq!(book.unsaved(10)[0].call.progress.status, CallStatus::Failed);
}

#[test]
fn a_call_on_its_way_or_just_placed_or_listed_is_not_missing() {
    let (book, listed) = book_with_a_call();
    let [on_its_way, just_placed] = [2, 3].map(|n| follow(&book, n));
    book.placed(listed, at(0));
    book.placed(just_placed, at(9));

    let compared = book.handle_list(&here(), &HashSet::from([listed.into()]), at(10));

    assert_eq!(compared, Compared { listed: 1, unknown: 0, missing: 0, too_young: 2 });
    assert_eq!(book.next_timeout(), None);
    assert!(book.placed(on_its_way, at(11)).is_some());
}

#[test]
fn a_call_of_an_earlier_run_is_looked_for() {
    let book = CallBook::default();
    book.resume(call(1), 0);
    book.send_to(CallId(Uuid::from_u128(1)), Place::at(here()));

    assert_eq!(book.handle_list(&here(), &HashSet::new(), at(10)).missing, 1);
}

#[test]
fn a_call_is_compared_with_its_own_asterisk_alone() {
    let (book, _here) = book_with_a_call();
    let there = follow(&book, 2);
    book.send_to(there, Place::at("there".parse().unwrap()));
    for id in [1, 2] {
        book.placed(CallId(Uuid::from_u128(id)), at(0));
    }

    let compared = book.handle_list(&here(), &HashSet::new(), at(100));

    assert_eq!(compared, Compared { listed: 0, unknown: 0, missing: 1, too_young: 0 });
    assert!(book.has_overdue(&here(), at(100)));
    book.handle_timeouts(at(102));
    assert!(!book.has_overdue(&here(), at(102)));
    assert!(book.has_overdue(&"there".parse().unwrap(), at(102)));
}

#[test]
fn a_lost_call_ends_at_once_whatever_is_still_heard_of_it() {
    let (book, id) = book_with_a_call();

    book.lose(id, at(10));
    book.handle_reports(vec![(id.into(), Report::Ringing)], at(11));

    assert_eq!(book.in_progress(), 0);
    assert_eq!(book.unsaved(10)[0].call.progress.status, CallStatus::Failed);
}

#[test]
fn a_call_that_tells_is_stored_once_it_is_placed_and_tells_each_change_once() {
    let book = CallBook::default();
    let id = CallId(Uuid::from_u128(1));
    book.follow(telling(1));
    assert_eq!(book.unsaved(10), [], "it may never be placed");
    assert_eq!(book.changed().now_or_never(), None);

    book.placed(id, at(1));
    assert_eq!(book.changed().now_or_never(), Some(()));
    let placed = book.unsaved(10);
    assert_eq!((placed.len(), placed[0].told), (1, 0));
    book.saved(placed);
    book.handle_reports(vec![(id.into(), Report::Ringing)], at(2));

    assert_eq!(book.unsaved(10)[0].told, 1);
}

#[test]
fn a_call_without_a_callback_url_is_not_stored_for_being_placed() {
    let (book, id) = book_with_a_call();

    book.placed(id, at(1));

    assert_eq!(book.unsaved(10), []);
}

#[test]
fn the_feed_has_each_step_of_a_placed_call_once_and_only_what_is_stored() {
    let (book, id) = book_with_a_call();
    let mut reader = book.feed().read(&TenantId::default_tenant(), None, Filter::default());

    assert_eq!(aired(&mut reader), Vec::<String>::new(), "it may never be placed");
    book.handle_reports(vec![(id.into(), Report::Ringing)], at(1));
    book.placed(id, at(1));
    assert_eq!(aired(&mut reader), ["1 call.initiated"], "that it rings is not stored yet");
    let changed = book.unsaved(10);
    book.handle_reports(vec![(id.into(), Report::Answered)], at(2));
    book.saved(changed);
    assert_eq!(aired(&mut reader), ["2 call.ringing"]);
    book.handle_reports(vec![(id.into(), Report::HungUp { cause: 16, sip_code: None })], at(3));
    book.saved(book.unsaved(10));
    assert_eq!(aired(&mut reader), ["3 call.in-progress", "4 call.completed"]);
}

#[test]
fn the_feed_has_the_first_step_once_where_a_report_is_quicker_than_asterisks_answer() {
    let (book, id) = book_with_a_call();
    let mut reader = book.feed().read(&TenantId::default_tenant(), None, Filter::default());

    book.handle_reports(vec![(id.into(), Report::Ringing)], at(1));
    book.saved(book.unsaved(10));
    book.placed(id, at(2));

    assert_eq!(aired(&mut reader), ["1 call.initiated", "2 call.ringing"]);
}

#[test]
fn the_feed_has_nothing_of_a_call_that_was_never_placed_or_was_told_by_an_earlier_run() {
    let (book, id) = book_with_a_call();
    let mut reader = book.feed().read(&TenantId::default_tenant(), None, Filter::default());

    book.forget(id);
    book.resume(call(2), 1);
    book.handle_reports(vec![(CallId(Uuid::from_u128(2)).into(), Report::Ringing)], at(1));
    book.saved(book.unsaved(10));

    assert_eq!(aired(&mut reader), ["2 call.ringing"]);
}

#[test]
fn what_an_earlier_run_did_not_tell_is_told_first() {
    let book = CallBook::default();

    book.resume(telling(1), 0);
    book.resume(telling(2), 1);

    let untold = book.unsaved(10);
    assert_eq!(untold.len(), 1);
    assert_eq!(untold[0].call.id(), CallId(Uuid::from_u128(1)));
}

#[test]
fn reports_of_calls_that_are_not_ours_are_dropped() {
    let (book, _) = book_with_a_call();

    book.handle_reports(vec![(CallId(Uuid::from_u128(99)).into(), BUSY)], at(1));

    assert!(book.unsaved(10).is_empty());
}

#[test]
fn what_comes_late_of_the_first_attempt_cannot_harm_the_second() {
    let (book, id) = book_with_a_call();
    let first = ChannelId::first(id);
    let second = ChannelId { call: id, attempt: 2 };
    let full = Report::HungUp { cause: 34, sip_code: None };
    book.handle_reports(vec![(first, full)], at(1));

    let again =
        book.revise(id, |call| assert!(call.try_again("B".parse().unwrap(), at(1)))).unwrap();
    book.handle_reports(vec![(first, Report::OriginateFailed { reason: 0 })], at(2));
    book.handle_reports(vec![(first, BUSY)], at(2));
    let waiting = book.next_timeout();
    book.handle_reports(vec![(second, Report::Answered)], at(3));

    assert_eq!((again.progress.attempt, waiting), (2, None));
    let progress = book.look_at(id).unwrap().call.progress;
    assert_eq!(progress.status, CallStatus::InProgress);
}

#[test]
fn a_call_that_waits_is_not_missed_in_asterisks_list() {
    let book = CallBook::default();
    let waits = Call::queued(call(1).request, at(0));
    book.follow_queued(waits);

    let compared = book.handle_list(&here(), &HashSet::new(), at(100));

    let nothing = Compared { listed: 0, unknown: 0, missing: 0, too_young: 0 };
    assert_eq!(compared, nothing);
    assert!(!book.has_overdue(&here(), at(4_000)));
}

/// Sequence and type of all that the feed has for this reader now.
fn aired(reader: &mut Reader) -> Vec<String> {
    let heard = std::iter::from_fn(|| reader.look());
    let said = heard.map(|heard| match heard {
        Heard::Change { change, .. } => format!("{} {}", change.sequence, change.kind),
        Heard::Gap { .. } => "gap".to_owned(),
    });
    said.collect()
}

fn book_with_a_call() -> (CallBook, CallId) {
    let book = CallBook::default();
    let id = follow(&book, 1);
    (book, id)
}

pub(super) fn follow(book: &CallBook, id: u128) -> CallId {
    let call = call(id);
    let id = call.id();
    book.follow(call);
    book.send_to(id, Place::at(here()));
    id
}

pub(super) fn here() -> AsteriskName {
    AsteriskName::lone()
}

/// A call with a callback URL.
fn telling(id: u128) -> Call {
    let mut call = call(id);
    call.request.callback_url = Some("https://example.com/hook".to_owned());
    call
}

pub(super) fn call(id: u128) -> Call {
    let request = CallRequest {
        id: CallId(Uuid::from_u128(id)),
        tenant: TenantId::default_tenant(),
        to: "+14155550123".parse().unwrap(),
        did: DidId(Uuid::nil()),
        from: "+14045556789".parse().unwrap(),
        reason: None,
        trunk: TrunkName::pjsip(),
        campaign: None,
        destination: Destination::Application { application: "Echo".into(), data: String::new() },
        variables: Vec::new(),
        caller_name: None,
        ring_timeout_seconds: 30,
        time_limit_seconds: None,
        callback_url: None,
        journey: None,
        created_at: at(0),
        placed_by: Default::default(),
    };
    Call::initiated(request, at(0))
}

/// Seconds into the story.
pub(super) fn at(second: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(second)
}

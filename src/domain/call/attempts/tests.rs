//! Stories of calls that wait, and of calls that go out again.

use chrono::TimeDelta;

use crate::domain::call::tests::call;
use crate::domain::call::{Report, SILENCE};

use super::*;

const FULL: Report = Report::HungUp { cause: 34, sip_code: Some(503) };

#[test]
fn a_call_that_waits_tells_so_before_all_else() {
    let (mut call, at) = queued();

    assert!(call.initiate(at(7)));
    assert!(!call.initiate(at(8)));
    call.handle_report(Report::Answered, at(9));

    let told = call.announcements(0);
    let kinds: Vec<_> = told.iter().map(|one| (one.sequence, one.kind.as_str())).collect();
    assert_eq!(kinds, [(1, "call.queued"), (2, "call.initiated"), (3, "call.in-progress")]);
    assert_eq!((told[0].data.status, told[0].data.initiated_at), (CallStatus::Queued, None));
    assert_eq!((told[1].data.queued_at, told[1].timestamp), (Some(at(0)), at(7)));
    assert_eq!(call.progress.duration_seconds(), None);
}

#[test]
fn a_call_that_waits_is_never_overdue() {
    let (call, at) = queued();

    assert!(!call.is_overdue(at(4_000)));
}

#[test]
fn a_call_that_waited_ends_as_canceled_or_with_the_cause_that_no_channel_was_free() {
    let (mut canceled, at) = queued();
    let (mut expired, _) = queued();

    assert!(canceled.cancel(at(3)) && expired.expire(at(3)));

    assert_eq!(canceled.progress.status, CallStatus::Canceled);
    assert_eq!(expired.progress.status, CallStatus::Failed);
    assert_eq!(expired.progress.cause, Some(Cause::NO_CHANNEL));
    assert!(!expired.cancel(at(4)) && !canceled.initiate(at(4)));
    let (mut placed, _) = call();
    assert!(!placed.cancel(at(3)) && !placed.expire(at(3)), "it does not wait");
}

#[test]
fn a_call_that_reached_nobody_goes_out_again_as_if_it_had_not_ended() {
    let (mut call, at) = call();
    call.handle_report(FULL, at(1));

    assert!(call.try_again("B".parse().unwrap(), at(1)));

    assert_eq!(call.channel_id().to_string(), format!("{}-2", call.id()));
    assert_eq!((call.progress.status, call.progress.attempt), (CallStatus::Initiated, 2));
    assert_eq!((call.progress.cause, call.progress.ended_at), (None, None));
    assert_eq!(call.request.trunk.as_str(), "B");
    assert_eq!(call.steps(), 1, "nothing new is told");
    assert!(!call.is_overdue(at(40)) && call.is_overdue(at(41)), "its time begins again");
    call.handle_report(Report::Answered, at(5));
    assert_eq!(call.progress.status, CallStatus::InProgress);
}

#[test]
fn a_call_that_rang_or_was_answered_or_goes_on_does_not_go_out_again() {
    for reports in [vec![Report::Ringing, FULL], vec![Report::Answered, FULL], vec![]] {
        let (mut call, at) = call();
        for report in &reports {
            call.handle_report(*report, at(1));
        }

        assert!(!call.try_again("B".parse().unwrap(), at(2)), "{reports:?}");
    }
}

#[test]
fn a_call_that_is_to_be_hung_up_does_not_go_out_again() {
    let (mut call, at) = call();
    call.handle_cancel(at(1));
    call.handle_report(FULL, at(1));

    assert!(!call.try_again("B".parse().unwrap(), at(2)));
}

#[test]
fn an_attempt_that_never_left_leaves_the_end_of_the_one_before() {
    let (mut call, at) = call();
    call.handle_report(FULL, at(1));
    call.try_again("B".parse().unwrap(), at(1));

    assert!(call.give_up(at(2)));

    assert_eq!(call.progress.status, CallStatus::Failed);
    assert_eq!((call.progress.cause, call.progress.sip_code), (Some(Cause::CONGESTION), Some(503)));
}

#[test]
fn what_a_carrier_calls_busy_may_be_congestion_and_the_other_way_round() {
    let (mut busy, at) = call();
    let (mut full, _) = call();
    let (mut answered, _) = call();
    busy.handle_report(Report::HungUp { cause: 17, sip_code: Some(486) }, at(1));
    full.handle_report(FULL, at(1));
    answered.handle_report(Report::Answered, at(1));
    answered.handle_report(FULL, at(2));

    busy.explain(Verdict::Throttled);
    full.explain(Verdict::Busy);
    answered.explain(Verdict::Busy);

    assert_eq!(busy.progress.status, CallStatus::Failed);
    assert_eq!(full.progress.status, CallStatus::Busy);
    assert_eq!(answered.progress.status, CallStatus::Completed);
}

fn queued() -> (Call, impl Fn(i64) -> DateTime<Utc>) {
    let (call, _) = call();
    let at = |second| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(second);
    assert!(SILENCE < TimeDelta::seconds(4_000));
    (Call::queued(call.request, at(0)), at)
}

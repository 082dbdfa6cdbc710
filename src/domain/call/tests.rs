//! Stories of calls, told in the order Asterisk told them.

use super::view::CallView;
use super::*;
use crate::domain::did::{DidId, TrunkName};
use crate::domain::tenant::TenantId;

const BUSY: Report = Report::HungUp { cause: 17, sip_code: Some(486) };
const SILENT_HANGUP: Report = Report::HungUp { cause: 0, sip_code: None };

#[test]
fn an_answered_call_counts_talk_time_from_the_answer() {
    let (mut call, at) = call();

    call.handle_report(Report::Ringing, at(2));
    call.handle_report(Report::Answered, at(5));
    call.handle_report(Report::HungUp { cause: 16, sip_code: None }, at(65));

    assert_eq!(call.progress.status, CallStatus::Completed);
    assert_eq!(call.progress.cause, Some(Cause::NORMAL));
    assert_eq!(call.progress.talk_seconds(), Some(60));
    assert_eq!(call.progress.duration_seconds(), Some(65));
}

#[test]
fn a_busy_callee_ends_the_call_whichever_report_comes_first() {
    let reports = [Report::OriginateFailed { reason: 0 }, BUSY];
    for order in [[0, 1], [1, 0]] {
        let (mut call, at) = call();

        for which in order {
            call.handle_report(reports[which], at(1));
        }

        assert_eq!(call.progress.status, CallStatus::Busy, "{order:?}");
        assert_eq!(call.progress.sip_code, Some(486), "{order:?}");
    }
}

#[test]
fn an_unanswered_call_whose_hangup_has_no_cause_is_no_answer() {
    let reports = [Report::OriginateFailed { reason: 3 }, SILENT_HANGUP];
    for order in [[0, 1], [1, 0]] {
        let (mut call, at) = call();

        let moved = order.map(|which| call.handle_report(reports[which], at(30)));

        assert_eq!(moved, [false, true], "{order:?}");
        assert_eq!(call.progress.status, CallStatus::NoAnswer, "{order:?}");
    }
}

#[test]
fn a_failure_without_a_channel_ends_once_no_hangup_came() {
    let (mut call, at) = call();

    call.handle_report(Report::OriginateFailed { reason: 0 }, at(1));

    assert_eq!(call.next_timeout(), Some(at(1) + SETTLE));
    assert!(!call.handle_timeout(at(2)));
    assert!(call.handle_timeout(at(3)));
    assert_eq!(call.progress.status, CallStatus::Failed);
    assert_eq!(call.next_timeout(), None);
}

#[test]
fn congestion_is_not_busy() {
    let (mut call, at) = call();

    call.handle_report(Report::HungUp { cause: 34, sip_code: Some(503) }, at(1));

    assert_eq!(call.progress.status, CallStatus::Failed);
    assert_eq!(call.progress.cause, Some(Cause::CONGESTION));
}

#[test]
fn an_answered_call_hung_up_without_a_cause_is_completed_at_once() {
    let (mut call, at) = call();

    call.handle_report(Report::Answered, at(3));
    assert!(call.handle_report(SILENT_HANGUP, at(4)));

    assert_eq!(call.progress.status, CallStatus::Completed);
}

#[test]
fn what_comes_after_the_end_changes_nothing() {
    let (mut call, at) = call();
    call.handle_report(BUSY, at(3));
    let ended = call.clone();

    assert!(!call.handle_report(Report::Answered, at(4)));
    assert!(!call.handle_report(BUSY, at(5)));
    assert!(!call.handle_timeout(at(60)));

    assert_eq!(call, ended);
}

#[test]
fn ringing_after_the_answer_does_not_go_back() {
    let (mut call, at) = call();

    call.handle_report(Report::Answered, at(1));

    assert!(!call.handle_report(Report::Ringing, at(2)));
    assert_eq!(call.progress.status, CallStatus::InProgress);
}

#[test]
fn a_silent_call_is_overdue_only_after_its_ring_timeout() {
    let (mut call, at) = call();

    assert!(!call.is_overdue(at(39)));
    assert!(call.is_overdue(at(40)));

    call.handle_report(Report::Answered, at(20));
    assert!(!call.is_overdue(at(4000)));
}

#[test]
fn a_missing_call_ends_as_failed_unless_it_was_answered() {
    let (mut silent, at) = call();
    let (mut answered, _) = self::call();
    answered.handle_report(Report::Answered, at(1));

    for call in [&mut silent, &mut answered] {
        call.handle_missing(at(9));
        assert!(call.handle_timeout(at(11)));
    }

    assert_eq!(silent.progress.status, CallStatus::Failed);
    assert_eq!(answered.progress.status, CallStatus::Completed);
    assert_eq!(answered.progress.cause, Some(Cause::UNKNOWN));
}

#[test]
fn a_hangup_still_on_its_way_explains_a_missing_call() {
    let (mut call, at) = call();

    call.handle_missing(at(9));
    call.handle_report(BUSY, at(10));

    assert_eq!(call.progress.status, CallStatus::Busy);
    assert!(!call.handle_timeout(at(11)));
}

#[test]
fn a_status_is_read_back_from_its_word() {
    for status in CallStatus::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
}

#[test]
fn each_state_is_announced_as_the_call_then_was() {
    let (mut call, at) = call();
    call.handle_report(Report::Ringing, at(2));
    call.handle_report(Report::Answered, at(5));
    call.handle_report(Report::HungUp { cause: 16, sip_code: Some(200) }, at(9));

    let told = call.announcements(0);

    let kinds: Vec<_> = told.iter().map(|one| (one.sequence, one.kind.as_str())).collect();
    let all = ["call.initiated", "call.ringing", "call.in-progress", "call.completed"];
    assert_eq!(kinds, (1..).zip(all).collect::<Vec<_>>());
    assert_eq!(told[1].timestamp, at(2));
    let ringing = &told[1].data;
    assert_eq!((ringing.status, ringing.answered_at), (CallStatus::Ringing, None));
    assert_eq!((&ringing.cause, ringing.sip_code, ringing.ended_at), (&None, None, None));
    assert_eq!(ringing.timeline.as_ref().unwrap().len(), 2);
    assert_eq!(told[3].data, CallView::in_full(&call));
}

#[test]
fn what_was_told_and_what_never_happened_is_not_announced() {
    let (mut call, at) = call();
    assert_eq!(call.announcements(call.steps()), []);

    call.handle_report(Report::Answered, at(5));

    let told = call.announcements(1);
    assert_eq!(told.len(), 1, "it never rang");
    assert_eq!((told[0].sequence, told[0].kind.as_str()), (2, "call.in-progress"));
}

/// A call placed at second zero with a ring time-out of 30 s, and a clock to speak of later seconds.
pub(super) fn call() -> (Call, impl Fn(i64) -> DateTime<Utc>) {
    let at = |second| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(second);
    let request = CallRequest {
        id: CallId(Uuid::nil()),
        tenant: TenantId::default_tenant(),
        to: "+14155550123".parse().unwrap(),
        did: DidId(Uuid::nil()),
        from: "+14045556789".parse().unwrap(),
        reason: None,
        trunk: TrunkName::pjsip(),
        campaign: None,
        destination: Destination::Dialplan {
            context: "DynamicIVR".into(),
            exten: "s".into(),
            priority: 1,
        },
        variables: Vec::new(),
        caller_name: None,
        ring_timeout_seconds: 30,
        time_limit_seconds: None,
        callback_url: None,
        journey: None,
        created_at: at(0),
        placed_by: PlacedBy::Rotary,
    };
    (Call::initiated(request, at(0)), at)
}

//! What ends a call from our side: somebody asked for it, its phone rang for too long, or its time
//! is over.

use chrono::{DateTime, TimeDelta, Utc};

use super::cause::Cause;
use super::{Call, CallStatus};

/// A call that is to be hung up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HangUp {
    /// From when on.
    pub due: DateTime<Utc>,
    /// What Asterisk is to tell the far end.
    pub cause: Cause,
}

impl Call {
    /// Remembers that the call is to be hung up. Says whether that is new; a call that has ended
    /// stays as it is, and so does the time at which it was asked for first.
    ///
    /// Unless the callee answers first or says no, it will end as canceled.
    pub fn handle_cancel(&mut self, now: DateTime<Utc>) -> bool {
        let is_new = self.progress.hang_up_asked_at.is_none() && !self.progress.status.is_end();
        if is_new {
            self.progress.hang_up_asked_at = Some(now);
        }
        is_new
    }

    /// Asterisk has just been seen to have the call, not answered. If it should long have ended it,
    /// the call is to be hung up; without that look, an answer that we did not hear would be cut off.
    pub fn handle_listed(&mut self, now: DateTime<Utc>) {
        if self.progress.answered_at.is_none() && self.is_overdue(now) {
            self.rings_on_since.get_or_insert(now);
        }
    }

    /// When and how the call must be hung up as things stand, if ever.
    ///
    /// A call that waits in a queue has nothing to hang up yet, and one whose end is known in part
    /// is left to end.
    pub fn next_hang_up(&self) -> Option<HangUp> {
        let progress = &self.progress;
        if progress.status.is_end() || progress.status == CallStatus::Queued {
            return None;
        }
        if let Some(due) = progress.hang_up_asked_at {
            return Some(HangUp { due, cause: Cause::NORMAL });
        }
        match progress.answered_at {
            Some(answered) => {
                let limit = TimeDelta::seconds(i64::from(self.request.time_limit_seconds?));
                Some(HangUp { due: answered + limit, cause: Cause::NORMAL })
            }
            None if self.settle_by.is_some() => None,
            None => self.rings_on_since.map(|due| HangUp { due, cause: Cause::NO_ANSWER }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::super::tests::call;
    use super::*;

    const HUNG_UP: Report = Report::HungUp { cause: 16, sip_code: None };

    #[test]
    fn a_call_that_is_hung_up_before_an_answer_is_canceled() {
        let (mut call, at) = call();
        call.handle_report(Report::Ringing, at(1));

        assert!(call.handle_cancel(at(2)));
        assert_eq!(call.next_hang_up(), Some(HangUp { due: at(2), cause: Cause::NORMAL }));
        call.handle_report(HUNG_UP, at(3));

        assert_eq!(call.progress.status, CallStatus::Canceled);
        assert_eq!(call.progress.cause, Some(Cause::NORMAL));
        assert_eq!(call.next_hang_up(), None);
    }

    #[test]
    fn an_unexplained_end_of_an_unwanted_call_is_a_cancel_whichever_report_comes_first() {
        let silent = Report::HungUp { cause: 0, sip_code: None };
        let reports = [Report::OriginateFailed { reason: 1 }, silent];
        for order in [[0, 1], [1, 0]] {
            let (mut call, at) = call();
            call.handle_cancel(at(1));

            for which in order {
                call.handle_report(reports[which], at(2));
            }

            assert_eq!(call.progress.status, CallStatus::Canceled, "{order:?}");
        }
    }

    #[test]
    fn an_unwanted_call_that_asterisk_never_had_is_canceled() {
        let (mut call, at) = call();

        call.handle_cancel(at(1));
        call.handle_missing(at(9));
        call.handle_timeout(at(11));

        assert_eq!(call.progress.status, CallStatus::Canceled);
    }

    #[test]
    fn the_answer_and_the_callees_no_are_quicker_than_the_hang_up() {
        let (mut answered, at) = call();
        answered.handle_cancel(at(1));
        answered.handle_report(Report::Answered, at(1));
        answered.handle_report(HUNG_UP, at(2));
        assert_eq!(answered.progress.status, CallStatus::Completed);

        for (cause, status) in
            [(17, CallStatus::Busy), (19, CallStatus::NoAnswer), (34, CallStatus::Failed)]
        {
            let (mut call, at) = call();
            call.handle_cancel(at(1));
            call.handle_report(Report::HungUp { cause, sip_code: None }, at(1));
            assert_eq!(call.progress.status, status);
        }
    }

    #[test]
    fn asking_again_or_for_an_ended_call_changes_nothing() {
        let (mut call, at) = call();
        assert!(call.handle_cancel(at(1)));
        assert!(!call.handle_cancel(at(2)));
        assert_eq!(call.progress.hang_up_asked_at, Some(at(1)));

        let (mut ended, at) = self::call();
        ended.handle_report(HUNG_UP, at(1));
        assert!(!ended.handle_cancel(at(2)));
        assert_eq!(ended.progress.status, CallStatus::Failed);
        assert_eq!(ended.progress.hang_up_asked_at, None);
    }

    #[test]
    fn a_phone_that_rings_on_after_its_time_out_is_hung_up_as_unanswered() {
        let (mut call, at) = call();
        call.handle_report(Report::Ringing, at(2));

        call.handle_listed(at(39));
        assert_eq!(call.next_hang_up(), None, "Asterisk may yet end it");
        call.handle_listed(at(40));
        call.handle_listed(at(45));
        let due = Some(HangUp { due: at(40), cause: Cause::NO_ANSWER });
        assert_eq!(call.next_hang_up(), due);

        call.handle_report(Report::OriginateFailed { reason: 3 }, at(46));
        assert_eq!(call.next_hang_up(), None, "its end is on its way");
    }

    #[test]
    fn an_answer_that_was_heard_late_is_not_cut_off() {
        let (mut call, at) = call();

        call.handle_report(Report::Answered, at(100));
        call.handle_listed(at(100));

        assert_eq!(call.next_hang_up(), None);
    }

    #[test]
    fn an_answered_call_is_hung_up_when_its_time_is_over_counted_from_the_answer() {
        let (mut call, at) = call();
        call.request.time_limit_seconds = Some(60);
        call.handle_report(Report::Answered, at(20));

        assert_eq!(call.next_hang_up(), Some(HangUp { due: at(80), cause: Cause::NORMAL }));
        assert!(!call.is_overdue(at(89)));
        assert!(call.is_overdue(at(90)), "it should be gone by now");

        call.request.time_limit_seconds = None;
        assert_eq!(call.next_hang_up(), None);
    }

    #[test]
    fn a_call_in_a_queue_has_nothing_to_hang_up() {
        let (mut call, at) = call();
        call.progress.status = CallStatus::Queued;
        call.handle_cancel(at(1));

        assert_eq!(call.next_hang_up(), None);
    }

    #[test]
    fn a_state_that_came_before_the_wish_is_told_without_it() {
        let (mut call, at) = call();
        call.handle_report(Report::Ringing, at(2));
        call.handle_cancel(at(3));
        call.handle_report(HUNG_UP, at(4));

        let told = call.announcements(0);

        let asked: Vec<_> = told.iter().map(|one| one.data.hang_up_asked_at).collect();
        assert_eq!(asked, [None, None, Some(at(3))]);
        assert_eq!(told[2].kind, "call.canceled");
    }
}

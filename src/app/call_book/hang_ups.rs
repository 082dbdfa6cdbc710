//! Which calls are to be hung up, when, and when again.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Call, CallBook, CallId};
use crate::domain::asterisk::AsteriskName;
use crate::domain::call::cause::Cause;
use crate::domain::call::{CallStatus, ChannelId};

/// How long to wait before a hang-up is tried again for which there was no channel, the first time;
/// each time twice as long, up to [`AGAIN`].
const SOON: TimeDelta = TimeDelta::milliseconds(100);

/// How long Asterisk may take to end a call that it was told to hang up.
const AGAIN: TimeDelta = TimeDelta::seconds(5);

/// How long to wait before a hang-up is tried again that could not be sent.
const UNSENT: TimeDelta = TimeDelta::seconds(1);

/// How far the hang-up of one call has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HangingUp {
    /// Whether Asterisk is being asked just now.
    under_way: bool,
    /// How often there was no channel.
    missed: u32,
    /// When it may be tried again.
    not_before: Option<DateTime<Utc>>,
}

/// A call that is to be hung up now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct DueHangUp {
    /// Which attempt of which call.
    pub(in crate::app) channel: ChannelId,
    /// Where it was sent; none before it is.
    pub(in crate::app) asterisk: Option<AsteriskName>,
    /// What the far end is told.
    pub(in crate::app) cause: Cause,
}

/// What became of an attempt to hang up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Tried {
    /// Asterisk hangs up, or may.
    Told,
    /// Asterisk refuses: it has no such channel, or not yet.
    Refused,
    /// Asterisk did not hear of it.
    NotSent,
}

impl CallBook {
    /// The call is to be hung up, at once. One that is not in the book, or has ended, is left alone.
    pub fn hang_up(&self, id: CallId, now: DateTime<Utc>) {
        let mut book = self.lock();
        book.hasten(id);
        book.change(id, |call| {
            call.handle_cancel(now);
            false
        });
    }

    /// The call was asked to be hung up; where the book knows that, nothing changes. How far the call
    /// is; none if it is not in the book.
    pub(in crate::app) fn learn_hang_up(
        &self,
        id: CallId,
        asked_at: DateTime<Utc>,
    ) -> Option<CallStatus> {
        let mut status = None;
        self.lock().change(id, |call| {
            call.handle_cancel(asked_at);
            status = Some(call.progress.status);
            false
        });
        status
    }

    /// When a call is to be hung up next, if ever.
    pub(in crate::app) fn next_hang_up(&self) -> Option<DateTime<Utc>> {
        self.lock().hang_ups.first().map(|(due, _)| *due)
    }

    /// Waits until a call is to be hung up before all those that were to be before.
    pub(in crate::app) async fn hang_ups_sooner(&self) {
        self.hang_ups_sooner.notified().await;
    }

    /// Up to `most` calls that are to be hung up now. Each stays out until [`CallBook::hang_up_tried`]
    /// says what became of it.
    pub(in crate::app) fn take_hang_ups(&self, most: usize, now: DateTime<Utc>) -> Vec<DueHangUp> {
        let mut book = self.lock();
        let due = book.hang_ups.iter().take_while(|(due, _)| *due <= now).take(most);
        let ids: Vec<CallId> = due.map(|(_, id)| *id).collect();
        let mut taken = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(followed) = book.calls.get_mut(&id) else { continue };
            let before = followed.deadlines();
            followed.hanging_up.under_way = true;
            let (channel, asterisk) =
                (followed.call.channel_id(), followed.call.progress.asterisk.clone());
            let cause = followed.call.next_hang_up().map(|hang_up| hang_up.cause);
            taken.extend(cause.map(|cause| DueHangUp { channel, asterisk, cause }));
            let after = followed.deadlines();
            book.reschedule(id, before, after);
        }
        taken
    }

    /// Says what became of an attempt. Unless the call ends, it is tried again later.
    pub(in crate::app) fn hang_up_tried(&self, id: CallId, tried: Tried, now: DateTime<Utc>) {
        let mut book = self.lock();
        let Some(followed) = book.calls.get_mut(&id) else { return };
        let before = followed.deadlines();
        followed.hanging_up.tried(tried, now);
        let after = followed.deadlines();
        book.reschedule(id, before, after);
    }
}

impl super::Book {
    fn hasten(&mut self, id: CallId) {
        let Some(followed) = self.calls.get_mut(&id) else { return };
        let before = followed.deadlines();
        followed.hanging_up.at_once();
        let after = followed.deadlines();
        self.reschedule(id, before, after);
    }
}

impl HangingUp {
    /// When the call is to be hung up next, if ever.
    pub(super) fn due(&self, call: &Call) -> Option<DateTime<Utc>> {
        let hang_up = call.next_hang_up().filter(|_| !self.under_way)?;
        Some(self.not_before.map_or(hang_up.due, |earliest| earliest.max(hang_up.due)))
    }

    /// What made the last attempts fail may no longer hold.
    pub(super) fn at_once(&mut self) {
        self.missed = 0;
        self.not_before = None;
    }

    fn tried(&mut self, tried: Tried, now: DateTime<Utc>) {
        self.under_way = false;
        let pause = match tried {
            Tried::Told => AGAIN,
            Tried::NotSent => UNSENT,
            Tried::Refused => {
                let doubled = SOON * (1 << self.missed.min(6));
                self.missed = self.missed.saturating_add(1);
                doubled.min(AGAIN)
            }
        };
        self.not_before = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures_util::FutureExt;

    use super::super::tests::{at, call, follow, here};
    use super::*;
    use crate::domain::call::Report;

    #[test]
    fn a_wish_is_handed_out_once_and_again_until_the_call_has_ended() {
        let (book, id) = ringing();

        book.hang_up(id, at(5));

        let due = DueHangUp { channel: id.into(), asterisk: Some(here()), cause: Cause::NORMAL };
        assert_eq!(book.take_hang_ups(10, at(5)), std::slice::from_ref(&due));
        assert_eq!(book.take_hang_ups(10, at(500)), [], "Asterisk is being asked");
        book.hang_up_tried(id, Tried::Told, at(5));
        assert_eq!(book.next_hang_up(), Some(at(5) + AGAIN));
        assert_eq!(book.take_hang_ups(10, at(5) + AGAIN), [due]);
        book.handle_reports(
            vec![(id.into(), Report::HungUp { cause: 16, sip_code: None })],
            at(11),
        );
        book.hang_up_tried(id, Tried::Told, at(11));
        assert_eq!(book.next_hang_up(), None);
    }

    #[test]
    fn without_a_channel_it_is_tried_again_ever_less_often_and_at_once_when_there_is_one() {
        let book = CallBook::default();
        let id = follow(&book, 1);
        book.hang_up(id, at(0));

        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(book.take_hang_ups(10, now).len(), 1);
            book.hang_up_tried(id, Tried::Refused, now);
            let next = book.next_hang_up().unwrap();
            pauses.push((next - now).num_milliseconds());
            now = next;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);

        book.handle_reports(vec![(id.into(), Report::Ringing)], now);
        assert_eq!(book.next_hang_up(), Some(at(0)));
    }

    #[test]
    fn a_wish_waits_for_a_lost_line() {
        let (book, id) = ringing();
        book.hang_up(id, at(5));
        book.take_hang_ups(10, at(5));

        book.hang_up_tried(id, Tried::NotSent, at(5));

        assert_eq!(book.next_hang_up(), Some(at(5) + UNSENT));
    }

    #[test]
    fn what_rings_on_after_its_time_out_is_hung_up_once_asterisk_was_seen_to_have_it() {
        let (book, id) = ringing();
        let listed = HashSet::from([id.into()]);

        book.handle_list(&here(), &listed, at(20));
        assert_eq!(book.next_hang_up(), None);
        book.handle_list(&here(), &listed, at(40));

        let due = book.take_hang_ups(10, at(40));
        assert_eq!((due[0].channel, due[0].cause), (id.into(), Cause::NO_ANSWER));
    }

    #[test]
    fn who_waits_hears_of_a_hang_up_that_comes_before_the_others() {
        let (book, id) = ringing();
        let later = follow(&book, 2);
        assert_eq!(book.hang_ups_sooner().now_or_never(), None);

        book.hang_up(id, at(5));
        assert_eq!(book.hang_ups_sooner().now_or_never(), Some(()));
        book.hang_up(later, at(6));
        assert_eq!(book.hang_ups_sooner().now_or_never(), None, "it comes after the first");
    }

    #[test]
    fn no_more_are_handed_out_than_there_is_room_for() {
        let book = CallBook::default();
        for n in 1..=3 {
            let id = follow(&book, n);
            book.hang_up(id, at(1));
        }

        assert_eq!(book.take_hang_ups(2, at(100)).len(), 2);
        assert_eq!(book.take_hang_ups(2, at(100)).len(), 1);
    }

    #[test]
    fn a_call_that_never_left_or_whose_end_is_stored_is_not_hung_up() {
        let (book, id) = ringing();
        book.forget(id);
        assert_eq!(book.next_hang_up(), None);

        let other = follow(&book, 2);
        book.handle_reports(
            vec![(other.into(), Report::HungUp { cause: 17, sip_code: None })],
            at(1),
        );
        let changed = book.unsaved(10);
        book.saved(changed);
        book.hang_up(other, at(2));
        assert_eq!(book.next_hang_up(), None);
    }

    #[test]
    fn what_an_earlier_run_was_asked_is_done_by_this_one() {
        let mut asked = call(1);
        asked.handle_cancel(at(3));
        let mut over = call(2);
        over.request.time_limit_seconds = Some(60);
        over.handle_report(Report::Answered, at(10));
        let book = CallBook::default();

        book.resume(asked, 0);
        book.resume(over, 0);

        assert_eq!(book.take_hang_ups(10, at(70)).len(), 2);
    }

    #[test]
    fn a_wish_found_in_the_store_does_not_hurry_one_that_is_known() {
        let (book, id) = ringing();
        book.hang_up(id, at(5));
        book.take_hang_ups(10, at(5));
        book.hang_up_tried(id, Tried::NotSent, at(5));

        book.learn_hang_up(id, at(5));

        assert_eq!(book.next_hang_up(), Some(at(5) + UNSENT));
    }

    fn ringing() -> (CallBook, CallId) {
        let book = CallBook::default();
        let id = follow(&book, 1);
        book.handle_reports(vec![(id.into(), Report::Ringing)], at(1));
        (book, id)
    }
}

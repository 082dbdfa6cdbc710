//! The calls that wait for their trunk, and those that go out by more than one.

use chrono::{DateTime, Utc};

use super::cause::Cause;
use super::{Call, CallRequest, CallStatus, ChannelId, Pending, Progress};
use crate::domain::did::TrunkName;
use crate::domain::pace::verdict::Verdict;

impl Call {
    /// A call that waits for a place on its trunk.
    pub fn queued(request: CallRequest, now: DateTime<Utc>) -> Self {
        let progress = Progress { queued_at: Some(now), ..Progress::new(CallStatus::Queued) };
        Self::restored(request, progress)
    }

    /// The id of its present channel in Asterisk.
    pub fn channel_id(&self) -> ChannelId {
        ChannelId { call: self.id(), attempt: self.progress.attempt }
    }

    /// A call that waited has its place and is handed to Asterisk; false if it did not wait.
    pub fn initiate(&mut self, now: DateTime<Utc>) -> bool {
        let moves = self.progress.status == CallStatus::Queued;
        if moves {
            self.progress.status = CallStatus::Initiated;
            self.progress.initiated_at = Some(now);
        }
        moves
    }

    /// Ends a call that waited and is not wanted any more.
    pub fn cancel(&mut self, now: DateTime<Utc>) -> bool {
        let waits = self.progress.status == CallStatus::Queued;
        waits && self.end_as(CallStatus::Canceled, Cause::NORMAL, now)
    }

    /// Ends a call that waited for its trunk for too long.
    pub fn expire(&mut self, now: DateTime<Utc>) -> bool {
        let waits = self.progress.status == CallStatus::Queued;
        waits && self.end_as(CallStatus::Failed, Cause::NO_CHANNEL, now)
    }

    /// Whether the call has ended without having reached the callee's phone, and is still wanted.
    pub fn reached_nobody(&self) -> bool {
        let Progress { status, ringing_at, answered_at, initiated_at, .. } = &self.progress;
        if self.progress.hang_up_asked_at.is_some() {
            return false;
        }
        let ended = matches!(status, CallStatus::Failed | CallStatus::Busy);
        ended && initiated_at.is_some() && ringing_at.is_none() && answered_at.is_none()
    }

    /// Names the end of an unanswered call as what it was for its trunk: a carrier may say busy where
    /// it has no circuit, and the other way round.
    pub fn explain(&mut self, verdict: Verdict) {
        let unanswered = self.progress.answered_at.is_none();
        self.progress.status = match (self.progress.status, verdict) {
            (CallStatus::Busy, Verdict::Full | Verdict::Throttled) if unanswered => {
                CallStatus::Failed
            }
            (CallStatus::Failed, Verdict::Busy) if unanswered => CallStatus::Busy,
            (status, _) => status,
        };
    }

    /// Begins the next attempt of a call that reached nobody: it is as if it had not ended, and
    /// leaves by `trunk`. False for a call that must not go out again.
    pub fn try_again(&mut self, trunk: TrunkName, now: DateTime<Utc>) -> bool {
        if !self.reached_nobody() {
            return false;
        }
        let progress = &mut self.progress;
        self.before = progress.cause.map(|cause| (cause, progress.sip_code));
        progress.status = CallStatus::Initiated;
        progress.attempt += 1;
        (progress.cause, progress.sip_code, progress.ended_at) = (None, None, None);
        self.request.trunk = trunk;
        (self.pending, self.settle_by, self.again_at) = (Pending::default(), None, Some(now));
        self.rings_on_since = None;
        true
    }

    /// Ends a call whose present attempt never left: as the attempt before it did, if there was one.
    pub fn give_up(&mut self, now: DateTime<Utc>) -> bool {
        let Some((cause, sip_code)) = self.before else { return self.fail(now) };
        self.progress.sip_code = sip_code;
        !self.progress.status.is_end() && self.end_as(CallStatus::Failed, cause, now)
    }
}

#[cfg(test)]
mod tests;

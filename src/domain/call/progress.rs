//! How far a call has come, and when.

use chrono::{DateTime, Utc};

use super::CallStatus;
use super::cause::Cause;
use crate::domain::asterisk::AsteriskName;

/// How far a call has come, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The state.
    pub status: CallStatus,
    /// The Asterisk that has it, or was the last to be asked; none before one is chosen.
    pub asterisk: Option<AsteriskName>,
    /// Why it ended.
    pub cause: Option<Cause>,
    /// The SIP status that ended it, where Asterisk tells (22 and later).
    pub sip_code: Option<u16>,
    /// When it began to wait for a place on its trunk; none for a call that did not.
    pub queued_at: Option<DateTime<Utc>>,
    /// When it was handed to Asterisk.
    pub initiated_at: Option<DateTime<Utc>>,
    /// When the phone began to ring.
    pub ringing_at: Option<DateTime<Utc>>,
    /// When it was answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it was first asked to be hung up.
    pub hang_up_asked_at: Option<DateTime<Utc>>,
    /// Which attempt this is, from 1: it goes out again where a trunk could not carry it.
    pub attempt: u32,
}

impl Progress {
    /// A first attempt in this state, of which nothing else is known.
    pub fn new(status: CallStatus) -> Self {
        Self {
            status,
            asterisk: None,
            cause: None,
            sip_code: None,
            queued_at: None,
            initiated_at: None,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            hang_up_asked_at: None,
            attempt: 1,
        }
    }

    /// Each state the call was in and when it came there, the oldest first.
    pub fn steps(&self) -> Vec<(CallStatus, DateTime<Utc>)> {
        let end = self.status.is_end().then_some(self.status);
        let steps = [
            (Some(CallStatus::Queued), self.queued_at),
            (Some(CallStatus::Initiated), self.initiated_at),
            (Some(CallStatus::Ringing), self.ringing_at),
            (Some(CallStatus::InProgress), self.answered_at),
            (end, self.ended_at),
        ];
        steps.into_iter().filter_map(|(status, at)| Some((status?, at?))).collect()
    }

    /// What was known when the call came to its first `count` steps.
    pub(super) fn up_to(&self, count: usize) -> Self {
        let steps = self.steps();
        let passed = &steps[..count.min(steps.len())];
        let reached = |step: CallStatus| passed.iter().any(|(status, _)| *status == step);
        let over = passed.len() == steps.len() && self.status.is_end();
        Self {
            status: passed.last().map_or(self.status, |(status, _)| *status),
            asterisk: self.asterisk.clone().filter(|_| reached(CallStatus::Initiated)),
            cause: self.cause.filter(|_| over),
            sip_code: self.sip_code.filter(|_| over),
            queued_at: self.queued_at,
            initiated_at: self.initiated_at.filter(|_| reached(CallStatus::Initiated)),
            ringing_at: self.ringing_at.filter(|_| reached(CallStatus::Ringing)),
            answered_at: self.answered_at.filter(|_| reached(CallStatus::InProgress)),
            ended_at: self.ended_at.filter(|_| over),
            hang_up_asked_at: self
                .hang_up_asked_at
                .filter(|asked| passed.last().is_some_and(|(_, reached)| asked <= reached)),
            attempt: self.attempt,
        }
    }

    /// From the hand-over to Asterisk to the end, in whole seconds; none before the end.
    pub fn duration_seconds(&self) -> Option<i64> {
        Some((self.ended_at? - self.initiated_at?).num_seconds().max(0))
    }

    /// From the answer to the end, in whole seconds; 0 for a call never answered, none before the end or where a
    /// dialplan did not say when its call was answered.
    pub fn talk_seconds(&self) -> Option<i64> {
        let ended = self.ended_at?;
        match self.answered_at {
            Some(answered) => Some((ended - answered).num_seconds().max(0)),
            None if self.status == CallStatus::Completed => None,
            None => Some(0),
        }
    }
}

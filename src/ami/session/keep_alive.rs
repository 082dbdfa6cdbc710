//! Finds out that a line is dead though nobody closed it.

use std::time::Instant;

use super::waiting::Purpose;
use super::{Session, lost};
use crate::ami::Loss;

/// How many pong deadlines a line gets that brings events, but no pong.
const PONG_EXTENSIONS: u32 = 3;

/// A ping without its pong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pulse {
    pub(super) sent: Instant,
    pub(super) deadline: Instant,
    extensions: u32,
}

impl Session {
    /// Sends a ping that is due, and closes a line that stays silent after one.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        if let Some(pulse) = self.pulse.filter(|pulse| pulse.deadline <= now) {
            if self.heard <= pulse.sent || pulse.extensions == PONG_EXTENSIONS {
                let silent = now.saturating_duration_since(pulse.sent);
                let cause = format!("no answer to a ping for {} s", silent.as_secs());
                return self.close(lost(Loss::Silent, cause));
            }
            let deadline = now + self.settings.pong_deadline;
            self.pulse = Some(Pulse { deadline, extensions: pulse.extensions + 1, ..pulse });
        }
        if self.ping_due.is_some_and(|due| due <= now) {
            self.ping_due = Some(now + self.settings.ping_interval);
            if self.pulse.is_none() {
                let deadline = now + self.settings.pong_deadline;
                self.pulse = Some(Pulse { sent: now, deadline, extensions: 0 });
                self.ask_own(Purpose::Ping, "Ping", now);
            }
        }
    }
}

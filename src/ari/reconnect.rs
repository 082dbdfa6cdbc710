//! Keeps a line to Asterisk: connects, and connects again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::client::Counters;
use super::connection::{self, Around};
use super::rest::Rest;
use crate::line::backoff::Backoff;
use crate::line::reports::Reporter;
use crate::line::{DownReason, LineState, tell};

/// A refused login is not tried again sooner: a host that bans attackers would ban us.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// The task's side of a [`Client`](super::Client).
#[derive(Debug)]
pub struct Line {
    settings: Arc<Settings>,
    rest: Rest,
    reporter: Reporter,
    state: watch::Sender<LineState>,
    counters: Arc<Counters>,
}

impl Line {
    pub(super) fn new(
        settings: Arc<Settings>,
        rest: Rest,
        reporter: Reporter,
        state: watch::Sender<LineState>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { settings, rest, reporter, state, counters }
    }

    /// Keeps the line up until told to stop. No fault of Asterisk's ends it. Requests under way are
    /// their callers' and end with them.
    ///
    /// # Errors
    /// None at present; every outcome is told by the [`LineState`].
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        stop.run_until_cancelled(self.keep_up()).await;
        tell(&self.state, LineState::Down { why: DownReason::Stopped });
        Ok(())
    }

    async fn keep_up(&self) {
        let around = Around {
            settings: &self.settings,
            rest: &self.rest,
            reporter: &self.reporter,
            counters: &self.counters,
            state: &self.state,
        };
        let mut backoff = Backoff::new(self.settings.backoff_min, self.settings.backoff_max);
        loop {
            let connects = self.counters.line.connects();
            let begun = Instant::now();
            let why = connection::run(&around).await;
            self.counters.line.failed(&why);
            if self.counters.line.connects() > connects
                && begun.elapsed() >= self.settings.stable_after
            {
                backoff.reset();
            }
            let mut wait = backoff.next(fastrand::f64());
            if let DownReason::LoginRefused { .. } = why {
                wait = wait.max(AFTER_REFUSAL);
            }
            tell(&self.state, LineState::Down { why });
            time::sleep(wait).await;
        }
    }
}

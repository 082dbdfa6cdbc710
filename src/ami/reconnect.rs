//! Keeps a line to Asterisk: connects, and connects again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::client::{Asked, Counters};
use super::connection::{self, Around};
use super::report::Reporter;
use super::session::Session;
use super::{AmiError, DownReason, LineState, Settings};

/// A refused login is not tried again sooner: a host that bans attackers would ban us.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// The task's side of a [`Client`](super::Client).
#[derive(Debug)]
pub struct Line {
    settings: Arc<Settings>,
    queue: mpsc::Receiver<Asked>,
    reporter: Reporter,
    state: watch::Sender<LineState>,
    counters: Arc<Counters>,
}

/// How long to wait before trying again.
#[derive(Debug)]
struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Line {
    pub(super) fn new(
        settings: Arc<Settings>,
        queue: mpsc::Receiver<Asked>,
        reporter: Reporter,
        state: watch::Sender<LineState>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { settings, queue, reporter, state, counters }
    }

    /// Keeps the line up until told to stop, and then until nobody waits or patience ends.
    /// No fault of Asterisk's ends it.
    ///
    /// # Errors
    /// None at present; every outcome is told by the [`LineState`].
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(&self.settings);
        while !stop.is_cancelled() {
            let connects = self.counters.connects.load(Ordering::Relaxed);
            let begun = Instant::now();
            let Some(why) = self.connect_and_talk(&stop).await else { break };
            self.counters.failed(&why);
            if self.counters.connects.load(Ordering::Relaxed) > connects
                && begun.elapsed() >= self.settings.stable_after
            {
                backoff.reset();
            }
            let mut wait = backoff.next(fastrand::f64());
            if let DownReason::LoginRefused { .. } = why {
                wait = wait.max(AFTER_REFUSAL);
            }
            tell(&self.state, LineState::Down { why });
            self.turning_away(time::sleep(wait), &stop).await;
        }
        tell(&self.state, LineState::Down { why: DownReason::Stopped });
        self.queue.close();
        while let Some(asked) = self.queue.recv().await {
            turn_away(asked, &self.state);
        }
        Ok(())
    }

    /// One connection from its beginning to its end; none once stopped.
    async fn connect_and_talk(&mut self, stop: &CancellationToken) -> Option<DownReason> {
        let settings = self.settings.clone();
        let socket = match self.turning_away(connect(&settings), stop).await? {
            Ok(socket) => socket,
            Err(error) => {
                let address = settings.address.clone();
                return Some(DownReason::Unreachable { address, cause: error.to_string() });
            }
        };
        let now = Instant::now().into_std();
        let session = Session::new(settings.clone(), self.counters.clone(), now);
        let state = &self.state;
        let mut around = Around {
            settings: &settings,
            queue: &mut self.queue,
            reporter: &self.reporter,
            counters: &self.counters,
            stop,
            tell: &mut |now| tell(state, now),
        };
        Some(connection::run(socket, session, &mut around).await)
    }

    /// Waits for something, meanwhile telling askers at once that the line is down.
    async fn turning_away<T>(
        &mut self,
        waited: impl Future<Output = T>,
        stop: &CancellationToken,
    ) -> Option<T> {
        let mut waited = std::pin::pin!(waited);
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                value = &mut waited => return Some(value),
                Some(asked) = self.queue.recv() => turn_away(asked, &self.state),
            }
        }
    }
}

async fn connect(settings: &Settings) -> io::Result<TcpStream> {
    let connected = time::timeout(settings.connect_deadline, TcpStream::connect(&settings.address));
    let timed_out = |_| {
        let text = format!("no answer within {:?}", settings.connect_deadline);
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    };
    let socket = connected.await.unwrap_or_else(timed_out)?;
    // Actions are small and somebody waits for each.
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn turn_away(asked: Asked, state: &watch::Sender<LineState>) {
    let why = state.borrow().to_string();
    // Nobody may be waiting any more.
    let _ = asked.answer.send(Err(AmiError::NotSent(why)));
}

fn tell(state: &watch::Sender<LineState>, now: LineState) {
    let told = now.clone();
    let changed = state.send_if_modified(|before| {
        let changed = *before != now;
        *before = now;
        changed
    });
    if changed {
        match told {
            LineState::Up { .. } => tracing::info!("{told}"),
            LineState::Down { why: DownReason::Stopped } => tracing::info!("{told}"),
            LineState::Down { .. } => tracing::warn!("{told}"),
        }
    }
}

impl Backoff {
    fn new(settings: &Settings) -> Self {
        Self { min: settings.backoff_min, max: settings.backoff_max, failures: 0 }
    }

    /// The next wait, `random` (0 to 1) of the way from half to all of what is due.
    fn next(&mut self, random: f64) -> Duration {
        let due = self.min.saturating_mul(1 << self.failures.min(20)).min(self.max);
        self.failures += 1;
        due.mul_f64(0.5 + random / 2.0)
    }

    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again_after_a_stable_line() {
        let mut backoff = Backoff::new(&Settings::default());

        let waits: Vec<_> = (0..12).map(|_| backoff.next(1.0)).collect();
        assert_eq!(waits[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(waits[11], Duration::from_secs(30));
        assert!((0..100).all(|_| backoff.next(1.0) == Duration::from_secs(30)));

        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::from_millis(50));
    }
}

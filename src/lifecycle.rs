//! Starting the long-lived tasks and stopping them again, top floor first.
//!
//! Every such task is spawned here and nowhere else.

use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

/// The daemon's tasks, in the two stages in which they stop.
pub struct Lifecycle {
    /// What lets requests in, and the operations those requests began.
    pub doors: Stage,
    /// What operations lean on, such as the line to Asterisk.
    pub wires: Stage,
    failed: CancellationToken,
}

/// Tasks that stop together.
pub struct Stage {
    stop: CancellationToken,
    tasks: TaskTracker,
    failed: CancellationToken,
}

impl Default for Lifecycle {
    fn default() -> Self {
        let failed = CancellationToken::new();
        Self { doors: Stage::new(&failed), wires: Stage::new(&failed), failed }
    }
}

impl Lifecycle {
    /// Waits for SIGTERM, SIGINT or a failed task, then stops one stage at a time.
    ///
    /// Each stage has `patience` to finish what it began; a second signal ends that wait.
    pub async fn run(self, patience: Duration) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::listen()?;
        tell(&[NotifyState::Ready]);
        let watched = self.wires.stop.clone();
        let watchdog = self.wires.tasks.spawn(feed_watchdog(watched));

        tokio::select! {
            name = signals.next() => info!("{name}: stopping"),
            () = self.failed.cancelled() => {}
        }
        tell(&[NotifyState::Stopping]);

        let failed = self.failed.clone();
        tokio::select! {
            () = self.stop(patience) => {}
            name = signals.next() => warn!("{name} again: leaving without waiting"),
        }
        watchdog.abort();
        Ok(if failed.is_cancelled() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Stops the doors, then the wires, giving each `patience`.
    pub async fn stop(self, patience: Duration) {
        self.doors.stop(patience).await;
        self.wires.stop(patience).await;
    }
}

impl Stage {
    fn new(failed: &CancellationToken) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self { stop, tasks, failed: failed.clone() }
    }

    /// Where operations run, so that stopping waits for them.
    pub fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    /// Runs a task for as long as the daemon lives. A cancelled token tells it
    /// to take no new work, finish what it began and return.
    ///
    /// A task that ends before that stops the daemon: the service manager can
    /// restart a dead daemon but cannot see that half of one is missing.
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let guard = Alive { name, stop: self.stop.clone(), failed: self.failed.clone() };
        let work = task(self.stop.clone());
        self.tasks.spawn(async move {
            let result = work.await;
            guard.ended(result);
        });
    }

    async fn stop(self, patience: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            warn!("{} tasks still running after {patience:?}", self.tasks.len());
        }
    }
}

/// Stops the daemon when its task ends unasked, be it by returning or by a panic.
struct Alive {
    name: &'static str,
    stop: CancellationToken,
    failed: CancellationToken,
}

impl Alive {
    fn ended(self, result: anyhow::Result<()>) {
        match result {
            Ok(()) if self.stop.is_cancelled() => debug!("{} stopped", self.name),
            Ok(()) => error!("{} ended early", self.name),
            Err(error) => {
                error!("{} failed: {error:#}", self.name);
                self.failed.cancel();
            }
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            self.failed.cancel();
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Tells systemd's watchdog we live, at half its period, until `stop`.
async fn feed_watchdog(stop: CancellationToken) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut beat = tokio::time::interval(period / 2);
    loop {
        tokio::select! {
            _ = beat.tick() => tell(&[NotifyState::Watchdog]),
            () = stop.cancelled() => return,
        }
    }
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("tell systemd: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn a_failed_task_stops_the_doors_and_then_the_wires() {
        let life = Lifecycle::default();
        let stopped = Arc::new(Mutex::new(Vec::new()));

        for (stage, name) in [(&life.wires, "ami"), (&life.doors, "http")] {
            let stopped = stopped.clone();
            stage.spawn(name, |stop| async move {
                stop.cancelled().await;
                stopped.lock().unwrap().push(name);
                Ok(())
            });
        }
        life.doors.spawn("agi", |_| async { anyhow::bail!("port in use") });

        let code = life.run(Duration::from_secs(1)).await.unwrap();
        assert_eq!(code, ExitCode::FAILURE);
        assert_eq!(*stopped.lock().unwrap(), ["http", "ami"]);
    }

    #[tokio::test]
    async fn a_task_that_panics_stops_the_daemon() {
        let life = Lifecycle::default();

        life.wires.spawn("ledger", |_| async { panic!("a bug") });

        let code = life.run(Duration::from_secs(1)).await.unwrap();
        assert_eq!(code, ExitCode::FAILURE);
    }
}

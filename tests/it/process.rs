//! A server of the tests: ended with the test, even when the test is killed.

use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::wait::PATIENCE;

/// A running child process.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Runs `program`, which must replace itself by the server rather than start it as a child.
    /// What it prints goes to `output`.
    pub(crate) fn start(program: &str, arguments: &[&str], dir: &Path, output: &Path) -> Self {
        let output = File::create(output).expect("create the server's output file");
        // The kernel ends the child when the thread that started it is gone, however it went.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program])
            .args(arguments)
            .current_dir(dir)
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("share the output file"))
            .stderr(output)
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("start {program}: {error}")))
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id().expect("it runs")
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("ask for the process's status")
    }

    /// Asks it to end (SIGTERM), and waits until it is gone.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.ask_to_end().await;
        self.gone().await
    }

    /// Asks it to end (SIGTERM).
    pub(crate) async fn ask_to_end(&self) {
        self.signal("TERM").await;
    }

    /// Sends it a signal, such as `STOP`.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.id();
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().await;
        assert!(sent.expect("run sh").success(), "send {name} to {pid}");
    }

    /// Waits until it is gone.
    pub(crate) async fn gone(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.0.wait()).await;
        ended.expect("the process ends").expect("wait for the process")
    }

    /// Ends it as kill -9 does, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.0.kill().await.expect("kill the process");
    }
}

impl Drop for Process {
    /// Ends it and waits, so that its directory can be removed next.
    fn drop(&mut self) {
        if self.0.start_kill().is_ok() {
            while matches!(self.0.try_wait(), Ok(None)) {
                std::thread::yield_now();
            }
        }
    }
}

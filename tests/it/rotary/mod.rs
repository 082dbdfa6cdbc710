//! A Rotary as its users have it: the binary itself, with a state directory, a control socket and a
//! TCP port of its own, configured by its environment.

mod http;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) use self::http::{Answer, Http};
use crate::ports::Ports;
use crate::process::Process;
use crate::real_asterisk::Asterisk;
use crate::wait::until;

const BINARY: &str = env!("CARGO_BIN_EXE_rotary");

/// A Rotary, running or not. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Rotary {
    // Dropped first: the process ends before its directory goes and its ports are given up.
    process: Option<Process>,
    runs: usize,
    environment: Vec<(String, String)>,
    dir: TempDir,
    ports: Ports,
}

/// What Rotary speaks with Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    Ami,
    Ari,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Memory that is really there, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

impl Rotary {
    /// One that has not begun, whose Asterisk is at an address where nobody is.
    pub(crate) fn new() -> Self {
        let ports = Ports::claim();
        let dir = tempfile::Builder::new().prefix("rotary-daemon-").tempdir();
        let dir = dir.expect("create the daemon's directory");
        let nobody = format!("127.0.0.1:{}", ports.first() + 1);
        let rotary = Self { process: None, runs: 0, environment: Vec::new(), dir, ports };
        let listen = rotary.tcp_address().to_string();
        let agi = rotary.agi_address().to_string();
        rotary
            .set("ROTARY_HTTP__LISTEN", &listen)
            .set("ROTARY_AGI__LISTEN", &agi)
            .set("ROTARY_ASTERISK__ADDRESS", &nobody)
    }

    /// One that has not begun, beside that Asterisk.
    pub(crate) fn beside(asterisk: &Asterisk) -> Self {
        Self::new()
            .set("ROTARY_ASTERISK__ADDRESS", &asterisk.ami_address().to_string())
            .set("ROTARY_ASTERISK__USERNAME", asterisk.username())
            .set("ROTARY_ASTERISK__SECRET", asterisk.secret())
    }

    /// One that has not begun, beside that Asterisk, which it speaks to so.
    pub(crate) fn over(via: Via, asterisk: &Asterisk) -> Self {
        let rotary = Self::beside(asterisk);
        match via {
            Via::Ami => rotary,
            Via::Ari => rotary
                .set("ROTARY_ASTERISK__VIA", "ari")
                .set("ROTARY_ASTERISK__ADDRESS", &asterisk.http_address().to_string()),
        }
    }

    /// Sets a variable of its environment, for when it is started next.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it; returns when it answers. Asterisk may be down.
    pub(crate) async fn start(mut self) -> Self {
        self.start_again().await;
        self
    }

    /// Starts it; returns when it can place calls.
    pub(crate) async fn start_ready(self) -> Self {
        let rotary = self.start().await;
        rotary.ready().await;
        rotary
    }

    /// Starts it once more, with the state that it left; returns when it answers.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.process.is_none(), "Rotary still runs");
        self.runs += 1;
        let environment = self.environment();
        let mut arguments = vec!["-i"];
        arguments.extend(environment.iter().map(String::as_str));
        arguments.extend([BINARY, "serve"]);
        let log = self.log_file(self.runs);
        // `env` becomes the daemon; nothing of the environment of the tests reaches it.
        let mut process = Process::start("env", &arguments, self.dir.path(), &log);
        until("Rotary to answer", async || {
            if let Some(status) = process.ended() {
                panic!("Rotary ended at once ({status}):\n{}", self.log());
            }
            self.socket().try_get("/healthz").await.filter(|answer| answer.status == 200)
        })
        .await;
        self.process = Some(process);
    }

    /// Waits until it can place calls.
    pub(crate) async fn ready(&self) {
        until("Rotary to be ready", async || {
            let answer = self.get("/readyz").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// Waits until it says that it cannot place calls.
    pub(crate) async fn unready(&self) -> Value {
        until("Rotary to be unready", async || {
            let answer = self.get("/readyz").await;
            (answer.status == 503).then(|| answer.json())
        })
        .await
    }

    /// What `rotary serve` says where it does not start.
    pub(crate) async fn fail_to_start(&self, arguments: &[&str]) -> Output {
        assert!(self.process.is_none(), "Rotary runs");
        let mut all = vec!["serve"];
        all.extend(arguments);
        self.cli(&all).await
    }

    /// Runs a command beside the daemon, which finds it by `ROTARY_SOCKET`.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.env_clear().args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        for variable in self.environment() {
            let (name, value) = variable.split_once('=').expect("a variable has a value");
            command.env(name, value);
        }
        let done = tokio::time::timeout(crate::wait::PATIENCE, command.kill_on_drop(true).output());
        let done = done.await.unwrap_or_else(|_| panic!("rotary {arguments:?} does not end"));
        let done = done.expect("run rotary");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output {
            code: done.status.code().expect("rotary ends by itself"),
            stdout: text(&done.stdout),
            stderr: text(&done.stderr),
        }
    }

    /// What a command that succeeds prints with `--json`.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(&[arguments, &["--json"]].concat()).await;
        assert_eq!(output.code, 0, "rotary {arguments:?}: {output:?}\n{}", self.log());
        serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("rotary {arguments:?}: {error}: {output:?}"))
    }

    /// Writes a file into its directory; the path, for a command.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("write a file for Rotary");
        path.to_str().expect("a path of the tests is UTF-8").to_owned()
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> Http {
        Http::socket(self.socket_path())
    }

    /// The TCP door.
    pub(crate) fn tcp(&self) -> Http {
        Http::tcp(self.tcp_address())
    }

    /// Reads, over the control socket.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.socket().get(path).await
    }

    /// Sends JSON, over the control socket.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.socket().post(path, body).await
    }

    /// Waits for a call to come so far, and shows it as `rotary calls show --json` does.
    pub(crate) async fn call_is(&self, id: &str, status: &str) -> Value {
        until(&format!("call {id} to be {status}"), async || {
            let call = self.json(&["calls", "show", id]).await;
            (call["status"] == status).then_some(call)
        })
        .await
    }

    /// How often each DID was used, by its number.
    pub(crate) async fn usage(&self) -> Vec<(String, u64)> {
        let page = self.get("/api/asterisk-dids?limit=1000&sort=number").await.json();
        let dids = page["data"].as_array().expect("a list of DIDs").iter();
        dids.map(|did| {
            let number = did["number"].as_str().expect("a DID has a number").to_owned();
            (number, did["usageCount"].as_u64().expect("a DID has a count"))
        })
        .collect()
    }

    /// Ends it as a crash does, and waits until it is gone.
    pub(crate) async fn kill9(&mut self) {
        self.process.take().expect("Rotary runs").kill().await;
    }

    /// Ends it as a service manager does, and waits until it is gone.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.process.take().expect("Rotary runs").stop().await
    }

    /// Sends SIGTERM and does not wait.
    pub(crate) async fn ask_to_end(&self) {
        self.process.as_ref().expect("Rotary runs").ask_to_end().await;
    }

    /// Waits until it is gone.
    pub(crate) async fn gone(&mut self) -> ExitStatus {
        self.process.take().expect("Rotary runs").gone().await
    }

    /// How much memory it has, and has had at most, in bytes.
    pub(crate) fn memory(&self) -> Memory {
        let pid = self.process.as_ref().expect("Rotary runs").id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Rotary runs");
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>();
            kilobytes.expect("a number of kilobytes") << 10
        };
        Memory { now: bytes("VmRSS:"), most: bytes("VmHWM:") }
    }

    /// What it logged in all its runs.
    pub(crate) fn log(&self) -> String {
        let runs = (1..=self.runs).map(|run| self.log_file(run));
        runs.map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect()
    }

    /// Where the control socket is.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.dir.path().join("run/control.sock")
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Where TCP is served.
    pub(crate) fn tcp_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.first()).into()
    }

    /// Where FastAGI is served.
    pub(crate) fn agi_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.first() + 2).into()
    }

    fn log_file(&self, run: usize) -> PathBuf {
        self.dir.path().join(format!("log.{run}"))
    }

    fn environment(&self) -> Vec<String> {
        let path = std::env::var("PATH").unwrap_or_default();
        let text = |path: &Path| path.display().to_string();
        let mut all = vec![
            ("PATH".to_owned(), path),
            ("HOME".to_owned(), text(self.dir.path())),
            ("STATE_DIRECTORY".to_owned(), text(&self.state())),
            ("RUNTIME_DIRECTORY".to_owned(), text(&self.dir.path().join("run"))),
            ("ROTARY_SOCKET".to_owned(), text(&self.socket_path())),
        ];
        all.retain(|(name, _)| self.environment.iter().all(|(ours, _)| ours != name));
        all.extend(self.environment.iter().cloned());
        all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

impl Drop for Rotary {
    /// A failed test shows what its daemon had to say.
    #[expect(clippy::print_stderr, reason = "nextest keeps what a failed test prints")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of Rotary\n{}---", self.log());
        }
    }
}

//! The daemon as a process of its own, and an administrator at its control socket.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::callers::Habits;

/// The trunk whose calls wait for their turn.
pub const PACED: &str = "paced";

/// The trunk that turns calls away.
pub const NARROW: &str = "narrow";

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon.
pub struct Daemon {
    process: Child,
    place: TempDir,
    environment: Vec<(String, String)>,
    listen: SocketAddr,
    administrator: reqwest::Client,
    /// The most memory that a run of it had, in bytes.
    most: u64,
}

/// Memory of the process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub now: u64,
    /// The most in any run so far.
    pub most: u64,
}

impl Daemon {
    /// Starts one on this database, beside that Asterisk; returns when it can place calls.
    pub async fn start(database: &str, asterisk: SocketAddr) -> anyhow::Result<Self> {
        let place = tempfile::Builder::new().prefix("rotary-soak-").tempdir()?;
        let listen = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let path = |name: &str| place.path().join(name).display().to_string();
        let trunk = |name: &str, key: &str| format!("ROTARY_TRUNKS__{name}__{key}");
        let environment = [
            ("STATE_DIRECTORY".to_owned(), path("state")),
            ("RUNTIME_DIRECTORY".to_owned(), path("run")),
            ("ROTARY_HTTP__LISTEN".to_owned(), listen.to_string()),
            ("ROTARY_AGI__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("ROTARY_STORE__URL".to_owned(), database.to_owned()),
            ("ROTARY_ASTERISK__ADDRESS".to_owned(), asterisk.to_string()),
            ("ROTARY_ASTERISK__SECRET".to_owned(), "s3cret".to_owned()),
            ("ROTARY_WEBHOOKS__ALLOW_PRIVATE_TARGETS".to_owned(), "true".to_owned()),
            ("ROTARY_LOG__FORMAT".to_owned(), "json".to_owned()),
            ("ROTARY_CALLS__QUEUE_SECONDS_MAX".to_owned(), "15".to_owned()),
            (trunk(PACED, "CALLS_PER_SECOND"), "4".to_owned()),
            (trunk(PACED, "WHEN_FULL"), "queue".to_owned()),
            (trunk(NARROW, "CHANNELS_MAX"), "5".to_owned()),
            (trunk(NARROW, "WHEN_FULL"), "refuse".to_owned()),
        ];
        let administrator = reqwest::Client::builder()
            .unix_socket(place.path().join("run/control.sock"))
            .build()?;
        let environment = environment.to_vec();
        let process = serve(&place, &environment)?;
        let mut daemon = Self { process, place, environment, listen, administrator, most: 0 };
        daemon.ready().await?;
        Ok(daemon)
    }

    /// Kills it as a crash would, and starts it again; returns when it answers.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.process = serve(&self.place, &self.environment)?;
        self.ready().await
    }

    /// Ends it without a word.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.most = self.memory()?.most;
        self.process.kill().context("kill the daemon")?;
        self.process.wait()?;
        Ok(())
    }

    /// Where callers go.
    pub fn door(&self) -> String {
        format!("http://{}/api/calls", self.listen)
    }

    /// A tenant with its DIDs; the secret that signs its callbacks.
    pub async fn add_tenant(&self, habits: &Habits) -> anyhow::Result<String> {
        let made = self.post("/api/tenants", habits.tenant, json!({"id": habits.tenant})).await?;
        let secret = made["webhookSecret"].as_str().context("the tenant's secret")?.to_owned();
        let mut csv = String::from("number,trunk,status,maxUsage\n");
        let limit = habits.max_usage.map(|most| most.to_string()).unwrap_or_default();
        for n in 0..habits.dids {
            csv.push_str(&format!("+1404555{n:04},{},active,{limit}\n", habits.trunk));
        }
        let request = self.administrator.post("http://rotary/api/asterisk-dids/import");
        let request = request.header("content-type", "text/csv");
        let report = self.send(request.header("x-tenant-id", habits.tenant).body(csv)).await?;
        ensure!(report["imported"] == habits.dids, "import the DIDs: {report}");
        Ok(secret)
    }

    /// A key for the tenant's callers.
    pub async fn add_key(&self, tenant: &str) -> anyhow::Result<String> {
        let key = json!({"tenantId": tenant, "role": "journey"});
        let made = self.post("/api/keys", tenant, key).await?;
        Ok(made["key"].as_str().context("the key")?.to_owned())
    }

    /// What it says of itself to an administrator.
    pub async fn status(&self) -> anyhow::Result<Value> {
        self.send(self.administrator.get("http://rotary/api/status")).await
    }

    /// Its memory.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
        };
        let now = bytes("VmRSS:").context("read its memory")?;
        Ok(Memory { now, most: bytes("VmHWM:").unwrap_or(now).max(self.most) })
    }

    /// Calls that waited, were told to be on their way and certainly never left, by its log: nothing
    /// else tells them from those that Asterisk may have had.
    pub fn uses_given_back(&self) -> anyhow::Result<HashSet<Uuid>> {
        let log = std::fs::read_to_string(self.log())?;
        let mut given_back = HashSet::new();
        for line in
            log.lines().filter(|line| line.contains("a use that") || line.contains("that waited"))
        {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let message = line["message"].as_str().unwrap_or_default();
            let Some(call) = line["call.id"].as_str().and_then(|id| id.parse().ok()) else {
                continue;
            };
            if message.starts_with("a call that waited is not placed") {
                given_back.insert(call);
            } else if message.starts_with("keep a use that was not needed") {
                given_back.remove(&call);
            }
        }
        Ok(given_back)
    }

    /// Leaves its directory behind; where its log is.
    pub fn keep(&mut self) -> PathBuf {
        self.place.disable_cleanup(true);
        self.log()
    }

    fn log(&self) -> PathBuf {
        self.place.path().join("log")
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait()? {
                bail!("the daemon ended ({status}): {}", std::fs::read_to_string(self.log())?);
            }
            let answer = self.administrator.get("http://rotary/readyz").send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the daemon is not ready in time")
    }

    async fn post(&self, path: &str, tenant: &str, body: Value) -> anyhow::Result<Value> {
        let request = self.administrator.post(format!("http://rotary{path}"));
        let request = request.header("x-tenant-id", tenant);
        self.send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{status}: {body}");
        Ok(serde_json::from_str(&body)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(place: &TempDir, environment: &[(String, String)]) -> anyhow::Result<Child> {
    let log: File = OpenOptions::new().create(true).append(true).open(place.path().join("log"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("serve").env_clear().envs(environment.iter().cloned()).current_dir(place.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().context("start the daemon")
}

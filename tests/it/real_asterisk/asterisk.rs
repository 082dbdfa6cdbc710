//! A private Asterisk on its own ports and directory, with the configuration of `asterisk-conf/`.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use super::manager::Manager;
use crate::certificates::Certified;
use crate::ports::Ports;
use crate::process::Process;
use crate::wait::until;

/// Which Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// The oldest that Rotary is used with.
    V16,
    /// The current long-term release.
    V22,
}

/// An Asterisk, running or stopped. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Asterisk {
    // Dropped first: the process ends before its directory goes and its ports are given up.
    process: Option<Process>,
    dir: TempDir,
    ports: Ports,
    secret: String,
    encrypted: bool,
}

impl Asterisk {
    /// Starts an Asterisk whose trunks `PJSIP` and `carrier` lead to the carrier at that address;
    /// returns when it is fully booted.
    pub(crate) async fn start(version: Version, carrier: SocketAddr) -> Self {
        Self::start_with_privileges("originate,call,reporting", version, carrier).await
    }

    /// Starts one whose AMI user has other write privileges than Rotary needs.
    pub(crate) async fn start_with_privileges(
        write: &str,
        version: Version,
        carrier: SocketAddr,
    ) -> Self {
        let mut asterisk = Self::prepare(false);
        asterisk.make(write, version, carrier).await;
        asterisk.start_again().await;
        asterisk
    }

    /// Starts one that offers encrypted AMI too, and shows this certificate there.
    pub(crate) async fn start_encrypted(
        version: Version,
        carrier: SocketAddr,
        certificate: &Certified,
    ) -> Self {
        let mut asterisk = Self::prepare(true);
        asterisk.make("originate,call,reporting", version, carrier).await;
        asterisk.certify(certificate);
        asterisk.start_again().await;
        asterisk
    }

    /// Shows this certificate from the next start on.
    pub(crate) fn certify(&self, certificate: &Certified) {
        let keys = self.dir.path().join("lib/keys");
        for (name, pem) in [("crt", &certificate.certificate), ("key", &certificate.key)] {
            let file = keys.join("asterisk").with_extension(name);
            std::fs::write(file, pem).expect("write Asterisk's certificate");
        }
    }

    /// Where encrypted AMI listens, if it does.
    pub(crate) fn encrypted_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.first() + 3).into()
    }

    /// Where AMI listens, as `127.0.0.1:12345`: Rotary's `asterisk.address`.
    pub(crate) fn ami_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.first()).into()
    }

    /// Where ARI listens: Rotary's `asterisk.address` over ARI.
    pub(crate) fn http_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.first() + 2).into()
    }

    /// The AMI user.
    pub(crate) fn username(&self) -> &'static str {
        "rotary"
    }

    /// The AMI user's secret; each instance has another, so that one is never taken for another.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Stops Asterisk as an operator does, and waits until it is gone.
    pub(crate) async fn stop(&mut self) {
        self.process.take().expect("Asterisk runs").stop().await;
    }

    /// Ends Asterisk as a crash does, and waits until it is gone.
    pub(crate) async fn kill9(&mut self) {
        self.process.take().expect("Asterisk runs").kill().await;
    }

    /// Lets Asterisk do nothing at all, as on a machine without memory or disk.
    pub(crate) async fn freeze(&self) {
        self.process.as_ref().expect("Asterisk runs").signal("STOP").await;
    }

    /// Lets a frozen Asterisk go on.
    pub(crate) async fn thaw(&self) {
        self.process.as_ref().expect("Asterisk runs").signal("CONT").await;
    }

    /// Starts the stopped Asterisk on the ports it had; returns when it is fully booted.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.process.is_none(), "Asterisk still runs");
        let dir = self.dir.path();
        let script = script();
        let arguments = ["run", path_text(dir)];
        let mut process = Process::start(path_text(&script), &arguments, dir, &dir.join("output"));
        until("Asterisk to boot", async || {
            if let Some(status) = process.ended() {
                panic!("Asterisk ended at once ({status}):\n{}", self.log());
            }
            Manager::connect(self.ami_address(), self.username(), &self.secret).await.ok()
        })
        .await
        .fully_booted()
        .await;
        self.process = Some(process);
    }

    /// What `asterisk -rx COMMAND` prints.
    pub(crate) async fn cli(&self, command: &str) -> String {
        let mut cli = Command::new(script());
        let output = cli.args(["cli", path_text(self.dir.path()), command]).output().await;
        let output = output.expect("run the CLI");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Adds to its dialplan.
    pub(crate) async fn add_dialplan(&self, text: &str) {
        let path = self.dir.path().join("etc/extensions.conf");
        let known = std::fs::read_to_string(&path).expect("read the dialplan");
        std::fs::write(&path, format!("{known}{text}")).expect("write the dialplan");
        let said = self.cli("dialplan reload").await;
        assert!(said.contains("reloaded"), "{said}");
    }

    /// What Asterisk logged, notices and worse.
    pub(crate) fn log(&self) -> String {
        ["output", "log/messages"].iter().fold(String::new(), |mut log, file| {
            let text = std::fs::read_to_string(self.dir.path().join(file)).unwrap_or_default();
            writeln!(log, "{text}").expect("a String takes all");
            log
        })
    }

    fn prepare(encrypted: bool) -> Self {
        let ports = Ports::claim();
        let dir = tempfile::Builder::new().prefix("rotary-asterisk-").tempdir();
        let dir = dir.expect("create the instance's directory");
        let secret = format!("{:016x}", fastrand::u64(..));
        Self { process: None, dir, ports, secret, encrypted }
    }

    async fn make(&self, write: &str, version: Version, carrier: SocketAddr) {
        let port = self.encrypted_address().port().to_string();
        let encrypted = if self.encrypted { port } else { String::new() };
        let made = Command::new(script())
            .args(["make", path_text(self.dir.path())])
            .env("VERSION", version.number())
            .env("AMI", self.ports.first().to_string())
            .env("HTTP", self.http_address().port().to_string())
            .env("SIP", (self.ports.first() + 1).to_string())
            .env("CARRIER", carrier.to_string())
            .env("SECRET", &self.secret)
            .env("WRITE", write)
            .env("TLS", encrypted)
            .output()
            .await;
        let made = made.expect("run instance.sh");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

impl Version {
    fn number(self) -> &'static str {
        match self {
            Self::V16 => "16",
            Self::V22 => "22",
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asterisk/instance.sh")
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path of the tests is UTF-8")
}

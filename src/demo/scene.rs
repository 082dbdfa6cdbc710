//! What the demo sets up for its show, and takes away again: a directory, a simulated Asterisk,
//! and a daemon between the two.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::timeout;

use crate::cli::client::Client;
use crate::config::{self, Environment};
use crate::daemon::{self, Running};
use crate::lifecycle::Lifecycle;

use super::asterisk::Simulated;
use super::settings::Settings;
use super::user::User;

/// Where the daemon listens if nobody else does.
const USUAL_PORT: u16 = 5000;

/// Where it listens otherwise.
const ANY_PORT: u16 = 0;

/// How long the line to the simulated Asterisk may take to come up.
const UP_PATIENCE: Duration = Duration::from_secs(10);

/// How long each stage of the daemon may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Everything that is there for the time of the demo.
pub(super) struct Scene {
    running: Running,
    /// The simulated Asterisk's task. It stops last, so that the line to it can say goodbye.
    backdrop: Lifecycle,
    /// Asks the daemon over its control socket, as the command line does.
    pub(super) client: Client,
    /// Where the simulated Asterisk listens.
    pub(super) asterisk: SocketAddr,
    directory: Directory,
}

/// A directory that is gone, with all in it, once this is dropped.
struct Directory(PathBuf);

impl Scene {
    /// Sets everything up and waits until calls can be placed.
    pub(super) async fn set_up() -> anyhow::Result<Self> {
        let directory = Directory::make()?;
        let secret = format!("demo-{:016x}", fastrand::u64(..));
        let settings =
            Settings { users: vec![User::new("rotary", secret.as_str())], ..Settings::default() };
        let simulated = Simulated::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), settings)
            .await
            .context("open a port for the simulated Asterisk")?;
        let asterisk = simulated.address();

        let start = async |port| {
            let environment = environment(&directory.0, asterisk, &secret, port);
            daemon::start(config::read(None, &environment)?).await
        };
        let running = match start(USUAL_PORT).await {
            Err(error) if is_in_use(&error) => start(ANY_PORT).await?,
            started => started?,
        };
        let backdrop = Lifecycle::default();
        let lines = backdrop.wires.tasks();
        backdrop.wires.spawn("simulated Asterisk", |stop| simulated.run(lines, stop));

        let client = Client::new(running.socket.clone(), None);
        let scene = Self { running, backdrop, client, asterisk, directory };
        scene.wait_for_asterisk().await?;
        Ok(scene)
    }

    /// Where the daemon listens for HTTP.
    pub(super) fn http(&self) -> SocketAddr {
        self.running.http
    }

    /// Its control socket.
    pub(super) fn socket(&self) -> &Path {
        &self.running.socket
    }

    /// Where its database is.
    pub(super) fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// Stays until a signal ends it or a part dies, and takes everything away.
    pub(super) async fn stay(self) -> anyhow::Result<ExitCode> {
        let code = self.running.lifecycle.run(STOP_PATIENCE).await;
        self.backdrop.stop(STOP_PATIENCE).await;
        code
    }

    /// Takes everything away.
    pub(super) async fn strike(self) {
        self.running.lifecycle.stop(STOP_PATIENCE).await;
        self.backdrop.stop(STOP_PATIENCE).await;
    }

    async fn wait_for_asterisk(&self) -> anyhow::Result<()> {
        let asterisks = &self.running.app.asterisks;
        match (timeout(UP_PATIENCE, asterisks.some_up()).await, asterisks.can_leave(&[])) {
            (Ok(()), _) | (Err(_), Ok(())) => Ok(()),
            (Err(_), Err(why)) => bail!("wait for the simulated Asterisk: {why}"),
        }
    }
}

impl Directory {
    /// A new one that only we may look into.
    fn make() -> anyhow::Result<Self> {
        let name = format!("rotary-demo-{:08x}", fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("make the directory {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("remove {}: {error}", self.0.display());
        }
    }
}

/// The configuration, as the environment would say it. The caller's own environment has no part
/// in it: the demo must not touch a database that somebody uses.
fn environment(directory: &Path, asterisk: SocketAddr, secret: &str, port: u16) -> Environment {
    let place = |name: &str| directory.join(name).display().to_string();
    let settings = [
        ("ROTARY_DAEMON__STATE", place("state")),
        ("ROTARY_STORE__URL", format!("sqlite:{}", place("rotary.db"))),
        ("ROTARY_ASTERISK__ADDRESS", asterisk.to_string()),
        ("ROTARY_ASTERISK__USERNAME", "rotary".to_owned()),
        ("ROTARY_ASTERISK__SECRET", secret.to_owned()),
        ("ROTARY_HTTP__LISTEN", format!("127.0.0.1:{port}")),
        ("ROTARY_AGI__LISTEN", "127.0.0.1:0".to_owned()),
        ("ROTARY_CONTROL__SOCKET", place("control.sock")),
        // Whoever tries a callback has its receiver here.
        ("ROTARY_WEBHOOKS__ALLOW_PRIVATE_TARGETS", "true".to_owned()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn is_in_use(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.into_iter().any(|cause| cause.kind() == io::ErrorKind::AddrInUse)
}

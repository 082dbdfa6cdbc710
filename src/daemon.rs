//! Puts the parts together and starts them, bottom floor first.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use chrono::Utc;
use tokio::net::TcpListener;
use tracing::{Instrument, info, info_span, warn};
use uuid::Uuid;

use crate::app::asterisks::lines;
use crate::app::call_book::CallBook;
use crate::app::campaigns::SharedCampaigns;
use crate::app::deliver_callbacks::deliver_callbacks;
use crate::app::follow_calls::follow_calls;
use crate::app::hang_up::hang_up_calls;
use crate::app::hear_asterisk::hear_asterisk;
use crate::app::hear_changes::hear_changes;
use crate::app::import_dids::ImportsUnderWay;
use crate::app::live::Audience;
use crate::app::meters::Meters;
use crate::app::pace::SharedPace;
use crate::app::place_queued::place_queued;
use crate::app::warm_up::warm_up;
use crate::app::{App, SharedIndex};
use crate::config::Config;
use crate::fastagi;
use crate::http;
use crate::http::limits::Gate;
use crate::lifecycle::Lifecycle;
use crate::store::Store;
use crate::store::ledger::{LedgerSettings, WriterId, ledger};

/// How long each stage may take to finish what it began once told to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that has begun.
pub struct Running {
    /// What it can do.
    pub app: App,
    /// What answers at both doors.
    pub router: Router,
    /// Its tasks.
    pub lifecycle: Lifecycle,
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// Where it listens for FastAGI.
    pub agi: SocketAddr,
    /// Its control socket.
    pub socket: PathBuf,
    _state: StateDirectory,
}

/// Runs the daemon until it is told to stop or a part of it dies.
pub async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let Running { lifecycle, http, agi, socket, _state, .. } = start(config).await?;
    info!("ready: http://{http}, agi://{agi} and {}", socket.display());
    let code = lifecycle.run(PATIENCE).await;
    // The listener's file outlives it; the next daemon would find a dead socket.
    let _gone_already = std::fs::remove_file(&socket);
    code
}

/// Starts everything and returns once the doors are open. Asterisk need not be there yet.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let state = StateDirectory::claim(&config.state)?;
    let store = Store::open(&config.store).await.context("open the store")?;
    let lifecycle = Lifecycle::default();

    let (ledger, ledger_writer) = ledger(store.clone(), state.writer, LedgerSettings::default());
    let mut lines_wanted = config.asterisks;
    lines_wanted.iter_mut().for_each(|asterisk| asterisk.listen_as(state.writer.0));
    let (asterisks, asterisk_lines) = lines(lines_wanted);
    let app = App {
        store,
        ledger,
        asterisks,
        index: SharedIndex::default(),
        campaigns: SharedCampaigns::default(),
        changes: Arc::default(),
        calls: CallBook::default(),
        pace: SharedPace::new(config.app.pace()),
        outbox: Arc::default(),
        imports: ImportsUnderWay::default(),
        audience: Audience::default(),
        meters: Meters::new(config.app.trunks.keys()),
        settings: Arc::new(config.app),
        tasks: lifecycle.doors.tasks(),
        started_at: Utc::now(),
    };
    app.meters.follow_ledger(&app.ledger);
    app.asterisks.all().iter().for_each(|asterisk| app.meters.follow_asterisk(asterisk));
    // Before the loading, so that no change falls between.
    let changes = app.store.changes().await;
    warm_up(&app, state.writer).await.context("load what the store remembers")?;

    let tcp = TcpListener::bind(config.http.listen).await;
    let tcp = tcp.with_context(|| format!("listen on http.listen = {}", config.http.listen))?;
    let http_address = tcp.local_addr()?;
    let agi = TcpListener::bind(config.agi.listen).await;
    let agi = agi.with_context(|| format!("listen on agi.listen = {}", config.agi.listen))?;
    let agi_address = agi.local_addr()?;
    let socket = config.http.socket.clone();
    let unix = http::listen::bind_unix(&socket).await?;

    lifecycle.wires.spawn("ledger", |stop| ledger_writer.run(stop));
    for line in asterisk_lines {
        let span = info_span!("asterisk", name = %line.asterisk.name);
        lifecycle.wires.spawn("line to Asterisk", |stop| line.wire.run(stop).instrument(span));
        lifecycle.wires.spawn("hear Asterisk", |stop| {
            hear_asterisk(app.clone(), line.asterisk, line.reports, stop)
        });
    }
    lifecycle.wires.spawn("follow calls", |stop| follow_calls(app.clone(), stop));
    lifecycle.wires.spawn("hang up calls", |stop| hang_up_calls(app.clone(), state.writer, stop));
    let placing = lifecycle.wires.tasks();
    lifecycle.wires.spawn("place queued", |stop| place_queued(app.clone(), placing, stop));
    let sending = lifecycle.wires.tasks();
    lifecycle.wires.spawn("deliver callbacks", |stop| {
        deliver_callbacks(app.clone(), state.writer, sending, stop)
    });
    if let Some(changes) = changes {
        lifecycle.wires.spawn("hear changes", |stop| hear_changes(app.clone(), changes, stop));
    }
    lifecycle.wires.spawn("fold metrics", |stop| app.meters.clone().fold(stop));
    let router = http::router(app.clone(), Gate::new(config.http.limits.clone()));
    let (served, tasks) = (router.clone(), lifecycle.doors.tasks());
    lifecycle.doors.spawn("http", |stop| {
        http::listen::serve_tcp(served.clone(), tcp, config.http.clone(), tasks.clone(), stop)
    });
    let (dialplans, guests) = (app.clone(), lifecycle.doors.tasks());
    lifecycle
        .doors
        .spawn("fastagi", |stop| fastagi::serve(dialplans, agi, config.agi, guests, stop));
    lifecycle.doors.spawn("control socket", |stop| {
        http::listen::serve_unix(served, unix, config.http, tasks, stop)
    });
    let (http, agi) = (http_address, agi_address);
    Ok(Running { app, router, lifecycle, http, agi, socket, _state: state })
}

/// The directory only one daemon may use at a time, and who that daemon is in the ledger.
struct StateDirectory {
    writer: WriterId,
    _lock: File,
}

impl StateDirectory {
    fn claim(path: &Path) -> anyhow::Result<Self> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(path);
        made.with_context(|| format!("make the state directory {}", path.display()))?;
        let lock = File::create(path.join("lock"))
            .with_context(|| format!("write to the state directory {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { writer: writer_of(path)?, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "another daemon uses the state directory {}; stop it, or give this one another \
                 by `daemon.state`",
                path.display()
            ),
            Err(TryLockError::Error(why)) => {
                Err(why).with_context(|| format!("lock the state directory {}", path.display()))
            }
        }
    }
}

/// The id under which this daemon counts uses, the same in every run: after a crash it says which
/// of the calls on record are ours to settle.
fn writer_of(state: &Path) -> anyhow::Result<WriterId> {
    let path = state.join("writer");
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => new_writer(&path),
        Ok(text) => {
            let id = text.trim().parse();
            Ok(WriterId(id.with_context(|| format!("{} holds no UUID", path.display()))?))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => new_writer(&path),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Written beside its place, made durable and then put there: a crash or a full disk in between
/// leaves no half of an id, with which no daemon would start again.
fn new_writer(path: &Path) -> anyhow::Result<WriterId> {
    let id = Uuid::now_v7();
    let write = || {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        writeln!(file, "{id}")?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().with_context(|| format!("write {}", path.display()))?;
    Ok(WriterId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_the_same_writer_in_every_run() {
        let folder = tempfile::tempdir().unwrap();

        let first = StateDirectory::claim(folder.path()).unwrap().writer;
        let second = StateDirectory::claim(folder.path()).unwrap().writer;

        assert_eq!(first, second);
    }

    #[test]
    fn an_id_that_a_full_disk_left_empty_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("writer"), "").unwrap();

        let first = StateDirectory::claim(folder.path()).unwrap().writer;

        assert_eq!(StateDirectory::claim(folder.path()).unwrap().writer, first);
    }

    #[test]
    fn an_id_that_is_none_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("writer"), "someone else").unwrap();

        let refused = StateDirectory::claim(folder.path()).err().unwrap();

        assert!(format!("{refused:#}").contains("holds no UUID"), "{refused:#}");
    }

    #[test]
    fn a_state_directory_has_one_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let _first = StateDirectory::claim(folder.path()).unwrap();

        let refused = StateDirectory::claim(folder.path()).err().unwrap();

        assert!(refused.to_string().contains("another daemon uses"), "{refused:#}");
    }
}

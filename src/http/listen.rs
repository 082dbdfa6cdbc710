//! The two doors: TCP and the Unix control socket, one router behind both.
//!
//! On `stop` a door closes and its connections finish the request they are in; whoever gave the
//! tracker waits for those.
//!
//! A door that is full gives a newcomer the room of the connection that has been idle longest, so
//! that connections kept open for nothing shut nobody out. Where each is being answered, the
//! newcomer waits, and those after it in the kernel's queue. A connection over which events are
//! streamed is not idle; it ends when its reader takes none of them for too long.

mod idle;
mod patient;

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use self::idle::{Guest, Idle};
pub(super) use self::idle::{Stay, Staying};
use self::patient::Patient;
use super::Settings;
use super::auth::Door;

/// How long a peer may take to send the head of its next request. Also what ends an idle connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// How long a peer may take, once the door closes, to send the rest of a head or to fetch an answer.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// The same for a connection whose room a newcomer needs.
const EVICTED_PATIENCE: Duration = Duration::from_millis(100);

/// The most of a head, or of a body not read yet, that a connection holds in memory, in bytes.
const BUFFER_MAX: usize = 64 * 1024;

/// How long to wait after the system refused a connection for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Tells a request that its door closes, for one that waits and need not.
#[derive(Debug, Clone)]
pub(super) struct Closing(pub(super) CancellationToken);

/// Opens the Unix socket for its owner and group.
///
/// A file left behind by a daemon that died is replaced; one on which a daemon answers is not.
pub async fn bind_unix(path: &Path) -> anyhow::Result<UnixListener> {
    let place = || format!("open the control socket {}", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(place)?;
    }
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(anyhow::anyhow!("a file that is no socket is in its place"))
                .with_context(place);
        }
        match UnixStream::connect(path).await {
            Ok(_) => {
                let why =
                    "another daemon answers on it; stop that one or choose another control.socket";
                return Err(anyhow::anyhow!(why)).with_context(place);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                info!("replacing the socket {} of a daemon that is gone", path.display());
                std::fs::remove_file(path).with_context(place)?;
            }
            Err(error) => return Err(error).with_context(place),
        }
    }
    let listener = UnixListener::bind(path).with_context(place)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).with_context(place)?;
    Ok(listener)
}

/// Serves the router on TCP, where a caller shows a key.
pub async fn serve_tcp(
    router: Router,
    listener: TcpListener,
    settings: Settings,
    guests: TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let hall = Hall::new(router, &settings, guests, stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    debug!("a connection from {peer}");
                    // Answers are short and written whole; waiting to fill a packet only delays them.
                    let _no_harm_if_refused = stream.set_nodelay(true);
                    hall.welcome(stream, Door::Tcp { peer }).await;
                }
                Err(error) => pause_after(&error).await,
            },
            () = hall.stop.cancelled() => break,
        }
    }
    Ok(())
}

/// Serves the router on a Unix socket, where the peer is an administrator. Removes the socket's file at the end.
pub async fn serve_unix(
    router: Router,
    listener: UnixListener,
    settings: Settings,
    guests: TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let path = listener.local_addr().ok().and_then(|a| a.as_pathname().map(Path::to_owned));
    let hall = Hall::new(router, &settings, guests, stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) => hall.welcome(stream, Door::Socket { uid: peer.uid() }).await,
                    Err(error) => warn!("turn away a peer of unknown uid: {error}"),
                },
                Err(error) => pause_after(&error).await,
            },
            () = hall.stop.cancelled() => break,
        }
    }
    drop(listener);
    if let Some(path) = path {
        let _already_gone = std::fs::remove_file(path);
    }
    Ok(())
}

/// One door's connections.
struct Hall {
    router: Router,
    rooms: Arc<Semaphore>,
    idle: Arc<Idle>,
    guests: TaskTracker,
    stop: CancellationToken,
    /// Whether the log has it that newcomers wait.
    told: AtomicBool,
}

type Room = tokio::sync::OwnedSemaphorePermit;

impl Hall {
    fn new(
        router: Router,
        settings: &Settings,
        guests: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let rooms = Arc::new(Semaphore::new(settings.connections_max));
        Self { router, rooms, idle: Arc::default(), guests, stop, told: AtomicBool::new(false) }
    }

    /// Gives the connection a room as soon as there is one. Once the door closes it is dropped.
    async fn welcome<S>(&self, stream: S, door: Door)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(room) = self.room().await else { return };
        let guest = self.idle.arrive();
        let (router, stop) = (self.router.clone(), self.stop.clone());
        self.guests.spawn(async move {
            if let Err(error) = talk(router, stream, door, &guest, stop).await {
                debug!("a connection ended badly: {error}");
            }
            // In this order: who is told to go has a room to give.
            drop(guest);
            drop(room);
        });
    }

    /// Room for one more connection; none once the door closes.
    async fn room(&self) -> Option<Room> {
        if self.rooms.available_permits() > 0 {
            self.told.store(false, Ordering::Relaxed);
        }
        while self.rooms.available_permits() == 0 {
            let somebody_rests = self.idle.rests();
            if !self.idle.evict_longest() && !self.told.swap(true, Ordering::Relaxed) {
                warn!("every connection this door may hold is being answered; newcomers wait");
            }
            tokio::select! {
                biased;
                room = self.rooms.clone().acquire_owned() => return room.ok(),
                () = somebody_rests => {}
                // Whoever was told to go had just asked something: another one, then.
                () = tokio::time::sleep(2 * EVICTED_PATIENCE) => {}
                () = self.stop.cancelled() => return None,
            }
        }
        self.rooms.clone().acquire_owned().await.ok()
    }
}

async fn talk<S>(
    router: Router,
    stream: S,
    door: Door,
    guest: &Arc<Guest>,
    stop: CancellationToken,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let closing = Closing(stop.clone());
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(door);
        request.extensions_mut().insert(closing.clone());
        request.extensions_mut().insert(Staying(guest.clone()));
        guest.is_busy();
        let answering = router.clone().oneshot(request.map(Body::new));
        answering.inspect(|_| guest.is_idle())
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(BUFFER_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream, guest.clone())), service);

    let mut connection = std::pin::pin!(connection);
    let patience = tokio::select! {
        result = connection.as_mut() => return result,
        () = stop.cancelled() => LAST_PATIENCE,
        () = guest.evicted() => EVICTED_PATIENCE,
    };
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        result = connection => result,
        () = rests(guest, patience) => Ok(()),
    }
}

/// Returns once no request is being answered: half a head, or an answer that nobody fetches, holds
/// up neither a daemon that stops nor a newcomer.
async fn rests(guest: &Guest, patience: Duration) {
    loop {
        tokio::time::sleep(patience).await;
        if !guest.busy() {
            return;
        }
    }
}

/// A connection that failed before we took it is its own affair; a lack of file handles needs a pause.
async fn pause_after(error: &io::Error) {
    let gone_already = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !gone_already {
        warn!("accept a connection: {error}");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;

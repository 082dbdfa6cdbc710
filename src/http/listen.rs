//! The two doors: TCP and the Unix control socket, one router behind both.
//!
//! On `stop` a door closes and its connections finish the request they are in; whoever gave the
//! tracker waits for those.

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

use super::Settings;
use super::auth::Door;

/// How long a peer may take to send the head of its next request. Also what ends an idle connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// How long a peer may take, once the door closes, to send the rest of a head or to fetch an answer.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

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
    while let Some(room) = hall.room().await {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    debug!("a connection from {peer}");
                    // Answers are short and written whole; waiting to fill a packet only delays them.
                    let _no_harm_if_refused = stream.set_nodelay(true);
                    hall.welcome(room, stream, Door::Tcp { peer });
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
    while let Some(room) = hall.room().await {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) => hall.welcome(room, stream, Door::Socket { uid: peer.uid() }),
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
    guests: TaskTracker,
    stop: CancellationToken,
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
        Self { router, rooms, guests, stop }
    }

    /// Room for one more connection; none once the door closes.
    async fn room(&self) -> Option<Room> {
        tokio::select! {
            room = self.rooms.clone().acquire_owned() => room.ok(),
            () = self.stop.cancelled() => None,
        }
    }

    fn welcome<S>(&self, room: Room, stream: S, door: Door)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, stop) = (self.router.clone(), self.stop.clone());
        self.guests.spawn(async move {
            if let Err(error) = talk(router, stream, door, stop).await {
                debug!("a connection ended badly: {error}");
            }
            drop(room);
        });
    }
}

async fn talk<S>(
    router: Router,
    stream: S,
    door: Door,
    stop: CancellationToken,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let closing = Closing(stop.clone());
    let busy = AtomicBool::new(false);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(door);
        request.extensions_mut().insert(closing.clone());
        busy.store(true, Ordering::Relaxed);
        let answering = router.clone().oneshot(request.map(Body::new));
        answering.inspect(|_| busy.store(false, Ordering::Relaxed))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(BUFFER_MAX)
        .serve_connection(TokioIo::new(stream), service);

    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        result = connection => result,
        () = idle(&busy) => Ok(()),
    }
}

/// Returns once no request is being answered: half a head, or an answer that nobody fetches, does
/// not hold up a daemon that stops.
async fn idle(busy: &AtomicBool) {
    loop {
        tokio::time::sleep(LAST_PATIENCE).await;
        if !busy.load(Ordering::Relaxed) {
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
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_stopped_door_finishes_the_request_it_is_in() {
        let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, finishes) = (begun.clone(), finish.clone());
        let slow = get(async move || {
            begins.notify_one();
            finishes.notified().await;
            "done"
        });
        let (address, stop, tasks) = open(Router::new().route("/", slow)).await;

        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: rotary\r\n\r\n").await.unwrap();
        begun.notified().await;
        stop.cancel();
        finish.notify_one();

        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        tasks.wait().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_dribbles_its_request_is_cut_off() {
        let (address, stop, tasks) = open(Router::new()).await;

        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTT").await.unwrap();

        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        stop.cancel();
        tasks.wait().await;
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_does_not_hold_up_a_door_that_closes() {
        let (mut client, server) = tokio::io::duplex(1024);
        let stop = CancellationToken::new();
        let begun = tokio::time::Instant::now();

        let closes = async {
            client.write_all(b"GET / HTT").await.unwrap();
            tokio::time::sleep(LAST_PATIENCE).await;
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(
            talk(Router::new(), server, Door::Tcp { peer: HERE }, stop.clone()),
            closes
        );

        assert!(ended.is_ok());
        assert_eq!(begun.elapsed().as_secs(), 2 * LAST_PATIENCE.as_secs());
    }

    #[tokio::test]
    async fn a_head_over_the_bound_is_refused() {
        let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4 * BUFFER_MAX));
        let (mut client, server) = tokio::io::duplex(5 * BUFFER_MAX);
        client.write_all(head.as_bytes()).await.unwrap();

        let ended =
            talk(Router::new(), server, Door::Tcp { peer: HERE }, CancellationToken::new()).await;

        assert!(ended.unwrap_err().is_parse_too_large());
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/control.sock");

        drop(bind_unix(&path).await.unwrap());
        let alive = bind_unix(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        let refused = bind_unix(&path).await.unwrap_err();

        assert_eq!(mode & 0o777, 0o660);
        assert!(format!("{refused:#}").contains("another daemon answers"), "{refused:#}");
        drop(alive);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious.txt");
        std::fs::write(&path, "keep me").unwrap();

        let refused = bind_unix(&path).await;

        assert!(refused.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "keep me");
    }

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 49152);

    async fn open(router: Router) -> (SocketAddr, CancellationToken, TaskTracker) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let door = serve_tcp(router, listener, Settings::default(), tasks.clone(), stop.clone());
        tasks.spawn(door);
        tasks.close();
        (address, stop, tasks)
    }
}

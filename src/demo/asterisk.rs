//! The simulated Asterisk as a server: sockets, the clock, and one lock around [`Exchange`].
//!
//! No call has a task: one loop accepts lines and does what is due, and each line has a task that
//! reads and writes at once, so that a client who does not read is still heard.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::Utc;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ami::codec::{Codec, Incoming};

use super::control::Control;
use super::exchange::{Exchange, Output, SessionId};
use super::settings::Settings;

/// How often a port that was given up is asked for again.
const REBIND_PAUSE: Duration = Duration::from_millis(10);

/// How often at most, before the server ends with an error.
const REBINDS_MAX: u32 = 500;

/// A simulated Asterisk that listens but does not answer before [`Simulated::run`].
#[derive(Debug)]
pub struct Simulated {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the server's tasks and its controls share.
#[derive(Debug)]
pub(super) struct Shared {
    locked: Mutex<Locked>,
    /// Something happened.
    changed: Notify,
    /// The accepting loop has something new to wait for.
    rescheduled: Notify,
    write_timeout: Duration,
}

#[derive(Debug)]
struct Locked {
    exchange: Exchange,
    wakes: HashMap<SessionId, Arc<Notify>>,
    /// Whether connections are accepted, or refused as by a machine without Asterisk.
    up: bool,
}

impl Simulated {
    /// Listens at `address`; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let write_timeout = settings.write_timeout;
        let exchange = Exchange::new(settings, fastrand::u64(..), now(), Utc::now());
        let locked = Locked { exchange, wakes: HashMap::new(), up: true };
        let shared = Arc::new(Shared {
            locked: Mutex::new(locked),
            changed: Notify::new(),
            rescheduled: Notify::new(),
            write_timeout,
        });
        Ok(Self { listener, address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The handle to watch it and to make it misbehave.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.shared))
    }

    /// Serves until `stop`. The task of each line runs in `tasks` and ends with `stop` too.
    pub async fn run(self, tasks: TaskTracker, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { listener, address, shared } = self;
        let mut listener = Some(listener);
        loop {
            let (up, next) = shared.schedule();
            if !up {
                listener = None;
            } else if listener.is_none() {
                listener = Some(rebind(address).await?);
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = shared.rescheduled.notified() => {}
                () = until(next) => shared.with(|exchange, now| exchange.handle_timeout(now)),
                accepted = accept(listener.as_ref()) => match accepted {
                    Ok(socket) => {
                        tasks.spawn(serve(Arc::clone(&shared), socket, stop.clone()));
                    }
                    // The client gave up before its turn, or descriptors ran out for a moment.
                    Err(error) => tracing::debug!(%error, "the simulated Asterisk lost a line"),
                },
            }
        }
    }
}

impl Shared {
    /// Lets `act` use the exchange, then wakes whoever has something to do by it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Exchange, Instant) -> R) -> R {
        self.with_locked(|locked| act(&mut locked.exchange, now()))
    }

    /// Waits until `happened` is true of the exchange.
    pub(super) async fn wait_until(&self, mut happened: impl FnMut(&Exchange) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if happened(&self.lock().exchange) {
                return;
            }
            changed.await;
        }
    }

    /// Begins or stops to accept connections.
    pub(super) fn set_up(&self, up: bool) {
        self.lock().up = up;
        self.rescheduled.notify_one();
    }

    fn with_locked<R>(&self, act: impl FnOnce(&mut Locked) -> R) -> R {
        let mut locked = self.lock();
        let before = locked.exchange.next_timeout();
        let result = act(&mut locked);
        let sooner = match (before, locked.exchange.next_timeout()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => after < before,
        };
        for id in locked.exchange.take_woken() {
            if let Some(wake) = locked.wakes.get(&id) {
                wake.notify_one();
            }
        }
        drop(locked);
        self.changed.notify_waiters();
        if sooner {
            self.rescheduled.notify_one();
        }
        result
    }

    fn connect(&self) -> Option<(SessionId, Arc<Notify>)> {
        self.with_locked(|locked| {
            let id = locked.exchange.handle_connect(now()).filter(|_| locked.up)?;
            let wake = Arc::new(Notify::new());
            locked.wakes.insert(id, Arc::clone(&wake));
            Some((id, wake))
        })
    }

    fn disconnect(&self, id: SessionId) {
        self.with_locked(|locked| {
            locked.wakes.remove(&id);
            locked.exchange.handle_disconnect(id);
        });
    }

    fn schedule(&self) -> (bool, Option<Instant>) {
        let locked = self.lock();
        (locked.up, locked.exchange.next_timeout())
    }

    fn take_output(&self, id: SessionId) -> Output {
        self.lock().exchange.take_output(id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Locked> {
        // A panic under the lock ends the test that made it; the rest may go on.
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line, until either side ends it.
async fn serve(shared: Arc<Shared>, socket: TcpStream, stop: CancellationToken) {
    let Some((id, wake)) = shared.connect() else { return };
    // An answer is one small write; waiting for more would only delay it.
    let _ = socket.set_nodelay(true);
    let (reading, writing) = socket.into_split();
    tokio::select! {
        () = stop.cancelled() => {}
        () = read(&shared, id, reading) => {}
        written = write(&shared, id, &wake, writing) => {
            if let Err(error) = written {
                tracing::debug!(%error, "the simulated Asterisk cut a line");
            }
        }
    }
    shared.disconnect(id);
}

/// Reads actions until the client is gone.
async fn read(shared: &Shared, id: SessionId, socket: OwnedReadHalf) {
    let mut frames = FramedRead::new(socket, Codec::server());
    while let Some(Ok(incoming)) = frames.next().await {
        shared.wait_until(Exchange::reads).await;
        shared.with(|exchange, now| match incoming {
            Incoming::Frame(frame) => exchange.handle_action(id, &frame, now),
            Incoming::TooLong { action_id, .. } => {
                let action_id = action_id.as_deref().map(String::from_utf8_lossy);
                exchange.handle_unreadable(id, action_id.as_deref(), now);
            }
            // A client has no banner to send; a real Asterisk takes it for a line without colon.
            Incoming::Banner(_) => {}
        });
    }
}

/// Writes what the exchange has for the line until it closes it. A write that makes no progress
/// for the write time-out ends the line, in the middle of a message if need be.
async fn write(
    shared: &Shared,
    id: SessionId,
    wake: &Notify,
    mut socket: OwnedWriteHalf,
) -> io::Result<()> {
    loop {
        let Output { mut bytes, close } = shared.take_output(id);
        let empty = bytes.is_empty();
        while !bytes.is_empty() {
            tokio::time::timeout(shared.write_timeout, socket.write_buf(&mut bytes)).await??;
        }
        if close {
            return socket.shutdown().await;
        }
        if empty {
            wake.notified().await;
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(socket, _)| socket),
        None => std::future::pending().await,
    }
}

/// Listens again where it listened before. The port may be in use for a moment by somebody's
/// outgoing connection.
async fn rebind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let mut tries = 0;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if tries == REBINDS_MAX => {
                return Err(error).with_context(|| format!("listen at {address} again"));
            }
            Err(_) => tries += 1,
        }
        tokio::time::sleep(REBIND_PAUSE).await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

//! Keeps a line to Asterisk: connects, and connects again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{self, Instant};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::client::{Asked, Counters};
use super::connection::{self, Around};
use super::session::Session;
use super::tls::TlsFault;
use super::{AmiError, CHECK_ADDRESS, DownReason, LineState, Settings};
use crate::line::backoff::Backoff;
use crate::line::reports::Reporter;
use crate::line::tell;

/// A refused login is not tried again sooner: a host that bans attackers would ban us.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// What a connection talks over.
type Socket = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The task's side of a [`Client`](super::Client).
#[derive(Debug)]
pub struct Line {
    settings: Arc<Settings>,
    queue: mpsc::Receiver<Asked>,
    reporter: Reporter,
    state: watch::Sender<LineState>,
    counters: Arc<Counters>,
}

impl Line {
    pub(super) fn new(
        settings: Arc<Settings>,
        queue: mpsc::Receiver<Asked>,
        reporter: Reporter,
        state: watch::Sender<LineState>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { settings, queue, reporter, state, counters }
    }

    /// Keeps the line up until told to stop, and then until nobody waits or patience ends.
    /// No fault of Asterisk's ends it.
    ///
    /// # Errors
    /// None at present; every outcome is told by the [`LineState`].
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(self.settings.backoff_min, self.settings.backoff_max);
        while !stop.is_cancelled() {
            let connects = self.counters.line.connects();
            let begun = Instant::now();
            let Some(why) = self.connect_and_talk(&stop).await else { break };
            self.counters.line.failed(&why);
            if self.counters.line.connects() > connects
                && begun.elapsed() >= self.settings.stable_after
            {
                backoff.reset();
            }
            let mut wait = backoff.next(fastrand::f64());
            if let DownReason::LoginRefused { .. } = why {
                wait = wait.max(AFTER_REFUSAL);
            }
            tell(&self.state, LineState::Down { why });
            self.turning_away(time::sleep(wait), &stop).await;
        }
        tell(&self.state, LineState::Down { why: DownReason::Stopped });
        self.queue.close();
        while let Some(asked) = self.queue.recv().await {
            turn_away(asked, &self.state);
        }
        Ok(())
    }

    /// One connection from its beginning to its end; none once stopped.
    async fn connect_and_talk(&mut self, stop: &CancellationToken) -> Option<DownReason> {
        let settings = self.settings.clone();
        let socket = match self.turning_away(connect(&settings), stop).await? {
            Ok(socket) => socket,
            Err(why) => return Some(why),
        };
        let now = Instant::now().into_std();
        let session = Session::new(settings.clone(), self.counters.clone(), now);
        let state = &self.state;
        let mut around = Around {
            settings: &settings,
            queue: &mut self.queue,
            reporter: &self.reporter,
            counters: &self.counters,
            stop,
            tell: &mut |now| tell(state, now),
        };
        Some(connection::run(socket, session, &mut around).await)
    }

    /// Waits for something, meanwhile telling askers at once that the line is down.
    async fn turning_away<T>(
        &mut self,
        waited: impl Future<Output = T>,
        stop: &CancellationToken,
    ) -> Option<T> {
        let mut waited = std::pin::pin!(waited);
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                value = &mut waited => return Some(value),
                Some(asked) = self.queue.recv() => turn_away(asked, &self.state),
            }
        }
    }
}

/// A socket over which to talk, encrypted if so configured.
async fn connect(settings: &Settings) -> Result<Socket, DownReason> {
    let address = || settings.address.clone();
    let unreachable = |error: io::Error| unreachable_because(&settings.address, error.to_string());
    let connecting = async {
        let socket = TcpStream::connect(&settings.address).await.map_err(unreachable)?;
        // Actions are small and somebody waits for each.
        socket.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &settings.tls else { return Ok(Socket::Left(socket)) };
        let encrypted = tls.shake_hands(socket).await;
        let untrusted = |fault: TlsFault| DownReason::Untrusted {
            address: address(),
            fault: fault.to_string(),
        };
        encrypted.map(|socket| Socket::Right(Box::new(socket))).map_err(untrusted)
    };
    let connected = time::timeout(settings.connect_deadline, connecting).await;
    connected.unwrap_or_else(|_| {
        let cause = format!("no answer within {:?}", settings.connect_deadline);
        Err(unreachable_because(&settings.address, cause))
    })
}

fn unreachable_because(address: &str, cause: String) -> DownReason {
    DownReason::Unreachable { address: address.to_owned(), cause, check: CHECK_ADDRESS }
}

fn turn_away(asked: Asked, state: &watch::Sender<LineState>) {
    let why = state.borrow().to_string();
    // Nobody may be waiting any more.
    let _ = asked.answer.send(Err(AmiError::NotSent(why)));
}

//! The listener: who may come in, and how many at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::Settings;
use super::half_open::HalfOpen;
use super::talk::{Hall, talk};
use crate::app::App;

/// How long to wait after the system refused a connection for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the log is told of those who may not come in.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Serves FastAGI until `stop`; those who are being answered then are answered to the end.
pub async fn serve(
    app: App,
    listener: TcpListener,
    settings: Settings,
    guests: TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let half_open = HalfOpen::new(settings.preludes_max);
    let sessions = Arc::new(Semaphore::new(settings.sessions_max));
    let hall = Hall { app, settings, sessions, stop };
    let mut told = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = hall.stop.cancelled() => return Ok(()),
        };
        match accepted {
            Ok((stream, peer)) if hall.may_enter(peer.ip()) => {
                let place = half_open.enter().await;
                guests.spawn(talk(hall.clone(), stream, place));
            }
            Ok((_, peer)) => {
                if told.is_none_or(|at: Instant| at.elapsed() >= TELL_EVERY) {
                    told = Some(Instant::now());
                    warn!(address = %peer.ip(), "turned away: the address is not in agi.allow");
                }
            }
            Err(error) => {
                warn!("accept a connection of Asterisk's: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Hall {
    fn may_enter(&self, address: IpAddr) -> bool {
        self.settings.allow.iter().any(|network| network.contains(address))
    }
}

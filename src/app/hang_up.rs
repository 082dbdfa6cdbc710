//! Hanging calls up: those that somebody asked for, and those whose time is over.
//!
//! The wish is durable before Asterisk hears of it and is repeated until the call has ended: after a
//! lost line, after a restart, and when there is no channel yet. Unlike a call, a hang-up may be said
//! twice; so an answer that did not come is no reason to wait.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::asterisks::LineError;
use super::call_book::{DueHangUp, Tried};
use super::follow_calls::until;
use super::place_queued::cancel_queued;
use super::{App, now};
use crate::domain::audit::Origin;
use crate::domain::call::{Call, CallId, CallStatus};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::ledger::WriterId;

/// How many hang-ups may wait for Asterisk's answer; the others wait for these.
const AT_ONCE: usize = 64;

/// How often the store is asked for wishes that did not come this way: to another daemon, or before
/// the call was in the book.
const LOOK: Duration = Duration::from_secs(5);

/// How long the store may take over that.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// What Asterisk says when it has no such channel.
const NO_CHANNEL: &str = "No such channel";

/// Hangs the tenant's call up, or cancels it before it is placed; the call as it then stands. None
/// if the tenant has no such call.
///
/// A call that has ended stays as it is. One that has not will: answered as completed, else as
/// canceled, unless the callee's own no is quicker.
pub async fn hang_up(
    app: &App,
    tenant: &TenantId,
    id: CallId,
    origin: &Origin,
) -> Result<Option<Call>, StoreError> {
    app.store.ask_hang_up(tenant, id, origin, now()).await?;
    let call = app.store.call(tenant, id).await?;
    // Only now is it known to be this tenant's.
    let asked = call.as_ref().filter(|call| !call.progress.status.is_end());
    if let Some(at) = asked.and_then(|call| call.progress.hang_up_asked_at) {
        app.calls.hang_up(id, at);
    }
    // One that waits for its trunk has nothing to hang up. One that just began is hung up when it shows.
    if call.as_ref().is_some_and(|call| call.progress.status == CallStatus::Queued)
        && let Some(canceled) = cancel_queued(app, id).await?
    {
        return Ok(Some(canceled));
    }
    Ok(call)
}

/// Tells Asterisk which calls to hang up, until told to stop.
pub async fn hang_up_calls(
    app: App,
    writer: WriterId,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = FuturesUnordered::new();

    loop {
        let room = AT_ONCE - under_way.len();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some((id, tried)) = under_way.next() => app.calls.hang_up_tried(id, tried, now()),
            () = app.calls.hang_ups_sooner(), if room > 0 => {}
            () = until(app.calls.next_hang_up()), if room > 0 => {}
            _ = look.tick() => learn(&app, writer).await,
        }
        let room = AT_ONCE - under_way.len();
        for due in app.calls.take_hang_ups(room, now()) {
            under_way.push(tell(&app, due));
        }
    }
}

async fn tell(app: &App, due: DueHangUp) -> (CallId, Tried) {
    let DueHangUp { channel, asterisk, cause } = due;
    let id = channel.call;
    let Some(asterisk) = asterisk.and_then(|name| app.asterisks.named(&name)) else {
        // It is on no Asterisk yet, or on one that is no longer configured.
        return (id, Tried::Refused);
    };
    let tried = match asterisk.hang_up(channel, cause).await {
        Ok(()) => {
            info!(call.id = %id, cause = cause.0, "call hung up");
            Tried::Told
        }
        Err(LineError::Refused(message)) => {
            if message.contains(NO_CHANNEL) {
                debug!(call.id = %id, "no channel to hang up");
            } else {
                warn!(call.id = %id, "hang up the call, trying again: Asterisk refused: {message}");
            }
            Tried::Refused
        }
        Err(LineError::Unknown) => Tried::Told,
        Err(error @ (LineError::NotSent(_) | LineError::Invalid(_))) => {
            debug!(call.id = %id, "hang up the call: {error}");
            Tried::NotSent
        }
    };
    (id, tried)
}

/// Takes wishes out of the store into the book.
async fn learn(app: &App, writer: WriterId) {
    match timeout(LOOK_PATIENCE, app.store.asked_hang_ups(writer)).await {
        Ok(Ok(asked)) => {
            for (id, at) in asked {
                if app.calls.learn_hang_up(id, at) == Some(CallStatus::Queued)
                    && let Err(error) = cancel_queued(app, id).await
                {
                    debug!(call.id = %id, "cancel a call that waits, trying again: {error}");
                }
            }
        }
        Ok(Err(error)) => debug!("{error}"),
        Err(_) => debug!("look for calls to hang up: no answer from the store"),
    }
}

//! Places the calls that waited for their trunk, and those that go out again by another.
//!
//! A call that waits was certainly never sent. It is marked as initiated on record first, then sent;
//! a crash in between leaves it to be settled by Asterisk's list, as any other call.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::follow_calls::callbacks_of;
use super::make_call::{MakeCallError, another_way, send};
use super::pace::patience_left;
use super::{App, call_steps, now};
use crate::domain::call::{Call, CallId};
use crate::domain::pace::Polled;
use crate::domain::pace::verdict::Verdict;
use crate::store::StoreError;

/// How long to wait before the store is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// Runs until told to stop. What still waits then stays on record and waits in the next run.
/// What is being placed runs in `placing`.
pub async fn place_queued(
    app: App,
    placing: TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let Polled { begin, expired, recovered } = app
            .pace
            .poll(|trunk| app.asterisks.can_leave(app.settings.asterisks_of(trunk)).is_ok());
        for trunk in recovered {
            info!(%trunk, "the trunk is back at its full rate");
        }
        for call in expired {
            placing.spawn(expire(app.clone(), call, stop.clone()));
        }
        if !begin.is_empty() {
            let calls = initiate(&app, &begin, &stop).await;
            for call in calls {
                placing.spawn(place(app.clone(), call, stop.clone()));
            }
        }
        for call in app.pace.take_again() {
            if let Some(one) = app.calls.look_at(call) {
                placing.spawn(place(app.clone(), one.call, stop.clone()));
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.pace.moved() => {}
            () = until(app.pace.next_timeout()) => {}
        }
    }
    Ok(())
}

/// Takes a call out of the queue and ends it as canceled; its use is given back. None if it does not
/// wait: it has ended, or it is on its way to Asterisk.
///
/// # Errors
/// The store could not be reached; the call waits on.
pub async fn cancel_queued(app: &App, call: CallId) -> Result<Option<Call>, StoreError> {
    if !app.pace.remove(call) {
        return Ok(None);
    }
    let ended = end_unplaced(app, call, Call::cancel).await;
    if ended.is_err()
        && let Some(waits) = app.calls.look_at(call)
    {
        wait_again(app, &waits.call);
    }
    ended
}

/// Puts a call that waits on record in the queue, where it was before.
pub(super) fn wait_again(app: &App, call: &Call) {
    let (patience, now) = (app.settings.calls.queue_patience(), now());
    let since = call.progress.queued_at.unwrap_or(call.request.created_at);
    app.pace.enqueue_again(call, patience_left(since, patience, now));
}

/// Marks calls that have their place, so that they are never sent twice; those that may be sent.
async fn initiate(app: &App, calls: &[CallId], stop: &CancellationToken) -> Vec<Call> {
    let at = now();
    let mut failed_before = false;
    let marked = loop {
        match app.store.initiate_queued(calls, at).await {
            Ok(marked) => break marked,
            Err(error) if !failed_before => {
                warn!(calls = calls.len(), "begin calls that waited, trying again: {error}");
                failed_before = true;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = sleep(RETRY) => {}
            // Unless the store has it otherwise, they wait in the next run.
            () = stop.cancelled() => return Vec::new(),
        }
    };
    let begin = |call: &CallId| {
        let begun = app.calls.initiate(*call, at).filter(|_| marked.contains(call));
        if begun.is_none() {
            app.pace.give_back(*call);
        }
        begun
    };
    calls.iter().filter_map(begin).collect()
}

/// Hands a call to an Asterisk that is up, once the store knows which.
async fn place(app: App, mut call: Call, stop: CancellationToken) {
    let (id, trunk, attempt) = (call.id(), call.request.trunk.clone(), call.progress.attempt);
    let way = loop {
        match another_way(&app, &mut call, &[]).await {
            Ok(way) => break way,
            Err(error) => warn!(call.id = %id, "say where a call goes, trying again: {error}"),
        }
        tokio::select! {
            () = sleep(RETRY) => {}
            // It was never sent; the next run finds that Asterisk has no such call.
            () = stop.cancelled() => return,
        }
    };
    let sent = match way {
        Some(way) => send(&app, &mut call, way).await,
        None => {
            let why = "none of its trunk is there, or the call has ended".to_owned();
            Err(MakeCallError::AsteriskUnavailable(why))
        }
    };
    match sent {
        Ok(()) => drop(app.calls.placed(id, now())),
        Err(why) if attempt == 1 => {
            warn!(call.id = %id, %trunk, "a call that waited is not placed: {why}");
            app.pace.give_back(id);
            if let Err(error) = end_unplaced(&app, id, Call::fail).await {
                // Its use stays counted, and its end is stored as any other.
                warn!(call.id = %id, "keep a use that was not needed: {error}");
                app.calls.give_up(id, now());
            }
        }
        Err(why) => {
            warn!(call.id = %id, %trunk, "a call does not go out again: {why}");
            app.pace.ended(id, Verdict::Other, false);
            app.calls.give_up(id, now());
        }
    }
}

/// Ends a call that waited for too long, however long the store takes.
async fn expire(app: App, call: CallId, stop: CancellationToken) {
    while let Err(error) = end_unplaced(&app, call, Call::expire).await {
        warn!(call.id = %call, "end a call that waited too long, trying again: {error}");
        tokio::select! {
            () = sleep(RETRY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Ends a call that certainly never went out, of which its asker was told that it would: the use is
/// given back and the end is told, in one transaction.
async fn end_unplaced(
    app: &App,
    id: CallId,
    end: impl FnOnce(&mut Call, DateTime<Utc>) -> bool,
) -> Result<Option<Call>, StoreError> {
    let Some(mut changed) = app.calls.look_at(id) else { return Ok(None) };
    if !end(&mut changed.call, now()) {
        return Ok(None);
    }
    let changed = vec![changed];
    let callbacks = callbacks_of(&changed);
    let call = changed[0].call.clone();
    let taken = app.ledger.take_back_told(&call, &callbacks).await?;
    if let Some(usage_count) = taken {
        app.index.lock().learn(&call.request.tenant, call.request.did, usage_count);
    }
    call_steps::failed(app, &call);
    app.calls.saved(changed);
    app.outbox.notify_one();
    Ok(Some(call))
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

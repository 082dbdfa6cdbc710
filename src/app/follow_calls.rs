//! Follows every call to its end: what [`super::hear_asterisk`] and the clock moved goes to the
//! store, and whoever listens is told once it is committed. Callbacks are stored with what they tell.

use std::collections::HashSet;
use std::time::Duration;

use chrono::Utc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::call_book::Changed;
use super::{App, call_steps, now};
use crate::domain::call::{Call, CallId};
use crate::domain::callback::{CallbackId, NewCallback};
use crate::domain::pace::Ended;
use crate::webhooks::{Target, Targets};

/// The most calls stored in one statement.
const GROUP: usize = 2_000;

/// How long to wait before a group that could not be stored is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Runs until told to stop. What is not stored then is found by the next run.
///
/// # Errors
/// None at present.
pub async fn follow_calls(app: App, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = app.calls.changed() => {}
            () = until(app.calls.next_timeout()) => app.calls.handle_timeouts(now()),
        }
        store_changes(&app, &stop).await;
    }
}

/// Stores all that changed, however long that takes: reports wait in their own place meanwhile.
async fn store_changes(app: &App, stop: &CancellationToken) {
    let mut failed_before = false;
    // Calls that go out again, once that is on record.
    let mut again = HashSet::new();
    loop {
        let mut changed = app.calls.unsaved(GROUP);
        if changed.is_empty() {
            return;
        }
        again.extend(changed.iter_mut().filter_map(|one| settle_end(app, one)));
        let calls: Vec<&Call> = changed.iter().map(|one| &one.call).collect();
        let callbacks = callbacks_of(&changed);
        match app.store.save_calls(&calls, &callbacks).await {
            Ok(()) => {
                changed.iter().for_each(|one| call_steps::moved(app, &one.call, one.told));
                let saved: Vec<CallId> = changed.iter().map(|one| one.call.id()).collect();
                app.calls.saved(changed);
                for call in saved.into_iter().filter(|call| again.remove(call)) {
                    app.pace.place_again(call);
                }
                if !callbacks.is_empty() {
                    app.outbox.notify_one();
                }
                failed_before = false;
            }
            Err(error) => {
                app.calls.keep_unsaved(&changed);
                if !failed_before {
                    warn!(
                        calls = changed.len(),
                        "store the progress of calls, trying again: {error}"
                    );
                }
                failed_before = true;
                tokio::select! {
                    () = sleep(RETRY) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

/// Gives the place of a call that has ended back, and says what its end was in the words of its trunk.
/// One that its trunk could not carry goes out again where another has room: then it has not ended,
/// and this is its id.
fn settle_end(app: &App, one: &mut Changed) -> Option<CallId> {
    let (id, call) = (one.call.id(), &one.call);
    if !call.progress.status.is_end() {
        return None;
    }
    let verdict = app.pace.verdict(call);
    let Ended { slower, next } = app.pace.ended(id, verdict, call.reached_nobody());
    if let Some((trunk, calls_per_second)) = slower {
        warn!(%trunk, calls_per_second, "the carrier refuses calls; the trunk gets fewer");
    }
    let revised = app.calls.revise(id, |call| match &next {
        Some(next) => {
            call.try_again(next.clone(), now());
        }
        None => call.explain(verdict),
    });
    if let Some(call) = revised {
        one.call = call;
    }
    if one.call.progress.status.is_end() {
        app.pace.give_back(id);
        return None;
    }
    let (trunk, attempt) = (&one.call.request.trunk, one.call.progress.attempt);
    info!(call.id = %id, %trunk, attempt, "a call goes out again by the next trunk");
    Some(id)
}

/// What is to be told of these calls, in order, to those that asked for it.
pub(super) fn callbacks_of(changed: &[Changed]) -> Vec<NewCallback> {
    let telling = changed.iter().filter_map(|one| {
        let url = one.call.request.callback_url.as_ref()?;
        // A URL that an earlier version took and that leads nowhere has no receiver.
        let host = Target::read(url, Targets::Any).map(|target| target.host());
        Some((one, url, host.unwrap_or_default()))
    });
    telling
        .flat_map(|(Changed { call, told }, url, host)| {
            call.announcements(*told).into_iter().map(move |told| NewCallback {
                id: CallbackId(Uuid::now_v7()),
                tenant: call.request.tenant.clone(),
                call: call.id(),
                sequence: told.sequence,
                url: url.clone(),
                host: host.clone(),
                body: serde_json::to_string(&told).expect("an announcement is plain JSON"),
                kind: told.kind,
                at: told.timestamp,
            })
        })
        .collect()
}

/// Waits for this time; for ever, where there is none.
pub(super) async fn until(deadline: Option<chrono::DateTime<Utc>>) {
    match deadline {
        Some(deadline) => sleep((deadline - Utc::now()).to_std().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

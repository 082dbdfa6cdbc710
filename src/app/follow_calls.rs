//! Follows every call to its end: Asterisk's reports and the clock move it, the store remembers it,
//! and whoever listens is told once it is committed. Callbacks are stored with what they tell.

use std::collections::HashSet;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::call_book::{Changed, Compared};
use super::{App, now};
use crate::ami::{AmiError, Channel, LineState, Reports};
use crate::domain::call::{Call, CallId, ChannelId, Report};
use crate::domain::callback::{CallbackId, NewCallback};
use crate::domain::pace::Ended;
use crate::webhooks::{Target, Targets};

/// The most calls stored in one statement.
const GROUP: usize = 2_000;

/// How long to wait before a group that could not be stored is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How often silent calls are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// Runs until told to stop, then stores what it still can.
pub async fn follow_calls(
    app: App,
    mut reports: Reports,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut line = app.ami.states();
    let mut look = interval(LOOK);
    let mut again = interval(app.settings.compare_every);
    for timer in [&mut look, &mut again] {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    // Whether a call may have ended unheard: so it is from a lost line until a look has told all.
    let mut in_doubt = false;

    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(batch) = reports.next() => app.calls.handle_reports(batch, now()),
            () = app.calls.changed() => {}
            () = until(app.calls.next_timeout()) => app.calls.handle_timeouts(now()),
            Ok(()) = line.changed() => if is_up(&line.borrow_and_update()) {
                in_doubt = compare(&app).await;
            },
            _ = look.tick() => if in_doubt || app.calls.has_overdue(Utc::now()) {
                in_doubt = compare(&app).await;
            },
            _ = again.tick() => if app.calls.in_progress() > 0 {
                in_doubt = compare(&app).await;
            },
        }
        store_changes(&app, &stop).await;
    }
    Ok(())
}

/// Compares the calls we follow with the channels Asterisk has. Those it no longer has will end.
/// Says whether another look is needed.
async fn compare(app: &App) -> bool {
    let asked_at = now();
    match app.ami.channels().await {
        Ok(channels) => {
            let listed: HashSet<ChannelId> = channels.iter().filter_map(ours).collect();
            app.calls.handle_reports(channels.iter().filter_map(seen).collect(), asked_at);
            let Compared { missing, too_young } = app.calls.handle_list(&listed, asked_at);
            if missing > 0 {
                info!(missing, "calls that Asterisk no longer has");
            }
            too_young > 0
        }
        Err(AmiError::Refused(why)) => {
            warn!("calls that ended unheard cannot be found: Asterisk refused the list: {why}");
            false
        }
        Err(error @ (AmiError::NotSent(_) | AmiError::Invalid(_) | AmiError::Unknown)) => {
            debug!("list channels: {error}");
            true
        }
    }
}

/// What a channel's state says of our call. An answer given while the line was down is reported by
/// nothing else, and a call that ends unanswered has failed.
fn seen(channel: &Channel) -> Option<(ChannelId, Report)> {
    let report = match channel.state {
        5 => Report::Ringing,
        6 => Report::Answered,
        _ => return None,
    };
    Some((ours(channel)?, report))
}

/// Ours are the channels whose unique id is one that we chose.
fn ours(channel: &Channel) -> Option<ChannelId> {
    channel.unique_id.parse().ok()
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
                changed.iter().for_each(|one| log(&one.call));
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
        Some(next) => drop(call.try_again(next.clone(), now())),
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

fn log(call: &Call) {
    let (progress, id) = (&call.progress, call.id());
    let cause = progress.cause.map(|cause| cause.0);
    info!(call.id = %id, trunk = %call.request.trunk, cause, "call {}", progress.status);
}

fn is_up(state: &LineState) -> bool {
    matches!(state, LineState::Up { .. })
}

async fn until(deadline: Option<chrono::DateTime<Utc>>) {
    match deadline {
        Some(deadline) => sleep((deadline - Utc::now()).to_std().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

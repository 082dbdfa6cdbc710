//! Hears one Asterisk: what it reports of our calls goes into the call book, and when something may
//! have been missed, its list of channels is compared with the calls that are there.

use std::collections::HashSet;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::asterisks::{Asterisk, LineError, LineState, Reports};
use super::call_book::Compared;
use super::{App, now};
use crate::domain::call::ChannelId;

/// How often silent calls are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// Runs until told to stop.
///
/// # Errors
/// None at present.
pub async fn hear_asterisk(
    app: App,
    asterisk: Asterisk,
    mut reports: Reports,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut states = asterisk.states();
    let mut look = interval(LOOK);
    let mut again = interval(app.settings.compare_every);
    for timer in [&mut look, &mut again] {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    // Whether a call may have ended unheard: so it is from a lost line until a look has told all.
    let mut in_doubt = false;

    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(batch) = reports.next() => app.calls.handle_reports(batch, now()),
            state = states.changed() => if let LineState::Up { .. } = state {
                app.pace.wake();
                in_doubt = compare(&app, &asterisk).await;
            },
            _ = look.tick() => if in_doubt || app.calls.has_overdue(&asterisk.name, Utc::now()) {
                in_doubt = compare(&app, &asterisk).await;
            },
            _ = again.tick() => if asterisk.calls() > 0 {
                in_doubt = compare(&app, &asterisk).await;
            },
        }
    }
}

/// Compares the calls we follow there with the channels Asterisk has. Those it no longer has will
/// end. Says whether another look is needed.
async fn compare(app: &App, asterisk: &Asterisk) -> bool {
    let asked_at = now();
    match asterisk.channels().await {
        Ok(channels) => {
            let listed: HashSet<ChannelId> = channels.iter().map(|(channel, _)| *channel).collect();
            let seen =
                channels.into_iter().filter_map(|(channel, report)| Some((channel, report?)));
            app.calls.handle_reports(seen.collect(), asked_at);
            let compared = app.calls.handle_list(&asterisk.name, &listed, asked_at);
            app.meters.calls_compared(&asterisk.name, compared);
            let Compared { missing, too_young, .. } = compared;
            if missing > 0 {
                info!(missing, asterisk = %asterisk.name, "calls that Asterisk no longer has");
            }
            too_young > 0
        }
        Err(LineError::Refused(why)) => {
            warn!(
                asterisk = %asterisk.name,
                "calls that ended unheard cannot be found: Asterisk refused the list: {why}"
            );
            false
        }
        Err(error @ (LineError::NotSent(_) | LineError::Invalid(_) | LineError::Unknown)) => {
            debug!(asterisk = %asterisk.name, "list channels: {error}");
            true
        }
    }
}

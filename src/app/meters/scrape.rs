//! Everything as it is now, as Prometheus reads it.
//!
//! One function for each part of the daemon; what a part keeps for itself is read here and counted
//! nowhere a second time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout};

use super::process::Process;
use super::{counter, gauge};
use crate::ami::client::Counters;
use crate::app::App;
use crate::app::asterisks::Wire;
use crate::domain::did::TrunkName;

/// How long the store may take to say how it is before it counts as down for this look.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// How long a backlog may be shown again: many may look, and the store is asked for one.
const BACKLOG_EVERY: Duration = Duration::from_secs(15);

/// The most calls with callbacks to be counted, to bound what a look costs: some 10 ms.
const BACKLOG_MAX: u32 = 10_001;

/// The callbacks to be delivered, and when the store was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    asked_at: Instant,
    calls: i64,
    oldest: Option<DateTime<Utc>>,
}

/// All metrics, in Prometheus' text format 0.0.4. Answers within a few seconds,
/// whatever is down.
pub async fn scrape(app: &App) -> String {
    set(app, "rotary_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    store(app).await;
    calls(app);
    asterisk(app);
    process(app);
    app.meters.0.rendering.render()
}

async fn store(app: &App) {
    let up = matches!(timeout(STORE_PATIENCE, app.store.check()).await, Ok(Ok(())));
    set(app, "rotary_store_up", &[], f64::from(u8::from(up)));
    let backlog = if up { backlog(app).await } else { None };
    let calls = backlog.map_or(f64::NAN, |backlog| backlog.calls as f64);
    set(app, "rotary_callbacks_backlog_calls", &[], calls);
    let age = |oldest: DateTime<Utc>| (Utc::now() - oldest).as_seconds_f64().max(0.0);
    let oldest = backlog.map_or(f64::NAN, |backlog| backlog.oldest.map_or(0.0, age));
    set(app, "rotary_callbacks_oldest_seconds", &[], oldest);
    set(app, "rotary_ledger_waiting", &[], app.ledger.waiting() as f64);
}

/// The backlog, or what it was a moment ago; none if the store does not tell. Who comes while it
/// is being asked waits for that.
async fn backlog(app: &App) -> Option<Backlog> {
    let mut last = app.meters.0.backlog.lock().await;
    if let Some(seen) = last.filter(|seen| seen.asked_at.elapsed() < BACKLOG_EVERY) {
        return Some(seen);
    }
    let asked = timeout(STORE_PATIENCE, app.store.callback_backlog(BACKLOG_MAX)).await;
    let (calls, oldest) = asked.ok()?.ok()?;
    *last = Some(Backlog { asked_at: Instant::now(), calls, oldest });
    *last
}

fn calls(app: &App) {
    set(app, "rotary_calls_in_progress", &[], app.calls.in_progress() as f64);
    set(app, "rotary_imports_in_progress", &[], app.imports.running() as f64);
    trunks(app);
    let dids = app.index.lock().totals();
    for (state, count) in [
        ("pickable", dids.active - dids.spent),
        ("spent", dids.spent),
        ("resting", dids.total - dids.active),
    ] {
        set(app, "rotary_dids", &[("state", state)], count as f64);
    }
}

/// Of the default trunk and those that the configuration names; the names of others are the users'.
fn trunks(app: &App) {
    let states = app.pace.trunks();
    let usual = TrunkName::pjsip();
    for name in app.settings.trunks.keys().chain([&usual]) {
        let state = states.iter().find(|state| state.name == *name);
        let labels = [("trunk", name.as_str())];
        let queued = state.map_or(0, |state| state.queued);
        set(app, "rotary_calls_queued", &labels, queued as f64);
        let slowed_down = state.is_some_and(|state| state.slowed_down);
        set(app, "rotary_trunk_slowed_down", &labels, f64::from(u8::from(slowed_down)));
    }
}

fn asterisk(app: &App) {
    for asterisk in app.asterisks.all() {
        let labels = [("asterisk", asterisk.name.as_str())];
        set(app, "rotary_asterisk_up", &labels, f64::from(u8::from(asterisk.is_up())));
        let (line, messages) = match &asterisk.wire {
            Wire::Ami(client) => {
                let counters = client.counters();
                manager(app, &labels, counters);
                (&counters.line, counters.frames())
            }
            Wire::Ari(client) => (&client.counters().line, client.counters().events()),
        };
        for (metric, count) in [
            ("rotary_asterisk_connects_total", line.connects()),
            ("rotary_asterisk_frames_total", messages),
            ("rotary_asterisk_reports_total", line.reports()),
            ("rotary_asterisk_reports_dropped_total", line.reports_dropped()),
        ] {
            raise(app, metric, &labels, count);
        }
        for (cause, count) in line.failures() {
            let labels = [labels[0], ("cause", cause)];
            raise(app, "rotary_asterisk_failures_total", &labels, count);
        }
    }
}

/// What only the manager interface has.
fn manager(app: &App, labels: &[(&str, &str)], counters: &Counters) {
    set(app, "rotary_asterisk_actions_pending", labels, counters.pending() as f64);
    raise(app, "rotary_asterisk_oversized_frames_total", labels, counters.too_long());
    raise(app, "rotary_asterisk_orphan_answers_total", labels, counters.orphans());
}

fn process(app: &App) {
    let started = app.started_at.timestamp_millis() as f64 / 1000.0;
    set(app, "process_start_time_seconds", &[], started);
    let process = Process::look();
    if let Some(seconds) = process.cpu_seconds {
        raise(app, "process_cpu_seconds_total", &[], seconds);
    }
    for (name, value) in [
        ("process_resident_memory_bytes", process.resident_bytes),
        ("process_open_fds", process.open_files),
        ("process_max_fds", process.max_files),
    ] {
        if let Some(value) = value {
            set(app, name, &[], value as f64);
        }
    }
}

fn set(app: &App, name: &'static str, labels: &[(&str, &str)], value: f64) {
    gauge(&app.meters.0.recorder, name, labels).set(value);
}

fn raise(app: &App, name: &'static str, labels: &[(&str, &str)], value: u64) {
    counter(&app.meters.0.recorder, name, labels).absolute(value);
}

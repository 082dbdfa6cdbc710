//! Every metric there is: its name, kind, labels and meaning. `docs/metrics.md` has the same table.

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name, the unit last: `_seconds`, `_bytes`, and `_total` for what only grows.
    pub name: &'static str,
    /// What it counts or measures.
    pub kind: Kind,
    /// Its labels. Each has a bounded set of values; see [`super::Meters`].
    pub labels: &'static [&'static str],
    /// What it says, for people.
    pub help: &'static str,
}

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the daemon.
    Counter,
    /// As it is now.
    Gauge,
    /// How often a value was at most so large, for each of these bounds.
    Histogram(&'static [f64]),
}

/// From what a disk needs to what nobody waits for, in seconds.
const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Uses in a group of the ledger, up to its bound.
const USES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

use Kind::{Counter, Gauge, Histogram};

/// All of them, in the order of the documentation.
#[rustfmt::skip]
pub const TABLE: &[Metric] = &[
    metric("rotary_build_info", Gauge, &["version"], "1; which Rotary this is"),
    metric("rotary_store_up", Gauge, &[], "1 while the database answers"),

    metric("rotary_calls_started_total", Counter, &["trunk"], "Calls whose use was counted, before Asterisk heard of them"),
    metric("rotary_calls_ended_total", Counter, &["trunk", "outcome"], "Calls that ended, by their last status"),
    metric("rotary_call_talk_seconds_total", Counter, &["trunk"], "Whole seconds between answer and hangup, of calls that ended"),
    metric("rotary_calls_in_progress", Gauge, &[], "Calls that are followed and have not ended"),
    metric("rotary_calls_in_asterisk", Gauge, &["asterisk"], "Of the calls that were followed when Asterisk was last asked for its channels, those it had"),
    metric("rotary_calls_unknown_in_asterisk", Gauge, &["asterisk"], "Channels with an id like ours that Asterisk had then and that nobody here follows, such as another daemon's"),
    metric("rotary_calls_queued", Gauge, &["trunk"], "Calls that wait for a place on their trunk"),
    metric("rotary_trunk_slowed_down", Gauge, &["trunk"], "1 while the carrier's complaints hold the trunk below its rate"),
    metric("rotary_calls_missing_total", Counter, &[], "Calls that Asterisk no longer had when it was asked, and whose end was not heard"),
    metric("rotary_call_requests_total", Counter, &["outcome"], "Requests to place a call, by what became of them"),
    metric("rotary_call_setup_seconds", Histogram(SECONDS), &[], "From the request to Asterisk having taken the call, of calls that were placed"),
    metric("rotary_originates_total", Counter, &["outcome"], "Originate actions, by Asterisk's answer; `unanswered` calls may exist"),
    metric("rotary_originate_seconds", Histogram(SECONDS), &[], "From an Originate action to Asterisk's answer, or to giving up on it"),

    metric("rotary_picks_total", Counter, &["outcome"], "Picks, with a call or without, by what became of them"),
    metric("rotary_picks_repeated_total", Counter, &[], "Picks that the store refused, so that another DID was picked: somebody else changed the same DIDs"),
    metric("rotary_pick_seconds", Histogram(SECONDS), &[], "From choosing a DID to its use being durable, of picks that were counted"),
    metric("rotary_dids", Gauge, &["state"], "DIDs of all tenants: `pickable`, `spent` (in rotation and at their limit), `resting` (not in rotation)"),
    metric("rotary_ledger_group_seconds", Histogram(SECONDS), &[], "How long the database took over a group of uses, repetitions included"),
    metric("rotary_ledger_group_uses", Histogram(USES), &[], "Uses in a group"),
    metric("rotary_ledger_waiting", Gauge, &[], "Uses that wait for their group to begin; 8192 may"),

    metric("rotary_asterisk_up", Gauge, &["asterisk"], "1 while the line is up"),
    metric("rotary_asterisk_connects_total", Counter, &["asterisk"], "How often the line came up"),
    metric("rotary_asterisk_failures_total", Counter, &["asterisk", "cause"], "How often the line ended or did not come up; `silent` is a line that was half open"),
    metric("rotary_asterisk_frames_total", Counter, &["asterisk"], "Messages from Asterisk"),
    metric("rotary_asterisk_oversized_frames_total", Counter, &["asterisk"], "Messages over the bound, which are not read"),
    metric("rotary_asterisk_orphan_answers_total", Counter, &["asterisk"], "Answers that belonged to no action, or came after its deadline"),
    metric("rotary_asterisk_reports_total", Counter, &["asterisk"], "Events that told of our calls"),
    metric("rotary_asterisk_reports_dropped_total", Counter, &["asterisk"], "Of them, those dropped because too many calls had unread ones"),
    metric("rotary_asterisk_actions_pending", Gauge, &["asterisk"], "Actions that somebody waits for"),
    metric("rotary_asterisk_ping_seconds", Histogram(SECONDS), &["asterisk"], "From a ping to its answer"),

    metric("rotary_callback_attempts_total", Counter, &["outcome"], "Attempts to deliver a callback: `delivered`, `failed` (sent again later), `dead` (given up)"),
    metric("rotary_callback_attempt_seconds", Histogram(SECONDS), &[], "How long an attempt took"),
    metric("rotary_callbacks_backlog_calls", Gauge, &[], "Calls with a callback still to be delivered, those not due yet included; counted up to 10001, NaN while the store does not answer"),
    metric("rotary_callbacks_oldest_seconds", Gauge, &[], "The age of the oldest callback among those, 0 without any"),

    metric("rotary_imports_in_progress", Gauge, &[], "Imports that run, dry runs too"),
    metric("rotary_import_rows_total", Counter, &["outcome"], "Rows of imports that are over, without dry runs"),

    metric("rotary_http_requests_total", Counter, &["route", "method", "status"], "Requests by the path's template and the class of the answer's status"),
    metric("rotary_http_request_seconds", Histogram(SECONDS), &["route", "method"], "From a request's head to its answer's; a call with `?wait` is waited for"),
    metric("rotary_http_problems_total", Counter, &["code"], "Requests that failed, by the problem's code, limits that were met among them"),

    metric("process_start_time_seconds", Gauge, &[], "When the daemon started, in seconds since 1970"),
    metric("process_cpu_seconds_total", Counter, &[], "Processor time, in whole seconds"),
    metric("process_resident_memory_bytes", Gauge, &[], "Memory that is not swapped out"),
    metric("process_open_fds", Gauge, &[], "Open files and sockets"),
    metric("process_max_fds", Gauge, &[], "How many may be open"),
];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help }
}

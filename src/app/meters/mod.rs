//! What the daemon counts and measures of itself, for Prometheus.
//!
//! What is kept somewhere anyway is read when somebody looks ([`scrape`]); the rest is counted here
//! as it happens. Each daemon has a recorder of its own, not the process's, so that two in one
//! process do not add up.
//!
//! Every label has a bounded set of values: a trunk is named only if the configuration names it,
//! for the trunks of DIDs are whatever people wrote, and tenants are in no label at all.

mod process;
pub mod scrape;
pub mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::scrape::Backlog;
use self::table::{Kind, TABLE};
use super::asterisks::{Asterisk, LineError, Wire};
use super::call_book::Compared;
use super::import_dids::ImportReport;
use super::make_call::{MadeCall, MakeCallError};
use super::pick_did::PickError;
use crate::domain::asterisk::AsteriskName;
use crate::domain::call::{Call, CallStatus};
use crate::domain::callback::Verdict;
use crate::domain::did::TrunkName;
use crate::store::ledger::Ledger;

/// How often what histograms were told is folded into their buckets. Until then each value is kept.
const FOLD: Duration = Duration::from_secs(5);

/// The name of all trunks that the configuration does not name.
const OTHER: &str = "other";

/// The statuses that end a call.
const ENDS: [CallStatus; 5] = [
    CallStatus::Completed,
    CallStatus::Busy,
    CallStatus::NoAnswer,
    CallStatus::Canceled,
    CallStatus::Failed,
];

/// `[metrics]`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// Whether `/metrics` needs no key on TCP.
    pub public: bool,
}

/// A handle to all that is counted. Cloning it is cheap.
#[derive(Clone)]
pub struct Meters(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    rendering: PrometheusHandle,
    /// Those that the configuration names.
    trunks: BTreeMap<TrunkName, TrunkMeters>,
    other_trunks: TrunkMeters,
    requests: Words<13>,
    setup: Histogram,
    originates: Words<5>,
    originate: Histogram,
    missing: Counter,
    picks: Words<8>,
    picks_repeated: Counter,
    pick: Histogram,
    attempts: Words<3>,
    attempt: Histogram,
    rows: Words<4>,
    /// As it was when the store was last asked.
    backlog: Mutex<Option<Backlog>>,
}

struct TrunkMeters {
    started: Counter,
    /// By [`ENDS`].
    ended: [Counter; ENDS.len()],
    talk: Counter,
}

/// A counter for each word that a label may have.
struct Words<const N: usize>([(&'static str, Counter); N]);

impl Default for Meters {
    fn default() -> Self {
        Self::new([])
    }
}

impl Meters {
    /// Meters at 0. `trunks` are the names that the label `trunk` may have, besides that of the
    /// default trunk and `other`.
    pub fn new<'a>(trunks: impl IntoIterator<Item = &'a TrunkName>) -> Self {
        let recorder = recorder();
        let of = |trunk: &str| TrunkMeters {
            started: counter(&recorder, "rotary_calls_started_total", &[("trunk", trunk)]),
            ended: ENDS.map(|end| {
                let labels = [("trunk", trunk), ("outcome", end.as_str())];
                counter(&recorder, "rotary_calls_ended_total", &labels)
            }),
            talk: counter(&recorder, "rotary_call_talk_seconds_total", &[("trunk", trunk)]),
        };
        let named = trunks.into_iter().cloned().chain([TrunkName::pjsip()]);
        Self(Arc::new(Inner {
            trunks: named.map(|name| (name.clone(), of(name.as_str()))).collect(),
            other_trunks: of(OTHER),
            requests: words(&recorder, "rotary_call_requests_total", CALL_OUTCOMES),
            setup: histogram(&recorder, "rotary_call_setup_seconds", &[]),
            originates: words(&recorder, "rotary_originates_total", ORIGINATE_OUTCOMES),
            originate: histogram(&recorder, "rotary_originate_seconds", &[]),
            missing: counter(&recorder, "rotary_calls_missing_total", &[]),
            picks: words(&recorder, "rotary_picks_total", PICK_OUTCOMES),
            picks_repeated: counter(&recorder, "rotary_picks_repeated_total", &[]),
            pick: histogram(&recorder, "rotary_pick_seconds", &[]),
            attempts: words(&recorder, "rotary_callback_attempts_total", ATTEMPT_OUTCOMES),
            attempt: histogram(&recorder, "rotary_callback_attempt_seconds", &[]),
            rows: words(&recorder, "rotary_import_rows_total", ROW_OUTCOMES),
            backlog: Mutex::default(),
            rendering: recorder.handle(),
            recorder,
        }))
    }

    /// Has an Asterisk's pings recorded under its name.
    pub fn follow_asterisk(&self, asterisk: &Asterisk) {
        let labels = [("asterisk", asterisk.name.as_str())];
        let pings = histogram(&self.0.recorder, "rotary_asterisk_ping_seconds", &labels);
        match &asterisk.wire {
            Wire::Ami(client) => client.counters().record_pings(pings),
            Wire::Ari(_) => {}
        }
    }

    /// Has the ledger's groups recorded.
    pub fn follow_ledger(&self, ledger: &Ledger) {
        let seconds = histogram(&self.0.recorder, "rotary_ledger_group_seconds", &[]);
        let uses = histogram(&self.0.recorder, "rotary_ledger_group_uses", &[]);
        ledger.record_groups(seconds, uses);
    }

    /// Folds what histograms were told into their buckets until told to stop, so that memory does
    /// not grow where nobody looks.
    ///
    /// # Errors
    /// None.
    pub async fn fold(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut due = interval(FOLD);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(due.tick()).await.is_some() {
            self.0.rendering.run_upkeep();
        }
        Ok(())
    }

    /// A request was answered: by the path's template, the method, the class of its status and,
    /// where it failed, the problem's code. All four must be from bounded sets.
    pub fn request(
        &self,
        route: &str,
        method: &'static str,
        class: &'static str,
        problem: Option<&'static str>,
        took: Duration,
    ) {
        let recorder = &self.0.recorder;
        let labels = [("route", route), ("method", method), ("status", class)];
        counter(recorder, "rotary_http_requests_total", &labels).increment(1);
        histogram(recorder, "rotary_http_request_seconds", &labels[..2]).record(took);
        if let Some(code) = problem {
            counter(recorder, "rotary_http_problems_total", &[("code", code)]).increment(1);
        }
    }

    pub(super) fn call_requested(&self, made: &Result<MadeCall, MakeCallError>, took: Duration) {
        let word = match made {
            Ok(MadeCall { replayed: true, .. }) => "replayed",
            Ok(MadeCall { call, .. }) if call.progress.status == CallStatus::Queued => "queued",
            Ok(MadeCall { replayed: false, .. }) => {
                self.0.setup.record(took);
                "placed"
            }
            Err(MakeCallError::Full(_)) => "limited",
            Err(MakeCallError::NoneAvailable) => "none_available",
            Err(MakeCallError::DidNotFound(_)) => "did_not_found",
            Err(MakeCallError::NotPickable(_)) => "not_pickable",
            Err(MakeCallError::KeyConflict) => "key_conflict",
            Err(MakeCallError::Invalid(_)) => "invalid",
            Err(MakeCallError::AsteriskUnavailable(_)) => "asterisk_unavailable",
            Err(MakeCallError::Refused(_)) => "refused",
            Err(MakeCallError::Store(_)) => "store_unavailable",
            Err(MakeCallError::StoreTooSlow) => "store_too_slow",
        };
        self.0.requests.add(word, 1);
    }

    pub(super) fn originated(&self, answer: &Result<(), LineError>, took: Duration) {
        let word = match answer {
            Ok(()) => "queued",
            Err(LineError::Refused(_)) => "refused",
            Err(LineError::NotSent(_)) => "not_sent",
            Err(LineError::Invalid(_)) => "invalid",
            Err(LineError::Unknown) => "unanswered",
        };
        self.0.originates.add(word, 1);
        self.0.originate.record(took);
    }

    pub(super) fn call_started(&self, call: &Call) {
        self.trunk(call).started.increment(1);
    }

    pub(super) fn call_ended(&self, call: &Call) {
        let trunk = self.trunk(call);
        if let Some(end) = ENDS.iter().position(|end| *end == call.progress.status) {
            trunk.ended[end].increment(1);
        }
        let talk = call.progress.talk_seconds().unwrap_or_default();
        trunk.talk.increment(u64::try_from(talk).unwrap_or_default());
    }

    pub(super) fn calls_compared(&self, asterisk: &AsteriskName, seen: Compared) {
        let labels = [("asterisk", asterisk.as_str())];
        let gauge = |name| gauge(&self.0.recorder, name, &labels);
        gauge("rotary_calls_in_asterisk").set(seen.listed as f64);
        gauge("rotary_calls_unknown_in_asterisk").set(seen.unknown as f64);
        self.0.missing.increment(seen.missing as u64);
    }

    pub(super) fn picked<T>(&self, picked: &Result<T, PickError>, took: Duration) {
        let word = match picked {
            Ok(_) => {
                self.0.pick.record(took);
                "counted"
            }
            Err(PickError::NoneAvailable) => "none_available",
            Err(PickError::NotPickable(_)) => "not_pickable",
            Err(PickError::Full(_)) => "limited",
            Err(PickError::NoWay(_)) => "asterisk_unavailable",
            Err(PickError::KeyTaken) => "key_taken",
            Err(PickError::Store(_)) => "store_unavailable",
            Err(PickError::TooSlow) => "store_too_slow",
        };
        self.0.picks.add(word, 1);
    }

    pub(super) fn pick_repeated(&self) {
        self.0.picks_repeated.increment(1);
    }

    pub(super) fn callback_attempted(&self, verdict: Verdict, took: Duration) {
        let word = match verdict {
            Verdict::Delivered => "delivered",
            Verdict::Again(_) => "failed",
            Verdict::Dead => "dead",
        };
        self.0.attempts.add(word, 1);
        self.0.attempt.record(took);
    }

    pub(super) fn imported(&self, report: &ImportReport) {
        for (word, rows) in [
            ("imported", report.imported),
            ("updated", report.updated),
            ("duplicate", report.duplicates),
            ("failed", report.failed),
        ] {
            self.0.rows.add(word, rows);
        }
    }

    fn trunk(&self, call: &Call) -> &TrunkMeters {
        self.0.trunks.get(&call.request.trunk).unwrap_or(&self.0.other_trunks)
    }
}

const CALL_OUTCOMES: [&str; 13] = [
    "queued",
    "limited",
    "placed",
    "replayed",
    "none_available",
    "did_not_found",
    "not_pickable",
    "key_conflict",
    "invalid",
    "asterisk_unavailable",
    "refused",
    "store_unavailable",
    "store_too_slow",
];
const ORIGINATE_OUTCOMES: [&str; 5] = ["queued", "refused", "not_sent", "invalid", "unanswered"];
const PICK_OUTCOMES: [&str; 8] = [
    "limited",
    "counted",
    "asterisk_unavailable",
    "none_available",
    "not_pickable",
    "key_taken",
    "store_unavailable",
    "store_too_slow",
];
const ATTEMPT_OUTCOMES: [&str; 3] = ["delivered", "failed", "dead"];
const ROW_OUTCOMES: [&str; 4] = ["imported", "updated", "duplicate", "failed"];

impl<const N: usize> Words<N> {
    fn add(&self, word: &str, count: u64) {
        let counter = self.0.iter().find(|(known, _)| *known == word);
        debug_assert!(counter.is_some(), "{word:?} is no known outcome");
        if let Some((_, counter)) = counter {
            counter.increment(count);
        }
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

fn recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for metric in TABLE {
        if let Kind::Histogram(bounds) = metric.kind {
            let matcher = Matcher::Full(metric.name.to_owned());
            let bounded = builder.set_buckets_for_metric(matcher, bounds);
            builder = bounded.expect("the table's bounds are not empty");
        }
    }
    let recorder = builder.build_recorder();
    for metric in TABLE {
        let (name, help) = (metric.name.into(), metric.help.into());
        match metric.kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
        }
    }
    recorder
}

fn words<const N: usize>(
    recorder: &PrometheusRecorder,
    name: &'static str,
    outcomes: [&'static str; N],
) -> Words<N> {
    Words(outcomes.map(|word| (word, counter(recorder, name, &[("outcome", word)]))))
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

fn counter(recorder: &PrometheusRecorder, name: &'static str, labels: &[(&str, &str)]) -> Counter {
    recorder.register_counter(&key(name, labels), &METADATA)
}

fn gauge(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&str, &str)],
) -> metrics::Gauge {
    recorder.register_gauge(&key(name, labels), &METADATA)
}

fn histogram(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&str, &str)],
) -> Histogram {
    recorder.register_histogram(&key(name, labels), &METADATA)
}

fn key(name: &'static str, labels: &[(&str, &str)]) -> Key {
    let owned = |(name, value): &(&str, &str)| Label::new((*name).to_owned(), (*value).to_owned());
    Key::from_parts(name, labels.iter().map(owned).collect::<Vec<_>>())
}

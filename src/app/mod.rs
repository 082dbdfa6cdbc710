//! What Rotary can do: one file per operation.

pub mod asterisks;
pub mod call_book;
mod call_steps;
pub mod campaigns;
pub mod deliver_callbacks;
pub mod export_dids;
pub mod find_calls;
pub mod follow_calls;
pub mod hang_up;
pub mod hear_asterisk;
pub mod hear_changes;
pub mod import_dids;
pub mod join;
pub mod list_dids;
pub mod live;
pub mod make_call;
pub mod manage_dids;
pub mod manage_tenants;
pub mod meters;
pub mod pace;
pub mod pick_did;
pub mod place_queued;
pub mod replay_callbacks;
pub mod settle_pick;
pub mod status;
pub mod take_pick;
pub mod warm_up;
pub mod whose_number;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use self::asterisks::Asterisks;
use self::call_book::CallBook;
use self::campaigns::SharedCampaigns;
use self::deliver_callbacks::CallbackSettings;
use self::import_dids::ImportsUnderWay;
use self::live::Audience;
use self::meters::{Meters, MetricsSettings};
use self::pace::SharedPace;
use crate::domain::asterisk::AsteriskName;
use crate::domain::call::Destination;
use crate::domain::did::TrunkName;
use crate::domain::pace::{Limits, Rules, TrunkRules};
use crate::domain::rotation::RotationIndex;
use crate::store::Store;
use crate::store::ledger::Ledger;

/// The handles every operation works with. Cloning it is cheap.
#[derive(Clone)]
pub struct App {
    /// What is remembered.
    pub store: Store,
    /// Where uses are counted.
    pub ledger: Ledger,
    /// Where calls leave.
    pub asterisks: Asterisks,
    /// Which DID comes next.
    pub index: SharedIndex,
    /// What the tenants said of their campaigns.
    pub campaigns: SharedCampaigns,
    /// Held over a change of DIDs in the store and in the index, so that both see changes in one
    /// order. Picks do not take it.
    pub changes: Arc<tokio::sync::Mutex<()>>,
    /// The calls being followed.
    pub calls: CallBook,
    /// How fast calls leave, and how many at once.
    pub pace: SharedPace,
    /// Notified when callbacks may have become due.
    pub outbox: Arc<Notify>,
    /// The imports under way.
    pub imports: ImportsUnderWay,
    /// Those who listen to what happens to calls.
    pub audience: Audience,
    /// What is counted and measured.
    pub meters: Meters,
    /// How calls are placed, files imported and callbacks sent.
    pub settings: Arc<Settings>,
    /// Where operations run, so that stopping waits for them.
    pub tasks: TaskTracker,
    /// When the daemon started.
    pub started_at: DateTime<Utc>,
}

/// How calls are placed, files imported and callbacks sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What a call does once answered, unless the request says otherwise.
    pub calls: CallDefaults,
    /// The trunks that need more than their name.
    pub trunks: BTreeMap<TrunkName, Trunk>,
    /// How files are imported.
    pub imports: ImportLimits,
    /// How long a request waits for the store before it is told to come back later.
    pub patience: Duration,
    /// How often the calls we follow are compared with Asterisk's list while there are any, so
    /// that a call whose end was never heard does not live for ever.
    pub compare_every: Duration,
    /// How callbacks are sent.
    pub callbacks: CallbackSettings,
    /// How often a stream of events shows that it lives, and looks whether its reader's key still does.
    pub stream_beat: Duration,
    /// Who may see what is counted.
    pub metrics: MetricsSettings,
}

/// How files are imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportLimits {
    /// Where the rows are kept that imports reject; none keeps none.
    pub directory: Option<PathBuf>,
    /// How many imports may run at once, dry runs too.
    pub at_once: usize,
}

/// `[calls]`: what a request that says nothing gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallDefaults {
    /// The context an answered call goes to.
    pub context: String,
    /// Its extension.
    pub exten: String,
    /// Its priority, from 1.
    pub priority: u32,
    /// How long a phone may ring, in seconds.
    pub ring_timeout_seconds: u32,
    /// How long an answered call may last, in seconds from the answer; 0 is without end.
    pub time_limit_seconds: u32,
    /// How long a call may wait for its trunk, in seconds.
    pub queue_seconds_max: u32,
    /// How many calls a tenant may begin within a second; 0 is no limit.
    pub tenant_calls_per_second: u32,
    /// How many calls of a tenant may be in progress; 0 is no limit.
    pub tenant_channels_max: u32,
    /// How many calls may begin that show the same DID, within a second; 0 is no limit.
    pub did_calls_per_second: u32,
    /// How many calls that show the same DID may be in progress; 0 is no limit.
    pub did_channels_max: u32,
}

/// `[trunks.NAME]`: how calls leave by this trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// The dial string; `{to}` is the callee in E.164, `{digits}` the same without `+`, `{trunk}` the trunk's name.
    pub dial: String,
    /// The Asterisks its calls may leave by; none named: any.
    pub asterisk: Vec<AsteriskName>,
    /// How fast, how many, and what then.
    pub rules: TrunkRules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            calls: CallDefaults::default(),
            trunks: BTreeMap::new(),
            imports: ImportLimits::default(),
            patience: Duration::from_secs(5),
            compare_every: Duration::from_secs(60),
            callbacks: CallbackSettings::default(),
            stream_beat: Duration::from_secs(15),
            metrics: MetricsSettings::default(),
        }
    }
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self { directory: None, at_once: 2 }
    }
}

impl Default for CallDefaults {
    fn default() -> Self {
        Self {
            context: "DynamicIVR".into(),
            exten: "s".into(),
            priority: 1,
            ring_timeout_seconds: 30,
            time_limit_seconds: 4 * 60 * 60,
            queue_seconds_max: 120,
            tenant_calls_per_second: 0,
            tenant_channels_max: 0,
            did_calls_per_second: 0,
            did_channels_max: 0,
        }
    }
}

impl Settings {
    /// How fast calls may leave, and how many at once.
    pub fn pace(&self) -> Rules {
        let calls = &self.calls;
        let trunks = self.trunks.iter().map(|(name, trunk)| (name.clone(), trunk.rules.clone()));
        Rules {
            trunks: trunks.collect(),
            tenant: Limits::of(calls.tenant_calls_per_second, calls.tenant_channels_max),
            did: Limits::of(calls.did_calls_per_second, calls.did_channels_max),
            ..Rules::default()
        }
    }
}

impl CallDefaults {
    /// How long a call may wait for its trunk.
    pub fn queue_patience(&self) -> Duration {
        Duration::from_secs(self.queue_seconds_max.into())
    }

    /// Where an answered call goes when its request does not say.
    pub fn destination(&self) -> Destination {
        Destination::Dialplan {
            context: self.context.clone(),
            exten: self.exten.clone(),
            priority: self.priority,
        }
    }
}

impl Trunk {
    fn default_dial() -> String {
        "PJSIP/{to}@{trunk}".into()
    }

    /// The PJSIP endpoint that its calls leave by, where the dial string names one and is not made of
    /// the callee.
    pub fn endpoint(&self, trunk: &TrunkName) -> Option<String> {
        let dial = self.dial.replace("{trunk}", trunk.as_str());
        let rest = dial.strip_prefix("PJSIP/")?;
        // Either `{to}@carrier`, or `carrier/sip:{to}@host`, or the endpoint alone.
        let endpoint = match (rest.split_once('/'), rest.rsplit_once('@')) {
            (Some((endpoint, _)), _) | (None, Some((_, endpoint))) => endpoint,
            (None, None) => rest,
        };
        (!endpoint.is_empty() && !endpoint.contains(['{', '&'])).then(|| endpoint.to_owned())
    }

    /// The placeholder in `dial` that means nothing, if there is one.
    pub fn unknown_placeholder(&self) -> Option<&str> {
        let known = ["to}", "digits}", "trunk}"];
        self.dial.split('{').skip(1).find(|rest| !known.iter().any(|word| rest.starts_with(word)))
    }
}

impl Default for Trunk {
    fn default() -> Self {
        Self { dial: Self::default_dial(), asterisk: Vec::new(), rules: TrunkRules::default() }
    }
}

impl Settings {
    /// The Asterisks that calls by this trunk may leave by; none named: any.
    pub fn asterisks_of(&self, trunk: &TrunkName) -> &[AsteriskName] {
        self.trunks.get(trunk).map_or(&[], |trunk| &trunk.asterisk)
    }
}

impl App {
    /// Runs work that must not be cut short when whoever asked hangs up.
    pub async fn to_the_end<T, F>(&self, work: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.begin(work).await
    }

    /// Begins work at once, on a task of its own; it goes on whether its outcome is waited for or not.
    pub fn begin<T, F>(&self, work: F) -> impl Future<Output = T> + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let begun = self.tasks.spawn(work);
        async move {
            match begun.await {
                Ok(result) => result,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }
}

/// A std mutex: the index answers in microseconds, and the guard cannot cross
/// an `.await` in a task that may move between threads.
#[derive(Clone, Default)]
pub struct SharedIndex(Arc<Mutex<RotationIndex>>);

impl SharedIndex {
    /// The index, for a short look.
    pub fn lock(&self) -> MutexGuard<'_, RotationIndex> {
        self.0.lock().expect("no operation panics while it holds the index")
    }
}

/// Now, as exactly as the store keeps it: a call reads the same before it is stored and after.
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_of_a_trunk_is_in_its_dial_string() {
        let trunk = "carrier".parse().unwrap();
        let endpoint = |dial: &str| {
            Trunk { dial: dial.into(), ..Trunk::default() }.endpoint(&trunk).unwrap_or_default()
        };

        assert_eq!(Trunk::default().endpoint(&trunk).as_deref(), Some("carrier"));
        assert_eq!(endpoint("PJSIP/{digits}@east"), "east");
        assert_eq!(endpoint("PJSIP/east/sip:{to}@10.0.0.1"), "east");
        assert_eq!(endpoint("PJSIP/phone"), "phone");
        assert_eq!(endpoint("PJSIP/{to}"), "");
        assert_eq!(endpoint("PJSIP/a&PJSIP/b"), "");
        assert_eq!(endpoint("Local/{to}@out"), "");
    }

    #[test]
    fn a_dial_string_with_a_strange_placeholder_is_found() {
        let trunk = |dial: &str| Trunk { dial: dial.into(), ..Trunk::default() };

        assert_eq!(Trunk::default().unknown_placeholder(), None);
        assert_eq!(trunk("PJSIP/{number}@x").unknown_placeholder(), Some("number}@x"));
    }
}

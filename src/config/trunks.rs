//! `[trunks.NAME]`: how calls leave by a trunk, how fast and how many, and what when it is full.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::asterisks::OneOrMany;
use super::sections::Sections;
use super::{ConfigError, value};
use crate::app::{CallDefaults, Trunk};
use crate::domain::asterisk::AsteriskName;
use crate::domain::did::TrunkName;
use crate::domain::pace::verdict::{CauseMap, Verdict};
use crate::domain::pace::{Limits, QUEUE_MAX, TrunkRules, WhenFull};

/// The most calls that may begin in a second: of so many the times are kept.
const RATE_MAX: u32 = 10_000;

/// The most calls that may wait for a trunk.
const QUEUE_BOUND: usize = 100_000;

/// A trunk as a person writes it; what is none has no limit, or the usual one.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TrunkSection {
    dial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asterisk: Option<OneOrMany<AsteriskName>>,
    /// Calls that may begin within a second; 0 is no limit.
    calls_per_second: Option<u32>,
    /// Calls in progress; 0 is no limit.
    channels_max: Option<u32>,
    /// What becomes of a call that finds no place.
    when_full: Option<WhenFull>,
    /// Calls that may wait.
    queue_max: Option<usize>,
    /// The trunk that is tried when this one could not carry a call.
    next: Option<TrunkName>,
    /// What SIP statuses and Q.850 causes mean on this trunk.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    causes: BTreeMap<String, Verdict>,
}

/// The trunks of the configuration.
///
/// # Errors
/// Names the key whose value cannot work.
pub(super) fn trunks(sections: &Sections) -> Result<BTreeMap<TrunkName, Trunk>, ConfigError> {
    let mut trunks = BTreeMap::new();
    for (name, section) in &sections.trunks {
        trunks.insert(name.clone(), section.trunk(name)?);
    }
    for (name, trunk) in &trunks {
        if let Some(next) = trunk.rules.next.as_ref().filter(|next| !trunks.contains_key(next)) {
            let why = format!("there is no [trunks.{next}]; add it, if only with its name");
            return Err(value(format!("trunks.{name}.next"), why));
        }
    }
    let settings = crate::app::Settings { trunks, ..crate::app::Settings::default() };
    if let Some(name) = settings.pace().in_a_loop() {
        let why = "the trunks lead round in a circle, and a call would go out for ever";
        return Err(value(format!("trunks.{name}.next"), why));
    }
    Ok(settings.trunks)
}

/// What `[calls]` says of limits.
///
/// # Errors
/// Names the key whose value cannot work.
pub(super) fn check_calls(calls: &CallDefaults) -> Result<(), ConfigError> {
    for (key, rate) in [
        ("calls.tenant_calls_per_second", calls.tenant_calls_per_second),
        ("calls.did_calls_per_second", calls.did_calls_per_second),
    ] {
        at_most(key, rate, RATE_MAX)?;
    }
    if !(1..=86_400).contains(&calls.queue_seconds_max) {
        return Err(value("calls.queue_seconds_max", "a call waits for 1 to 86400 seconds"));
    }
    Ok(())
}

impl TrunkSection {
    /// The Asterisks that the trunk names.
    pub(super) fn asterisks(&self) -> &[AsteriskName] {
        self.asterisk.as_ref().map_or(&[], OneOrMany::as_slice)
    }

    /// The trunk as it is dialled and paced.
    ///
    /// # Errors
    /// Names the key whose value cannot work.
    pub(super) fn trunk(&self, name: &TrunkName) -> Result<Trunk, ConfigError> {
        let key = |key: &str| format!("trunks.{name}.{key}");
        let dial = self.dial.clone().unwrap_or_else(|| Trunk::default().dial);
        let rate = self.calls_per_second.unwrap_or_default();
        at_most(&key("calls_per_second"), rate, RATE_MAX)?;
        let queue_max = self.queue_max.unwrap_or(QUEUE_MAX);
        if queue_max > QUEUE_BOUND {
            return Err(value(key("queue_max"), format!("at most {QUEUE_BOUND} calls may wait")));
        }
        let causes = self.causes.iter().map(|(number, verdict)| (number.as_str(), *verdict));
        let causes = CauseMap::new(causes).map_err(|why| value(key("causes"), why.to_string()))?;
        let rules = TrunkRules {
            limits: Limits::of(rate, self.channels_max.unwrap_or_default()),
            when_full: self.when_full.unwrap_or_default(),
            queue_max,
            causes,
            next: self.next.clone(),
        };
        let trunk = Trunk { dial, asterisk: self.asterisks().to_vec(), rules };
        if let Some(strange) = trunk.unknown_placeholder() {
            let why =
                format!("`{{{strange}` holds no placeholder; {{to}}, {{digits}} and {{trunk}} are");
            return Err(value(key("dial"), why));
        }
        Ok(trunk)
    }
}

fn at_most(key: &str, rate: u32, most: u32) -> Result<(), ConfigError> {
    if rate <= most {
        return Ok(());
    }
    Err(value(key, format!("at most {most} calls may begin in a second; 0 is no limit")))
}

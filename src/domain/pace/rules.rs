//! What may be asked of a trunk, of a tenant and of a DID.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::verdict::CauseMap;
use crate::domain::did::TrunkName;

/// How many calls may wait for a trunk that says nothing else.
pub const QUEUE_MAX: usize = 1_000;

/// How fast calls may begin and how many may be in progress; what is none has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many calls may begin within any second.
    pub calls_per_second: Option<NonZeroU32>,
    /// How many calls may be in progress.
    pub channels_max: Option<NonZeroU32>,
}

/// What becomes of a call that finds no place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// It waits for one.
    #[default]
    Queue,
    /// It is refused.
    Refuse,
}

/// How a trunk is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkRules {
    /// What it bears.
    pub limits: Limits,
    /// What becomes of a call that finds no place on it.
    pub when_full: WhenFull,
    /// How many calls may wait for it.
    pub queue_max: usize,
    /// What the ends of its calls mean.
    pub causes: CauseMap,
    /// The trunk that is tried when this one could not carry a call.
    pub next: Option<TrunkName>,
}

/// All that is paced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Trunk by trunk.
    pub trunks: BTreeMap<TrunkName, TrunkRules>,
    /// What each tenant may have.
    pub tenant: Limits,
    /// What each DID may have.
    pub did: Limits,
    /// What holds for a trunk that is not in `trunks`: usually no limit, and a queue for what finds
    /// no place while it is slowed down.
    pub other: TrunkRules,
}

impl Limits {
    /// Limits where 0 is none.
    pub fn of(calls_per_second: u32, channels_max: u32) -> Self {
        Self {
            calls_per_second: NonZeroU32::new(calls_per_second),
            channels_max: NonZeroU32::new(channels_max),
        }
    }

    /// Whether nothing is limited.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for TrunkRules {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            when_full: WhenFull::default(),
            queue_max: QUEUE_MAX,
            causes: CauseMap::default(),
            next: None,
        }
    }
}

impl Rules {
    /// What holds for this trunk.
    pub fn trunk(&self, name: &TrunkName) -> &TrunkRules {
        self.trunks.get(name).unwrap_or(&self.other)
    }

    /// The trunks to be tried after this one, in order; ends where it would go round.
    pub fn after<'a>(&'a self, name: &TrunkName) -> impl Iterator<Item = &'a TrunkName> + use<'a> {
        let next = |name: &TrunkName| self.trunk(name).next.as_ref();
        std::iter::successors(next(name), move |name| next(name)).take(self.trunks.len())
    }

    /// A trunk whose `next` leads back to it, if there is one.
    pub fn in_a_loop(&self) -> Option<&TrunkName> {
        self.trunks.keys().find(|name| self.after(name).any(|after| after == *name))
    }
}

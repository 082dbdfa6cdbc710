//! What pace is asked, and what it answers.

use std::time::{Duration, Instant};

use super::meter::Met;
use crate::domain::call::CallId;
use crate::domain::did::{DidId, TrunkName};
use crate::domain::tenant::TenantId;

/// A call that wants to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The call.
    pub call: CallId,
    /// Who places it.
    pub tenant: TenantId,
    /// The DID it shows.
    pub did: DidId,
    /// The trunk it leaves by.
    pub trunk: TrunkName,
}

/// What a call is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a place that was given must be given back"]
pub enum Answer {
    /// It has its place and may begin.
    Now,
    /// It must wait, and a place in the queue is kept for it until [`super::Pace::enqueue`].
    Queued,
    /// There is no place.
    Refused(Refused),
}

/// The limit that a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub limit: Limit,
    /// How much there was.
    pub current: u32,
    /// How much there may be.
    pub max: u32,
    /// When to ask again. Exact for a rate, and enough where that is rising: whoever asks then
    /// finds a place unless somebody else took it. For channels an estimate: how long calls last there, shared among those in progress.
    pub retry_after: Duration,
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Calls in progress on the trunk.
    TrunkChannels,
    /// Calls that begin on the trunk in a second.
    TrunkRate,
    /// Calls that wait for the trunk.
    TrunkQueue,
    /// The tenant's calls in progress.
    TenantChannels,
    /// The tenant's calls that begin in a second.
    TenantRate,
    /// The DID's calls in progress.
    DidChannels,
    /// The DID's calls that begin in a second.
    DidRate,
}

/// What time or room has brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Polled {
    /// These have their place and are to begin, in this order.
    pub begin: Vec<CallId>,
    /// These have waited too long, and wait no more.
    pub expired: Vec<CallId>,
    /// These trunks are back at their full rate.
    pub recovered: Vec<TrunkName>,
}

/// What the end of a call came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ended {
    /// The trunk that turned slower, and to how many calls a second.
    pub slower: Option<(TrunkName, f64)>,
    /// The trunk by which the same call goes out again; it has its place there.
    pub next: Option<TrunkName>,
}

/// A trunk as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct TrunkState {
    /// Its name.
    pub name: TrunkName,
    /// Calls in progress.
    pub channels: u32,
    /// How many there may be.
    pub channels_max: Option<u32>,
    /// How many calls may begin in a second now.
    pub calls_per_second: Option<f64>,
    /// Whether that is less than when all is well.
    pub slowed_down: bool,
    /// Calls that wait.
    pub queued: usize,
    /// How many may.
    pub queue_max: usize,
}

impl Limit {
    /// The key of the configuration that sets it.
    pub fn key(self) -> &'static str {
        match self {
            Self::TrunkChannels => "channels_max",
            Self::TrunkRate => "calls_per_second",
            Self::TrunkQueue => "queue_max",
            Self::TenantChannels => "tenant_channels_max",
            Self::TenantRate => "tenant_calls_per_second",
            Self::DidChannels => "did_channels_max",
            Self::DidRate => "did_calls_per_second",
        }
    }

    /// What a person is told who meets it on the way to this trunk.
    pub fn says(self, trunk: &TrunkName, max: u32) -> String {
        match self {
            Self::TrunkChannels => format!("The trunk {trunk} has all its channels in use: {max}"),
            Self::TrunkRate => {
                format!("The trunk {trunk} takes no more calls for now: {max} within its time")
            }
            Self::TrunkQueue => format!("The queue of the trunk {trunk} is full: {max} calls wait"),
            Self::TenantChannels => format!("The tenant has all its channels in use: {max}"),
            Self::TenantRate => format!("The tenant may begin {max} calls a second"),
            Self::DidChannels => format!("The DID is shown by as many calls as may: {max}"),
            Self::DidRate => format!("The DID may begin {max} calls a second"),
        }
    }
}

impl Refused {
    pub(super) fn new(met: Met, channels: Limit, rate: Limit, now: Instant) -> Self {
        let retry_after = met.wait(now);
        match met {
            Met::Channels { current, max, .. } => {
                Self { limit: channels, current, max, retry_after }
            }
            Met::Rate { current, max, .. } => Self { limit: rate, current, max, retry_after },
        }
    }
}

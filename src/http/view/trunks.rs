//! A trunk in JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::did::TrunkName;
use crate::domain::pace::TrunkState;

/// A trunk as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TrunkState)]
pub struct TrunkView {
    /// Its name.
    pub name: TrunkName,
    /// Calls in progress.
    pub channels: u32,
    /// How many there may be; null where there is no limit.
    pub channels_max: Option<u32>,
    /// How many calls may begin in a second now; null where there is no limit.
    pub calls_per_second: Option<f64>,
    /// Whether that is less than usual, because its carrier refused calls.
    pub slowed_down: bool,
    /// Calls that wait for a place.
    pub queued: usize,
    /// How many may wait.
    pub queue_max: usize,
}

impl From<&TrunkState> for TrunkView {
    fn from(state: &TrunkState) -> Self {
        Self {
            name: state.name.clone(),
            channels: state.channels,
            channels_max: state.channels_max,
            calls_per_second: state.calls_per_second,
            slowed_down: state.slowed_down,
            queued: state.queued,
            queue_max: state.queue_max,
        }
    }
}

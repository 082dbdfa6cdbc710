//! What is told of a call: one announcement for each state it came to, in order.
//!
//! A call's timeline says everything: the n-th step has the sequence n, and what was known then is
//! what the steps up to it hold. So nothing needs to be remembered between a change and its
//! announcement, however many changes are stored at once.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Call;
use super::view::CallView;

/// A change of a call, as callbacks and event streams tell it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// `call.` and the state the call came to.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it came there.
    pub timestamp: DateTime<Utc>,
    /// Its place among the call's changes, from 1.
    pub sequence: u32,
    /// The call as it then was.
    pub data: CallView,
}

impl Call {
    /// How many states the call came to so far.
    pub fn steps(&self) -> u32 {
        u32::try_from(self.progress.steps().len()).expect("a call has six states at most")
    }

    /// What is to be told of the call, of which the first `told` changes were told before.
    pub fn announcements(&self, told: u32) -> Vec<Announcement> {
        let steps = self.progress.steps().into_iter();
        let new = (1..).zip(steps).skip(told as usize);
        new.map(|(sequence, (status, at))| {
            let progress = self.progress.up_to(sequence as usize);
            let then = Self::restored(self.request.clone(), progress);
            Announcement {
                kind: format!("call.{status}"),
                timestamp: at,
                sequence,
                data: CallView::in_full(&then),
            }
        })
        .collect()
    }
}

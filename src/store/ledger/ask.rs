//! The handle: asking for a use to be counted, and leaving before the answer.

use std::sync::Arc;

use metrics::Histogram;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::measure::Groups;
use super::{Recorded, Use};
use crate::store::{Store, StoreError};

/// A use and who waits for it.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) used: Arc<Use>,
    pub(super) answer: oneshot::Sender<Result<Recorded, StoreError>>,
}

/// Counts uses; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(super) store: Store,
    asks: mpsc::Sender<Ask>,
    abandoned: mpsc::Sender<Arc<Use>>,
    groups: Groups,
}

impl Ledger {
    pub(super) fn new(
        store: Store,
        asks: mpsc::Sender<Ask>,
        abandoned: mpsc::Sender<Arc<Use>>,
        groups: Groups,
    ) -> Self {
        Self { store, asks, abandoned, groups }
    }

    /// How many uses wait for their group to begin.
    pub fn waiting(&self) -> usize {
        self.asks.max_capacity() - self.asks.capacity()
    }

    /// Has recorded of each group how long it took, in seconds, and how many uses it had. The
    /// first to ask has it.
    pub fn record_groups(&self, seconds: Histogram, uses: Histogram) {
        self.groups.record_to(seconds, uses);
    }

    /// Counts a use and stores its call, and answers once both are durable.
    ///
    /// While the database is down this waits for it; the caller brings its own patience. A caller
    /// that leaves, by dropping the future, has counted nothing: what was counted meanwhile is
    /// taken back and its call ends as failed.
    ///
    /// [`StoreError::Busy`]: too many wait, nothing was counted. [`StoreError::Unavailable`]: the
    /// daemon stops while the database is down; whether the use was counted is not known.
    pub async fn record(&self, used: Use) -> Result<Recorded, StoreError> {
        let used = Arc::new(used);
        let (answer, waits) = oneshot::channel();
        let mut asker = Asker { waits, left: Some((Arc::clone(&used), self.abandoned.clone())) };
        match self.asks.try_send(Ask { used, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                asker.left = None;
                return Err(StoreError::Busy);
            }
            Err(TrySendError::Closed(_)) => {
                asker.left = None;
                return Err(stopping());
            }
        }
        let answer = (&mut asker.waits).await;
        asker.left = None;
        answer.unwrap_or_else(|_| Err(stopping()))
    }
}

/// Someone waiting. If it goes away between the answer's sending and its reading, only it knows.
struct Asker {
    waits: oneshot::Receiver<Result<Recorded, StoreError>>,
    /// What to take back, while the answer has not been read.
    left: Option<(Arc<Use>, mpsc::Sender<Arc<Use>>)>,
}

impl Drop for Asker {
    fn drop(&mut self) {
        let Some((used, abandoned)) = self.left.take() else { return };
        self.waits.close();
        if let Ok(Ok(Recorded::Counted { .. })) = self.waits.try_recv()
            && abandoned.try_send(used).is_err()
        {
            tracing::warn!("a use whose asker left stays counted: too many wait to be taken back");
        }
    }
}

pub(super) fn stopping() -> StoreError {
    StoreError::Unavailable { act: "record the use", problem: "the ledger has stopped".into() }
}

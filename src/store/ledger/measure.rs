//! How large the groups are and how long they take, for whoever wants it recorded.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::Histogram;

/// Where groups are recorded; nowhere until that is said. Cloning it shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups(Arc<OnceLock<Histograms>>);

#[derive(Debug)]
struct Histograms {
    seconds: Histogram,
    uses: Histogram,
}

impl Groups {
    /// Has them recorded there. The first counts.
    pub(super) fn record_to(&self, seconds: Histogram, uses: Histogram) {
        let _set_already = self.0.set(Histograms { seconds, uses });
    }

    /// A group of so many uses has been taken in, after so long.
    pub(super) fn record(&self, uses: usize, took: Duration) {
        if let Some(histograms) = self.0.get() {
            histograms.seconds.record(took);
            histograms.uses.record(uses as f64);
        }
    }
}

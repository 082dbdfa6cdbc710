//! How the daemon is doing, for `readyz` and for `rotary status`.

use chrono::{DateTime, Utc};

use super::App;
use super::asterisks::LineState;
use crate::domain::asterisk::AsteriskName;
use crate::domain::did::TrunkName;
use crate::domain::pace::TrunkState;
use crate::domain::rotation::Summary;
use crate::domain::tenant::TenantId;
use crate::store::StoreError;

/// What the daemon leans on.
#[derive(Debug)]
pub struct Readiness {
    /// Whether the store answers.
    pub store: Result<(), StoreError>,
    /// Each Asterisk and the line to it, in the order of the configuration.
    pub asterisks: Vec<(AsteriskName, LineState)>,
    /// The trunks of the configuration whose Asterisks are all down.
    pub stuck: Vec<TrunkName>,
}

/// How the daemon is doing.
#[derive(Debug)]
pub struct Status {
    /// What it leans on.
    pub readiness: Readiness,
    /// `postgres` or `sqlite`.
    pub store_kind: &'static str,
    /// The tenant's DIDs.
    pub dids: Summary,
    /// The tenant's calls that have not ended.
    pub calls_in_progress: usize,
    /// How many of them wait for their trunk.
    pub calls_queued: usize,
    /// The trunks, of all tenants.
    pub trunks: Vec<TrunkState>,
    /// When the daemon started.
    pub started_at: DateTime<Utc>,
}

impl Readiness {
    /// Whether calls can be placed, by every trunk of the configuration.
    pub fn is_ready(&self) -> bool {
        self.store.is_ok() && self.can_leave()
    }

    /// Whether an Asterisk is there for every trunk of the configuration, and for those it does not name.
    pub fn can_leave(&self) -> bool {
        let up = |(_, state): &(AsteriskName, LineState)| matches!(state, LineState::Up { .. });
        self.stuck.is_empty() && self.asterisks.iter().any(up)
    }
}

/// Asks what the daemon leans on.
pub async fn readiness(app: &App) -> Readiness {
    let all = app.asterisks.all().iter();
    let trunks = app.settings.trunks.iter();
    let stuck = trunks.filter(|(_, trunk)| app.asterisks.can_leave(&trunk.asterisk).is_err());
    Readiness {
        store: app.store.check().await,
        asterisks: all.map(|asterisk| (asterisk.name.clone(), asterisk.state())).collect(),
        stuck: stuck.map(|(name, _)| name.clone()).collect(),
    }
}

/// All of it, with the DIDs and calls of one tenant.
pub async fn status(app: &App, tenant: &TenantId) -> Status {
    Status {
        readiness: readiness(app).await,
        store_kind: app.store.kind(),
        dids: app.index.lock().summary(tenant),
        calls_in_progress: app.calls.in_progress_of(tenant),
        calls_queued: app.pace.queued_of(tenant),
        trunks: app.pace.trunks(),
        started_at: app.started_at,
    }
}

//! One call as it moves, whoever follows it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::app::App;
use crate::domain::call::{Call, CallId};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;

/// How often a call that another daemon follows is looked up in the store.
const LOOK: Duration = Duration::from_secs(1);

/// A look at a call each time it may have moved.
pub struct CallWatch {
    app: App,
    tenant: TenantId,
    id: CallId,
    changes: broadcast::Receiver<Arc<Call>>,
    look: Interval,
    /// Whether the store must be asked: at first, and when what was announced may have been missed.
    ask: bool,
}

impl CallWatch {
    /// Watches the tenant's call from now on; no change after this is missed.
    pub fn new(app: &App, tenant: &TenantId, id: CallId) -> Self {
        let mut look = interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            app: app.clone(),
            tenant: tenant.clone(),
            id,
            changes: app.calls.listen(),
            look,
            ask: true,
        }
    }

    /// The call as it is committed: at once the first time, then when it may have moved; none if
    /// the tenant has no such call. May be dropped and asked again without missing anything.
    pub async fn next(&mut self) -> Result<Option<Call>, StoreError> {
        loop {
            if self.ask {
                let call = self.app.store.call(&self.tenant, self.id).await?;
                self.ask = false;
                return Ok(call);
            }
            tokio::select! {
                announced = self.changes.recv() => match announced {
                    Ok(call) if call.id() == self.id => return Ok(Some(Call::clone(&call))),
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.ask = true,
                    Err(RecvError::Closed) => std::future::pending().await,
                },
                // Nobody here announces a call of another daemon, or one that never left.
                _ = self.look.tick() => self.ask = !self.app.calls.follows(self.id),
            }
        }
    }
}

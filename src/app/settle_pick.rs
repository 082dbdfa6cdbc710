//! What became of a pick: it was given back, or its call has ended.

use tracing::{info, warn};

use super::{App, now};
use crate::domain::pick::{DialEnd, PickId, PickRecord};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::ledger::Released;
use crate::store::picks::PickEnded;

/// Gives a pick back, in the store first.
pub async fn release(app: &App, tenant: &TenantId, pick: PickId) -> Result<Released, StoreError> {
    let released = app.ledger.release(tenant, pick, now()).await?;
    if let Released::Now { did, usage_count: Some(count) } = &released {
        app.index.lock().learn(tenant, *did, *count);
    }
    Ok(released)
}

/// Puts on record how the call of a pick ended. A pick that was given back stays so.
pub async fn end(
    app: &App,
    tenant: &TenantId,
    pick: PickId,
    end: &DialEnd,
) -> Result<PickEnded, StoreError> {
    let ended = app.store.end_pick(tenant, pick, end).await?;
    match &ended {
        PickEnded::Now(record) => log(record, end),
        PickEnded::Before(_) | PickEnded::Unknown => {}
    }
    Ok(ended)
}

/// The pick with this id, whosever it is.
pub async fn find(app: &App, pick: PickId) -> Result<Option<PickRecord>, StoreError> {
    app.store.pick_of_any_tenant(pick).await
}

fn log(record: &PickRecord, end: &DialEnd) {
    let (taken, cause) = (&record.taken, end.cause.0);
    match taken.to {
        Some(_) => {
            info!(call.id = %taken.id, trunk = %taken.trunk, cause, "the dialplan's call {}", end.status);
        }
        None => warn!(
            pick = %taken.id,
            "the call of a pick is not among the calls: nobody said who was called"
        ),
    }
}

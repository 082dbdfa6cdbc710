//! Before the doors open: campaigns and DIDs into memory, every open call into the book
//! and to its place or back into the queue, the tenant
//! that exists from the start, and what was being told when the last run ended is due again.

use std::time::Instant;

use tracing::info;

use super::manage_tenants::{TenantError, know};
use super::place_queued::wait_again;
use super::{App, campaigns, now};
use crate::domain::audit::Origin;
use crate::domain::call::CallStatus;
use crate::domain::tenant::TenantId;
use crate::store::ledger::WriterId;

/// Loads what the store remembers.
pub async fn warm_up(app: &App, writer: WriterId) -> Result<(), TenantError> {
    let begun = Instant::now();
    know(app, &TenantId::default_tenant(), &Origin::rotary()).await?;
    campaigns::load(app).await?;
    let index = app.index.clone();
    let dids = app.store.load_dids(move |state| index.lock().upsert(&state)).await?;
    let calls = app.store.open_calls(writer).await?;
    let open = calls.len();
    for (call, told) in calls {
        app.calls.resume(call.clone(), told);
        if call.progress.status == CallStatus::Queued {
            wait_again(app, &call);
        } else {
            app.pace.resume(&call);
        }
    }
    app.store.unclaim_callbacks(writer, now()).await?;
    info!(dids, calls = open, milliseconds = begun.elapsed().as_millis() as u64, "loaded");
    Ok(())
}

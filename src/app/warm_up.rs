//! Before the doors open: campaigns and DIDs into memory, every open call into the book and to its
//! place or back into the queue, the tenant that exists from the start, and what was being told when the last run ended is due again.

use std::collections::BTreeMap;
use std::time::Instant;

use tracing::{info, warn};

use super::manage_tenants::{TenantError, know};
use super::place_queued::wait_again;
use super::{App, campaigns, now};
use crate::domain::audit::Origin;
use crate::domain::call::{Call, CallStatus};
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
    resume(app, calls);
    app.store.unclaim_callbacks(writer, now()).await?;
    info!(dids, calls = open, milliseconds = begun.elapsed().as_millis() as u64, "loaded");
    Ok(())
}

/// Follows the calls of the last run, each at its Asterisk. A call that names none is of the time when
/// there was one, the first. Those of an Asterisk that is not configured any more can be asked for
/// nowhere, so they end.
fn resume(app: &App, calls: Vec<(Call, u32)>) {
    let mut lost = BTreeMap::new();
    for (call, told) in calls {
        let (id, queued) = (call.id(), call.progress.status == CallStatus::Queued);
        let named = call.progress.asterisk.clone();
        app.calls.resume(call.clone(), told);
        if queued {
            wait_again(app, &call);
            continue;
        }
        app.pace.resume(&call);
        let name = named.unwrap_or_else(|| app.asterisks.first().name.clone());
        match app.asterisks.named(&name) {
            Some(asterisk) => app.calls.send_to(id, asterisk.place()),
            None => {
                app.calls.lose(id, now());
                *lost.entry(name).or_insert(0_usize) += 1;
            }
        }
    }
    for (name, calls) in lost {
        warn!(
            asterisk = %name, calls,
            "end calls of an Asterisk that is not configured any more; there they may go on"
        );
    }
}

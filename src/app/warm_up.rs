//! Before the doors open: every DID into the index, every open call into the book, and what was
//! being told when the last run ended is due again.

use std::time::Instant;

use tracing::info;

use super::{App, now};
use crate::store::StoreError;
use crate::store::ledger::WriterId;

/// Loads what the store remembers.
pub async fn warm_up(app: &App, writer: WriterId) -> Result<(), StoreError> {
    let begun = Instant::now();
    let index = app.index.clone();
    let dids = app.store.load_dids(move |state| index.lock().upsert(&state)).await?;
    let calls = app.store.open_calls(writer).await?;
    let open = calls.len();
    for (call, told) in calls {
        app.calls.resume(call, told);
    }
    app.store.unclaim_callbacks(writer, now()).await?;
    info!(dids, calls = open, milliseconds = begun.elapsed().as_millis() as u64, "loaded");
    Ok(())
}

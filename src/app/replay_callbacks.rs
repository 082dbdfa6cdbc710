//! Sending callbacks again, on request.

use super::{App, now};
use crate::domain::audit::Origin;
use crate::domain::callback::{Callback, CallbackId};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;

/// How many dead callbacks are made pending in one transaction.
const GROUP: u32 = 1_000;

/// Sends one callback again, whatever became of it. None if the tenant has no such callback.
pub async fn replay(
    app: &App,
    tenant: &TenantId,
    id: CallbackId,
    origin: &Origin,
) -> Result<Option<Callback>, StoreError> {
    let entry = origin.did("callback.replayed", ("callback", id.to_string()), now()).of(tenant);
    if !app.store.replay_callback(tenant, id, now(), &entry).await? {
        return Ok(None);
    }
    // Read before it is sent, so that whoever asked sees it pending.
    let replayed = app.store.callback(tenant, id).await;
    app.outbox.notify_one();
    replayed
}

/// Sends again all of the tenant's callbacks that are dead now. Says how many.
///
/// They are taken up in groups. After an error some may have been; asked again, it goes on.
pub async fn replay_dead(
    app: &App,
    tenant: &TenantId,
    origin: &Origin,
) -> Result<usize, StoreError> {
    let begun = now();
    let mut replayed = 0;
    loop {
        let subject = ("callback", "dead".to_owned());
        let entry = origin.did("callback.replayed", subject, now()).of(tenant);
        let count = app.store.replay_dead_callbacks(tenant, GROUP, begun, &entry).await?;
        app.outbox.notify_one();
        replayed += count;
        if count < GROUP as usize {
            return Ok(replayed);
        }
    }
}

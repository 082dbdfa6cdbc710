//! What an operator does with single DIDs. The store first, then the index.

use std::time::Duration;

use chrono::Utc;
use tracing::warn;

use super::manage_tenants::{TenantError, know};
use super::{App, join};
use crate::domain::audit::Origin;
use crate::domain::did::{Did, DidId, DidState, NewDid};
use crate::domain::did_change::DidChange;
use crate::domain::number::E164;
use crate::domain::rotation::{Reason, Want};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::dids::{ChangeError, InsertError};

/// How long after a reset the index asks for the count again.
const SETTLED: Duration = Duration::from_secs(1);

/// Why a DID was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The tenant that was named for the first time could not be made.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The DID could not be stored.
    #[error(transparent)]
    Insert(#[from] InsertError),
}

/// Stores a new DID and, if it is active, takes it into rotation. A tenant that is named for the
/// first time comes into being with it.
pub async fn create(
    app: &App,
    tenant: &TenantId,
    new: &NewDid,
    origin: &Origin,
) -> Result<Did, CreateError> {
    know(app, tenant, origin).await?;
    let _in_order = app.changes.lock().await;
    let new = NewDid { head_start: join::head_start_of_new(app, tenant, new), ..new.clone() };
    let did = app.store.insert_did(tenant, &new, origin, Utc::now()).await?;
    app.index.lock().upsert(&DidState::from(&did));
    Ok(did)
}

/// Changes a DID; the next pick goes by it, and one on its way is judged by it in the store.
pub async fn change(
    app: &App,
    tenant: &TenantId,
    id: DidId,
    change: &DidChange,
    origin: &Origin,
) -> Result<Did, ChangeError> {
    let _in_order = app.changes.lock().await;
    let place = |before: &Did, after: &Did| join::head_start(app, &before.into(), &after.into());
    let changed = app.store.update_did(tenant, id, change, place, origin, Utc::now()).await?;
    if changed.after != changed.before {
        app.index.lock().upsert(&DidState::from(&changed.after));
    }
    Ok(changed.after)
}

/// Deletes a DID: it is never picked again. Its calls stay.
pub async fn remove(
    app: &App,
    tenant: &TenantId,
    id: DidId,
    origin: &Origin,
) -> Result<(), ChangeError> {
    let _in_order = app.changes.lock().await;
    app.store.delete_did(tenant, id, origin, Utc::now()).await?;
    app.index.lock().remove(tenant, id);
    Ok(())
}

/// Sets the count of a DID's uses back to 0, as an operator does once a month. In a campaign that
/// lets newcomers start level it starts level again.
pub async fn reset_usage(
    app: &App,
    tenant: &TenantId,
    id: DidId,
    origin: &Origin,
) -> Result<Did, ChangeError> {
    let did = {
        let _in_order = app.changes.lock().await;
        let place = |did: &Did| join::head_start_after_reset(app, &did.into());
        let changed = app.store.reset_usage(tenant, id, place, origin, Utc::now()).await?;
        app.index.lock().upsert(&DidState::from(&changed.after));
        changed.after
    };
    // A pick that the store counted just before may tell the index only now, and of two counts the
    // index believes the higher: the DID would look used long after its reset.
    let (app, tenant) = (app.clone(), tenant.clone());
    app.tasks.clone().spawn(async move {
        tokio::time::sleep(SETTLED).await;
        match app.store.did(&tenant, id).await {
            Ok(Some(did)) => app.index.lock().learn(&tenant, id, did.usage_count),
            Ok(None) => {}
            Err(error) => warn!(did = %id, "look again after a reset: {error}"),
        }
    });
    Ok(did)
}

/// The tenant's DID of this id.
pub async fn find(app: &App, tenant: &TenantId, id: DidId) -> Result<Option<Did>, StoreError> {
    app.store.did(tenant, id).await
}

/// The DID the next pick for a call to `to` would take, and why, without taking it.
pub async fn next_available(
    app: &App,
    want: Want,
    to: Option<E164>,
) -> Result<Option<(Did, Reason)>, StoreError> {
    let want = app.campaigns.locally(want, to);
    let next = app.index.lock().next(&want);
    let Some((id, reason)) = next else { return Ok(None) };
    Ok(app.store.did(&want.tenant, id).await?.map(|did| (did, reason)))
}

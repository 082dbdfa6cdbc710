//! What an operator does with single DIDs. The store first, then the index.

use chrono::Utc;

use super::{App, join};
use crate::domain::did::{Did, DidId, DidState, NewDid};
use crate::domain::number::E164;
use crate::domain::rotation::{Reason, Want};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::dids::InsertError;

/// Stores a new DID and, if it is active, takes it into rotation.
pub async fn create(app: &App, tenant: &TenantId, new: &NewDid) -> Result<Did, InsertError> {
    let _in_order = app.changes.lock().await;
    let new = NewDid { head_start: join::head_start_of_new(app, tenant, new), ..new.clone() };
    let did = app.store.insert_did(tenant, &new, Utc::now()).await?;
    app.index.lock().upsert(&DidState::from(&did));
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

//! What an operator does with single DIDs. The store first, then the index.

use chrono::Utc;

use super::App;
use crate::domain::did::{Did, DidId, DidState, NewDid};
use crate::domain::rotation::{Reason, Want};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::dids::InsertError;

/// Stores a new DID and, if it is active, takes it into rotation.
pub async fn create(app: &App, tenant: &TenantId, new: &NewDid) -> Result<Did, InsertError> {
    let _in_order = app.changes.lock().await;
    let did = app.store.insert_did(tenant, new, Utc::now()).await?;
    app.index.lock().upsert(&DidState::from(&did));
    Ok(did)
}

/// The tenant's DID of this id.
pub async fn find(app: &App, tenant: &TenantId, id: DidId) -> Result<Option<Did>, StoreError> {
    app.store.did(tenant, id).await
}

/// The DID the next pick would take, and why, without taking it.
pub async fn next_available(app: &App, want: &Want) -> Result<Option<(Did, Reason)>, StoreError> {
    let next = app.index.lock().next(want);
    let Some((id, reason)) = next else { return Ok(None) };
    Ok(app.store.did(&want.tenant, id).await?.map(|did| (did, reason)))
}

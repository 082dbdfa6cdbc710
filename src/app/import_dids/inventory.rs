//! Where an import's DIDs go: the store, then the index.

use std::io;

use bytes::Bytes;
use chrono::Utc;
use futures_util::Stream;

use super::{ImportError, ImportReport, ImportSettings, Stored, import};
use crate::app::App;
use crate::domain::did::{DidStatus, NewDid};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::dids::OnDuplicate;

/// Imports a CSV into the tenant's inventory; what is active can be picked as soon as its chunk is in.
///
/// A dry run changes nothing and says what an import would come to.
pub async fn import_dids(
    app: &App,
    tenant: &TenantId,
    source: impl Stream<Item = io::Result<Bytes>>,
    settings: ImportSettings,
    on_duplicate: OnDuplicate,
) -> Result<ImportReport, ImportError<StoreError>> {
    let sink = |chunk: Vec<NewDid>| async move {
        match settings.dry_run {
            true => look(app, tenant, &chunk, on_duplicate).await,
            false => keep(app, tenant, chunk, on_duplicate).await,
        }
    };
    import(source, settings, sink, |_| {}).await
}

async fn keep(
    app: &App,
    tenant: &TenantId,
    chunk: Vec<NewDid>,
    on_duplicate: OnDuplicate,
) -> Result<Stored, StoreError> {
    let imported = app.store.import_dids(tenant, chunk, on_duplicate, Utc::now()).await?;
    let mut index = app.index.lock();
    for state in &imported.states {
        index.upsert(state);
    }
    Ok(Stored {
        imported: imported.inserted,
        updated: imported.updated,
        duplicates: imported.duplicates,
        available: count(imported.states.iter().map(|state| state.status)),
    })
}

async fn look(
    app: &App,
    tenant: &TenantId,
    chunk: &[NewDid],
    on_duplicate: OnDuplicate,
) -> Result<Stored, StoreError> {
    let numbers: Vec<_> = chunk.iter().map(|did| did.number).collect();
    let held = app.store.held_numbers(tenant, &numbers).await?;
    let is_new = |did: &&NewDid| !held.contains(&did.number);
    let known = held.len() as u64;
    let (updated, duplicates) = match on_duplicate {
        OnDuplicate::Skip => (0, known),
        OnDuplicate::Update => (known, 0),
    };
    let imported = chunk.iter().filter(is_new).count() as u64;
    let available = count(chunk.iter().filter(is_new).map(|did| did.status));
    Ok(Stored { imported, updated, duplicates, available })
}

fn count(statuses: impl Iterator<Item = DidStatus>) -> u64 {
    statuses.filter(|status| *status == DidStatus::Available).count() as u64
}

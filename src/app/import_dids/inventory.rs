//! Where an import's DIDs go: the store, then the index.

use std::io;

use bytes::Bytes;
use chrono::Utc;
use futures_util::Stream;
use uuid::Uuid;

use super::rejected::Place;
use super::{ImportError, ImportReport, ImportSettings, Plan, Repeats, Stored, import_with};
use crate::app::{App, join};
use crate::domain::audit::Origin;
use crate::domain::did::DidStatus;
use crate::domain::did_csv::DidRow;
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::dids::{Importer, OnDuplicate};

/// DIDs that the index takes in under one lock, some tens of microseconds.
const LOCKED_AT_ONCE: usize = 128;

/// Imports a CSV into the tenant's inventory; what is active can be picked as soon as its chunk is in.
///
/// A dry run changes nothing and says what an import would come to.
///
/// [`OnDuplicate::Update`] changes of a DID what its row says and nothing else: an empty cell
/// leaves what is there, and metadata is merged key by key. Of two rows with one number the first
/// counts, wherever in the file they stand; when updating, among the first 3.6 million numbers.
pub async fn import_dids(
    app: &App,
    tenant: &TenantId,
    source: impl Stream<Item = io::Result<Bytes>>,
    settings: ImportSettings,
    on_duplicate: OnDuplicate,
    origin: &Origin,
) -> Result<ImportReport, ImportError<StoreError>> {
    let import = Uuid::now_v7();
    let sink = |chunk: Vec<DidRow>| {
        let (app_then, tenant) = (app.clone(), tenant.clone());
        let importer = Importer { import, origin: origin.clone() };
        app.begin(async move {
            match settings.dry_run {
                true => look(&app_then, &tenant, &chunk, on_duplicate).await,
                false => keep(&app_then, &tenant, chunk, on_duplicate, &importer).await,
            }
        })
    };
    let repeats = match (settings.dry_run, on_duplicate) {
        (false, OnDuplicate::Skip) => Repeats::SinkNotices,
        (true, _) | (_, OnDuplicate::Update) => Repeats::FirstCounts,
    };
    let place = app.settings.imports.directory.clone().map(|directory| Place {
        directory,
        import,
        tenant: tenant.clone(),
    });
    let plan = Plan { settings, repeats, at_once: app.store.writes_at_once() };
    let imported = import_with(source, plan, place, sink).await;
    if !settings.dry_run {
        app.meters.imported(imported.as_ref().unwrap_or_else(|error| &error.report));
    }
    imported
}

/// Stores a chunk and tells the index.
///
/// Where DIDs may be changed, other changes wait. Where they are only added, they need not: the
/// index believes of a DID that it has already what it was told by whoever changed it since.
async fn keep(
    app: &App,
    tenant: &TenantId,
    chunk: Vec<DidRow>,
    on_duplicate: OnDuplicate,
    importer: &Importer,
) -> Result<Stored, StoreError> {
    let _in_order = match on_duplicate {
        OnDuplicate::Update => Some(app.changes.lock().await),
        OnDuplicate::Skip => None,
    };
    let levels = join::levels(app, tenant);
    let store = &app.store;
    let imported =
        store.import_dids(tenant, chunk, on_duplicate, &levels, importer, Utc::now()).await?;
    for some in imported.states.chunks(LOCKED_AT_ONCE) {
        let mut index = app.index.lock();
        for state in some {
            match on_duplicate {
                OnDuplicate::Update => index.upsert(state),
                OnDuplicate::Skip => index.add(state),
            }
        }
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
    chunk: &[DidRow],
    on_duplicate: OnDuplicate,
) -> Result<Stored, StoreError> {
    let numbers: Vec<_> = chunk.iter().map(|row| row.did.number).collect();
    let held = app.store.held_numbers(tenant, &numbers).await?;
    let is_new = |row: &&DidRow| !held.contains(&row.did.number);
    let known = held.len() as u64;
    let (updated, duplicates) = match on_duplicate {
        OnDuplicate::Skip => (0, known),
        OnDuplicate::Update => (known, 0),
    };
    let imported = chunk.iter().filter(is_new).count() as u64;
    let available = count(chunk.iter().filter(is_new).map(|row| row.did.status));
    Ok(Stored { imported, updated, duplicates, available })
}

fn count(statuses: impl Iterator<Item = DidStatus>) -> u64 {
    statuses.filter(|status| *status == DidStatus::Available).count() as u64
}

//! Where an import's DIDs go: the store, then the index.

use std::io;
use std::sync::Mutex;

use bytes::Bytes;
use chrono::Utc;
use futures_util::Stream;
use futures_util::future::join_all;
use tokio::task::yield_now;

use super::{ImportError, ImportReport, ImportSettings, Repeats, Stored, import_with};
use crate::app::{App, SharedIndex};
use crate::domain::did::{DidState, DidStatus};
use crate::domain::did_csv::DidRow;
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::dids::OnDuplicate;

/// Fewer rows than this are not worth a second transaction.
const SPLIT_MIN: usize = 1_000;

/// DIDs that the index takes in under one lock, some tens of microseconds.
const TOLD_AT_ONCE: usize = 100;

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
) -> Result<ImportReport, ImportError<StoreError>> {
    let torn = Mutex::new(Stored::default());
    let torn_chunk = &torn;
    let sink = |chunk: Vec<DidRow>| async move {
        match settings.dry_run {
            true => look(app, tenant, &chunk, on_duplicate).await,
            false => keep(app, tenant, chunk, on_duplicate).await.map_err(|torn| {
                *torn_chunk.lock().expect("no panics under it") = torn.stored;
                torn.failure
            }),
        }
    };
    let repeats = match (settings.dry_run, on_duplicate) {
        (false, OnDuplicate::Skip) => Repeats::SinkNotices,
        (true, _) | (_, OnDuplicate::Update) => Repeats::FirstCounts,
    };
    let mut outcome = import_with(source, settings, repeats, sink).await;
    if let Err(error) = &mut outcome {
        error.report.add(*torn.lock().expect("no panics under it"));
    }
    outcome
}

/// A chunk of which a part could not be stored.
struct Torn {
    /// What came of its other parts.
    stored: Stored,
    failure: StoreError,
}

/// Stores a chunk, as many parts of it at once as the store can write, and tells the index.
async fn keep(
    app: &App,
    tenant: &TenantId,
    chunk: Vec<DidRow>,
    on_duplicate: OnDuplicate,
) -> Result<Stored, Torn> {
    let parts = parts(chunk, app.store.writes_at_once());
    // No number is in two parts, so the store and the index see the changes of each number in one
    // order, although the parts are written in any.
    let _in_order = app.changes.lock().await;
    let now = Utc::now();
    let write = |rows| app.store.import_dids(tenant, rows, on_duplicate, now);
    let mut states = Vec::new();
    let mut stored = Stored::default();
    let mut failed = None;
    for part in join_all(parts.into_iter().map(write)).await {
        match part {
            Ok(part) => {
                stored.imported += part.inserted;
                stored.updated += part.updated;
                stored.duplicates += part.duplicates;
                states.extend(part.states);
            }
            Err(failure) => failed = Some(failure),
        }
    }
    stored.available = count(states.iter().map(|state| state.status));
    tell(&app.index, states).await;
    match failed {
        None => Ok(stored),
        Some(failure) => Err(Torn { stored, failure }),
    }
}

/// Splits a chunk by number: rows with the same number stay together, and in their order.
fn parts(chunk: Vec<DidRow>, at_once: usize) -> Vec<Vec<DidRow>> {
    if at_once < 2 || chunk.len() < SPLIT_MIN {
        return vec![chunk];
    }
    let mut numbers: Vec<_> = chunk.iter().map(|row| row.did.number).collect();
    let middle = *numbers.select_nth_unstable(chunk.len() / 2).1;
    let (low, high) = chunk.into_iter().partition(|row| row.did.number < middle);
    vec![low, high]
}

/// Tells the index in the order of ids, which it likes best, and lets picks through in between.
async fn tell(index: &SharedIndex, mut states: Vec<DidState>) {
    states.sort_unstable_by_key(|state| state.id);
    for few in states.chunks(TOLD_AT_ONCE) {
        {
            let mut index = index.lock();
            few.iter().for_each(|state| index.upsert(state));
        }
        yield_now().await;
    }
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

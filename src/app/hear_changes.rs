//! Keeps the index true to a PostgreSQL that others change too: other daemons, and people with psql.
//!
//! What is told is only where to look. The rows are read again, under `app.changes`, so that a
//! change of our own cannot come between the reading and the index.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{App, campaigns};
use crate::domain::did::{DidId, DidState};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::changes::{Changes, Heard};

/// How many DIDs are read at once. `app.changes` is held meanwhile, a few milliseconds.
const READ_AT_ONCE: usize = 1_000;

/// How many DIDs go into the index under one lock, some ten microseconds.
const LOCKED_AT_ONCE: usize = 128;

/// How many places of the index are looked through under one lock, which takes about as long.
const HELD_AT_ONCE: usize = 8_192;

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Runs until told to stop. What is told while the store cannot be read is looked at as soon as it can.
pub async fn hear_changes(
    app: App,
    mut changes: Changes,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while let Some(heard) = stop.run_until_cancelled(changes.next()).await {
        if stop.run_until_cancelled(take_in(&app, &changes, &heard)).await.is_none() {
            break;
        }
    }
    Ok(())
}

async fn take_in(app: &App, changes: &Changes, heard: &Heard) {
    let mut pause = PAUSE_MIN;
    while let Err(error) = look(app, changes, heard).await {
        if pause == PAUSE_MIN {
            warn!("what was changed elsewhere is not in force yet: {error}");
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn look(app: &App, changes: &Changes, heard: &Heard) -> Result<(), StoreError> {
    if heard.everything || heard.campaigns {
        campaigns::load(app).await?;
    }
    if heard.everything {
        return look_at_all(app, changes).await;
    }
    debug!(dids = heard.dids.len(), stretches = heard.added.len(), "changed elsewhere");
    let named: Vec<_> = heard.dids.iter().cloned().collect();
    for some in named.chunks(READ_AT_ONCE) {
        look_at(app, changes, some).await?;
    }
    for ids in &heard.added {
        look_between(app, changes, ids.clone()).await?;
    }
    Ok(())
}

/// Brings these DIDs into the index as they are, or out of it.
///
/// The count may be older than a pick that was settled since it was read. That is harmless: the
/// DID comes a little early, its next settled pick brings the true count, and the store lets none
/// beyond its limit. It must not be "never lower" either, for a person may have set it back.
async fn look_at(
    app: &App,
    changes: &Changes,
    named: &[(TenantId, DidId)],
) -> Result<(), StoreError> {
    let _in_order = app.changes.lock().await;
    let mut states = changes.dids(named).await?;
    states.sort_unstable_by_key(|state| state.id);
    for some in named.chunks(LOCKED_AT_ONCE) {
        let mut index = app.index.lock();
        for (tenant, did) in some {
            // Ids are unique over all tenants, so one that another tenant has is gone here.
            let found = states.binary_search_by_key(did, |state| state.id);
            match found.map(|place| &states[place]) {
                Ok(state) if state.tenant == *tenant => index.upsert(state),
                Ok(_) | Err(_) => index.remove(tenant, *did),
            }
        }
    }
    Ok(())
}

/// Takes in the DIDs between these ids; says how many they are.
async fn look_between(
    app: &App,
    changes: &Changes,
    ids: RangeInclusive<DidId>,
) -> Result<usize, StoreError> {
    let mut dids = 0;
    let mut left = Some(ids);
    while let Some(ids) = left {
        let _in_order = app.changes.lock().await;
        let stretch = changes.dids_between(&ids, READ_AT_ONCE as u32).await?;
        dids += stretch.states.len();
        upsert(app, &stretch.states);
        left = stretch.rest;
    }
    Ok(dids)
}

/// First what the store has, then what only the index has; the index is never without what is true.
async fn look_at_all(app: &App, changes: &Changes) -> Result<(), StoreError> {
    let all = DidId(Uuid::nil())..=DidId(Uuid::max());
    let dids = look_between(app, changes, all).await?;
    let mut named = Vec::with_capacity(READ_AT_ONCE);
    let owners = app.index.lock().owners();
    for tenant in owners {
        for did in held(app, &tenant) {
            named.push((tenant.clone(), did));
            if named.len() == READ_AT_ONCE {
                look_at(app, changes, &named).await?;
                named.clear();
            }
        }
    }
    look_at(app, changes, &named).await?;
    info!(dids, "the index was compared with the store");
    Ok(())
}

/// All of a tenant's, 16 bytes each, before any is removed: removing moves others to places that a
/// walk has passed.
fn held(app: &App, tenant: &TenantId) -> Vec<DidId> {
    let mut dids = Vec::new();
    let mut place = 0;
    loop {
        let Some(some) = app.index.lock().held(tenant, place, HELD_AT_ONCE) else { return dids };
        dids.extend(some);
        place += HELD_AT_ONCE;
    }
}

fn upsert(app: &App, states: &[DidState]) {
    for some in states.chunks(LOCKED_AT_ONCE) {
        let mut index = app.index.lock();
        for state in some {
            index.upsert(state);
        }
    }
}

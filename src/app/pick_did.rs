//! Choose a DID and count its use, durably.
//!
//! The index proposes, the store decides: its conditional update is what keeps a DID within its
//! limit. Refused there, the index learns the truth and picks again.

use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::settle_pick::release;
use super::{App, call_steps, now};
use crate::domain::call::Call;
use crate::domain::did::{DidId, DidState, TrunkName};
use crate::domain::pace::Refused;
use crate::domain::pick::TakenPick;
use crate::domain::rotation::{NotPickable, Pick, Want};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::ledger::{NewCall, Recorded, Use};

/// How often a pick may be refused by the store before we give up. Only other daemons and people
/// who change the same DIDs at this very moment cause a refusal.
const REFUSALS_MAX: usize = 32;

/// Which DID a request wants to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The next in rotation.
    Rotation(Want),
    /// This one and no other.
    Named(TenantId, DidId),
}

/// Why no use was counted.
#[derive(Debug, thiserror::Error)]
pub enum PickError {
    /// Nothing in the pool can be picked.
    #[error("No available DIDs configured for this tenant")]
    NoneAvailable,
    /// The DID that was asked for cannot be shown.
    #[error("{0}")]
    NotPickable(#[from] NotPickable),
    /// A limit is met.
    #[error("{0}")]
    Full(Full),
    /// The DID's calls leave by Asterisks that are all down. Nothing is counted.
    #[error("no Asterisk of its trunk is up: {0}")]
    NoWay(String),
    /// A call with the same idempotency key is already on record.
    #[error("the idempotency key is taken")]
    KeyTaken,
    /// The store could not be reached in time. Nothing stays counted.
    #[error("record the use")]
    Store(#[from] StoreError),
    /// The store did not answer in time. What it counts after all is taken back.
    #[error("record the use: no answer from the store in time")]
    TooSlow,
}

/// The limit that a call met on its way to this trunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", refused.limit.says(trunk, refused.max))]
pub struct Full {
    /// The trunk of the DID that was picked.
    pub trunk: TrunkName,
    /// The limit.
    pub refused: Refused,
}

/// What a use is counted for, and stored with.
#[derive(Clone)]
enum Purpose {
    Call(Option<Box<NewCall>>),
    Pick(Box<TakenPick>),
}

/// Picks a DID and counts its use together with the call that `call` makes of it.
///
/// When this returns a pick, its use is committed and the index knows it. What `call` refuses is
/// given back before anything is counted, and so is the place that it took for what is not.
pub(super) async fn pick_did(
    app: &App,
    choice: &Choice,
    mut call: impl FnMut(&Pick) -> Result<Option<NewCall>, PickError>,
) -> Result<(Pick, Option<NewCall>), PickError> {
    let deadline = Instant::now() + app.settings.patience;
    let for_call = |pick: &Pick| Ok(Purpose::Call(call(pick)?.map(Box::new)));
    match pick(app, choice, deadline, for_call).await? {
        (pick, Purpose::Call(call)) => Ok((pick, call.map(|call| *call))),
        (_, Purpose::Pick(_)) => unreachable!("this was counted for a call"),
    }
}

/// Picks a DID for somebody else to show, and counts its use together with the pick that `taken`
/// makes of it.
///
/// Where it leaves and when is for that other to see to: it takes no place of a trunk, and an
/// Asterisk of ours need not be up.
pub(super) async fn pick_for_another(
    app: &App,
    choice: &Choice,
    deadline: Instant,
    taken: impl Fn(&Pick) -> TakenPick,
) -> Result<TakenPick, PickError> {
    let for_another = |pick: &Pick| Ok(Purpose::Pick(Box::new(taken(pick))));
    match pick(app, choice, deadline, for_another).await? {
        (_, Purpose::Pick(taken)) => Ok(*taken),
        (_, Purpose::Call(_)) => unreachable!("this was counted for a pick"),
    }
}

/// Picks and says in the meters what came of it.
async fn pick(
    app: &App,
    choice: &Choice,
    deadline: Instant,
    purpose: impl FnMut(&Pick) -> Result<Purpose, PickError>,
) -> Result<(Pick, Purpose), PickError> {
    let begun = Instant::now();
    let picked = count(app, choice, deadline, purpose).await;
    app.meters.picked(&picked, begun.elapsed());
    picked
}

async fn count(
    app: &App,
    choice: &Choice,
    deadline: Instant,
    mut purpose: impl FnMut(&Pick) -> Result<Purpose, PickError>,
) -> Result<(Pick, Purpose), PickError> {
    for _ in 0..REFUSALS_MAX {
        let pick = propose(app, choice)?;
        let purpose = purpose(&pick).inspect_err(|_| app.index.lock().give_back(&pick))?;
        let recorded = record(app, &pick, &purpose, deadline).await;
        let counted = matches!(recorded, Ok(Recorded::Counted { .. }));
        if let (Purpose::Call(Some(new)), false) = (&purpose, counted) {
            app.pace.give_back(new.call.id());
        }
        match recorded? {
            Recorded::Counted { usage_count } => {
                app.index.lock().settle(&pick, usage_count);
                return Ok((pick, purpose));
            }
            Recorded::Refused(row) => learn_in_time(app, &pick, Some(&row), deadline).await?,
            Recorded::Gone => learn_in_time(app, &pick, None, deadline).await?,
            Recorded::Conflict => {
                app.index.lock().give_back(&pick);
                return Err(PickError::KeyTaken);
            }
        }
        app.meters.pick_repeated();
    }
    warn!("gave up picking after {REFUSALS_MAX} refusals by the store");
    Err(PickError::NoneAvailable)
}

/// Takes a use back that was counted, in the store first. If that fails it stays counted in both
/// places: a lost use is cheaper than a number shown too often.
pub(super) async fn take_back(app: &App, tenant: &TenantId, did: DidId, call: Option<&Call>) {
    match app.ledger.take_back(tenant, did, call).await {
        Ok(Some(usage_count)) => app.index.lock().learn(tenant, did, usage_count),
        // The DID was deleted, or somebody else ended the call and took the use back.
        Ok(None) => {}
        Err(error) => warn!(did = %did, "keep a use that was not needed: {error}"),
    }
}

fn propose(app: &App, choice: &Choice) -> Result<Pick, PickError> {
    let mut index = app.index.lock();
    match choice {
        Choice::Rotation(want) => index.pick(want).ok_or(PickError::NoneAvailable),
        Choice::Named(tenant, did) => Ok(index.pick_named(tenant, *did)?),
    }
}

async fn record(
    app: &App,
    pick: &Pick,
    purpose: &Purpose,
    deadline: Instant,
) -> Result<Recorded, PickError> {
    let (call, taken) = match purpose.clone() {
        Purpose::Call(call) => (call, None),
        Purpose::Pick(taken) => (None, Some(taken)),
    };
    let used = Use { tenant: pick.tenant.clone(), did: pick.did, at: now(), call, pick: taken };
    let ledger = app.ledger.clone();
    let mut recording = Box::pin(async move { ledger.record(used).await });

    match timeout_at(deadline, &mut recording).await {
        Ok(Ok(recorded)) => Ok(recorded),
        Ok(Err(error)) => {
            app.index.lock().give_back(pick);
            Err(error.into())
        }
        Err(_) => {
            // The group may be committed yet. Whoever asked is told now; the use is settled then.
            let (app, pick) = (app.clone(), pick.clone());
            let purpose = purpose.clone();
            let tasks = app.tasks.clone();
            tasks.spawn(async move { settle_late(&app, &pick, purpose, recording.await).await });
            Err(PickError::TooSlow)
        }
    }
}

/// Nobody waits for this use any more: if it was counted, it is taken back, its call failed or its
/// pick released.
async fn settle_late(
    app: &App,
    pick: &Pick,
    purpose: Purpose,
    recorded: Result<Recorded, StoreError>,
) {
    match recorded {
        Ok(Recorded::Counted { usage_count }) => {
            app.index.lock().settle(pick, usage_count);
            match purpose {
                Purpose::Call(call) => {
                    let failed = call.map(|new| fail_late(app, new.call));
                    take_back(app, &pick.tenant, pick.did, failed.as_ref()).await;
                }
                Purpose::Pick(taken) => {
                    if let Err(error) = release(app, &pick.tenant, taken.id).await {
                        warn!(did = %pick.did, "keep a use that was not needed: {error}");
                    }
                }
            }
        }
        Ok(Recorded::Refused(row)) => learn_late(app, pick, Some(&row)).await,
        Ok(Recorded::Gone) => learn_late(app, pick, None).await,
        Ok(Recorded::Conflict) | Err(_) => app.index.lock().give_back(pick),
    }
}

/// The call as it is told of, once, and ended.
fn fail_late(app: &App, mut call: Call) -> Call {
    call_steps::began(app, &call);
    call.fail(now());
    call_steps::failed(app, &call);
    call
}

async fn learn_in_time(
    app: &App,
    pick: &Pick,
    row: Option<&DidState>,
    deadline: Instant,
) -> Result<(), PickError> {
    let learned = timeout_at(deadline, learn_refusal(app, pick, row)).await;
    Ok(learned.map_err(|_| PickError::TooSlow)??)
}

async fn learn_late(app: &App, pick: &Pick, row: Option<&DidState>) {
    if let Err(error) = learn_refusal(app, pick, row).await {
        warn!(did = %pick.did, "a refused DID is not looked at again: {error}");
    }
}

/// Learns what the refusal tells. The row that came with it may be older than a change that the
/// index already has, so only its count is taken at its word. If that does not explain the refusal,
/// the row is read again in the order of changes.
async fn learn_refusal(app: &App, pick: &Pick, row: Option<&DidState>) -> Result<(), StoreError> {
    let unexplained = app.index.lock().refuse(pick, row.map(|row| row.usage_count));
    if !unexplained {
        return Ok(());
    }
    let _in_order = app.changes.lock().await;
    // Many picks may have been refused at once; the first to come here has looked for all.
    let explained = !app.index.lock().is_pickable(&pick.tenant, pick.did);
    if explained {
        return Ok(());
    }
    let row = app.store.did(&pick.tenant, pick.did).await?;
    let mut index = app.index.lock();
    match row {
        Some(did) => index.upsert(&DidState::from(&did)),
        None => index.remove(&pick.tenant, pick.did),
    }
    Ok(())
}

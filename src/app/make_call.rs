//! MAKE_CALL: show one of our numbers and ring the other side.
//!
//! The use and the call are durable before Asterisk hears of it. A crash in between costs one use
//! and never places an uncounted call. A call that finds no place on its trunk waits on record.

use std::fmt;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::asterisks::{LineError, Unsayable, Way};
use super::pick_did::{Choice, Full, PickError, pick_did, take_back};
use super::{App, call_steps, now};
use crate::domain::asterisk::AsteriskName;
use crate::domain::call::originate::Originate;
use crate::domain::call::{Call, CallId, CallRequest, CallStatus, Destination, PlacedBy};
use crate::domain::did::{DidId, TrunkName};
use crate::domain::number::{AreaCode, E164};
use crate::domain::pace::Answer;
use crate::domain::rotation::{NotPickable, Pick, Reason, Want};
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::StoreError;
use crate::store::ledger::{NewCall, RequestKey};

/// The longest time limit of an answered call, in seconds: a day.
pub const TIME_LIMIT_MAX: u32 = 24 * 60 * 60;

/// A call to be placed. What is none takes the configured default.
#[derive(Debug, Clone, PartialEq)]
pub struct MakeCall {
    /// Who places it.
    pub tenant: TenantId,
    /// Who is called.
    pub to: E164,
    /// Which DID is shown.
    pub shown: Shown,
    /// The pool to pick from.
    pub campaign: Option<CampaignId>,
    /// The area code to prefer.
    pub area_code: Option<AreaCode>,
    /// Another trunk than the DID's own.
    pub trunk: Option<TrunkName>,
    /// Where the answered call goes.
    pub destination: Option<Destination>,
    /// Channel variables, in order.
    pub variables: Vec<(String, String)>,
    /// The name shown beside the number.
    pub caller_name: Option<String>,
    /// How long the phone may ring, in seconds.
    pub ring_timeout_seconds: Option<u32>,
    /// How long the answered call may last, in seconds, at most [`TIME_LIMIT_MAX`].
    pub time_limit_seconds: Option<u32>,
    /// Where changes will be posted.
    pub callback_url: Option<String>,
    /// The journey engine's own reference.
    pub journey: Option<serde_json::Value>,
    /// What makes a repeated request the same request.
    pub key: Option<RequestKey>,
}

/// Which DID a call shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The next in rotation.
    Rotation,
    /// This DID.
    Did(DidId),
    /// The tenant's DID with this number.
    Number(E164),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rotation => f.write_str("rotation"),
            Self::Did(did) => fmt::Display::fmt(did, f),
            Self::Number(number) => fmt::Display::fmt(number, f),
        }
    }
}

/// A call that was placed, now or by an earlier request with the same key.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeCall {
    /// The call as it stands.
    pub call: Call,
    /// Whether an earlier request placed it.
    pub replayed: bool,
}

/// Why no call was placed.
#[derive(Debug, thiserror::Error)]
pub enum MakeCallError {
    /// Nothing in the pool can be picked.
    #[error("No available DIDs configured for this tenant")]
    NoneAvailable,
    /// The tenant holds no such DID.
    #[error("DID not found: {0}")]
    DidNotFound(String),
    /// The DID that was asked for cannot be shown now.
    #[error("{0}")]
    NotPickable(NotPickable),
    /// A limit is met. No use is counted and nothing is on record.
    #[error("{0}")]
    Full(Full),
    /// The key was used for another request.
    #[error("this idempotency key was used for a different request")]
    KeyConflict,
    /// Something in the request cannot be said to Asterisk. No use is counted.
    #[error("{0}")]
    Invalid(#[from] Unsayable),
    /// No line to an Asterisk that the call may leave by. No use is counted.
    #[error("Asterisk cannot be reached: {0}")]
    AsteriskUnavailable(String),
    /// Asterisk said no. The use was given back.
    #[error("Asterisk refused the call: {0}")]
    Refused(String),
    /// The store could not be reached. No use is counted.
    #[error("record the call: {0}")]
    Store(#[from] StoreError),
    /// The store did not answer in time. What it counts after all is taken back.
    #[error("record the call: no answer from the store in time")]
    StoreTooSlow,
}

/// Places a call and returns once Asterisk has taken it, or once it waits for its trunk on record.
///
/// When Asterisk does not answer in time the call stays `initiated` and its use counted: it may be
/// ringing. Events or the next look at Asterisk's list settle it.
pub async fn make_call(app: &App, wanted: MakeCall) -> Result<MadeCall, MakeCallError> {
    let begun = Instant::now();
    let made = attempt(app, wanted).await;
    app.meters.call_requested(&made, begun.elapsed());
    made
}

async fn attempt(app: &App, wanted: MakeCall) -> Result<MadeCall, MakeCallError> {
    if let Some(earlier) = earlier_call(app, &wanted).await? {
        return Ok(MadeCall { call: earlier, replayed: true });
    }
    line_is_up(app, wanted.trunk.as_ref())?;
    can_be_said(app, &wanted)?;
    let choice = choose(app, &wanted).await?;

    let id = CallId(Uuid::now_v7());
    let mut way = None;
    let recorded = pick_did(app, &choice, |pick| {
        let new = new_call(app, id, &wanted, pick);
        let chosen = choose_way(app, &new.call.request.trunk).map_err(PickError::NoWay)?;
        let mut new = reserve(app, new).map_err(PickError::Full)?;
        if new.call.progress.status == CallStatus::Initiated {
            new.call.sent_to(chosen.asterisk.name.clone());
            way = Some(chosen);
        } else {
            way = None;
        }
        Ok(Some(new))
    });
    let recorded = recorded.await;
    let call = match recorded {
        Ok((_, Some(new))) => new.call,
        Ok((_, None)) => unreachable!("every pick of this operation has a call"),
        Err(PickError::KeyTaken) => return replay(app, &wanted).await,
        Err(PickError::NotPickable(NotPickable::Unknown)) => {
            return Err(MakeCallError::DidNotFound(wanted.shown.to_string()));
        }
        Err(error) => return Err(error.into()),
    };

    let call = match way {
        Some(way) => place(app, call, way).await?,
        None => wait_in_queue(app, call),
    };
    Ok(MadeCall { call, replayed: false })
}

/// Asks for the call's place; one that has to wait is recorded as such.
fn reserve(app: &App, mut new: NewCall) -> Result<NewCall, Full> {
    match app.pace.ask(&new.call) {
        Answer::Now => {}
        Answer::Queued => {
            let request = new.call.request;
            let since = request.created_at;
            new.call = Call::queued(request, since);
        }
        Answer::Refused(refused) => {
            return Err(Full { trunk: new.call.request.trunk, refused });
        }
    }
    Ok(new)
}

/// On record as waiting; [`super::place_queued`] goes on with it.
fn wait_in_queue(app: &App, call: Call) -> Call {
    call_steps::began(app, &call);
    app.calls.follow_queued(call.clone());
    app.pace.enqueue(call.id(), app.settings.calls.queue_patience());
    call
}

async fn place(app: &App, mut call: Call, way: Way) -> Result<Call, MakeCallError> {
    call_steps::began(app, &call);
    app.calls.follow(call.clone());
    match send(app, &mut call, way).await {
        Ok(()) => Ok(app.calls.placed(call.id(), now()).unwrap_or(call)),
        Err(failed) => {
            undo(app, call).await;
            Err(failed)
        }
    }
}

/// Hands the call to the Asterisk chosen for it. One that was certainly not told of it is passed
/// over for the next; one that may have been is not.
///
/// # Errors
/// No Asterisk has it, for certain.
pub(super) async fn send(app: &App, call: &mut Call, mut way: Way) -> Result<(), MakeCallError> {
    let originate = originate(app, call);
    let mut tried = Vec::new();
    loop {
        let Way { asterisk, place } = way;
        app.calls.send_to(call.id(), place);
        let begun = Instant::now();
        let answer = asterisk.originate(&originate).await;
        app.meters.originated(&answer, begun.elapsed());
        match answer {
            Ok(()) | Err(LineError::Unknown) => return Ok(()),
            Err(LineError::NotSent(why)) => {
                tried.push(asterisk.name);
                match another_way(app, call, &tried).await {
                    Ok(Some(another)) => way = another,
                    Ok(None) => return Err(MakeCallError::AsteriskUnavailable(why)),
                    Err(error) => return Err(error.into()),
                }
            }
            Err(LineError::Refused(message)) => return Err(MakeCallError::Refused(message)),
            Err(LineError::Invalid(what)) => return Err(what.into()),
        }
    }
}

/// The next Asterisk for a call that those tried certainly did not take, once the store knows it.
pub(super) async fn another_way(
    app: &App,
    call: &mut Call,
    tried: &[AsteriskName],
) -> Result<Option<Way>, StoreError> {
    let may = app.settings.asterisks_of(&call.request.trunk);
    let Some(way) = app.asterisks.choose(may, tried) else { return Ok(None) };
    let name = &way.asterisk.name;
    let still_open = app.store.send_call_to(&call.request.tenant, call.id(), name).await?;
    call.sent_to(name.clone());
    Ok(still_open.then_some(way))
}

/// The call never left: it failed, and its use is given back.
async fn undo(app: &App, mut call: Call) {
    app.calls.forget(call.id());
    app.pace.give_back(call.id());
    call.fail(now());
    call_steps::failed(app, &call);
    take_back(app, &call.request.tenant, call.request.did, Some(&call)).await;
}

async fn earlier_call(app: &App, wanted: &MakeCall) -> Result<Option<Call>, MakeCallError> {
    let Some(ours) = &wanted.key else { return Ok(None) };
    let Some(known) = app.store.call_by_key(&wanted.tenant, &ours.key).await? else {
        return Ok(None);
    };
    if known.request_hash != ours.request_hash {
        return Err(MakeCallError::KeyConflict);
    }
    Ok(app.store.call(&wanted.tenant, known.call).await?)
}

/// Another request with the same key was quicker by a hair.
async fn replay(app: &App, wanted: &MakeCall) -> Result<MadeCall, MakeCallError> {
    match earlier_call(app, wanted).await? {
        Some(call) => Ok(MadeCall { call, replayed: true }),
        None => Err(MakeCallError::KeyConflict),
    }
}

/// Refuses what could not be written to Asterisk before a use is counted for it. Which DID is shown
/// makes no difference to that.
fn can_be_said(app: &App, wanted: &MakeCall) -> Result<(), Unsayable> {
    let any = Pick {
        tenant: wanted.tenant.clone(),
        did: DidId(Uuid::nil()),
        number: wanted.to,
        trunk: TrunkName::pjsip(),
        reason: Reason::LeastUsed,
    };
    let call = new_call(app, CallId(Uuid::nil()), wanted, &any).call;
    app.asterisks.check(&originate(app, &call))
}

/// Refuses before a use is counted what cannot leave: by the trunk asked for, or by any.
fn line_is_up(app: &App, trunk: Option<&TrunkName>) -> Result<(), MakeCallError> {
    let may = trunk.map_or(&[][..], |trunk| app.settings.asterisks_of(trunk));
    app.asterisks.can_leave(may).map_err(MakeCallError::AsteriskUnavailable)
}

fn choose_way(app: &App, trunk: &TrunkName) -> Result<Way, String> {
    let may = app.settings.asterisks_of(trunk);
    let none =
        || app.asterisks.can_leave(may).err().unwrap_or_else(|| "it was a moment ago".into());
    app.asterisks.choose(may, &[]).ok_or_else(none)
}

async fn choose(app: &App, wanted: &MakeCall) -> Result<Choice, MakeCallError> {
    let tenant = wanted.tenant.clone();
    match wanted.shown {
        Shown::Rotation => {
            let (campaign, area_code) = (wanted.campaign.clone(), wanted.area_code);
            let want = Want { tenant, campaign, area_code };
            Ok(Choice::Rotation(app.campaigns.locally(want, Some(wanted.to))))
        }
        Shown::Did(did) => Ok(Choice::Named(tenant, did)),
        Shown::Number(number) => match app.store.did_by_number(&tenant, number).await? {
            Some(did) => Ok(Choice::Named(tenant, did.id)),
            None => Err(MakeCallError::DidNotFound(number.to_string())),
        },
    }
}

fn new_call(app: &App, id: CallId, wanted: &MakeCall, pick: &Pick) -> NewCall {
    let defaults = &app.settings.calls;
    let now = now();
    let limit = Some(defaults.time_limit_seconds).filter(|limit| *limit > 0);
    let request = CallRequest {
        id,
        tenant: wanted.tenant.clone(),
        to: wanted.to,
        did: pick.did,
        from: pick.number,
        reason: Some(pick.reason),
        trunk: wanted.trunk.clone().unwrap_or_else(|| pick.trunk.clone()),
        campaign: wanted.campaign.clone(),
        destination: wanted.destination.clone().unwrap_or_else(|| defaults.destination()),
        variables: wanted.variables.clone(),
        caller_name: wanted.caller_name.clone(),
        ring_timeout_seconds: wanted.ring_timeout_seconds.unwrap_or(defaults.ring_timeout_seconds),
        time_limit_seconds: wanted.time_limit_seconds.or(limit),
        callback_url: wanted.callback_url.clone(),
        journey: wanted.journey.clone(),
        created_at: now,
        placed_by: PlacedBy::Rotary,
    };
    NewCall { call: Call::initiated(request, now), key: wanted.key.clone() }
}

/// How the call's present attempt is said to Asterisk.
fn originate(app: &App, call: &Call) -> Originate {
    let request = &call.request;
    Originate {
        id: call.channel_id().to_string(),
        channel: dial_string(app, &request.trunk, request.to),
        caller_number: request.from.to_string(),
        caller_name: request.caller_name.clone(),
        destination: request.destination.clone(),
        ring_timeout: Duration::from_secs(u64::from(request.ring_timeout_seconds)),
        variables: request.variables.clone(),
    }
}

/// Every placeholder stands for a value that cannot hold a dial string's own characters.
pub(super) fn dial_string(app: &App, trunk: &TrunkName, to: E164) -> String {
    let template = app.settings.trunks.get(trunk).cloned().unwrap_or_default();
    template
        .dial
        .replace("{to}", &to.to_string())
        .replace("{digits}", &to.digits().to_string())
        .replace("{trunk}", trunk.as_str())
}

impl From<PickError> for MakeCallError {
    fn from(error: PickError) -> Self {
        match error {
            PickError::NoWay(why) => Self::AsteriskUnavailable(why),
            PickError::NoneAvailable => Self::NoneAvailable,
            PickError::NotPickable(why) => Self::NotPickable(why),
            PickError::Full(full) => Self::Full(full),
            PickError::KeyTaken => Self::KeyConflict,
            PickError::Store(error) => Self::Store(error),
            PickError::TooSlow => Self::StoreTooSlow,
        }
    }
}

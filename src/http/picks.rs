//! `/api/picks`: a DID for another dialer to show, and what became of it.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::{MayCall, MayRead};
use super::calls::over;
use super::dids::none_available;
use super::fields::{Fields, callee, missing};
use super::openapi::{NewPickBody, PathUuid, PickListQuery, PickOutcomeBody, refusals};
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::view::{CallDidView, CauseView, PageView};
use crate::app::pick_did::PickError;
use crate::app::take_pick::{Taken, WantedPick, take_pick};
use crate::app::{App, now, settle_pick};
use crate::domain::call::CallStatus;
use crate::domain::call::cause::Cause;
use crate::domain::number::E164;
use crate::domain::pick::{DialEnd, PickId, PickOutcome, PickRecord, PickStatus};
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::ledger::Released;
use crate::store::picks::PickEnded;

/// The longest a call may be said to have lasted, in seconds.
const TALK_MAX: u32 = 7 * 24 * 60 * 60;

/// A pick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PickView {
    /// Its id; the call that it was for is found under the same one once it is over.
    pub pick_id: PickId,
    /// Who picked.
    pub tenant_id: TenantId,
    /// The DID to show.
    pub did: CallDidView,
    /// Who is called, where that was said.
    pub to: Option<E164>,
    /// The pool the DID was picked from.
    pub campaign_id: Option<CampaignId>,
    /// How the call is dialled, by the trunk's template; only where one is picked and `to` was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dial: Option<String>,
    /// How far it has come.
    pub status: PickStatus,
    /// How its call ended.
    pub outcome: Option<CallStatus>,
    /// Why its call ended.
    pub cause: Option<CauseView>,
    /// When it was picked.
    pub created_at: DateTime<Utc>,
    /// When it was given back, or its call ended.
    pub settled_at: Option<DateTime<Utc>>,
}

refusals! {
    Taking: DOOR, BODY, [InvalidPhoneNumber, NoAvailableDid];
    Listing: DOOR, [UnknownField];
    Finding: DOOR, [PickNotFound, RouteNotFound];
    Releasing: DOOR, [PickNotFound, RouteNotFound, PickSettled];
    Ending: DOOR, BODY, [PickNotFound, RouteNotFound, PickSettled];
}

/// Pick a DID
///
/// For a call that Rotary does not place itself: picks a DID and counts its use, durably. Give it back where no call was
/// placed, or say how the call ended; until then it is `open`. Needs the role `journey`, `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/picks", tag = "Picks", operation_id = "takePick",
    request_body = NewPickBody,
    responses(
        (status = 201, description = "The pick", body = PickView,
            headers(("Location" = String, description = "Where it is found"))),
        Taking,
    ),
)]
pub(super) async fn take(
    MayCall(caller): MayCall,
    State(app): State<App>,
    JsonBody(mut fields): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let to = fields.text("to")?.map(|to| callee("to", &to)).transpose()?;
    let wanted = WantedPick { tenant: caller.tenant, campaign: fields.parse("campaignId")?, to };
    fields.finish()?;

    let operation = app.clone();
    let patience = app.settings.patience;
    let taking = async move { take_pick(&operation, wanted, patience).await };
    let Taken { pick, dial } = app.to_the_end(taking).await?;

    let location = format!("/api/picks/{}", pick.id);
    let view = PickView { dial, ..PickView::from(&PickRecord { taken: pick, settled: None }) };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)))
}

/// List picks
///
/// The tenant's picks for calls that Rotary did not place, the newest first, a part at a time. With `settled=false` only
/// those of which nobody has said what became of them.
#[utoipa::path(
    get, path = "/api/picks", tag = "Picks", operation_id = "listPicks",
    params(PickListQuery),
    responses((status = 200, description = "A part of the list", body = PageView<PickView>), Listing),
)]
pub(super) async fn list(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<Json<PageView<PickView>>, Problem> {
    let settled = query.truth("settled")?;
    let limit = page_limit(&mut query)?;
    let cursor = query.text("cursor")?;
    query.finish()?;

    let page = app.store.list_picks(&caller.tenant, settled, limit, cursor.as_deref()).await?;
    let data = page.items.iter().map(PickView::from).collect();
    Ok(Json(PageView { data, next_cursor: page.next }))
}

/// Look at a pick
#[utoipa::path(
    get, path = "/api/picks/{id}", tag = "Picks", operation_id = "findPick",
    params(PathUuid),
    responses((status = 200, description = "The pick", body = PickView), Finding),
)]
pub(super) async fn find(
    MayRead(caller): MayRead,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Json<PickView>, Problem> {
    let pick = pick_id(&id)?;
    let found = app.store.pick(&caller.tenant, pick).await.map_err(Problem::store_unavailable)?;
    Ok(Json(PickView::from(&found.ok_or_else(|| not_found(&id))?)))
}

/// Give a pick back
///
/// No call was placed: the use is taken back. Given back again, nothing happens. Needs the role `journey`, `operator` or
/// `admin`.
#[utoipa::path(
    delete, path = "/api/picks/{id}", tag = "Picks", operation_id = "releasePick",
    params(PathUuid),
    responses((status = 204, description = "It is given back"), Releasing),
)]
pub(super) async fn release(
    MayCall(caller): MayCall,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let pick = pick_id(&id)?;
    let operation = app.clone();
    let releasing = async move { settle_pick::release(&operation, &caller.tenant, pick).await };
    match app.to_the_end(releasing).await.map_err(Problem::store_unavailable)? {
        Released::Now { .. } | Released::Before => Ok(StatusCode::NO_CONTENT),
        Released::Settled(record) => Err(settled(&record)),
        Released::Unknown => Err(not_found(&id)),
    }
}

/// Say how a pick's call ended
///
/// The call is then among the calls, under the pick's id, where the pick says who was called. Said again in the same
/// words, nothing happens. Needs the role `journey`, `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/picks/{id}/outcome", tag = "Picks", operation_id = "endPick",
    params(PathUuid),
    request_body = PickOutcomeBody,
    responses((status = 200, description = "The pick", body = PickView), Ending),
)]
pub(super) async fn end(
    MayCall(caller): MayCall,
    State(app): State<App>,
    PathId(id): PathId,
    JsonBody(fields): JsonBody,
) -> Result<Json<PickView>, Problem> {
    let pick = pick_id(&id)?;
    let end = dial_end(fields)?;
    let operation = app.clone();
    let ending = async move { settle_pick::end(&operation, &caller.tenant, pick, &end).await };
    let same = PickOutcome::Ended { status: end.status, cause: end.cause };
    match app.to_the_end(ending).await.map_err(Problem::store_unavailable)? {
        PickEnded::Now(record) => Ok(Json(PickView::from(&record))),
        PickEnded::Before(record) if record.settled.is_some_and(|it| it.outcome == same) => {
            Ok(Json(PickView::from(&record)))
        }
        PickEnded::Before(record) => Err(settled(&record)),
        PickEnded::Unknown => Err(not_found(&id)),
    }
}

fn dial_end(mut fields: Fields) -> Result<DialEnd, Problem> {
    let status: CallStatus = fields.parse("status")?.ok_or_else(|| missing("status"))?;
    let cause = fields.whole("cause", 0, 127)?;
    let talk = fields.whole("talkSeconds", 0, TALK_MAX)?;
    fields.finish()?;
    if !status.is_end() {
        return Err(Problem::invalid("status", "must be an end of a call"));
    }
    let cause = cause.and_then(|cause| u16::try_from(cause).ok()).map(Cause);
    let ended_at = now();
    let talk = talk.filter(|_| status == CallStatus::Completed);
    Ok(DialEnd {
        status,
        cause: cause.unwrap_or(Cause::UNKNOWN),
        answered_at: talk.map(|talk| ended_at - TimeDelta::seconds(talk.into())),
        ended_at,
    })
}

fn pick_id(id: &str) -> Result<PickId, Problem> {
    id.parse::<Uuid>().map(PickId).map_err(|_| not_found(id))
}

fn not_found(id: &str) -> Problem {
    Problem::new(Code::PickNotFound, format!("Pick not found: {id}"))
}

fn settled(record: &PickRecord) -> Problem {
    let detail = match record.settled.map(|settled| settled.outcome) {
        Some(PickOutcome::Ended { status, .. }) => {
            format!("The pick's call is on record as {status}; that stays")
        }
        Some(PickOutcome::Released) | None => "The pick was given back".to_owned(),
    };
    Problem::new(Code::PickSettled, detail)
}

impl From<&PickRecord> for PickView {
    fn from(record: &PickRecord) -> Self {
        let taken = &record.taken;
        let (outcome, cause) = match record.settled.map(|settled| settled.outcome) {
            Some(PickOutcome::Ended { status, cause }) => (Some(status), Some(cause)),
            Some(PickOutcome::Released) | None => (None, None),
        };
        Self {
            pick_id: taken.id,
            tenant_id: taken.tenant.clone(),
            did: CallDidView {
                id: taken.did,
                number: taken.number,
                trunk: taken.trunk.clone(),
                reason: None,
            },
            to: taken.to,
            campaign_id: taken.campaign.clone(),
            dial: None,
            status: record.status(),
            outcome,
            cause: cause.map(CauseView::from),
            created_at: taken.created_at,
            settled_at: record.settled.map(|settled| settled.at),
        }
    }
}

impl From<PickError> for Problem {
    fn from(error: PickError) -> Self {
        let detail = error.to_string();
        match error {
            PickError::NoneAvailable => none_available(),
            PickError::NotPickable(_) => Self::new(Code::DidNotPickable, detail),
            PickError::Full(full) => over(full.refused, detail),
            PickError::NoWay(_) => Self::new(Code::AsteriskUnavailable, detail),
            PickError::KeyTaken => Self::new(Code::IdempotencyConflict, detail),
            PickError::Store(cause) => Self::store_unavailable(cause),
            PickError::TooSlow => Self::store_unavailable(detail),
        }
    }
}

//! `/api/calls`: place a call, list calls, look at one.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Datelike, Utc};
use uuid::Uuid;

use super::auth::{Caller, MayCall, MayRead};
use super::call_request::{journey_node, make_call as read_make_call};
use super::dids::none_available;
use super::fields::Fields;
use super::hang_up::call_not_found;
use super::listen::Closing;
use super::openapi::{
    CallListQuery, IdempotencyKey, JourneyNodeBody, MakeCallBody, MakeCallQuery, PathUuid, refusals,
};
use super::problem::{Code, Limit, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::view::{CallView, PageView};
use crate::app::App;
use crate::app::find_calls::{self, Until};
use crate::app::make_call::{MadeCall, MakeCallError, make_call};
use crate::app::pick_did::Full;
use crate::domain::call::{Call, CallId};
use crate::domain::did::DidId;
use crate::domain::pace as domain;
use crate::store::calls::CallFilter;

/// Marks an answer that an earlier request has had already.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

refusals! {
    Making: DOOR, BODY, [InvalidPhoneNumber, NoAvailableDid, DidNotFound, DidNotPickable, IdempotencyConflict,
        OriginateRefused, AsteriskUnavailable, TrunkChannels, TrunkCps, TrunkQueue, TenantChannels, TenantCps,
        DidChannels, DidCps];
    Listing: DOOR, [UnknownField, InvalidPhoneNumber];
    Finding: DOOR, [CallNotFound, RouteNotFound];
}

/// Place a call
///
/// Picks a DID, counts the use and hands the call to Asterisk; before Asterisk hears of it, both are durable. Where
/// Asterisk cannot be reached or refuses, no use is counted. Where the DID's trunk has no room, the call waits for it
/// (`queued`), or is refused with 429 if the trunk's `when_full` says so, or if too many wait. With `wait` the answer comes once the call has come so
/// far, or cannot any more. Needs the role `journey`, `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/calls", tag = "Calls", operation_id = "makeCall",
    params(MakeCallQuery, IdempotencyKey),
    request_body = MakeCallBody,
    responses(
        (status = 202, description = "The call is on its way", body = CallView, headers(
            ("Location" = String, description = "Where it is found"),
            ("Idempotent-Replayed" = bool, description = "`true` where an earlier request with this key has placed it"),
        )),
        Making,
    ),
)]
pub(super) async fn make(
    MayCall(caller): MayCall,
    State(app): State<App>,
    QueryString(query): QueryString,
    closing: Option<Extension<Closing>>,
    headers: HeaderMap,
    JsonBody(fields): JsonBody,
) -> Result<Response, Problem> {
    let placed = place(app.clone(), caller, query, &headers, fields).await?;
    placed.answer(&app, closing).await
}

/// Place a call of a journey
///
/// Takes the body of a journey engine's `MAKE_CALL` node as it is, and does what `POST /api/calls` does.
#[utoipa::path(
    post, path = "/api/journeys/make-call", tag = "Calls", operation_id = "makeJourneyCall",
    params(MakeCallQuery, IdempotencyKey),
    request_body = JourneyNodeBody,
    responses(
        (status = 202, description = "The call is on its way", body = CallView, headers(
            ("Location" = String, description = "Where it is found"),
            ("Idempotent-Replayed" = bool, description = "`true` where an earlier request with this key has placed it"),
        )),
        Making,
    ),
)]
pub(super) async fn make_for_journey(
    MayCall(caller): MayCall,
    State(app): State<App>,
    QueryString(query): QueryString,
    closing: Option<Extension<Closing>>,
    headers: HeaderMap,
    JsonBody(mut fields): JsonBody,
) -> Result<Response, Problem> {
    let tenant = journey_node(&mut fields)?;
    let placed = place(app.clone(), caller.acting_for(tenant)?, query, &headers, fields).await?;
    placed.answer(&app, closing).await
}

/// List calls
///
/// The tenant's calls, the newest first, a part at a time.
#[utoipa::path(
    get, path = "/api/calls", tag = "Calls", operation_id = "listCalls",
    params(CallListQuery),
    responses((status = 200, description = "A part of the list", body = PageView<CallView>), Listing),
)]
pub(super) async fn list(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<Json<PageView<CallView>>, Problem> {
    let filter = CallFilter {
        status: query.parse("status")?,
        to: query.number("to")?,
        did: query.parse::<Uuid>("didId")?.map(DidId),
        since: since(&mut query)?,
    };
    let limit = page_limit(&mut query)?;
    let cursor = query.text("cursor")?;
    query.finish()?;

    let page = app.store.list_calls(&caller.tenant, &filter, limit, cursor.as_deref()).await?;
    let data = page.items.iter().map(CallView::from).collect();
    Ok(Json(PageView { data, next_cursor: page.next }))
}

/// Look at a call
///
/// The call with its timeline: each state it was in, and since when.
#[utoipa::path(
    get, path = "/api/calls/{id}", tag = "Calls", operation_id = "findCall",
    params(PathUuid),
    responses((status = 200, description = "The call", body = CallView), Finding),
)]
pub(super) async fn find(
    MayRead(caller): MayRead,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Json<CallView>, Problem> {
    let not_found = || call_not_found(&id);
    let call_id = id.parse::<Uuid>().map(CallId).map_err(|_| not_found())?;
    let call = find_calls::find(&app, &caller.tenant, call_id)
        .await
        .map_err(Problem::store_unavailable)?;
    Ok(Json(CallView::in_full(&call.ok_or_else(not_found)?)))
}

/// A call that is on its way, and how long its asker wants to wait.
struct Placed {
    made: MadeCall,
    wait: Option<Until>,
}

async fn place(
    app: App,
    caller: Caller,
    mut query: Fields,
    headers: &HeaderMap,
    fields: Fields,
) -> Result<Placed, Problem> {
    let wait = wait(&mut query)?;
    query.finish()?;
    let wanted = read_make_call(caller.tenant, &app.settings, headers, fields)?;

    let operation = app.clone();
    let made = app.to_the_end(async move { make_call(&operation, wanted).await }).await?;
    Ok(Placed { made, wait })
}

impl Placed {
    async fn answer(
        self,
        app: &App,
        closing: Option<Extension<Closing>>,
    ) -> Result<Response, Problem> {
        let call = match self.wait {
            None => self.made.call,
            Some(until) => wait_for(app, self.made.call, until, closing).await?,
        };
        let location = format!("/api/calls/{}", call.id());
        let view = Json(CallView::from(&call));
        let answer = (StatusCode::ACCEPTED, [(header::LOCATION, location)], view);
        if self.made.replayed {
            return Ok(([(REPLAYED, "true")], answer).into_response());
        }
        Ok(answer.into_response())
    }
}

/// The call once it has come so far; as it stands when the door closes before, for a daemon that
/// stops does not wait for people to finish talking.
async fn wait_for(
    app: &App,
    call: Call,
    until: Until,
    closing: Option<Extension<Closing>>,
) -> Result<Call, Problem> {
    let closed = async {
        match closing {
            Some(Extension(Closing(stop))) => stop.cancelled_owned().await,
            None => std::future::pending().await,
        }
    };
    let (tenant, id) = (call.request.tenant.clone(), call.id());
    let reached = tokio::select! {
        reached = find_calls::wait_for(app, call.clone(), until) => reached,
        () = closed => find_calls::find(app, &tenant, id).await.map(|found| found.unwrap_or(call)),
    };
    reached.map_err(Problem::store_unavailable)
}

/// The time from which on a list is wanted, one that both databases can hold: RFC 3339 has years of
/// four digits, and PostgreSQL refuses some that chrono reads beyond them.
pub(super) fn since(query: &mut Fields) -> Result<Option<DateTime<Utc>>, Problem> {
    let since = query.parse::<DateTime<Utc>>("since")?;
    match since.is_none_or(|at| (0..=9999).contains(&at.year())) {
        true => Ok(since),
        false => Err(Problem::invalid("since", "must be a time of the years 0 to 9999")),
    }
}

fn wait(query: &mut Fields) -> Result<Option<Until>, Problem> {
    match query.text("wait")?.as_deref() {
        None => Ok(None),
        Some("answer") => Ok(Some(Until::Answer)),
        Some("end") => Ok(Some(Until::End)),
        Some(_) => Err(Problem::invalid("wait", "must be answer or end")),
    }
}

pub(super) fn over(refused: domain::Refused, detail: String) -> Problem {
    let code = match refused.limit {
        domain::Limit::TrunkChannels => Code::TrunkChannels,
        domain::Limit::TrunkRate => Code::TrunkCps,
        domain::Limit::TrunkQueue => Code::TrunkQueue,
        domain::Limit::TenantChannels => Code::TenantChannels,
        domain::Limit::TenantRate => Code::TenantCps,
        domain::Limit::DidChannels => Code::DidChannels,
        domain::Limit::DidRate => Code::DidCps,
    };
    let (name, current, max) = (refused.limit.key(), refused.current.into(), refused.max.into());
    Problem::new(code, detail).over(Limit { name, current, max }).retry_after(refused.retry_after)
}

impl From<MakeCallError> for Problem {
    fn from(error: MakeCallError) -> Self {
        let detail = error.to_string();
        match error {
            MakeCallError::NoneAvailable => none_available(),
            MakeCallError::DidNotFound(_) => Self::new(Code::DidNotFound, detail).at("from"),
            MakeCallError::NotPickable(_) => Self::new(Code::DidNotPickable, detail).at("from"),
            MakeCallError::Full(Full { refused, .. }) => over(refused, detail),
            MakeCallError::KeyConflict => Self::new(Code::IdempotencyConflict, detail),
            MakeCallError::Invalid(_) => Self::new(Code::InvalidField, detail),
            MakeCallError::AsteriskUnavailable(_) => Self::new(Code::AsteriskUnavailable, detail),
            MakeCallError::Refused(_) => Self::new(Code::OriginateRefused, detail),
            MakeCallError::Store(cause) => Self::store_unavailable(cause),
            MakeCallError::StoreTooSlow => Self::store_unavailable(detail),
        }
    }
}

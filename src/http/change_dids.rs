//! `/api/asterisk-dids/{id}`: change one, delete it, set its count back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use uuid::Uuid;

use super::auth::{Caller, MayChange};
use super::dids::{did_not_found, metadata};
use super::fields::{Fields, not_a_number};
use super::openapi::{ChangeDidBody, PathUuid, refusals};
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId};
use super::view::DidView;
use crate::app::App;
use crate::app::manage_dids;
use crate::domain::did::{DidId, MAX_USAGE_MAX};
use crate::domain::did_change::DidChange;
use crate::domain::number::{E164, Region};
use crate::store::dids::ChangeError;

refusals! {
    Changing: DOOR, BODY, [DidNotFound, DidExists, InvalidPhoneNumber, RouteNotFound];
    Removing: DOOR, [DidNotFound, RouteNotFound];
}

/// Change a DID
///
/// Changes the fields sent and no others; `null` clears those that may have no value. What `GET` gave may be sent back
/// whole. `id` and `tenantId` must then be the DID's own. `usageCount`, `headStart`, `lastUsed`, `createdAt` and
/// `updatedAt` are Rotary's to keep and are ignored: a count sent back would lose the uses taken since it was read.
/// Needs the role `operator` or `admin`.
#[utoipa::path(
    put, path = "/api/asterisk-dids/{id}", tag = "DIDs", operation_id = "changeDid",
    params(PathUuid),
    request_body = ChangeDidBody,
    responses((status = 200, description = "The DID as it is now", body = DidView), Changing),
)]
pub(super) async fn change(
    MayChange(caller): MayChange,
    State(app): State<App>,
    PathId(id): PathId,
    JsonBody(fields): JsonBody,
) -> Result<Json<DidView>, Problem> {
    let id = did_id(&id)?;
    let change = read_change(fields, &caller, id)?;

    let operation = app.clone();
    let changing = async move {
        manage_dids::change(&operation, &caller.tenant, id, &change, &caller.origin).await
    };
    Ok(Json(DidView::from(&app.to_the_end(changing).await?)))
}

/// Delete a DID
///
/// Calls that show it go on, and stay in the lists. Needs the role `operator` or `admin`.
#[utoipa::path(
    delete, path = "/api/asterisk-dids/{id}", tag = "DIDs", operation_id = "deleteDid",
    params(PathUuid),
    responses((status = 204, description = "It is deleted"), Removing),
)]
pub(super) async fn remove(
    MayChange(caller): MayChange,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let id = did_id(&id)?;
    let operation = app.clone();
    let removing =
        async move { manage_dids::remove(&operation, &caller.tenant, id, &caller.origin).await };
    app.to_the_end(removing).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set the count of a DID back
///
/// Its uses are counted from zero again. Needs the role `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/asterisk-dids/{id}/reset-usage", tag = "DIDs", operation_id = "resetUsage",
    params(PathUuid),
    responses((status = 200, description = "The DID, with no uses", body = DidView), Removing),
)]
pub(super) async fn reset_usage(
    MayChange(caller): MayChange,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Json<DidView>, Problem> {
    let id = did_id(&id)?;
    let operation = app.clone();
    let resetting = async move {
        manage_dids::reset_usage(&operation, &caller.tenant, id, &caller.origin).await
    };
    Ok(Json(DidView::from(&app.to_the_end(resetting).await?)))
}

/// What is no UUID names no DID.
fn did_id(id: &str) -> Result<DidId, Problem> {
    id.parse::<Uuid>().map(DidId).map_err(|_| did_not_found(id))
}

fn read_change(mut fields: Fields, caller: &Caller, id: DidId) -> Result<DidChange, Problem> {
    for (name, own) in [("id", id.to_string()), ("tenantId", caller.tenant.to_string())] {
        fields.not_null(name)?;
        if fields.text(name)?.is_some_and(|given| !given.eq_ignore_ascii_case(&own)) {
            return Err(Problem::invalid(name, format!("is {own} and stays so")));
        }
    }
    for kept in ["usageCount", "headStart", "lastUsed", "createdAt", "updatedAt"] {
        fields.ignore(kept);
    }
    for name in ["number", "trunk", "status", "metadata"] {
        fields.not_null(name)?;
    }
    let change = DidChange {
        number: number(&mut fields)?,
        area_code: cleared_or(&mut fields, "areaCode", |fields| fields.parse("areaCode"))?,
        trunk: fields.parse("trunk")?,
        status: fields.parse("status")?,
        max_usage: cleared_or(&mut fields, "maxUsage", |fields| {
            fields.whole("maxUsage", 0, MAX_USAGE_MAX)
        })?,
        campaign: cleared_or(&mut fields, "campaignId", |fields| fields.parse("campaignId"))?,
        metadata: metadata(&mut fields)?,
    };
    fields.finish_with_nulls()?;
    Ok(change)
}

fn number(fields: &mut Fields) -> Result<Option<E164>, Problem> {
    let Some(written) = fields.text("number")? else { return Ok(None) };
    E164::read(&written, Region::US).map(Some).map_err(|why| not_a_number("number", why))
}

/// A field that an explicit `null` clears.
fn cleared_or<T>(
    fields: &mut Fields,
    name: &'static str,
    read: impl FnOnce(&mut Fields) -> Result<Option<T>, Problem>,
) -> Result<Option<Option<T>>, Problem> {
    match fields.is_null(name) {
        true => Ok(Some(None)),
        false => Ok(read(fields)?.map(Some)),
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound(id) => did_not_found(id),
            ChangeError::Exists => Self::new(Code::DidExists, error).at("number"),
            ChangeError::Store(cause) => Self::store_unavailable(cause),
        }
    }
}

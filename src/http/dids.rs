//! `/api/asterisk-dids`: create one, list them, look at one, see which comes next.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::auth::{MayChange, MayRead};
use super::fields::{Fields, not_a_number};
use super::openapi::{
    DidFilterQuery, DidOrderQuery, NewDidBody, NextQuery, PageQuery, PathUuid, refusals,
};
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::view::{DidView, NextView, PageView};
use crate::app::App;
use crate::app::list_dids::list_dids;
use crate::app::manage_dids::{self, CreateError};
use crate::domain::did::{DidId, MAX_USAGE_MAX, METADATA_LENGTH_MAX, NewDid, TrunkName};
use crate::domain::number::{E164, Region};
use crate::domain::rotation::Want;
use crate::store::ListError;
use crate::store::dids::{DidFilter, DidSort, InsertError};

/// The longest text to look for, in characters; no number is longer, however it is written.
const Q_LENGTH_MAX: usize = 64;

refusals! {
    Creating: DOOR, BODY, [DidExists, InvalidPhoneNumber];
    Listing: DOOR, [UnknownField, InvalidPhoneNumber];
    Finding: DOOR, [DidNotFound, RouteNotFound];
    Choosing: DOOR, [UnknownField, InvalidPhoneNumber, NoAvailableDid];
}

/// Create a DID
///
/// Stores a number that may be shown as caller ID. It is picked once its status is `active`. Needs the role
/// `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/asterisk-dids", tag = "DIDs", operation_id = "createDid",
    request_body = NewDidBody,
    responses(
        (status = 201, description = "The DID as it was stored", body = DidView,
            headers(("Location" = String, description = "Where it is found"))),
        Creating,
    ),
)]
pub(super) async fn create(
    MayChange(caller): MayChange,
    State(app): State<App>,
    JsonBody(fields): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let new = new_did(fields)?;

    let operation = app.clone();
    let creating =
        async move { manage_dids::create(&operation, &caller.tenant, &new, &caller.origin).await };
    let did = app.to_the_end(creating).await?;

    let location = format!("/api/asterisk-dids/{}", did.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(DidView::from(&did))))
}

/// List DIDs
///
/// The tenant's DIDs, a part at a time.
#[utoipa::path(
    get, path = "/api/asterisk-dids", tag = "DIDs", operation_id = "listDids",
    params(DidFilterQuery, DidOrderQuery, PageQuery),
    responses((status = 200, description = "A part of the list", body = PageView<DidView>), Listing),
)]
pub(super) async fn list(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<Json<PageView<DidView>>, Problem> {
    let filter = DidFilter { sort: sort(&mut query)?, ..filter(&mut query)? };
    let limit = page_limit(&mut query)?;
    let cursor = query.text("cursor")?;
    query.finish()?;

    let page = list_dids(&app, &caller.tenant, &filter, limit, cursor.as_deref()).await?;
    let data = page.items.iter().map(DidView::from).collect();
    Ok(Json(PageView { data, next_cursor: page.next }))
}

/// Look at a DID
#[utoipa::path(
    get, path = "/api/asterisk-dids/{id}", tag = "DIDs", operation_id = "findDid",
    params(PathUuid),
    responses((status = 200, description = "The DID", body = DidView), Finding),
)]
pub(super) async fn find(
    MayRead(caller): MayRead,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Json<DidView>, Problem> {
    let not_found = || did_not_found(&id);
    let did_id = id.parse::<Uuid>().map(DidId).map_err(|_| not_found())?;
    let did = manage_dids::find(&app, &caller.tenant, did_id)
        .await
        .map_err(Problem::store_unavailable)?;
    Ok(Json(DidView::from(&did.ok_or_else(not_found)?)))
}

/// See which DID comes next
///
/// The DID that the next pick would take, without taking it, and why this one.
#[utoipa::path(
    get, path = "/api/asterisk-dids/next-available", tag = "DIDs", operation_id = "nextDid",
    params(NextQuery),
    responses((status = 200, description = "The DID, and why this one", body = NextView), Choosing),
)]
pub(super) async fn next_available(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<Json<NextView>, Problem> {
    let to = query.number("to")?;
    let want = Want {
        tenant: caller.tenant,
        campaign: query.parse("campaignId")?,
        area_code: query.parse("areaCode")?,
    };
    query.finish()?;

    let next =
        manage_dids::next_available(&app, want, to).await.map_err(Problem::store_unavailable)?;
    let (did, reason) = next.ok_or_else(none_available)?;
    Ok(Json(NextView { did: DidView::from(&did), reason: reason.text().to_owned() }))
}

/// What is answered when there is nothing to show.
pub(super) fn none_available() -> Problem {
    Problem::new(Code::NoAvailableDid, "No available DIDs configured for this tenant")
}

/// What is answered when the tenant has no such DID.
pub(super) fn did_not_found(id: impl std::fmt::Display) -> Problem {
    Problem::new(Code::DidNotFound, format!("DID not found: {id}"))
}

fn new_did(mut fields: Fields) -> Result<NewDid, Problem> {
    let written = fields.need_text("number")?;
    let number = E164::read(&written, Region::US).map_err(|why| not_a_number("number", why))?;
    let area_code = fields.parse("areaCode")?;
    let new = NewDid {
        id: DidId(Uuid::now_v7()),
        number,
        area_code: area_code.or_else(|| number.area_code()),
        trunk: fields.parse("trunk")?.unwrap_or_else(TrunkName::pjsip),
        status: fields.parse("status")?.unwrap_or_default(),
        max_usage: fields.whole("maxUsage", 0, MAX_USAGE_MAX)?,
        campaign: fields.parse("campaignId")?,
        head_start: 0,
        metadata: metadata(&mut fields)?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(new)
}

/// A page of a list may hold a thousand of these.
pub(super) fn metadata(fields: &mut Fields) -> Result<Option<Map<String, Value>>, Problem> {
    let Some(metadata) = fields.object("metadata")? else { return Ok(None) };
    let length = serde_json::to_string(&metadata).map_or(usize::MAX, |text| text.len());
    if length > METADATA_LENGTH_MAX {
        let why = format!("has {length} bytes of JSON; it may have {METADATA_LENGTH_MAX}");
        return Err(Problem::invalid("metadata", why));
    }
    Ok(Some(metadata))
}

/// A number in any written form. A `+` that was not written as `%2B` reads as a space.
fn written_number(query: &mut Fields) -> Result<Option<E164>, Problem> {
    let Some(text) = query.text("number")? else { return Ok(None) };
    let text = text.strip_prefix(' ').map_or_else(|| text.clone(), |rest| format!("+{rest}"));
    E164::read(&text, Region::US).map(Some).map_err(|why| not_a_number("number", why))
}

/// Which DIDs are asked for, in the usual order.
pub(super) fn filter(query: &mut Fields) -> Result<DidFilter, Problem> {
    Ok(DidFilter {
        number: written_number(query)?,
        status: query.parse("status")?,
        area_code: query.parse("areaCode")?,
        trunk: query.parse("trunk")?,
        campaign: query.parse("campaignId")?,
        q: digits(query)?,
        sort: DidSort::default(),
    })
}

/// Digits to look for. A text without any would find every number.
fn digits(query: &mut Fields) -> Result<Option<String>, Problem> {
    let q = query.text("q")?;
    let good =
        |q: &String| q.chars().count() <= Q_LENGTH_MAX && q.contains(|c: char| c.is_ascii_digit());
    match q.as_ref().is_none_or(good) {
        true => Ok(q),
        false => {
            let why =
                format!("must have a digit to look for, and {Q_LENGTH_MAX} characters at most");
            Err(Problem::invalid("q", why))
        }
    }
}

fn sort(query: &mut Fields) -> Result<DidSort, Problem> {
    match query.text("sort")?.as_deref() {
        None | Some("number") => Ok(DidSort::Number),
        Some("usage" | "usageCount") => Ok(DidSort::Usage),
        Some("created" | "createdAt") => Ok(DidSort::Created),
        Some(_) => Err(Problem::invalid("sort", "must be number, usage or created")),
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Tenant(error) => error.into(),
            CreateError::Insert(error) => error.into(),
        }
    }
}

impl From<InsertError> for Problem {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::Exists => Self::new(Code::DidExists, "DID already exists").at("number"),
            InsertError::Store(cause) => Self::store_unavailable(cause),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Cursor(_) => {
                Self::invalid("cursor", "is none that a list with these filters has given")
            }
            ListError::Store(cause) => Self::store_unavailable(cause),
        }
    }
}

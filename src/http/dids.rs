//! `/api/asterisk-dids`: create one, list them, look at one, see which comes next.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::auth::{MayChange, MayRead};
use super::fields::{Fields, not_a_number};
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::view::{DidView, NextView, PageView};
use crate::app::App;
use crate::app::list_dids::list_dids;
use crate::app::manage_dids::{self, CreateError};
use crate::domain::did::{DidId, MAX_USAGE_MAX, METADATA_LENGTH_MAX, NewDid, TrunkName};
use crate::domain::number::{E164, Region};
use crate::domain::rotation::{Reason, Want};
use crate::store::ListError;
use crate::store::dids::{DidFilter, DidSort, InsertError};

/// `POST /api/asterisk-dids`
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

/// `GET /api/asterisk-dids`
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

/// `GET /api/asterisk-dids/{id}`
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

/// `GET /api/asterisk-dids/next-available`
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
    Ok(Json(NextView { did: DidView::from(&did), reason: word(reason).to_owned() }))
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
    match q.as_ref().is_none_or(|q| q.contains(|c: char| c.is_ascii_digit())) {
        true => Ok(q),
        false => Err(Problem::invalid("q", "must have a digit to look for")),
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

fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::LeastUsed => "least used",
        Reason::AreaCode => "least used of the wanted area code",
        Reason::AreaCodeSpent => "least used; none of the wanted area code can be picked",
        Reason::Named => "named by the request",
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

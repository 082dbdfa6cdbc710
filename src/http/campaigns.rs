//! `/api/campaigns`: describe a campaign, list them, look at one, change one.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::auth::{MayChange, MayRead};
use super::fields::{Fields, missing};
use super::openapi::{ChangeCampaignBody, NewCampaignBody, PageQuery, PathCampaign, refusals};
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::view::{CampaignView, PageView};
use crate::app::App;
use crate::app::campaigns::{self, NewCampaign};
use crate::domain::campaign::{Campaign, CampaignChange, Rules};
use crate::domain::tenant::CampaignId;
use crate::store::campaigns::InsertCampaignError;

/// The longest name, in characters.
const NAME_LENGTH_MAX: usize = 200;

refusals! {
    Creating: DOOR, BODY, [CampaignExists];
    Listing: DOOR, [UnknownField];
    Finding: DOOR, [CampaignNotFound, RouteNotFound];
    Changing: DOOR, BODY, [CampaignNotFound, RouteNotFound];
}

/// Describe a campaign
///
/// A DID may name a campaign that nobody has described; such a one has no name and the usual settings. Needs the role
/// `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/campaigns", tag = "Campaigns", operation_id = "createCampaign",
    request_body = NewCampaignBody,
    responses(
        (status = 201, description = "The campaign as it was stored", body = CampaignView,
            headers(("Location" = String, description = "Where it is found"))),
        Creating,
    ),
)]
pub(super) async fn create(
    MayChange(caller): MayChange,
    State(app): State<App>,
    JsonBody(mut fields): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let new = NewCampaign {
        id: fields.parse("id")?.ok_or_else(|| missing("id"))?,
        name: name(&mut fields)?.flatten(),
        rules: Rules {
            join: fields.parse("join")?.unwrap_or_default(),
            local_presence: fields.truth("localPresence")?.unwrap_or_default(),
        },
    };
    fields.finish()?;

    let operation = app.clone();
    let creating =
        async move { campaigns::create(&operation, &caller.tenant, new, &caller.origin).await };
    let campaign = app.to_the_end(creating).await?;

    let location = format!("/api/campaigns/{}", campaign.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view(&app, &campaign))))
}

/// List campaigns
///
/// Those that are described, by their ids, a part at a time.
#[utoipa::path(
    get, path = "/api/campaigns", tag = "Campaigns", operation_id = "listCampaigns",
    params(PageQuery),
    responses((status = 200, description = "A part of the list", body = PageView<CampaignView>), Listing),
)]
pub(super) async fn list(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<Json<PageView<CampaignView>>, Problem> {
    let limit = page_limit(&mut query)?;
    let cursor = query.text("cursor")?;
    query.finish()?;

    let page = campaigns::list(&app, &caller.tenant, limit, cursor.as_deref()).await?;
    let data = page.items.iter().map(|campaign| view(&app, campaign)).collect();
    Ok(Json(PageView { data, next_cursor: page.next }))
}

/// Look at a campaign
#[utoipa::path(
    get, path = "/api/campaigns/{id}", tag = "Campaigns", operation_id = "findCampaign",
    params(PathCampaign),
    responses((status = 200, description = "The campaign", body = CampaignView), Finding),
)]
pub(super) async fn find(
    MayRead(caller): MayRead,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Json<CampaignView>, Problem> {
    let campaign = campaigns::find(&app, &caller.tenant, &known(&id)?)
        .await
        .map_err(Problem::store_unavailable)?;
    Ok(Json(view(&app, &campaign.ok_or_else(|| not_found(&id))?)))
}

/// Change a campaign
///
/// Only what is sent is changed. Needs the role `operator` or `admin`.
#[utoipa::path(
    put, path = "/api/campaigns/{id}", tag = "Campaigns", operation_id = "changeCampaign",
    params(PathCampaign),
    request_body = ChangeCampaignBody,
    responses((status = 200, description = "The campaign as it is now", body = CampaignView), Changing),
)]
pub(super) async fn change(
    MayChange(caller): MayChange,
    State(app): State<App>,
    PathId(id): PathId,
    JsonBody(mut fields): JsonBody,
) -> Result<Json<CampaignView>, Problem> {
    let campaign = known(&id)?;
    let change = CampaignChange {
        name: name(&mut fields)?,
        join: fields.parse("join")?,
        local_presence: fields.truth("localPresence")?,
    };
    fields.finish()?;

    let operation = app.clone();
    let changing = async move {
        campaigns::change(&operation, &caller.tenant, &campaign, &change, &caller.origin).await
    };
    let changed = app.to_the_end(changing).await.map_err(Problem::store_unavailable)?;
    Ok(Json(view(&app, &changed.ok_or_else(|| not_found(&id))?)))
}

/// A name, if one was sent; an empty one is none.
fn name(fields: &mut Fields) -> Result<Option<Option<String>>, Problem> {
    let Some(name) = fields.text("name")? else { return Ok(None) };
    if name.chars().count() > NAME_LENGTH_MAX {
        return Err(Problem::invalid("name", format!("may have {NAME_LENGTH_MAX} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(Problem::invalid("name", "must be one line without control characters"));
    }
    Ok(Some(Some(name).filter(|name| !name.trim().is_empty())))
}

fn known(id: &str) -> Result<CampaignId, Problem> {
    id.parse().map_err(|_| not_found(id))
}

fn not_found(id: &str) -> Problem {
    let detail =
        format!("Campaign not found: {id} (DIDs may name it, POST /api/campaigns creates it)");
    Problem::new(Code::CampaignNotFound, detail)
}

fn view(app: &App, campaign: &Campaign) -> CampaignView {
    CampaignView::of(campaign, campaigns::dids(app, campaign))
}

impl From<InsertCampaignError> for Problem {
    fn from(error: InsertCampaignError) -> Self {
        match error {
            InsertCampaignError::Exists => {
                Self::new(Code::CampaignExists, "Campaign already exists").at("id")
            }
            InsertCampaignError::Store(cause) => Self::store_unavailable(cause),
        }
    }
}

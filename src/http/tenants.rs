//! `/api/tenants`: who owns numbers and places calls.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::auth::{Caller, MayAdminister, MayRead};
use super::fields::missing;
use super::openapi::{NewTenantBody, PageQuery, PathTenant, refusals};
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::tenant_view::TenantView;
use super::view::PageView;
use crate::app::App;
use crate::app::manage_tenants::{self, TenantError};
use crate::domain::tenant::{Tenant, TenantId};
use crate::store::keys::Role;

/// The longest name, in characters.
const NAME_LENGTH_MAX: usize = 200;

refusals! {
    Creating: DOOR, BODY, [TenantExists];
    Listing: DOOR, [UnknownField];
    Finding: DOOR, [TenantNotFound, RouteNotFound];
}

/// Create a tenant
///
/// A tenant is also there once it is named for the first time; this gives it a name. Needs the role `admin`.
#[utoipa::path(
    post, path = "/api/tenants", tag = "Tenants", operation_id = "createTenant",
    request_body = NewTenantBody,
    responses(
        (status = 201, description = "The tenant, with the secret that signs its callbacks", body = TenantView,
            headers(("Location" = String, description = "Where it is found"))),
        Creating,
    ),
)]
pub(super) async fn create(
    MayAdminister(caller): MayAdminister,
    State(app): State<App>,
    JsonBody(mut fields): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let id: TenantId = fields.parse("id")?.ok_or_else(|| missing("id"))?;
    let name = fields.text("name")?;
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_LENGTH_MAX) {
        return Err(Problem::invalid("name", format!("may have {NAME_LENGTH_MAX} characters")));
    }
    fields.finish()?;

    let operation = app.clone();
    let creating =
        async move { manage_tenants::create(&operation, id, name, &caller.origin).await };
    let tenant = app.to_the_end(creating).await?;

    let location = format!("/api/tenants/{}", tenant.id);
    let view = TenantView::with_secret(&tenant);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)))
}

/// List tenants
///
/// All of them to an administrator, who also sees their secrets; to everybody else their own.
#[utoipa::path(
    get, path = "/api/tenants", tag = "Tenants", operation_id = "listTenants",
    params(PageQuery),
    responses((status = 200, description = "A part of the list", body = PageView<TenantView>), Listing),
)]
pub(super) async fn list(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<Json<PageView<TenantView>>, Problem> {
    let limit = page_limit(&mut query)?;
    let cursor = query.text("cursor")?;
    query.finish()?;

    if caller.role == Role::Admin {
        let page = app.store.list_tenants(limit, cursor.as_deref()).await?;
        let data = page.items.iter().map(|tenant| seen_by(&caller, tenant)).collect();
        return Ok(Json(PageView { data, next_cursor: page.next }));
    }
    let own = app.store.tenant(&caller.tenant).await.map_err(Problem::store_unavailable)?;
    let data = own.iter().map(|tenant| seen_by(&caller, tenant)).collect();
    Ok(Json(PageView { data, next_cursor: None }))
}

/// Look at a tenant
#[utoipa::path(
    get, path = "/api/tenants/{id}", tag = "Tenants", operation_id = "findTenant",
    params(PathTenant),
    responses((status = 200, description = "The tenant", body = TenantView), Finding),
)]
pub(super) async fn find(
    MayRead(caller): MayRead,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Json<TenantView>, Problem> {
    let wanted = read_id(&id)?;
    if caller.role != Role::Admin && wanted != caller.tenant {
        return Err(not_found(&id));
    }
    let tenant = app.store.tenant(&wanted).await.map_err(Problem::store_unavailable)?;
    Ok(Json(seen_by(&caller, &tenant.ok_or_else(|| not_found(&id))?)))
}

/// Rotate a tenant's secret
///
/// From now on a new secret signs its callbacks. Needs the role `admin`.
#[utoipa::path(
    post, path = "/api/tenants/{id}/webhook-secret", tag = "Tenants", operation_id = "rotateSecret",
    params(PathTenant),
    responses((status = 200, description = "The tenant, with its new secret", body = TenantView), Finding),
)]
pub(super) async fn rotate_secret(
    MayAdminister(caller): MayAdminister,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Json<TenantView>, Problem> {
    let id = read_id(&id)?;
    let operation = app.clone();
    let rotating =
        async move { manage_tenants::rotate_secret(&operation, &id, &caller.origin).await };
    let tenant = app.to_the_end(rotating).await?;
    Ok(Json(TenantView::with_secret(&tenant)))
}

fn seen_by(caller: &Caller, tenant: &Tenant) -> TenantView {
    match caller.role {
        Role::Admin => TenantView::with_secret(tenant),
        Role::Operator | Role::Journey | Role::Viewer => TenantView::without_secret(tenant),
    }
}

/// What is no tenant's id names no tenant.
fn read_id(id: &str) -> Result<TenantId, Problem> {
    id.parse().map_err(|_| not_found(id))
}

fn not_found(id: &str) -> Problem {
    Problem::new(Code::TenantNotFound, format!("Tenant not found: {id}"))
}

impl From<TenantError> for Problem {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::Exists(_) => Self::new(Code::TenantExists, error).at("id"),
            TenantError::NotFound(_) => Self::new(Code::TenantNotFound, error),
            TenantError::Mint(_) => Self::internal(error),
            TenantError::Store(cause) => Self::store_unavailable(cause),
        }
    }
}

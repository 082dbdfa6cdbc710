//! `/api/tenants`: who owns numbers and places calls.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::auth::{Caller, MayAdminister, MayRead};
use super::fields::missing;
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::tenant_view::TenantView;
use super::view::PageView;
use crate::app::App;
use crate::app::manage_tenants::{self, TenantError};
use crate::domain::tenant::{Tenant, TenantId};
use crate::store::keys::Role;

/// The longest name, in bytes.
const NAME_LENGTH_MAX: usize = 200;

/// `POST /api/tenants`
pub(super) async fn create(
    MayAdminister(caller): MayAdminister,
    State(app): State<App>,
    JsonBody(mut fields): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let id: TenantId = fields.parse("id")?.ok_or_else(|| missing("id"))?;
    let name = fields.text("name")?;
    if name.as_ref().is_some_and(|name| name.len() > NAME_LENGTH_MAX) {
        return Err(Problem::invalid("name", format!("may have {NAME_LENGTH_MAX} bytes")));
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

/// `GET /api/tenants`: all of them to an administrator, to everybody else their own.
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

/// `GET /api/tenants/{id}`
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

/// `POST /api/tenants/{id}/webhook-secret`
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

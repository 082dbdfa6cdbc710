//! `GET /api/audit-log`: who did what.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use uuid::Uuid;

use super::audit_view::AuditView;
use super::auth::{MayAudit, wanted_tenant};
use super::calls::since;
use super::openapi::{AuditQuery, refusals};
use super::problem::Problem;
use super::request::{QueryString, page_limit};
use super::view::PageView;
use crate::app::App;
use crate::domain::did::DidId;
use crate::store::audit_log::AuditFilter;
use crate::store::keys::Role;

refusals! {
    Listing: DOOR, [UnknownField];
}

/// See who did what
///
/// The newest first, a part at a time: what was done in an operator's own tenant, or in the one that an administrator
/// names by `X-Tenant-Id`. An administrator who names none sees what was done in all of them, and what belongs to none.
/// Needs the role `operator` or `admin`.
#[utoipa::path(
    get, path = "/api/audit-log", tag = "Audit log", operation_id = "listAuditLog",
    params(AuditQuery),
    responses((status = 200, description = "A part of the log", body = PageView<AuditView>), Listing),
)]
pub(super) async fn list(
    MayAudit(caller): MayAudit,
    State(app): State<App>,
    headers: HeaderMap,
    QueryString(mut query): QueryString,
) -> Result<Json<PageView<AuditView>>, Problem> {
    let tenant = match caller.role {
        Role::Admin => wanted_tenant(&headers)?,
        Role::Operator | Role::Journey | Role::Viewer => Some(caller.tenant),
    };
    let filter = AuditFilter {
        tenant,
        did: query.parse::<Uuid>("didId")?.map(DidId),
        subject_type: query.text("subjectType")?,
        subject_id: query.text("subjectId")?,
        action: query.text("action")?,
        since: since(&mut query)?,
    };
    let limit = page_limit(&mut query)?;
    let cursor = query.text("cursor")?;
    query.finish()?;

    let page = app.store.list_audit_log(&filter, limit, cursor.as_deref()).await?;
    let data = page.items.into_iter().map(AuditView::from).collect();
    Ok(Json(PageView { data, next_cursor: page.next }))
}

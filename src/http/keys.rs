//! `/api/keys`: who may use the API over TCP. A key is shown once; only its hash is kept.

use std::io::Read;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use chrono::Utc;
use uuid::Uuid;

use super::auth::{KEY_PREFIX, MayAdminister, hash};
use super::fields::missing;
use super::openapi::{NewKeyBody, PathUuid, refusals};
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId};
use super::view::{KeyView, NewKeyView, PageView};
use crate::app::{App, now};
use crate::store::keys::{ApiKey, Role};

/// The longest label, in characters.
const LABEL_LENGTH_MAX: usize = 200;

refusals! {
    Creating: DOOR, BODY;
    Listing: DOOR;
    Revoking: DOOR, [KeyNotFound, RouteNotFound];
}

/// Create a key
///
/// The key is shown this once; only its hash is kept. Needs the role `admin`.
#[utoipa::path(
    post, path = "/api/keys", tag = "Keys", operation_id = "createKey",
    request_body = NewKeyBody,
    responses(
        (status = 201, description = "The key, shown this once", body = NewKeyView,
            headers(("Location" = String, description = "What `DELETE` revokes"))),
        Creating,
    ),
)]
pub(super) async fn create(
    MayAdminister(caller): MayAdminister,
    State(app): State<App>,
    JsonBody(mut fields): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let role = fields.parse::<Role>("role")?.ok_or_else(|| missing("role"))?;
    let label = fields.text("label")?;
    if label.as_ref().is_some_and(|label| label.chars().count() > LABEL_LENGTH_MAX) {
        return Err(Problem::invalid("label", format!("may have {LABEL_LENGTH_MAX} characters")));
    }
    let tenant = fields.parse("tenantId")?;
    if role == Role::Admin && tenant.is_some() {
        let why = "an admin's key opens all tenants; for one tenant make an operator's";
        return Err(Problem::invalid("tenantId", why));
    }
    let tenant = tenant.unwrap_or(caller.tenant);
    fields.finish()?;

    let about = ApiKey {
        id: Uuid::now_v7(),
        tenant: (role != Role::Admin).then_some(tenant),
        role,
        label,
        created_at: now(),
        revoked_at: None,
    };
    let key = mint().map_err(|why| Problem::internal(format!("mint a key: {why}")))?;
    app.store.create_key(&about, &hash(&key)).await.map_err(Problem::store_unavailable)?;

    let location = format!("/api/keys/{}", about.id);
    let view = NewKeyView { about: KeyView::from(&about), key };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)))
}

/// List keys
///
/// All keys of all tenants, without the keys themselves. Needs the role `admin`.
#[utoipa::path(
    get, path = "/api/keys", tag = "Keys", operation_id = "listKeys",
    responses((status = 200, description = "All keys", body = PageView<KeyView>), Listing),
)]
pub(super) async fn list(
    MayAdminister(_): MayAdminister,
    State(app): State<App>,
) -> Result<Json<PageView<KeyView>>, Problem> {
    let keys = app.store.list_keys(None).await.map_err(Problem::store_unavailable)?;
    Ok(Json(PageView { data: keys.iter().map(KeyView::from).collect(), next_cursor: None }))
}

/// Revoke a key
///
/// It opens nothing from now on. Needs the role `admin`.
#[utoipa::path(
    delete, path = "/api/keys/{id}", tag = "Keys", operation_id = "revokeKey",
    params(PathUuid),
    responses((status = 204, description = "It is revoked"), Revoking),
)]
pub(super) async fn revoke(
    MayAdminister(_): MayAdminister,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let not_found = || Problem::new(Code::KeyNotFound, format!("Key not found: {id}"));
    let key = id.parse::<Uuid>().map_err(|_| not_found())?;
    let revoked =
        app.store.revoke_key(key, Utc::now()).await.map_err(Problem::store_unavailable)?;
    if revoked { Ok(StatusCode::NO_CONTENT) } else { Err(not_found()) }
}

/// 32 bytes nobody can guess, from the kernel.
fn mint() -> std::io::Result<String> {
    let mut random = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{KEY_PREFIX}{hex}"))
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            tenant_id: key.tenant.clone(),
            role: key.role.as_str().to_owned(),
            label: key.label.clone(),
            created_at: key.created_at,
            revoked_at: key.revoked_at,
        }
    }
}

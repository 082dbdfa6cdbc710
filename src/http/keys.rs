//! `/api/keys`: who may use the API over TCP. A key is shown once; only its hash is kept.

use std::io::Read;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use chrono::Utc;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::auth::{KEY_PREFIX, MayAdminister, wanted_tenant};
use super::fields::missing;
use super::openapi::{KeyListQuery, NewKeyBody, PathUuid, refusals};
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::view::{KeyView, NewKeyView, PageView};
use crate::app::manage_tenants::know;
use crate::app::{App, now};
use crate::store::keys::{ApiKey, KeyHash, Role};

/// The longest label, in characters.
const LABEL_LENGTH_MAX: usize = 200;

refusals! {
    Creating: DOOR, BODY;
    Listing: DOOR, [UnknownField];
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
    let tenant = tenant.unwrap_or_else(|| caller.tenant.clone());
    fields.finish()?;

    let about = ApiKey {
        id: Uuid::now_v7(),
        tenant: (role != Role::Admin).then_some(tenant),
        role,
        label,
        created_at: now(),
        revoked_at: None,
    };
    let key = mint(about.id).map_err(|why| Problem::internal(format!("mint a key: {why}")))?;
    let hash = KeyHash::of(key.expose_secret());
    if let Some(tenant) = &about.tenant {
        know(&app, tenant, &caller.origin).await?;
    }
    app.store
        .create_key(&about, &hash, &caller.origin)
        .await
        .map_err(Problem::store_unavailable)?;

    let location = format!("/api/keys/{}", about.id);
    let view = NewKeyView { about: KeyView::from(&about), key };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)))
}

/// List keys
///
/// The keys of all tenants, or of the one that is named, without the keys themselves. Needs the role `admin`.
#[utoipa::path(
    get, path = "/api/keys", tag = "Keys", operation_id = "listKeys",
    params(KeyListQuery),
    responses((status = 200, description = "A part of the list", body = PageView<KeyView>), Listing),
)]
pub(super) async fn list(
    MayAdminister(_): MayAdminister,
    State(app): State<App>,
    QueryString(mut query): QueryString,
    headers: HeaderMap,
) -> Result<Json<PageView<KeyView>>, Problem> {
    let (in_query, in_header) = (query.parse("tenantId")?, wanted_tenant(&headers)?);
    if in_query.is_some() && in_header.is_some() && in_query != in_header {
        return Err(Problem::invalid("tenantId", "is another than X-Tenant-Id names"));
    }
    let limit = page_limit(&mut query)?;
    let cursor = query.text("cursor")?;
    query.finish()?;

    let tenant = in_query.or(in_header);
    let page = app.store.list_keys(tenant.as_ref(), limit, cursor.as_deref()).await?;
    let data = page.items.iter().map(KeyView::from).collect();
    Ok(Json(PageView { data, next_cursor: page.next }))
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
    MayAdminister(caller): MayAdminister,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let not_found = || Problem::new(Code::KeyNotFound, format!("Key not found: {id}"));
    let key = id.parse::<Uuid>().map_err(|_| not_found())?;
    let revoked = app
        .store
        .revoke_key(key, &caller.origin, Utc::now())
        .await
        .map_err(Problem::store_unavailable)?;
    if revoked { Ok(StatusCode::NO_CONTENT) } else { Err(not_found()) }
}

/// `rk_`, the id, `_` and 32 bytes nobody can guess, from the kernel.
fn mint(id: Uuid) -> std::io::Result<SecretString> {
    let mut random = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{KEY_PREFIX}{}_{secret}", id.simple()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_its_id_and_keeps_its_secret() {
        let id = Uuid::now_v7();

        let (one, other) = (mint(id).unwrap(), mint(id).unwrap());

        let said = one.expose_secret().strip_prefix("rk_").unwrap();
        let (its_id, secret) = said.split_once('_').unwrap();
        assert_eq!(its_id, id.simple().to_string());
        assert!(secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit()), "{secret}");
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert!(!format!("{one:?}").contains(secret));
    }
}

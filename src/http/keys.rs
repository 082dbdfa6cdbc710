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
use super::problem::{Code, Problem};
use super::request::{JsonBody, PathId, QueryString, page_limit};
use super::view::{KeyView, NewKeyView, PageView};
use crate::app::manage_tenants::know;
use crate::app::{App, now};
use crate::store::keys::{ApiKey, KeyHash, Role};

/// The longest label, in bytes.
const LABEL_LENGTH_MAX: usize = 200;

/// `POST /api/keys`
pub(super) async fn create(
    MayAdminister(caller): MayAdminister,
    State(app): State<App>,
    JsonBody(mut fields): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let role = fields.parse::<Role>("role")?.ok_or_else(|| missing("role"))?;
    let label = fields.text("label")?;
    if label.as_ref().is_some_and(|label| label.len() > LABEL_LENGTH_MAX) {
        return Err(Problem::invalid("label", format!("may have {LABEL_LENGTH_MAX} bytes")));
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

/// `GET /api/keys`: all, or one tenant's where a tenant is named.
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

/// `DELETE /api/keys/{id}`
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

//! Who is asking, for which tenant, and whether they may.
//!
//! On TCP a caller shows a key; on the control socket the peer is an administrator. A handler says
//! what it needs by the type it asks for ([`MayRead`], [`MayCall`], [`MayChange`],
//! [`MayAudit`], [`MayAdminister`]) and gets the tenant from there and nowhere else.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use tracing::debug;

use super::problem::{Code, Problem};
use super::request_id::RequestId;
use crate::app::App;
use crate::domain::audit::Origin;
use crate::domain::tenant::TenantId;
use crate::store::keys::{ApiKey, Role};

/// The header by which an administrator names a tenant.
const X_TENANT_ID: &str = "x-tenant-id";

/// What every key begins with, so that a leaked one is recognised.
pub(super) const KEY_PREFIX: &str = "rk_";

/// The longest key we look up, in bytes.
const KEY_LENGTH_MAX: usize = 128;

/// By which door a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// TCP: the caller must show a key.
    Tcp {
        /// Where the caller is.
        peer: SocketAddr,
    },
    /// The control socket: the kernel names the peer.
    Socket {
        /// The peer's user id.
        uid: u32,
    },
}

/// Somebody we know, acting for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose data is read and changed.
    pub tenant: TenantId,
    /// What the caller may do.
    pub role: Role,
    /// Who it is, for the audit log.
    pub origin: Origin,
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident: $($role:ident),+;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub Caller);

        impl FromRequestParts<App> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
                let caller = identify(parts, app).await?;
                let allowed = [$(Role::$role),+].contains(&caller.role);
                if allowed { Ok(Self(caller)) } else { Err(forbidden(caller.role)) }
            }
        }
    )*};
}

rights! {
    /// May look at DIDs and calls.
    MayRead: Admin, Operator, Journey, Viewer;
    /// May place calls.
    MayCall: Admin, Operator, Journey;
    /// May change a tenant's DIDs.
    MayChange: Admin, Operator;
    /// May look at who did what.
    MayAudit: Admin, Operator;
    /// May do what concerns all tenants.
    MayAdminister: Admin;
}

impl Caller {
    /// The same caller for the tenant that a request's body names.
    pub(super) fn acting_for(self, tenant: TenantId) -> Result<Self, Problem> {
        if tenant == self.tenant || self.role == Role::Admin {
            return Ok(Self { tenant, ..self });
        }
        Err(other_tenant())
    }
}

/// What is kept of a key.
pub(super) fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

async fn identify(parts: &Parts, app: &App) -> Result<Caller, Problem> {
    let wanted = wanted_tenant(&parts.headers)?;
    let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
    match parts.extensions.get::<Door>() {
        Some(Door::Socket { uid }) => {
            debug!("an administrator by uid {uid}");
            Ok(admin_for(wanted, Origin::user(*uid, request_id)))
        }
        Some(Door::Tcp { peer }) => {
            let key = bearer(&parts.headers)?;
            // Looked up by its hash: how long that takes tells nothing about any key.
            let found = app.store.find_key(&hash(key)).await.map_err(Problem::store_unavailable)?;
            let key = found.ok_or_else(unknown_key)?;
            let origin = Origin::key(key.id, *peer, request_id);
            caller_with(&key, wanted, origin)
        }
        None => Err(Problem::internal("a request came in by no door")),
    }
}

fn caller_with(key: &ApiKey, wanted: Option<TenantId>, origin: Origin) -> Result<Caller, Problem> {
    match (key.role, &key.tenant) {
        (Role::Admin, _) => Ok(admin_for(wanted, origin)),
        (role, Some(own)) => {
            let caller = Caller { tenant: own.clone(), role, origin };
            wanted.map_or(Ok(caller.clone()), |tenant| caller.acting_for(tenant))
        }
        (role, None) => Err(forbidden(role)),
    }
}

fn admin_for(wanted: Option<TenantId>, origin: Origin) -> Caller {
    let tenant = wanted.unwrap_or_else(TenantId::default_tenant);
    Caller { tenant, role: Role::Admin, origin }
}

/// The tenant that a request's header names.
pub(super) fn wanted_tenant(headers: &HeaderMap) -> Result<Option<TenantId>, Problem> {
    let Some(given) = headers.get(X_TENANT_ID) else { return Ok(None) };
    let text = given.to_str().map_err(|_| Problem::invalid("X-Tenant-Id", "is not ASCII"))?;
    text.parse().map(Some).map_err(|why| Problem::invalid("X-Tenant-Id", why))
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let detail = "Show a key: Authorization: Bearer KEY (`rotary keys create` makes one)";
    let missing = || Problem::new(Code::Unauthorized, detail);
    let given = headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, key) = given.split_once(' ').ok_or_else(missing)?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    if !key.starts_with(KEY_PREFIX) || key.len() > KEY_LENGTH_MAX {
        return Err(unknown_key());
    }
    Ok(key)
}

fn unknown_key() -> Problem {
    Problem::new(Code::Unauthorized, "This key opens nothing: it is unknown or was revoked")
}

fn forbidden(role: Role) -> Problem {
    let detail = format!("A key with the role {role} may not do this", role = role.as_str());
    Problem::new(Code::Forbidden, detail)
}

fn other_tenant() -> Problem {
    Problem::new(Code::Forbidden, "This key acts for its own tenant only")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_an_administrator_may_name_another_tenant() {
        let acme: TenantId = "acme".parse().unwrap();
        let other: TenantId = "other".parse().unwrap();
        let operator = key(Role::Operator, Some(&acme));

        assert_eq!(caller_with(&operator, None, Origin::rotary()).unwrap().tenant, acme);
        assert_eq!(
            caller_with(&operator, Some(acme), Origin::rotary()).unwrap().role,
            Role::Operator
        );
        let refused = caller_with(&operator, Some(other.clone()), Origin::rotary()).unwrap_err();
        assert_eq!(refused.code(), Code::Forbidden);

        let admin =
            caller_with(&key(Role::Admin, None), Some(other.clone()), Origin::rotary()).unwrap();
        assert_eq!(admin.tenant, other);
    }

    #[test]
    fn a_key_without_a_tenant_opens_nothing_unless_it_is_an_administrators() {
        let refused = caller_with(&key(Role::Viewer, None), None, Origin::rotary()).unwrap_err();

        assert_eq!(refused.code(), Code::Forbidden);
    }

    #[test]
    fn only_a_bearer_key_is_a_key() {
        let read = |value: &str| {
            let headers = [(AUTHORIZATION, value.parse().unwrap())].into_iter().collect();
            bearer(&headers).map(str::to_owned).map_err(|problem| problem.code())
        };

        assert_eq!(read("bearer rk_1"), Ok("rk_1".to_owned()));
        assert_eq!(read("Basic rk_1"), Err(Code::Unauthorized));
        assert_eq!(read("Bearer secret"), Err(Code::Unauthorized));
    }

    fn key(role: Role, tenant: Option<&TenantId>) -> ApiKey {
        ApiKey {
            id: Uuid::nil(),
            tenant: tenant.cloned(),
            role,
            label: None,
            created_at: DateTime::UNIX_EPOCH,
            revoked_at: None,
        }
    }
}

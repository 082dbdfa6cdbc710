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
use tracing::debug;
use uuid::Uuid;

use super::limits::Gate;
use super::problem::{Code, Problem};
use super::request_id::RequestId;
use crate::app::App;
use crate::domain::audit::{Actor, Origin};
use crate::domain::tenant::TenantId;
use crate::store::keys::{ApiKey, KeyHash, Role};

/// The header by which an administrator names a tenant.
const X_TENANT_ID: &str = "x-tenant-id";

/// What every key begins with, so that a leaked one is recognised.
pub(super) const KEY_PREFIX: &str = "rk_";

/// How many hexadecimal digits a key has of its id, and how many of its secret.
const ID_DIGITS: usize = 32;
const SECRET_DIGITS: usize = 64;

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
    /// May change a tenant's DIDs and campaigns.
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

    /// Whether the caller's key still opens something, for an answer that goes on after it was
    /// looked up. A store that cannot be asked revokes nothing.
    pub(super) async fn is_welcome(&self, app: &App) -> bool {
        match self.origin.actor {
            Actor::Key(id) => app.store.find_key(id).await.as_ref().map_or(true, Option::is_some),
            Actor::User(_) | Actor::Rotary => true,
        }
    }
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
            let gate = parts.extensions.get::<Gate>();
            let gate = gate.ok_or_else(|| Problem::internal("a request came in past no gate"))?;
            let key = key_shown(bearer(&parts.headers)?, *peer, gate, app).await?;
            let origin = Origin::key(key.id, *peer, request_id);
            caller_with(&key, wanted, origin)
        }
        None => Err(Problem::internal("a request came in by no door")),
    }
}

/// The key that is shown, if it is good. It is looked up every time: revoked, here or by another
/// daemon, it opens nothing any more.
async fn key_shown(
    shown: &str,
    peer: SocketAddr,
    gate: &Gate,
    app: &App,
) -> Result<ApiKey, Problem> {
    let (id, hash) = (id_in(shown), KeyHash::of(shown));
    let known = gate.knows(&hash);
    match id {
        // Before the store is asked: that is what a limit spares.
        Some(id) if known => gate.may_ask(id)?,
        Some(_) | None => gate.may_try(peer.ip())?,
    }
    let found = match id {
        Some(id) => app.store.find_key(id).await.map_err(Problem::store_unavailable)?,
        None => None,
    };
    // An id that is unknown or revoked is compared too, so that time does not tell it from a wrong secret.
    let stored = found.as_ref().map_or(KeyHash::OF_NO_KEY, |found| found.hash);
    let good = stored.is(&hash);
    let Some(found) = found.filter(|_| good) else {
        gate.count_failure(peer.ip(), &hash);
        return Err(unknown_key());
    };
    if !known {
        gate.remember(&hash);
        gate.may_ask(found.about.id)?;
    }
    Ok(found.about)
}

/// The id in a key's text; none where the text has not the form of a key.
fn id_in(key: &str) -> Option<Uuid> {
    let (id, secret) = key.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    let digits = |text: &str, count| text.len() == count && text.bytes().all(is_digit);
    let is_key = digits(id, ID_DIGITS) && digits(secret, SECRET_DIGITS);
    is_key.then(|| id.parse().ok()).flatten()
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
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

/// The tenant that the request names, if it names one.
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
    if scheme.eq_ignore_ascii_case("bearer") { Ok(key) } else { Err(missing()) }
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
        assert_eq!(read("rk_1"), Err(Code::Unauthorized));
    }

    #[test]
    fn a_key_is_known_by_its_id_and_by_nothing_less_than_its_form() {
        let (id, secret) = ("0192f0c13b7e7a108000000000000001", "0123456789abcdef".repeat(4));

        assert_eq!(id_in(&format!("rk_{id}_{secret}")), id.parse().ok());
        for text in [
            "secret".to_owned(),
            format!("rk_{secret}"),
            format!("{id}_{secret}"),
            format!("rk_{id}_{secret}0"),
            format!("rk_{}_{secret}", id.to_uppercase()),
            format!("rk_{id}_{}_", &secret[1..]),
        ] {
            assert_eq!(id_in(&text), None, "{text}");
        }
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

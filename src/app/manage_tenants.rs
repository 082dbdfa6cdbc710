//! Tenants come into being: because somebody made them, or because somebody named them.

use std::io::{self, Read};

use secrecy::SecretString;

use super::{App, now};
use crate::domain::audit::Origin;
use crate::domain::tenant::{Tenant, TenantId, webhook_secret};
use crate::store::StoreError;

/// Why a tenant was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// There is a tenant with this id.
    #[error("Tenant already exists: {0}")]
    Exists(TenantId),
    /// There is no tenant with this id.
    #[error("Tenant not found: {0}")]
    NotFound(TenantId),
    /// The kernel gives no random bytes for a secret.
    #[error("mint a webhook secret: {0}")]
    Mint(io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a tenant, with a secret of its own.
pub async fn create(
    app: &App,
    id: TenantId,
    name: Option<String>,
    origin: &Origin,
) -> Result<Tenant, TenantError> {
    let now = now();
    let webhook_secret = mint()?;
    let tenant = Tenant { id, name, webhook_secret, created_at: now, updated_at: now };
    match app.store.create_tenant(&tenant, origin).await? {
        true => Ok(tenant),
        false => Err(TenantError::Exists(tenant.id)),
    }
}

/// The tenant of this id, made where there is none. Ids come from elsewhere, so whoever may act for
/// a tenant may be the first to name it.
pub async fn know(app: &App, id: &TenantId, origin: &Origin) -> Result<Tenant, TenantError> {
    if let Some(known) = app.store.tenant(id).await? {
        return Ok(known);
    }
    match create(app, id.clone(), None, origin).await {
        // Somebody else named it at the same moment.
        Err(TenantError::Exists(id)) => {
            app.store.tenant(&id).await?.ok_or(TenantError::NotFound(id))
        }
        made => made,
    }
}

/// Gives a tenant another secret. What was signed with the old one no longer holds.
pub async fn rotate_secret(
    app: &App,
    id: &TenantId,
    origin: &Origin,
) -> Result<Tenant, TenantError> {
    let rotated = app.store.rotate_webhook_secret(id, &mint()?, origin, now()).await?;
    rotated.ok_or_else(|| TenantError::NotFound(id.clone()))
}

/// 32 bytes nobody can guess, from the kernel.
fn mint() -> Result<SecretString, TenantError> {
    let mut random = [0_u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(TenantError::Mint)?;
    Ok(webhook_secret(random))
}

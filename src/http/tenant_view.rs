//! What a tenant looks like in JSON.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::tenant::{Tenant, TenantId};

/// A tenant. It has no `Debug`, for it may hold the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantView {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: Option<String>,
    /// What signs its callbacks; only an administrator sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    /// When it was first heard of.
    pub created_at: DateTime<Utc>,
    /// When its name or its secret changed last.
    pub updated_at: DateTime<Utc>,
}

impl TenantView {
    /// As an administrator sees it.
    pub fn with_secret(tenant: &Tenant) -> Self {
        let secret = tenant.webhook_secret.expose_secret().to_owned();
        Self { webhook_secret: Some(secret), ..Self::without_secret(tenant) }
    }

    /// As its own people see it.
    pub fn without_secret(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id.clone(),
            name: tenant.name.clone(),
            webhook_secret: None,
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        }
    }
}

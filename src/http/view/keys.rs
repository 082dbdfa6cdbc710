//! A key, as it is listed, and as it is shown to whoever made it.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::tenant::TenantId;
use crate::store::keys::ApiKey;

/// A key, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Its id.
    pub id: Uuid,
    /// Whose it is; none is all tenants.
    pub tenant_id: Option<TenantId>,
    /// What it may do.
    pub role: String,
    /// What it is for.
    pub label: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key just created.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewKeyView {
    /// All but the key.
    #[serde(flatten)]
    pub about: KeyView,
    /// The key, which is not kept and not shown again.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String, pattern = "^rk_[0-9a-f]{32}_[0-9a-f]{64}$")]
    pub key: SecretString,
}

/// This once.
fn exposed<S: Serializer>(key: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose_secret())
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

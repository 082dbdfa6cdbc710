//! The secrets that sign tenants' callbacks, as they stand in `tenants`.

use chrono::{DateTime, Utc};

use crate::domain::tenant::TenantId;
use crate::store::{During, Store, StoreError, on};

const READ: &str = "select webhook_secret from tenants where id = $1";

/// A tenant nobody described has no row yet. Whoever is first gives it its secret.
const GIVE: &str = "insert into tenants (id, webhook_secret, created_at, updated_at) \
     values ($1, $2, $3, $3) on conflict (id) do nothing";

impl Store {
    /// The tenant's secret, as it is written; none if it has none yet.
    pub async fn webhook_secret(&self, tenant: &TenantId) -> Result<Option<String>, StoreError> {
        on!(self.reads(), pool => sqlx::query_scalar(READ)
            .bind(tenant.as_str())
            .fetch_optional(pool)
            .await)
        .during("read the tenant's webhook secret")
    }

    /// Gives the tenant this secret if it has none yet.
    pub async fn give_webhook_secret(
        &self,
        tenant: &TenantId,
        secret: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        on!(self.writes(), pool => sqlx::query(GIVE)
            .bind(tenant.as_str())
            .bind(secret)
            .bind(now)
            .execute(pool)
            .await
            .map(drop))
        .during("give the tenant a webhook secret")
    }
}

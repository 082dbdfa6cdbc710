//! The table `tenants`.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

use super::audit_log::tell;
use super::{During, ListError, Page, Store, StoreError, Unreadable, on, stored_time, together};
use crate::domain::audit::Origin;
use crate::domain::tenant::{Tenant, TenantId};

const READ: &str = "select * from tenants where id = $1";
const INSERT: &str = "insert into tenants (id, name, webhook_secret, created_at, updated_at) \
     values ($1, $2, $3, $4, $4) on conflict (id) do nothing";
const LIST: &str = "select * from tenants where id > $1 order by id limit $2";
const ROTATE: &str =
    "update tenants set webhook_secret = $2, updated_at = $3 where id = $1 returning *";

impl Store {
    /// Stores a new tenant and tells the audit log; false where there is one with this id, which
    /// stays as it is.
    pub async fn create_tenant(
        &self,
        tenant: &Tenant,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let subject = ("tenant", tenant.id.to_string());
        let line = origin
            .did("tenant.created", subject, tenant.created_at)
            .of(&tenant.id)
            .changing(None, Some(json!({"id": tenant.id, "name": tenant.name})));
        together!(self.writes(), db => {
            let done = sqlx::query(INSERT)
                .bind(tenant.id.as_str())
                .bind(tenant.name.as_deref())
                .bind(tenant.webhook_secret.expose_secret())
                .bind(stored_time(tenant.created_at))
                .execute(&mut *db)
                .await?;
            let is_new = done.rows_affected() > 0;
            if is_new {
                tell!(db, &line)?;
            }
            is_new
        })
        .during("store the tenant")
    }

    /// The tenant of this id.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        let row: Option<TenantRow> = on!(self.reads(), pool => sqlx::query_as(READ)
            .bind(id.as_str())
            .fetch_optional(pool)
            .await)
        .during("read the tenant")?;
        row.map(Tenant::try_from).transpose().during("read the tenant")
    }

    /// Up to `limit` tenants in the order of their ids, from where `cursor` left off.
    pub async fn list_tenants(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Tenant>, ListError> {
        let after = match cursor {
            None => String::new(),
            Some(text) => match text.parse::<TenantId>() {
                Ok(id) => id.to_string(),
                Err(_) => return Err(ListError::Cursor(text.to_owned())),
            },
        };
        let rows: Vec<TenantRow> = on!(self.reads(), pool => sqlx::query_as(LIST)
            .bind(&after)
            .bind(i64::from(limit) + 1)
            .fetch_all(pool)
            .await)
        .during("list the tenants")?;
        let tenants: Result<Vec<_>, _> = rows.into_iter().map(Tenant::try_from).collect();
        let tenants = tenants.during("list the tenants")?;
        Ok(Page::of(tenants, limit as usize, |last| last.id.to_string()))
    }

    /// Gives a tenant another secret and tells the audit log that it did, not which; none where
    /// there is no such tenant.
    pub async fn rotate_webhook_secret(
        &self,
        id: &TenantId,
        secret: &SecretString,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Option<Tenant>, StoreError> {
        let line = origin.did("tenant.secret_rotated", ("tenant", id.to_string()), now).of(id);
        let row: Result<Option<TenantRow>, sqlx::Error> = together!(self.writes(), db => {
            let row: Option<TenantRow> = sqlx::query_as(ROTATE)
                .bind(id.as_str())
                .bind(secret.expose_secret())
                .bind(stored_time(now))
                .fetch_optional(&mut *db)
                .await?;
            if row.is_some() {
                tell!(db, &line)?;
            }
            row
        });
        let row = row.during("rotate the webhook secret")?;
        row.map(Tenant::try_from).transpose().during("rotate the webhook secret")
    }
}

#[derive(sqlx::FromRow)]
struct TenantRow {
    id: String,
    name: Option<String>,
    webhook_secret: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<TenantRow> for Tenant {
    type Error = Unreadable;

    fn try_from(row: TenantRow) -> Result<Self, Unreadable> {
        Ok(Self {
            // Rows of this table have no UUID to be named by; the problem names the text.
            id: row.id.parse().map_err(|error| Unreadable::new(Uuid::nil(), error))?,
            name: row.name,
            webhook_secret: row.webhook_secret.into(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

//! API keys, of which only the hash is kept.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::audit_log::tell;
use super::{During, ListError, Page, Store, StoreError, Unreadable, on, stored_time, together};
use crate::domain::audit::{Entry, Origin};
use crate::domain::tenant::TenantId;

/// What the bearer of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, for every tenant.
    Admin,
    /// Everything of one tenant.
    Operator,
    /// Calls and picks.
    Journey,
    /// Reads.
    Viewer,
}

/// A key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, by which it is revoked.
    pub id: Uuid,
    /// The tenant it belongs to; none for an administrator of all.
    pub tenant: Option<TenantId>,
    /// What it allows.
    pub role: Role,
    /// What its maker wrote down.
    pub label: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ceased to open anything.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The SHA-256 of a whole key. A key's secret is 32 random bytes, so there is nothing to guess
/// that a slower hash would protect.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

/// A key as it stands in the store, to be compared with one that is shown.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// All but its hash.
    pub about: ApiKey,
    /// Its hash, which goes no further than to where keys are compared.
    pub hash: KeyHash,
}

const CREATE: &str = "insert into api_keys (id, tenant_id, role, label, hash, created_at, revoked_at) \
     values ($1, $2, $3, $4, $5, $6, $7)";
const FIND: &str = "select id, tenant_id, role, label, created_at, revoked_at, hash from api_keys \
     where id = $1 and revoked_at is null";
macro_rules! list {
    ($on:literal) => {
        concat!(
            "select id, tenant_id, role, label, created_at, revoked_at from api_keys \
             where (cast($1 as text) is null or tenant_id = $1) ",
            $on,
            " order by id limit $2"
        )
    };
}
const LIST: &str = list!("");
const LIST_ON: &str = list!("and id > $3");
const REVOKE: &str = "update api_keys set revoked_at = $2 where id = $1 and revoked_at is null \
     returning tenant_id";

impl Store {
    /// Stores a key and its hash and tells the audit log who made it.
    pub async fn create_key(
        &self,
        key: &ApiKey,
        hash: &KeyHash,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let about = json!({"tenantId": key.tenant, "role": key.role.as_str(), "label": key.label});
        let line = origin.did("key.created", ("key", key.id.to_string()), key.created_at);
        let line = Entry { tenant: key.tenant.clone(), ..line.changing(None, Some(about)) };
        together!(self.writes(), db => {
            sqlx::query(CREATE)
                .bind(key.id)
                .bind(key.tenant.as_ref().map(TenantId::as_str))
                .bind(key.role.as_str())
                .bind(key.label.as_deref())
                .bind(hash.0.as_slice())
                .bind(stored_time(key.created_at))
                .bind(key.revoked_at.map(stored_time))
                .execute(&mut *db)
                .await?;
            tell!(db, &line)?;
        })
        .during("store the key")
    }

    /// The key with this id, unless it was revoked. An id opens nothing: compare the hash.
    pub async fn find_key(&self, id: Uuid) -> Result<Option<StoredKey>, StoreError> {
        let row: Option<StoredKeyRow> = on!(self.reads(), pool => sqlx::query_as(FIND)
            .bind(id)
            .fetch_optional(pool)
            .await)
        .during("look up the key")?;
        row.map(StoredKey::try_from).transpose().during("look up the key")
    }

    /// Up to `limit` keys of one tenant, or of all and the administrators', the oldest first, from
    /// where `cursor` left off.
    pub async fn list_keys(
        &self,
        tenant: Option<&TenantId>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<ApiKey>, ListError> {
        // Ids rise with time.
        let after = cursor.map(read_cursor).transpose()?;
        let rows: Vec<KeyRow> = on!(self.reads(), pool => {
            let query = sqlx::query_as(if after.is_some() { LIST_ON } else { LIST })
                .bind(tenant.map(TenantId::as_str))
                .bind(i64::from(limit) + 1);
            match after {
                None => query.fetch_all(pool).await,
                Some(id) => query.bind(id).fetch_all(pool).await,
            }
        })
        .during("list the keys")?;
        let keys: Result<Vec<ApiKey>, _> = rows.into_iter().map(ApiKey::try_from).collect();
        let keys = keys.during("list the keys")?;
        Ok(Page::of(keys, limit as usize, |last| last.id.to_string()))
    }

    /// Revokes a key and tells the audit log who did; false where there is none, or it was revoked
    /// before.
    pub async fn revoke_key(
        &self,
        id: Uuid,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let line = origin.did("key.revoked", ("key", id.to_string()), now);
        together!(self.writes(), db => {
            let tenant: Option<Option<String>> = sqlx::query_scalar(REVOKE)
                .bind(id)
                .bind(stored_time(now))
                .fetch_optional(&mut *db)
                .await?;
            if let Some(tenant) = &tenant {
                let tenant = tenant.as_deref().and_then(|text| text.parse().ok());
                tell!(db, &Entry { tenant, ..line.clone() })?;
            }
            tenant.is_some()
        })
        .during("revoke the key")
    }
}

impl KeyHash {
    /// What no key hashes to, to be compared with where there is no key: an unknown id is refused
    /// by the same work as a wrong secret.
    pub const OF_NO_KEY: Self = Self([0; 32]);

    /// The hash of a whole key as its bearer shows it.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Whether both are of one key. Takes as long whatever they hold.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The bytes, to find a hash among others.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Role {
    const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Journey, Self::Viewer];

    /// The word used in the table and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Journey => "journey",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role (admin, operator, journey and viewer are)")]
pub struct InvalidRole(pub String);

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| InvalidRole(text.to_owned()))
    }
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    tenant_id: Option<String>,
    role: String,
    label: Option<String>,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct StoredKeyRow {
    #[sqlx(flatten)]
    about: KeyRow,
    hash: Vec<u8>,
}

fn read_cursor(text: &str) -> Result<Uuid, ListError> {
    text.parse().map_err(|_| ListError::Cursor(text.to_owned()))
}

impl TryFrom<StoredKeyRow> for StoredKey {
    type Error = Unreadable;

    fn try_from(row: StoredKeyRow) -> Result<Self, Unreadable> {
        let id = row.about.id;
        let hash = row.hash.as_slice().try_into().map_err(|error| Unreadable::new(id, error))?;
        Ok(Self { about: row.about.try_into()?, hash: KeyHash(hash) })
    }
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = Unreadable;

    fn try_from(row: KeyRow) -> Result<Self, Unreadable> {
        let id = row.id;
        Ok(Self {
            id,
            tenant: row
                .tenant_id
                .map(|text| text.parse())
                .transpose()
                .map_err(|error| Unreadable::new(id, error))?,
            role: row.role.parse().map_err(|error| Unreadable::new(id, error))?,
            label: row.label,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        })
    }
}

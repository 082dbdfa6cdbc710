//! The table `asterisk_dids`: one DID and lists of them.
//!
//! Counting uses is not here but in the ledger.

mod change;
mod held;
mod import;
mod import_told;
mod list;
mod load;
mod row;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use self::row::DidRow;
use super::audit_log::tell;
use super::{During, Store, StoreError, on, stored_time, together};
use crate::domain::audit::Origin;
use crate::domain::did::{Did, DidId, NewDid};
use crate::domain::did_change::whole;
use crate::domain::number::E164;
use crate::domain::tenant::{CampaignId, TenantId};

pub(in crate::store) use self::row::{Shared, saturate, texts_of};

pub use self::change::{ChangeError, Changed};
pub use self::import::{Imported, OnDuplicate};
pub use self::import_told::Importer;
pub use self::list::{DidFilter, DidPlace, DidSort};

/// Why a DID was not stored.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// The tenant has a DID with this number.
    #[error("DID already exists")]
    Exists,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const READ_ONE: &str = "select * from asterisk_dids where tenant_id = $1 and id = $2";
const READ_NUMBER: &str = "select * from asterisk_dids where tenant_id = $1 and number = $2";
const INSERT: &str = "insert into asterisk_dids (id, tenant_id, number, area_code, trunk, status, \
     max_usage, campaign_id, metadata, created_at, updated_at, head_start) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)";

impl Store {
    /// Stores a new DID of `tenant` and tells the audit log who made it.
    pub async fn insert_did(
        &self,
        tenant: &TenantId,
        new: &NewDid,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Did, InsertError> {
        let now = stored_time(now);
        let did = stored(tenant, new, now);
        let line = origin
            .did("did.created", ("did", did.id.to_string()), now)
            .of(tenant)
            .changing(None, Some(whole(&did)));
        let done: Result<(), sqlx::Error> = together!(self.writes(), db => {
            sqlx::query(INSERT)
                .bind(new.id.0)
                .bind(tenant.as_str())
                .bind(new.number.to_string())
                .bind(new.area_code.map(|code| code.to_string()))
                .bind(new.trunk.as_str())
                .bind(new.status.as_str())
                .bind(new.max_usage.map(i64::from))
                .bind(new.campaign.as_ref().map(CampaignId::as_str))
                .bind(Json(&new.metadata))
                .bind(now)
                .bind(i64::from(new.head_start))
                .execute(&mut *db)
                .await?;
            tell!(db, &line)?;
        });
        match done {
            Err(sqlx::Error::Database(answer)) if answer.is_unique_violation() => {
                Err(InsertError::Exists)
            }
            done => {
                done.during("store the DID")?;
                Ok(did)
            }
        }
    }

    /// The tenant's DID with this id.
    pub async fn did(&self, tenant: &TenantId, id: DidId) -> Result<Option<Did>, StoreError> {
        let row: Option<DidRow> = on!(self.reads(), pool => sqlx::query_as(READ_ONE)
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(pool)
            .await)
        .during("read the DID")?;
        row.map(Did::try_from).transpose().during("read the DID")
    }

    /// The tenant's DID with this number.
    pub async fn did_by_number(
        &self,
        tenant: &TenantId,
        number: E164,
    ) -> Result<Option<Did>, StoreError> {
        let row: Option<DidRow> = on!(self.reads(), pool => sqlx::query_as(READ_NUMBER)
            .bind(tenant.as_str())
            .bind(number.to_string())
            .fetch_optional(pool)
            .await)
        .during("read the DID")?;
        row.map(Did::try_from).transpose().during("read the DID")
    }
}

fn stored(tenant: &TenantId, new: &NewDid, now: DateTime<Utc>) -> Did {
    Did {
        id: new.id,
        tenant: tenant.clone(),
        number: new.number,
        area_code: new.area_code,
        trunk: new.trunk.clone(),
        status: new.status,
        usage_count: 0,
        max_usage: new.max_usage,
        last_used: None,
        campaign: new.campaign.clone(),
        head_start: new.head_start,
        metadata: new.metadata.clone(),
        created_at: now,
        updated_at: now,
    }
}

//! One DID changed, deleted, or its count set back: each with its line in the audit log.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::row::DidRow;
use crate::domain::audit::{Entry, Origin};
use crate::domain::did::{Did, DidId};
use crate::domain::did_change::{DidChange, difference, whole};
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::audit_log::tell;
use crate::store::error::is_contention;
use crate::store::{During, Pool, Store, StoreError, Unreadable, stored_time, together};

/// A DID before and after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// What it was.
    pub before: Did,
    /// What it is now.
    pub after: Did,
}

/// Why a DID was not changed. Nothing happened.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The tenant has no such DID.
    #[error("DID not found: {0}")]
    NotFound(DidId),
    /// The tenant has another DID with the number it was to have.
    #[error("DID already exists")]
    Exists,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How often a change is tried that gets into a deadlock with another daemon's import.
const ATTEMPTS_MAX: u32 = 5;

/// Nobody else changes or counts the row until the change of it is committed.
const READ_POSTGRES: &str =
    "select * from asterisk_dids where tenant_id = $1 and id = $2 for update";
/// SQLite has one writer at a time anyway.
const READ_SQLITE: &str = "select * from asterisk_dids where tenant_id = $1 and id = $2";

const UPDATE: &str = "update asterisk_dids set number = $3, area_code = $4, trunk = $5, status = $6, \
     max_usage = $7, campaign_id = $8, metadata = $9, usage_count = $10, updated_at = $11, \
     head_start = $12 \
     where tenant_id = $1 and id = $2";
const DELETE: &str = "delete from asterisk_dids where tenant_id = $1 and id = $2";

impl Store {
    /// Changes what `change` says of the tenant's DID and tells the audit log what differs. The
    /// count is the store's own and stays; `head_start` says from the DID before and after the
    /// change where it stands then. A change that changes nothing is not told.
    ///
    /// Once this returns, the ledger goes by the new status and limit.
    pub async fn update_did(
        &self,
        tenant: &TenantId,
        id: DidId,
        change: &DidChange,
        head_start: impl Fn(&Did, &Did) -> u32,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Changed, ChangeError> {
        let line = origin.did("did.updated", ("did", id.to_string()), now).of(tenant);
        let change = |did: &Did| {
            let after = change.applied_to(did);
            Did { head_start: head_start(did, &after), ..after }
        };
        self.rewrite_did(tenant, id, line, change).await
    }

    /// Sets the tenant's DID's count of uses back to 0; `head_start` says from the DID before the
    /// change where it stands then.
    pub async fn reset_usage(
        &self,
        tenant: &TenantId,
        id: DidId,
        head_start: impl Fn(&Did) -> u32,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Changed, ChangeError> {
        let line = origin.did("did.usage_reset", ("did", id.to_string()), now).of(tenant);
        let change = |did: &Did| Did { usage_count: 0, head_start: head_start(did), ..did.clone() };
        self.rewrite_did(tenant, id, line, change).await
    }

    /// Deletes the tenant's DID and says what it was. Its calls stay; a use of it that is on its
    /// way will be refused by the ledger.
    pub async fn delete_did(
        &self,
        tenant: &TenantId,
        id: DidId,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Did, ChangeError> {
        let line = origin.did("did.deleted", ("did", id.to_string()), now).of(tenant);
        let gone: Result<Option<Result<Did, Unreadable>>, sqlx::Error> = together!(self.writes(), db => {
            let row: Option<DidRow> = sqlx::query_as(self.read_to_change())
                .bind(tenant.as_str())
                .bind(id.0)
                .fetch_optional(&mut *db)
                .await?;
            match row.map(Did::try_from) {
                Some(Ok(did)) => {
                    sqlx::query(DELETE)
                        .bind(tenant.as_str())
                        .bind(id.0)
                        .execute(&mut *db)
                        .await?;
                    tell!(db, &line.clone().changing(Some(whole(&did)), None))?;
                    Some(Ok(did))
                }
                other => other,
            }
        });
        let gone = gone.during("delete the DID")?.ok_or(ChangeError::NotFound(id))?;
        Ok(gone.during("delete the DID")?)
    }

    async fn rewrite_did(
        &self,
        tenant: &TenantId,
        id: DidId,
        line: Entry,
        change: impl Fn(&Did) -> Did,
    ) -> Result<Changed, ChangeError> {
        let mut attempts = 0;
        let done = loop {
            attempts += 1;
            match self.try_to_rewrite(tenant, id, &line, &change).await {
                Err(error) if is_contention(&error) && attempts < ATTEMPTS_MAX => {}
                Err(sqlx::Error::Database(answer)) if answer.is_unique_violation() => {
                    return Err(ChangeError::Exists);
                }
                done => break done.during("change the DID")?,
            }
        };
        Ok(done.ok_or(ChangeError::NotFound(id))?.during("change the DID")?)
    }

    async fn try_to_rewrite(
        &self,
        tenant: &TenantId,
        id: DidId,
        line: &Entry,
        change: &impl Fn(&Did) -> Did,
    ) -> Result<Option<Result<Changed, Unreadable>>, sqlx::Error> {
        together!(self.writes(), db => {
            let row: Option<DidRow> = sqlx::query_as(self.read_to_change())
                .bind(tenant.as_str())
                .bind(id.0)
                .fetch_optional(&mut *db)
                .await?;
            match row.map(Did::try_from) {
                None => None,
                Some(Err(unreadable)) => Some(Err(unreadable)),
                Some(Ok(before)) => {
                    let mut after = change(&before);
                    if let Some((old, new)) = difference(&before, &after) {
                        after.updated_at = stored_time(line.at);
                        sqlx::query(UPDATE)
                            .bind(tenant.as_str())
                            .bind(id.0)
                            .bind(after.number.to_string())
                            .bind(after.area_code.map(|code| code.to_string()))
                            .bind(after.trunk.as_str())
                            .bind(after.status.as_str())
                            .bind(after.max_usage.map(i64::from))
                            .bind(after.campaign.as_ref().map(CampaignId::as_str))
                            .bind(Json(&after.metadata))
                            .bind(i64::from(after.usage_count))
                            .bind(after.updated_at)
                            .bind(i64::from(after.head_start))
                            .execute(&mut *db)
                            .await?;
                        tell!(db, &line.clone().changing(Some(old), Some(new)))?;
                    }
                    Some(Ok(Changed { before, after }))
                }
            }
        })
    }

    fn read_to_change(&self) -> &'static str {
        match self.writes() {
            Pool::Postgres(_) => READ_POSTGRES,
            Pool::Sqlite(_) => READ_SQLITE,
        }
    }
}

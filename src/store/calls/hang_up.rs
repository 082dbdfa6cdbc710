//! The wish that a call be hung up, remembered with the call until it has ended.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::domain::audit::Origin;
use crate::domain::call::CallId;
use crate::domain::tenant::TenantId;
use crate::store::audit_log::tell;
use crate::store::ledger::WriterId;
use crate::store::{During, Store, StoreError, on, stored_time, together};

const ASK: &str = "update calls set hang_up_asked_at = $3 \
     where tenant_id = $1 and id = $2 and ended_at is null and hang_up_asked_at is null \
     returning status";
const ASKED: &str = "select id, hang_up_asked_at from calls \
     where writer = $1 and ended_at is null and hang_up_asked_at is not null";

impl Store {
    /// Remembers that the tenant's call is to be hung up, and who asked, in one transaction. Says
    /// whether that is new: a call that is not there, has ended or was asked for before stays as it is.
    pub async fn ask_hang_up(
        &self,
        tenant: &TenantId,
        id: CallId,
        origin: &Origin,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        together!(self.writes(), db => {
            let status: Option<String> = sqlx::query_scalar(ASK)
                .bind(tenant.as_str())
                .bind(id.0)
                .bind(stored_time(at))
                .fetch_optional(&mut *db)
                .await?;
            if let Some(status) = &status {
                let entry = origin.did("call.canceled", ("call", id.to_string()), at).of(tenant);
                let (before, after) = (json!({"status": status}), json!({"hangUpAskedAt": at}));
                tell!(db, &entry.changing(Some(before), Some(after)))?;
            }
            status.is_some()
        })
        .during("ask for the hang-up")
    }

    /// The calls of this writer that were asked to be hung up and have not ended, with when.
    pub async fn asked_hang_ups(
        &self,
        writer: WriterId,
    ) -> Result<Vec<(CallId, DateTime<Utc>)>, StoreError> {
        let rows: Vec<(Uuid, DateTime<Utc>)> = on!(self.reads(), pool => sqlx::query_as(ASKED)
            .bind(writer.0)
            .fetch_all(pool)
            .await)
        .during("look for calls to hang up")?;
        Ok(rows.into_iter().map(|(id, at)| (CallId(id), at)).collect())
    }
}

//! What a line of the audit log looks like in JSON.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::audit::Entry;
use crate::domain::tenant::TenantId;

/// Who did what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// The line's id; ids rise with time.
    pub id: Uuid,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Whose it was; none for what belongs to no tenant.
    pub tenant_id: Option<TenantId>,
    /// `key UUID`, `uid N` or `rotary`.
    pub actor: String,
    /// What was done, such as `did.updated`.
    pub action: String,
    /// To what kind of thing: `did`, `import`, `tenant`, `campaign` or `key`.
    pub subject_type: String,
    /// To which.
    pub subject_id: String,
    /// What it was before: of a thing changed, only what changed.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What it is now: of a thing changed, only what changed.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// From where: an address and port, `control socket`, or `here` for Rotary itself.
    pub address: String,
    /// The request, as the log names it.
    pub request_id: String,
}

impl From<Entry> for AuditView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            tenant_id: entry.tenant,
            actor: entry.actor,
            action: entry.action,
            subject_type: entry.subject_type,
            subject_id: entry.subject_id,
            before: entry.before,
            after: entry.after,
            address: entry.address,
            request_id: entry.request_id,
        }
    }
}

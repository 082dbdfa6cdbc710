//! What an import tells the audit log: one line a chunk for the DIDs that are new, one for each
//! that it changed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::types::Json;
use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use super::row::DidRow;
use crate::domain::audit::{Entry, Origin};
use crate::domain::did::{Did, DidId};
use crate::domain::did_change::{difference, whole};
use crate::domain::number::E164;
use crate::domain::tenant::TenantId;

/// Who imports.
#[derive(Debug, Clone)]
pub struct Importer {
    /// The import, which all its chunks name.
    pub import: Uuid,
    /// Who asked for it.
    pub origin: Origin,
}

/// Locked in one order, so that two imports cannot wait for each other.
const READ_POSTGRES: &str = "select * from asterisk_dids where tenant_id = $1 \
     and number = any($2::text[]) order by number for update";
const READ_SQLITE: &str = "select * from asterisk_dids where tenant_id = $1 \
     and number in (select value from json_each($2))";

/// The tenant's DIDs that have one of these numbers.
pub(super) async fn read_from_postgres(
    db: &mut PgConnection,
    tenant: &TenantId,
    numbers: &[E164],
) -> Result<Vec<DidRow>, sqlx::Error> {
    let numbers: Vec<String> = numbers.iter().map(E164::to_string).collect();
    sqlx::query_as(READ_POSTGRES).bind(tenant.as_str()).bind(numbers).fetch_all(db).await
}

/// The same from SQLite.
pub(super) async fn read_from_sqlite(
    db: &mut SqliteConnection,
    tenant: &TenantId,
    numbers: &[E164],
) -> Result<Vec<DidRow>, sqlx::Error> {
    sqlx::query_as(READ_SQLITE).bind(tenant.as_str()).bind(Json(numbers)).fetch_all(db).await
}

impl Importer {
    /// The line for the DIDs of a chunk that are new; none where there are none. It has the time
    /// that these DIDs were created at, by which it is found again.
    pub(super) fn imported(
        &self,
        tenant: &TenantId,
        new: impl Iterator<Item = DidId> + Clone,
        now: DateTime<Utc>,
    ) -> Option<Entry> {
        let (first, last) = (new.clone().min()?, new.clone().max()?);
        let after = json!({"count": new.count(), "firstId": first, "lastId": last});
        let subject = ("import", self.import.to_string());
        Some(self.origin.did("dids.imported", subject, now).of(tenant).changing(None, Some(after)))
    }

    /// A line for each DID that is not what it was. One that cannot be read is left out, as it is
    /// everywhere. One that was not there before the chunk was put there by somebody else in the
    /// same moment, so that what it was is not known.
    pub(super) fn changed(
        &self,
        tenant: &TenantId,
        before: Vec<DidRow>,
        after: Vec<DidRow>,
        is_new: impl Fn(DidId) -> bool,
        now: DateTime<Utc>,
    ) -> Vec<Entry> {
        let read = |rows: Vec<DidRow>| rows.into_iter().filter_map(|row| Did::try_from(row).ok());
        let before: HashMap<DidId, Did> = read(before).map(|did| (did.id, did)).collect();
        let line =
            |id: DidId| self.origin.did("did.updated", ("did", id.to_string()), now).of(tenant);
        read(after)
            .filter(|did| !is_new(did.id))
            .filter_map(|did| match before.get(&did.id) {
                None => Some(line(did.id).changing(None, Some(whole(&did)))),
                Some(old) => {
                    let (old, new) = difference(old, &did)?;
                    Some(line(did.id).changing(Some(old), Some(new)))
                }
            })
            .collect()
    }
}

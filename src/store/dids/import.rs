//! Many DIDs at once: a chunk of an import is one statement.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{During, Store, StoreError, stored_time};
use crate::domain::did::{DidId, DidState, NewDid, TrunkName};
use crate::domain::number::E164;
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::dids::row::saturate;
use crate::store::{Database, id_text, time_text};

/// What to do with a number the tenant has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// Leave it as it is.
    #[default]
    Skip,
    /// Give it everything the new row says; its id, its uses and its creation stay.
    Update,
}

/// What became of a chunk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// The DIDs that were inserted or updated, as they are now, for the index.
    pub states: Vec<DidState>,
    /// Rows that are new.
    pub inserted: u64,
    /// Rows that changed a DID the tenant had.
    pub updated: u64,
    /// Rows whose number the tenant had, or that came earlier in the chunk.
    pub duplicates: u64,
}

/// A row that was written: its number, its id and its uses.
type Written = (String, Uuid, i64);

macro_rules! insert {
    ($columns:literal, $from:literal, $conflict:literal) => {
        concat!(
            "insert into asterisk_dids (id, tenant_id, number, area_code, trunk, status, \
             max_usage, campaign_id, metadata, created_at, updated_at) select ",
            $columns,
            " from ",
            $from,
            " where true on conflict (tenant_id, number) do ",
            $conflict,
            " returning number, id, usage_count"
        )
    };
}
macro_rules! postgres {
    ($conflict:literal) => {
        insert!(
            "n.id, $1, n.number, n.area_code, n.trunk, n.status, n.max_usage, n.campaign_id, \
             n.metadata::jsonb, $10, $10",
            "unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], \
             $8::text[], $9::text[]) \
             as n (id, number, area_code, trunk, status, max_usage, campaign_id, metadata)",
            $conflict
        )
    };
}
macro_rules! sqlite {
    ($conflict:literal) => {
        insert!(
            "unhex(value ->> 0), $1, value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
             value ->> 5, value ->> 6, value ->> 7, $3, $3",
            "json_each($2)",
            $conflict
        )
    };
}
macro_rules! update {
    ($dialect:ident) => {
        $dialect!(
            "update set area_code = excluded.area_code, trunk = excluded.trunk, \
             status = excluded.status, max_usage = excluded.max_usage, \
             campaign_id = excluded.campaign_id, metadata = excluded.metadata, \
             updated_at = excluded.updated_at"
        )
    };
}

const POSTGRES_SKIP: &str = postgres!("nothing");
const POSTGRES_UPDATE: &str = update!(postgres);
const SQLITE_SKIP: &str = sqlite!("nothing");
const SQLITE_UPDATE: &str = update!(sqlite);

impl Store {
    /// Stores a chunk of an import: all of it or, on an error, nothing.
    ///
    /// Some thousand rows a chunk are as fast as more. Of two rows with the same number the first
    /// counts.
    pub async fn import_dids(
        &self,
        tenant: &TenantId,
        rows: Vec<NewDid>,
        on_duplicate: OnDuplicate,
        now: DateTime<Utc>,
    ) -> Result<Imported, StoreError> {
        let all = rows.len();
        let (chunk, places) = without_repeats(rows);
        let now = stored_time(now);
        let written = match &self.database {
            Database::Postgres { pool } => {
                postgres_query(tenant, &chunk, on_duplicate, now).fetch_all(pool).await
            }
            Database::Sqlite { writer, .. } => {
                sqlite_query(tenant, &chunk, on_duplicate, now).fetch_all(writer).await
            }
        };
        let written: Vec<Written> = written.during("import DIDs")?;

        let mut imported =
            Imported { states: Vec::with_capacity(written.len()), ..Imported::default() };
        for (number, id, usage_count) in written {
            let place = number.parse().ok().and_then(|number: E164| places.get(&number));
            let Some(new) = place.and_then(|place| chunk.get(*place)) else { continue };
            match id == new.id.0 {
                true => imported.inserted += 1,
                false => imported.updated += 1,
            }
            imported.states.push(state(tenant, new, DidId(id), saturate(usage_count)));
        }
        imported.duplicates = all as u64 - imported.inserted - imported.updated;
        Ok(imported)
    }
}

/// The rows without those whose number came before, in the order of numbers: rows that lie
/// together in the index are written together, and two imports cannot wait for each other.
fn without_repeats(rows: Vec<NewDid>) -> (Vec<NewDid>, HashMap<E164, usize>) {
    let mut seen: HashMap<E164, usize> = HashMap::with_capacity(rows.len());
    let mut chunk: Vec<NewDid> = Vec::with_capacity(rows.len());
    for row in rows {
        if let Entry::Vacant(free) = seen.entry(row.number) {
            free.insert(0);
            chunk.push(row);
        }
    }
    chunk.sort_unstable_by_key(|row| row.number);
    for (place, row) in chunk.iter().enumerate() {
        seen.insert(row.number, place);
    }
    (chunk, seen)
}

type Query<DB> = sqlx::query::QueryAs<'static, DB, Written, <DB as sqlx::Database>::Arguments>;

fn postgres_query(
    tenant: &TenantId,
    chunk: &[NewDid],
    on_duplicate: OnDuplicate,
    now: DateTime<Utc>,
) -> Query<sqlx::Postgres> {
    let sql = match on_duplicate {
        OnDuplicate::Skip => POSTGRES_SKIP,
        OnDuplicate::Update => POSTGRES_UPDATE,
    };
    let texts = |read: fn(&NewDid) -> Option<String>| -> Vec<Option<String>> {
        chunk.iter().map(read).collect()
    };
    sqlx::query_as(sql)
        .bind(tenant.as_str().to_owned())
        .bind(chunk.iter().map(|row| row.id.0).collect::<Vec<_>>())
        .bind(texts(|row| Some(row.number.to_string())))
        .bind(texts(|row| row.area_code.map(|code| code.to_string())))
        .bind(texts(|row| Some(TrunkName::as_str(&row.trunk).to_owned())))
        .bind(texts(|row| Some(row.status.as_str().to_owned())))
        .bind(chunk.iter().map(|row| row.max_usage.map(i64::from)).collect::<Vec<_>>())
        .bind(texts(|row| row.campaign.as_ref().map(|name| CampaignId::as_str(name).to_owned())))
        .bind(texts(|row| Some(metadata_text(row))))
        .bind(now)
}

fn sqlite_query(
    tenant: &TenantId,
    chunk: &[NewDid],
    on_duplicate: OnDuplicate,
    now: DateTime<Utc>,
) -> Query<sqlx::Sqlite> {
    let sql = match on_duplicate {
        OnDuplicate::Skip => SQLITE_SKIP,
        OnDuplicate::Update => SQLITE_UPDATE,
    };
    let rows: Vec<_> = chunk
        .iter()
        .map(|row| {
            json!([
                id_text(row.id.0),
                row.number,
                row.area_code,
                row.trunk,
                row.status,
                row.max_usage,
                row.campaign,
                metadata_text(row),
            ])
        })
        .collect();
    sqlx::query_as(sql)
        .bind(tenant.as_str().to_owned())
        .bind(serde_json::Value::Array(rows).to_string())
        .bind(time_text(now))
}

fn metadata_text(row: &NewDid) -> String {
    match row.metadata.is_empty() {
        true => "{}".to_owned(),
        false => json!(row.metadata).to_string(),
    }
}

fn state(tenant: &TenantId, new: &NewDid, id: DidId, usage_count: u32) -> DidState {
    DidState {
        id,
        tenant: tenant.clone(),
        number: new.number,
        area_code: new.area_code,
        trunk: new.trunk.clone(),
        status: new.status,
        usage_count,
        max_usage: new.max_usage,
        campaign: new.campaign.clone(),
    }
}

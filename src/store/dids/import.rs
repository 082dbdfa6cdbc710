//! Many DIDs at once: a chunk of an import is one transaction.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::import_told::{Importer, read_from_postgres, read_from_sqlite};
use super::row::{Shared, texts_of};
use super::{During, Store, StoreError, stored_time};
use crate::domain::did::{DidId, DidState, DidStatus, NewDid, TrunkName};
use crate::domain::did_csv::{DidRow, Given};
use crate::domain::number::E164;
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::audit_log::{tell_postgres, tell_sqlite};
use crate::store::error::is_contention;
use crate::store::{Database, id_text, time_text};

/// What to do with a number the tenant has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// Leave it as it is.
    #[default]
    Skip,
    /// Give it what the new row says: the cells that are [`Given`], and its metadata key by key.
    /// All else stays.
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

/// How often a chunk is tried that gets into a deadlock with a group of the ledger.
const ATTEMPTS_MAX: u32 = 5;

const POSTGRES: &str = "insert into asterisk_dids (id, tenant_id, number, area_code, trunk, status, \
     max_usage, campaign_id, metadata, created_at, updated_at, head_start) \
     select n.id, $1, n.number, n.area_code, n.trunk, n.status, n.max_usage, n.campaign_id, \
     n.metadata::jsonb, $10, $10, \
     case when n.status = 'active' \
         then coalesce(($11::jsonb ->> n.campaign_id)::bigint, 0) else 0 end \
     from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], \
     $8::text[], $9::text[]) \
     as n (id, number, area_code, trunk, status, max_usage, campaign_id, metadata) where true";
const SQLITE: &str = "insert into asterisk_dids (id, tenant_id, number, area_code, trunk, status, \
     max_usage, campaign_id, metadata, created_at, updated_at, head_start) \
     select unhex(value ->> 0), $1, value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
     value ->> 5, value ->> 6, value ->> 7, $3, $3, \
     case when value ->> 4 = 'active' \
         then coalesce($4 ->> ('$.\"' || (value ->> 6) || '\"'), 0) else 0 end \
     from json_each($2) where true";

/// A row that is new is as it was sent, so its id says all.
const RETURNING_ID: &str = "returning id";
/// Columns by place, as [`texts_of`] reads them.
const RETURNING: &str = "returning id, tenant_id, number, area_code, trunk, status, usage_count, \
     max_usage, campaign_id, head_start";

/// The level at which a DID joins the campaign that `{campaign}` stands for.
const LEVEL_ON_POSTGRES: &str = "coalesce(($11::jsonb ->> {campaign})::bigint, 0)";
const LEVEL_ON_SQLITE: &str = "coalesce($4 ->> ('$.\"' || {campaign} || '\"'), 0)";

/// The key of a row of `json_each`, and its value as the JSON has it: SQLite's own reading of a
/// number has 15 digits.
macro_rules! key_and_json {
    () => {
        "key, case type when 'object' then value when 'array' then value when 'true' then 'true' \
         when 'false' then 'false' when 'null' then 'null' when 'text' then json_quote(value) \
         else coalesce(json -> fullkey, json_quote(value)) end as value"
    };
}

const MERGED_BY_POSTGRES: &str = "asterisk_dids.metadata || excluded.metadata";
/// SQLite's own `json_patch` merges deeply and takes a null for a deletion.
const MERGED_BY_SQLITE: &str = concat!(
    "(select json_group_object(key, json(value)) from (select ",
    key_and_json!(),
    " from json_each(excluded.metadata) union all select ",
    key_and_json!(),
    " from json_each(asterisk_dids.metadata) \
     where key not in (select key from json_each(excluded.metadata))))"
);

/// The rows of a chunk by what they give, each part in the order of numbers: rows that lie together
/// in the index are written together, and two imports cannot wait for each other.
///
/// What a row may change stands in its statement, so rows that give the same cells share one. Most
/// files have only a few kinds of rows. Where nothing is changed there is one kind: none.
type Parts = BTreeMap<Option<Given>, Vec<DidRow>>;

impl Store {
    /// Stores a chunk of an import and what the audit log says of it: all of it or, on an error,
    /// nothing.
    ///
    /// Some thousand rows a chunk are as fast as more. Of two rows with the same number the first
    /// counts. A DID that comes into a campaign's rotation by it starts at the level that `levels`
    /// has for that campaign, or by its own count.
    pub async fn import_dids(
        &self,
        tenant: &TenantId,
        rows: Vec<DidRow>,
        on_duplicate: OnDuplicate,
        levels: &BTreeMap<CampaignId, u32>,
        importer: &Importer,
        now: DateTime<Utc>,
    ) -> Result<Imported, StoreError> {
        let all = rows.len() as u64;
        let parts = parts(rows, on_duplicate);
        let now = stored_time(now);
        let mut attempts = 0;
        let mut imported = loop {
            attempts += 1;
            match self.import_parts(tenant, &parts, levels, importer, now).await {
                Err(error) if is_contention(&error) && attempts < ATTEMPTS_MAX => {}
                done => break done.during("import DIDs")?,
            }
        };
        imported.duplicates = all - imported.inserted - imported.updated;
        Ok(imported)
    }

    async fn import_parts(
        &self,
        tenant: &TenantId,
        parts: &Parts,
        levels: &BTreeMap<CampaignId, u32>,
        importer: &Importer,
        now: DateTime<Utc>,
    ) -> Result<Imported, sqlx::Error> {
        let mut imported = Imported::default();
        let mut shared = Shared::default();
        let levels_told = json!(levels).to_string();
        let numbers = numbers_to_change(parts);
        macro_rules! each_part {
            ($transaction:expr, $insert:expr, $merged:expr, $level:expr, $bind:ident, $read:ident, $tell:ident) => {{
                let mut transaction = $transaction;
                let before = match numbers.is_empty() {
                    true => Vec::new(),
                    false => $read(&mut transaction, tenant, &numbers).await?,
                };
                for (given, rows) in parts {
                    let sql = AssertSqlSafe(statement($insert, *given, $merged, $level));
                    let query = $bind(sqlx::query(sql), tenant, rows, now).bind(levels_told.clone());
                    let written = query.fetch_all(&mut *transaction).await?;
                    imported.states.reserve(written.len());
                    if given.is_none() {
                        let ids: Result<HashSet<Uuid>, _> =
                            written.iter().map(|row| row.try_get(0)).collect();
                        imported.take_new(tenant, rows, &ids?, levels);
                        continue;
                    }
                    let fresh: HashSet<_> = rows.iter().map(|row| row.did.id.0).collect();
                    for row in &written {
                        let texts = texts_of(row)?;
                        match fresh.contains(&texts.id) {
                            true => imported.inserted += 1,
                            false => imported.updated += 1,
                        }
                        match texts.read(&mut shared) {
                            Ok(state) => imported.states.push(state),
                            Err(unreadable) => {
                                tracing::warn!(problem = %unreadable, "a DID cannot be read");
                            }
                        }
                    }
                }
                let is_new = new_ids(parts);
                let new = imported.states.iter().map(|state| state.id).filter(|id| is_new(*id));
                let mut lines: Vec<_> = importer.imported(tenant, new, now).into_iter().collect();
                if !numbers.is_empty() {
                    let after = $read(&mut transaction, tenant, &numbers).await?;
                    lines.extend(importer.changed(tenant, before, after, &is_new, now));
                }
                $tell(&mut transaction, &lines).await?;
                transaction.commit().await?;
            }};
        }
        match &self.database {
            Database::Postgres { pool } => {
                each_part!(
                    pool.begin().await?,
                    POSTGRES,
                    MERGED_BY_POSTGRES,
                    LEVEL_ON_POSTGRES,
                    bind_postgres,
                    read_from_postgres,
                    tell_postgres
                );
            }
            Database::Sqlite { writer, .. } => {
                let transaction = writer.begin_with("begin immediate").await?;
                each_part!(
                    transaction,
                    SQLITE,
                    MERGED_BY_SQLITE,
                    LEVEL_ON_SQLITE,
                    bind_sqlite,
                    read_from_sqlite,
                    tell_sqlite
                );
            }
        }
        Ok(imported)
    }
}

impl Imported {
    /// Takes in those of `rows` that were inserted: the ones with these ids.
    fn take_new(
        &mut self,
        tenant: &TenantId,
        rows: &[DidRow],
        ids: &HashSet<Uuid>,
        levels: &BTreeMap<CampaignId, u32>,
    ) {
        let level = |did: &NewDid| match did.status {
            DidStatus::Active => did.campaign.as_ref().and_then(|id| levels.get(id)).copied(),
            DidStatus::Available | DidStatus::Inactive | DidStatus::Suspended => None,
        };
        self.inserted += ids.len() as u64;
        let new = rows.iter().map(|row| &row.did).filter(|did| ids.contains(&did.id.0));
        self.states.extend(new.map(|did| DidState {
            id: did.id,
            tenant: tenant.clone(),
            number: did.number,
            area_code: did.area_code,
            trunk: did.trunk.clone(),
            status: did.status,
            usage_count: 0,
            head_start: level(did).unwrap_or(0),
            max_usage: did.max_usage,
            campaign: did.campaign.clone(),
        }));
    }
}

/// Leaves out rows whose number came before.
fn parts(rows: Vec<DidRow>, on_duplicate: OnDuplicate) -> Parts {
    let mut seen = HashSet::with_capacity(rows.len());
    let mut parts = Parts::new();
    for row in rows {
        if seen.insert(row.did.number) {
            let given = match on_duplicate {
                OnDuplicate::Skip => None,
                OnDuplicate::Update => Some(row.given),
            };
            parts.entry(given).or_default().push(row);
        }
    }
    for rows in parts.values_mut() {
        rows.sort_unstable_by_key(|row| row.did.number);
    }
    parts
}

/// The numbers whose DIDs the chunk may change, in their order; none where it changes none.
fn numbers_to_change(parts: &Parts) -> Vec<E164> {
    let changing = parts.iter().filter(|(given, _)| given.is_some());
    let mut numbers: Vec<E164> =
        changing.flat_map(|(_, rows)| rows).map(|row| row.did.number).collect();
    numbers.sort_unstable();
    numbers
}

/// Tells whether a DID that was written is new: where nothing is changed, all are.
fn new_ids(parts: &Parts) -> impl Fn(DidId) -> bool + Clone {
    let changing = parts.iter().filter(|(given, _)| given.is_some());
    let sent: HashSet<DidId> = changing.flat_map(|(_, rows)| rows).map(|row| row.did.id).collect();
    let all = parts.keys().all(Option::is_none);
    move |id| all || sent.contains(&id)
}

fn statement(insert: &str, given: Option<Given>, merged: &str, level: &str) -> String {
    let Some(given) = given else {
        return format!("{insert} on conflict (tenant_id, number) do nothing {RETURNING_ID}");
    };
    let columns = [
        (given.area_code, "area_code = excluded.area_code, "),
        (given.trunk, "trunk = excluded.trunk, "),
        (given.status, "status = excluded.status, "),
        (given.max_usage, "max_usage = excluded.max_usage, "),
        (given.campaign, "campaign_id = excluded.campaign_id, "),
    ];
    let set: String = columns.iter().filter(|column| column.0).map(|column| column.1).collect();
    let head_start = head_start(given, level);
    format!(
        "{insert} on conflict (tenant_id, number) do update set {set}{head_start}metadata = {merged}, \
         updated_at = excluded.updated_at {RETURNING}"
    )
}

/// A DID that comes into a rotation starts at its level; one that was in it stands where it stood.
fn head_start(given: Given, level: &str) -> String {
    if !(given.status || given.campaign) {
        return String::new();
    }
    let now = |given: bool| if given { "excluded" } else { "asterisk_dids" };
    let status = format!("{}.status", now(given.status));
    let campaign = format!("{}.campaign_id", now(given.campaign));
    let level = level.replace("{campaign}", &campaign);
    format!(
        "head_start = case when {status} <> 'active' then 0 \
         when asterisk_dids.status = 'active' \
             and asterisk_dids.campaign_id is not distinct from {campaign} then asterisk_dids.head_start \
         when {level} > asterisk_dids.usage_count then {level} - asterisk_dids.usage_count \
         else 0 end, "
    )
}

type Statement<DB> = Query<'static, DB, <DB as sqlx::Database>::Arguments>;

fn bind_postgres(
    query: Statement<sqlx::Postgres>,
    tenant: &TenantId,
    rows: &[DidRow],
    now: DateTime<Utc>,
) -> Statement<sqlx::Postgres> {
    macro_rules! each {
        ($did:ident => $value:expr) => {
            rows.iter().map(|DidRow { did: $did, .. }| $value).collect::<Vec<_>>()
        };
    }
    query
        .bind(tenant.as_str().to_owned())
        .bind(each!(did => did.id.0))
        .bind(each!(did => did.number.to_string()))
        .bind(each!(did => did.area_code.map(|code| code.to_string())))
        .bind(each!(did => TrunkName::as_str(&did.trunk)))
        .bind(each!(did => did.status.as_str()))
        .bind(each!(did => did.max_usage.map(i64::from)))
        .bind(each!(did => did.campaign.as_ref().map(CampaignId::as_str)))
        .bind(each!(did => metadata_text(&did.metadata)))
        .bind(now)
}

fn bind_sqlite(
    query: Statement<sqlx::Sqlite>,
    tenant: &TenantId,
    rows: &[DidRow],
    now: DateTime<Utc>,
) -> Statement<sqlx::Sqlite> {
    let rows: Vec<Value> = rows
        .iter()
        .map(|DidRow { did, .. }| {
            json!([
                id_text(did.id.0),
                did.number,
                did.area_code,
                did.trunk,
                did.status,
                did.max_usage,
                did.campaign,
                metadata_text(&did.metadata),
            ])
        })
        .collect();
    query.bind(tenant.as_str().to_owned()).bind(Value::Array(rows).to_string()).bind(time_text(now))
}

fn metadata_text(metadata: &Map<String, Value>) -> Cow<'static, str> {
    match metadata.is_empty() {
        true => Cow::Borrowed("{}"),
        false => {
            Cow::Owned(serde_json::to_string(metadata).expect("keys are texts and values JSON"))
        }
    }
}

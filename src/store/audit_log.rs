//! The table `audit_log`: written in the transaction of what it tells, read page by page.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use super::{
    During, ListError, Page, Store, StoreError, id_text, on, stored_time, time_text, together,
};
use crate::domain::audit::Entry;
use crate::domain::did::DidId;
use crate::domain::tenant::{InvalidId, TenantId};
use crate::store::error::Unreadable;

/// Which lines to list; what is none does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this tenant alone; none is every tenant's and what belongs to none.
    pub tenant: Option<TenantId>,
    /// About this DID, the import that brought it in included.
    pub did: Option<DidId>,
    /// About a thing of this kind: `did`, `import`, `tenant`, `campaign` or `key`.
    pub subject_type: Option<String>,
    /// About this thing.
    pub subject_id: Option<String>,
    /// Telling of this, such as `did.updated`.
    pub action: Option<String>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
}

pub(in crate::store) const INSERT: &str = "insert into audit_log (id, at, tenant_id, actor, action, subject_type, \
     subject_id, before, after, address, request_id) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// `$1` to `$5` are the filter, `$6` the cursor, `$7` the limit; `about` may name `$8` and on.
macro_rules! list {
    ($about:literal) => {
        concat!(
            "select * from audit_log where (cast($1 as text) is null or tenant_id = $1) \
             and (cast($2 as text) is null or subject_type = $2) \
             and (cast($3 as text) is null or subject_id = $3) \
             and (cast($4 as text) is null or action = $4) \
             and ($5 is null or at >= $5) and ($6 is null or id < $6) ",
            $about,
            " order by id desc limit $7"
        )
    };
}
const LIST: &str = list!("");
/// A DID has the time of the chunk that brought it in.
const LIST_OF_DID: &str = list!(
    "and (subject_type = 'did' and subject_id = $8 \
     or subject_type = 'import' and tenant_id = $9 and at = $10)"
);

const CREATED: &str = "select tenant_id, created_at from asterisk_dids where id = $1";
/// Of a DID that is gone its last line has it all.
const DELETED: &str = "select tenant_id, before from audit_log where subject_type = 'did' \
     and subject_id = $1 and action = 'did.deleted'";

const INSERT_ALL_POSTGRES: &str = "insert into audit_log (id, at, tenant_id, actor, action, \
     subject_type, subject_id, before, after, address, request_id) \
     select id, at, tenant_id, actor, action, subject_type, subject_id, before::json, after::json, \
     address, request_id from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], \
     $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[]) \
     as n (id, at, tenant_id, actor, action, subject_type, subject_id, before, after, address, \
     request_id)";
const INSERT_ALL_SQLITE: &str = "insert into audit_log (id, at, tenant_id, actor, action, \
     subject_type, subject_id, before, after, address, request_id) \
     select unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
     value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10 from json_each($1)";

/// Writes many lines in one statement.
pub(in crate::store) async fn tell_postgres(
    db: &mut PgConnection,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    macro_rules! each {
        ($entry:ident => $value:expr) => {
            entries.iter().map(|$entry| $value).collect::<Vec<_>>()
        };
    }
    if entries.is_empty() {
        return Ok(());
    }
    sqlx::query(INSERT_ALL_POSTGRES)
        .bind(each!(entry => entry.id))
        .bind(each!(entry => stored_time(entry.at)))
        .bind(each!(entry => entry.tenant.as_ref().map(TenantId::as_str)))
        .bind(each!(entry => entry.actor.as_str()))
        .bind(each!(entry => entry.action.as_str()))
        .bind(each!(entry => entry.subject_type.as_str()))
        .bind(each!(entry => entry.subject_id.as_str()))
        .bind(each!(entry => entry.before.as_ref().map(Value::to_string)))
        .bind(each!(entry => entry.after.as_ref().map(Value::to_string)))
        .bind(each!(entry => entry.address.as_str()))
        .bind(each!(entry => entry.request_id.as_str()))
        .execute(db)
        .await
        .map(drop)
}

/// The same on SQLite.
pub(in crate::store) async fn tell_sqlite(
    db: &mut SqliteConnection,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows = entries.iter().map(|entry| {
        json!([
            id_text(entry.id),
            time_text(stored_time(entry.at)),
            entry.tenant,
            entry.actor,
            entry.action,
            entry.subject_type,
            entry.subject_id,
            entry.before.as_ref().map(Value::to_string),
            entry.after.as_ref().map(Value::to_string),
            entry.address,
            entry.request_id,
        ])
    });
    let rows = Value::Array(rows.collect()).to_string();
    sqlx::query(INSERT_ALL_SQLITE).bind(rows).execute(db).await.map(drop)
}

/// Writes a line on the connection (`db` of [`together!`]) that does what it tells of.
macro_rules! tell {
    ($db:expr, $entry:expr) => {{
        let entry: &$crate::domain::audit::Entry = $entry;
        sqlx::query($crate::store::audit_log::INSERT)
            .bind(entry.id)
            .bind($crate::store::stored_time(entry.at))
            .bind(entry.tenant.as_ref().map($crate::domain::tenant::TenantId::as_str))
            .bind(&entry.actor)
            .bind(&entry.action)
            .bind(&entry.subject_type)
            .bind(&entry.subject_id)
            .bind(entry.before.as_ref().map(sqlx::types::Json))
            .bind(entry.after.as_ref().map(sqlx::types::Json))
            .bind(&entry.address)
            .bind(&entry.request_id)
            .execute(&mut *$db)
            .await
            .map(drop)
    }};
}
pub(in crate::store) use tell;

impl Store {
    /// Writes a line that tells of something no table of ours holds.
    pub async fn tell(&self, entry: &Entry) -> Result<(), StoreError> {
        together!(self.writes(), db => tell!(db, entry)?).during("write to the audit log")
    }

    /// Up to `limit` lines, the newest first, from where `cursor` left off.
    pub async fn list_audit_log(
        &self,
        filter: &AuditFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Entry>, ListError> {
        let read = |text: &str| text.parse().map_err(|_| ListError::Cursor(text.to_owned()));
        let before: Option<Uuid> = cursor.map(read).transpose()?;
        let born = match filter.did {
            Some(did) => self.birth_of(did).await?,
            None => None,
        };
        let sql = if filter.did.is_some() { LIST_OF_DID } else { LIST };
        let rows: Vec<EntryRow> = on!(self.reads(), pool => {
            let query = sqlx::query_as(sql)
            .bind(filter.tenant.as_ref().map(TenantId::as_str))
            .bind(filter.subject_type.as_deref())
            .bind(filter.subject_id.as_deref())
            .bind(filter.action.as_deref())
            .bind(filter.since)
            .bind(before)
            .bind(i64::from(limit) + 1);
            match filter.did {
                None => query.fetch_all(pool).await,
                Some(did) => {
                    let query = query.bind(did.to_string());
                    let query = query.bind(born.as_ref().map(|(tenant, _)| tenant.clone()));
                    query.bind(born.map(|(_, at)| at)).fetch_all(pool).await
                }
            }
        })
        .during("list the audit log")?;
        let entries: Result<Vec<_>, _> = rows.into_iter().map(Entry::try_from).collect();
        let entries = entries.during("list the audit log")?;
        Ok(Page::of(entries, limit as usize, |last| last.id.to_string()))
    }

    /// Whose a DID is or was, and when it was stored first.
    async fn birth_of(&self, did: DidId) -> Result<Option<(String, DateTime<Utc>)>, StoreError> {
        let there: Option<(String, DateTime<Utc>)> =
            on!(self.reads(), pool => sqlx::query_as(CREATED)
                .bind(did.0)
                .fetch_optional(pool)
                .await)
            .during("look for the DID")?;
        if there.is_some() {
            return Ok(there);
        }
        let gone: Option<(String, Option<Json<Value>>)> =
            on!(self.reads(), pool => sqlx::query_as(DELETED)
                .bind(did.to_string())
                .fetch_optional(pool)
                .await)
            .during("look for the DID")?;
        Ok(gone.and_then(|(tenant, before)| {
            let at = before?.0.get("createdAt")?.as_str()?.parse().ok()?;
            Some((tenant, at))
        }))
    }
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    id: Uuid,
    at: DateTime<Utc>,
    tenant_id: Option<String>,
    actor: String,
    action: String,
    subject_type: String,
    subject_id: String,
    before: Option<Json<Value>>,
    after: Option<Json<Value>>,
    address: String,
    request_id: String,
}

impl TryFrom<EntryRow> for Entry {
    type Error = Unreadable;

    fn try_from(row: EntryRow) -> Result<Self, Unreadable> {
        let unreadable = |problem: InvalidId| Unreadable::new(row.id, problem);
        Ok(Self {
            id: row.id,
            at: row.at,
            tenant: row.tenant_id.map(|text| text.parse()).transpose().map_err(unreadable)?,
            actor: row.actor,
            action: row.action,
            subject_type: row.subject_type,
            subject_id: row.subject_id,
            before: row.before.map(|json| json.0),
            after: row.after.map(|json| json.0),
            address: row.address,
            request_id: row.request_id,
        })
    }
}

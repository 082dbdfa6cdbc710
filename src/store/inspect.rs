//! Looking at a database without opening it for work: nothing is made, migrated or written.
//!
//! What is counted here is the whole house's, for its operator; no tenant is told of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::During;
use super::open::{self, POSTGRES, SQLITE};
use super::{Database, OpenError, Settings, Store, StoreError, on};
use crate::domain::did::TrunkName;

/// More trunks than this are not told apart.
const TRUNKS_MAX: i64 = 1000;

/// The settings of PostgreSQL that a commit's durability and our connections hang on.
const SETTINGS: &str = "select name, setting from pg_settings where name in ('fsync', 'full_page_writes', \
     'synchronous_commit', 'max_connections', 'server_version') order by name";
const CONNECTED: &str =
    "select count(*) from pg_stat_activity where backend_type = 'client backend'";
const HAS_MIGRATIONS: &str = "select count(*) from pg_tables where tablename = '_sqlx_migrations' and \
     schemaname = any (current_schemas(false))";
const FILE_HAS_MIGRATIONS: &str =
    "select count(*) from sqlite_master where type = 'table' and name = '_sqlx_migrations'";
const MIGRATIONS: &str = "select version from _sqlx_migrations where success order by version";
const ACTIVE: &str = "select trunk, count(*) from asterisk_dids where status = 'active' \
     group by trunk order by 2 desc, 1 limit $1";

/// What a database looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// How its tables compare with those this version knows.
    pub schema: Schema,
    /// The active DIDs by trunk, most first, at most a thousand trunks; empty where the tables are
    /// not up to date.
    pub active: Vec<(TrunkName, u64)>,
    /// What only one of the databases has.
    pub kind: Kind,
}

/// What only one of the databases has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A server.
    Postgres {
        /// Its settings that matter, by name: `fsync`, `full_page_writes`, `synchronous_commit`,
        /// `max_connections` and `server_version`.
        settings: Vec<(String, String)>,
        /// How many clients are connected, we included.
        connected: u64,
        /// Its clock.
        now: DateTime<Utc>,
    },
    /// A file.
    Sqlite {
        /// `wal`, unless something else has opened the file and changed that.
        journal: String,
    },
}

/// How a database's tables compare with those that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// None of them is there: no daemon has opened it yet.
    Empty,
    /// They are alike.
    Current {
        /// The newest change.
        version: i64,
    },
    /// So many changes are still to be made; the next daemon to start makes them.
    Behind {
        /// How many.
        missing: usize,
    },
    /// A newer Rotary has changed them.
    Newer {
        /// By a change of this number.
        version: i64,
    },
}

/// The file that the address names, if it is one of SQLite. It need not exist.
pub fn sqlite_file(settings: &Settings) -> Option<PathBuf> {
    open::sqlite_file(settings)
}

/// Reaches the database, for [`inspect`]. A SQLite file must exist.
///
/// # Errors
/// As [`Store::open`], but for what goes wrong with changes of the tables.
pub async fn reach(settings: &Settings) -> Result<Store, OpenError> {
    let daemon = Uuid::now_v7();
    open::look(settings, daemon).await.map(|database| Store { database, daemon })
}

/// Looks at a database that [`reach`] has reached.
///
/// # Errors
/// It went away, or does not let this user look.
pub async fn inspect(store: &Store) -> Result<Inspection, StoreError> {
    let schema = store.schema().await.during("read which changes of the tables were made")?;
    let active = match schema {
        Schema::Current { .. } => store.active_by_trunk().await.during("count the DIDs")?,
        Schema::Empty | Schema::Behind { .. } | Schema::Newer { .. } => Vec::new(),
    };
    let kind = store.kind_seen().await.during("read the database's settings")?;
    Ok(Inspection { schema, active, kind })
}

impl Store {
    async fn schema(&self) -> Result<Schema, sqlx::Error> {
        let (asked, migrator) = match self.database {
            Database::Postgres { .. } => (HAS_MIGRATIONS, &POSTGRES),
            Database::Sqlite { .. } => (FILE_HAS_MIGRATIONS, &SQLITE),
        };
        let has: i64 = on!(self.reads(), pool => sqlx::query_scalar(asked).fetch_one(pool).await)?;
        if has == 0 {
            return Ok(Schema::Empty);
        }
        let made: Vec<i64> =
            on!(self.reads(), pool => sqlx::query_scalar(MIGRATIONS).fetch_all(pool).await)?;
        Ok(compare(&made, migrator.iter().map(|change| change.version)))
    }

    async fn active_by_trunk(&self) -> Result<Vec<(TrunkName, u64)>, sqlx::Error> {
        let rows: Vec<(String, i64)> = on!(self.reads(), pool => sqlx::query_as(ACTIVE)
            .bind(TRUNKS_MAX)
            .fetch_all(pool)
            .await)?;
        // A name that is none was written by hand; nothing can be asked about it.
        let named = rows.into_iter().filter_map(|(trunk, count)| {
            Some((trunk.parse().ok()?, u64::try_from(count).unwrap_or_default()))
        });
        Ok(named.collect())
    }

    async fn kind_seen(&self) -> Result<Kind, sqlx::Error> {
        match &self.database {
            Database::Postgres { pool } => {
                let settings = sqlx::query_as(SETTINGS).fetch_all(pool).await?;
                let connected: i64 = sqlx::query_scalar(CONNECTED).fetch_one(pool).await?;
                let now = sqlx::query_scalar("select clock_timestamp()").fetch_one(pool).await?;
                let connected = u64::try_from(connected).unwrap_or_default();
                Ok(Kind::Postgres { settings, connected, now })
            }
            Database::Sqlite { readers, .. } => {
                let journal = sqlx::query_scalar("pragma journal_mode").fetch_one(readers).await?;
                Ok(Kind::Sqlite { journal })
            }
        }
    }
}

fn compare(made: &[i64], known: impl Iterator<Item = i64>) -> Schema {
    let known: BTreeSet<i64> = known.collect();
    if let Some(version) = made.iter().rev().find(|version| !known.contains(version)) {
        return Schema::Newer { version: *version };
    }
    match (known.len().saturating_sub(made.len()), made.last()) {
        (0, Some(version)) => Schema::Current { version: *version },
        (missing, _) => Schema::Behind { missing },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_compared_with_the_changes_that_are_known() {
        let known = || [1, 2, 3].into_iter();

        assert_eq!(compare(&[1, 2, 3], known()), Schema::Current { version: 3 });
        assert_eq!(compare(&[1], known()), Schema::Behind { missing: 2 });
        assert_eq!(compare(&[1, 2, 3, 4], known()), Schema::Newer { version: 4 });
    }
}

//! The record: DIDs, calls and keys, on PostgreSQL or in a SQLite file.
//!
//! SQL is written here and nowhere else. Every query of a tenant's rows names the tenant, so that
//! no door can show one tenant what belongs to another. One text serves both databases where both
//! speak it; groups of rows go as arrays to PostgreSQL and as one JSON text to SQLite, where a
//! statement per row would be six times slower.

pub mod audit_log;
pub mod callbacks;
pub mod calls;
pub mod campaigns;
pub mod changes;
pub mod dids;
mod error;
pub mod inbound;
pub mod keys;
pub mod ledger;
mod open;
pub mod picks;
pub mod tenants;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::SecretString;
use sqlx::{PgPool, SqlitePool};
use uuid::Uuid;

use self::error::{During, Unreadable};
pub use self::error::{ListError, StoreError};
pub use self::open::OpenError;

/// Where the store is and how it is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: SecretString,
    /// The most connections to PostgreSQL, besides the ledger's own and the one that hears changes.
    pub connections_max: u32,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
}

/// The store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    /// Marks what this run writes, where that must be told from what others write.
    daemon: Uuid,
}

#[derive(Debug, Clone)]
enum Database {
    Postgres {
        pool: PgPool,
    },
    /// SQLite has one writer at a time; to wait for it in our own queue is fairer than its locks.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
}

/// The pool that a statement goes to.
#[derive(Clone, Copy)]
enum Pool<'a> {
    Postgres(&'a PgPool),
    Sqlite(&'a SqlitePool),
}

/// Runs the same text on whichever database the store is.
macro_rules! on {
    ($pool:expr, $db:ident => $act:expr) => {
        match $pool {
            $crate::store::Pool::Postgres($db) => $act,
            $crate::store::Pool::Sqlite($db) => $act,
        }
    };
}
use on;

/// The same for several statements in one transaction, all of them or none; `?` in the body gives up.
/// Comes to a `Result<_, sqlx::Error>`.
macro_rules! together {
    ($pool:expr, $db:ident => $act:expr) => {
        async {
            match $pool {
                $crate::store::Pool::Postgres(pool) => {
                    let mut $db = pool.begin().await?;
                    let done = $act;
                    $db.commit().await?;
                    Ok::<_, sqlx::Error>(done)
                }
                $crate::store::Pool::Sqlite(pool) => {
                    let mut $db = pool.begin_with("begin immediate").await?;
                    let done = $act;
                    $db.commit().await?;
                    Ok(done)
                }
            }
        }
        .await
    };
}
use together;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it, in order.
    pub items: Vec<T>,
    /// What to ask the next page with; none on the last.
    pub next: Option<String>,
}

impl Settings {
    /// Settings for this address, the rest as usual: 8 connections, 5 seconds to connect.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self { url: url.into(), connections_max: 8, connect_timeout: Duration::from_secs(5) }
    }
}

impl Store {
    /// Opens the store and brings its tables up to date.
    ///
    /// A SQLite file is made where there is none; its directory must exist.
    pub async fn open(settings: &Settings) -> Result<Self, OpenError> {
        let daemon = Uuid::now_v7();
        open::open(settings, daemon).await.map(|database| Self { database, daemon })
    }

    /// Asks the database for an answer: whether it is up.
    pub async fn check(&self) -> Result<(), StoreError> {
        on!(self.reads(), pool => sqlx::query("select 1").execute(pool).await.map(drop))
            .during("reach the database")
    }

    /// Closes every connection once what runs on it has ended.
    pub async fn close(&self) {
        match &self.database {
            Database::Postgres { pool } => pool.close().await,
            Database::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    /// `postgres` or `sqlite`.
    pub fn kind(&self) -> &'static str {
        match self.database {
            Database::Postgres { .. } => "postgres",
            Database::Sqlite { .. } => "sqlite",
        }
    }

    /// How many transactions that write can go on at once with profit: SQLite has one writer, and
    /// more than two would keep everybody else from PostgreSQL.
    pub fn writes_at_once(&self) -> usize {
        match self.database {
            Database::Postgres { .. } => 2,
            Database::Sqlite { .. } => 1,
        }
    }

    fn reads(&self) -> Pool<'_> {
        match &self.database {
            Database::Postgres { pool } => Pool::Postgres(pool),
            Database::Sqlite { readers, .. } => Pool::Sqlite(readers),
        }
    }

    fn writes(&self) -> Pool<'_> {
        match &self.database {
            Database::Postgres { pool } => Pool::Postgres(pool),
            Database::Sqlite { writer, .. } => Pool::Sqlite(writer),
        }
    }
}

impl<T> Page<T> {
    /// A page from up to `limit` + 1 rows: the one too many tells that there is a next page.
    fn of(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

/// A time as it stands in SQLite, just as sqlx writes it.
fn time_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// An id as `unhex()` reads it.
fn id_text(id: Uuid) -> String {
    id.simple().to_string()
}

/// The time as precisely as PostgreSQL keeps it, in microseconds.
fn stored_time(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

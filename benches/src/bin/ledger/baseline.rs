//! The designs Rotary does without: reading all DIDs to choose one, and one statement per pick.

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{PgPool, Row, SqlitePool};
use uuid::Uuid;

use super::measure::{Measured, measure};

const PICK: &str = "update single_dids set usage_count = usage_count + 1, last_used = now() \
     where id = (select id from single_dids where tenant_id = 't_1' and status = 'active' \
         and (max_usage is null or usage_count < max_usage) \
         order by usage_count, id limit 1 for update skip locked) returning id, usage_count";

/// One statement per pick, with the index that serves it, on 100,000 DIDs.
pub async fn single_statement(url: &str, callers: usize) -> Measured {
    let pool = pool(url, callers).await;
    for sql in [
        "drop table if exists single_dids",
        "create table single_dids as select * from asterisk_dids",
        "update single_dids set usage_count = 0",
        "alter table single_dids add primary key (id)",
        "create index on single_dids (tenant_id, usage_count, id) where status = 'active'",
        "vacuum analyze single_dids",
    ] {
        sqlx::query(sql).execute(&pool).await.expect("a table");
    }
    measure(callers, || {
        let pool = pool.clone();
        move || {
            let pool = pool.clone();
            async move {
                sqlx::query(PICK).fetch_optional(&pool).await.expect("a pick");
            }
        }
    })
    .await
}

/// Whole rows: that is what reading entities through an ORM asks for.
const READ_ALL: &str = "select * from source_dids \
     where tenant_id = 't_1' and status = 'active' order by usage_count";

/// Reads all active DIDs, drops those at their limit, takes the first, then counts: the source
/// design, with its five indexes, on 10,000 DIDs.
pub async fn source_design(url: &str, callers: usize) -> Measured {
    let pool = pool(url, callers).await;
    for sql in [
        "drop table if exists source_dids",
        "create table source_dids as select * from asterisk_dids limit 10000",
        "update source_dids set usage_count = 0",
        "alter table source_dids add primary key (id)",
        "create index on source_dids (tenant_id)",
        "create index on source_dids (number)",
        "create index on source_dids (status)",
        "create index on source_dids (usage_count)",
        "create index on source_dids (tenant_id, status)",
        "vacuum analyze source_dids",
    ] {
        sqlx::query(sql).execute(&pool).await.expect("a table");
    }
    measure(callers, || {
        let pool = pool.clone();
        move || source_pick(pool.clone())
    })
    .await
}

async fn source_pick(pool: PgPool) {
    let rows = sqlx::query(READ_ALL).fetch_all(&pool).await.expect("all DIDs");
    let free = rows.into_iter().find(|row| {
        let (used, most): (i64, Option<i64>) = (row.get("usage_count"), row.get("max_usage"));
        most.is_none_or(|most| used < most)
    });
    let id: Uuid = free.expect("a DID").get("id");
    let count =
        "update source_dids set usage_count = usage_count + 1, last_used = now() where id = $1";
    sqlx::query(count).bind(id).execute(&pool).await.expect("a count");
}

/// The source design on SQLite.
pub async fn source_design_sqlite(url: &str, callers: usize) -> Measured {
    let pool = SqlitePoolOptions::new().max_connections(4).connect(url).await.expect("a pool");
    for sql in [
        "create table source_dids as select * from asterisk_dids limit 10000",
        "create unique index source_id on source_dids (id)",
        "create index source_usage on source_dids (usage_count)",
        "create index source_tenant on source_dids (tenant_id, status)",
    ] {
        sqlx::query(sql).execute(&pool).await.expect("a table");
    }
    measure(callers, || {
        let pool = pool.clone();
        move || source_pick_sqlite(pool.clone())
    })
    .await
}

async fn source_pick_sqlite(pool: SqlitePool) {
    let rows = sqlx::query(READ_ALL).fetch_all(&pool).await.expect("all DIDs");
    let id: Uuid = rows.first().expect("a DID").get(0);
    let count = "update source_dids set usage_count = usage_count + 1 where id = $1";
    sqlx::query(count).bind(id).execute(&pool).await.expect("a count");
}

async fn pool(url: &str, callers: usize) -> PgPool {
    let connections = u32::try_from(callers).unwrap_or(16);
    PgPoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .connect(url)
        .await
        .expect("a pool")
}

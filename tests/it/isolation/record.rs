//! All that the database holds of one tenant, read past Rotary's own store.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{PgPool, SqlitePool};

/// A database that a daemon uses.
pub(super) enum Record {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// The tables that say whose their rows are.
const TABLES_POSTGRES: &str = "select table_name::text from information_schema.columns \
     where column_name = 'tenant_id' and table_schema = 'public' order by 1";
const TABLES_SQLITE: &str = "select m.name from sqlite_master m join pragma_table_info(m.name) c \
     where m.type = 'table' and c.name = 'tenant_id' order by 1";
const COLUMNS_SQLITE: &str =
    "select group_concat('quote(\"' || name || '\")', ' || '' '' || ') from pragma_table_info($1)";

impl Record {
    pub(super) async fn on_server(url: &str) -> Self {
        Self::Postgres(PgPool::connect(url).await.unwrap())
    }

    pub(super) async fn in_file(path: &str) -> Self {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        Self::Sqlite(SqlitePool::connect_with(options).await.unwrap())
    }

    /// Each row of the tenant, of every table.
    pub(super) async fn of(&self, tenant: &str) -> Vec<(String, Vec<String>)> {
        let mut rows = Vec::new();
        for table in self.tables().await {
            rows.push((table.clone(), self.rows(&table, tenant).await));
        }
        let count = |name| rows.iter().find(|(table, _)| table == name).unwrap().1.len();
        let counts =
            ["asterisk_dids", "calls", "api_keys", "campaigns", "callbacks", "picks"].map(count);
        assert!(tenant != "acme" || counts == [2, 2, 1, 2, 4, 2], "{rows:?}");
        rows
    }

    async fn tables(&self) -> Vec<String> {
        match self {
            Self::Postgres(pool) => sqlx::query_scalar(TABLES_POSTGRES).fetch_all(pool).await,
            Self::Sqlite(pool) => sqlx::query_scalar(TABLES_SQLITE).fetch_all(pool).await,
        }
        .unwrap()
    }

    async fn rows(&self, table: &str, tenant: &str) -> Vec<String> {
        match self {
            Self::Postgres(pool) => {
                let query =
                    format!("select t::text from \"{table}\" t where tenant_id = $1 order by 1");
                sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(tenant).fetch_all(pool).await
            }
            Self::Sqlite(pool) => {
                let columns: String =
                    sqlx::query_scalar(COLUMNS_SQLITE).bind(table).fetch_one(pool).await.unwrap();
                let query =
                    format!("select {columns} from \"{table}\" where tenant_id = $1 order by 1");
                sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(tenant).fetch_all(pool).await
            }
        }
        .unwrap()
    }
}

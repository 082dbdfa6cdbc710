//! Opening a database: what to tell the operator when it does not open, and the tables up to date.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, SqliteConnection};
use uuid::Uuid;

use super::{Database, Settings};

pub(super) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
pub(super) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// SQLite serves reads beside the writer; more readers than this only contend.
const SQLITE_READERS: u32 = 4;

/// How long SQLite waits for another process's write to end.
const SQLITE_BUSY: Duration = Duration::from_secs(5);

/// Why the store did not open, and what to do. Never contains the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is neither of the two forms.
    #[error(
        "the store's address must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE: {0}"
    )]
    Address(String),
    /// Nobody answers.
    #[error(
        "PostgreSQL does not answer at {place}: {problem}. Is it running, and is [store] url right?"
    )]
    Unreachable {
        /// Host and port, or the socket's directory.
        place: String,
        /// What the attempt ended with.
        problem: String,
    },
    /// The user or the password is wrong, or `pg_hba.conf` does not let us in.
    #[error(
        "PostgreSQL refused the login of {user}: {problem}. Check the user and password in [store] url"
    )]
    Login {
        /// The user we tried to be.
        user: String,
        /// What PostgreSQL said.
        problem: String,
    },
    /// There is no such database.
    #[error("PostgreSQL has no database {database:?}. Create it: createdb {database}")]
    NoDatabase {
        /// Its name.
        database: String,
    },
    /// The file or its directory cannot be written.
    #[error(
        "{path} cannot be opened for writing: {problem}. Does its directory exist, and may this user write there?"
    )]
    File {
        /// The database file.
        path: PathBuf,
        /// What SQLite or the system said.
        problem: String,
    },
    /// A newer Rotary has used this database.
    #[error(
        "the database was written by a newer Rotary (its schema {schema} is not known here). Run that version, or restore a backup from before it"
    )]
    Newer {
        /// The newest schema number found.
        schema: i64,
    },
    /// A change of the tables failed.
    #[error("bring the database's tables up to date: {0}")]
    Schema(MigrateError),
}

pub(super) async fn open(settings: &Settings, daemon: Uuid) -> Result<Database, OpenError> {
    let url = settings.url.expose_secret();
    match url.split_once(':') {
        Some(("sqlite", path)) => open_sqlite(path).await,
        Some(("postgres" | "postgresql", _)) => open_postgres(url, settings, daemon).await,
        Some((scheme, _)) => Err(OpenError::Address(format!("{scheme}: is neither"))),
        None => Err(OpenError::Address("it has no scheme".to_owned())),
    }
}

/// Opens what is there for reading alone: makes no file and changes no table.
pub(super) async fn look(settings: &Settings, daemon: Uuid) -> Result<Database, OpenError> {
    let url = settings.url.expose_secret();
    if let Some(path) = sqlite_file(settings) {
        let not_opened =
            |error: sqlx::Error| OpenError::File { path: path.clone(), problem: error.to_string() };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .read_only(true)
            .busy_timeout(SQLITE_BUSY)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let pool = pool.map_err(not_opened)?;
        return Ok(Database::Sqlite { writer: pool.clone(), readers: pool });
    }
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => {
            let (options, connection) = reach_postgres(url, settings).await?;
            connection.close().await.map_err(|error| postgres_error(&options, &error))?;
            Ok(Database::Postgres { pool: postgres_pool(options, settings, 1, daemon) })
        }
        _ => open(settings, daemon).await,
    }
}

/// The file that the address names, if it is one of SQLite.
pub(super) fn sqlite_file(settings: &Settings) -> Option<PathBuf> {
    let path = settings.url.expose_secret().strip_prefix("sqlite:")?;
    sqlite_path(path).ok().map(Path::to_owned)
}

fn sqlite_path(path: &str) -> Result<&Path, OpenError> {
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    if path.as_os_str().is_empty() || path.starts_with(":memory:") {
        return Err(OpenError::Address("SQLite needs the path of a file".to_owned()));
    }
    Ok(path)
}

async fn open_sqlite(path: &str) -> Result<Database, OpenError> {
    let path = sqlite_path(path)?;
    let not_opened =
        |error: sqlx::Error| OpenError::File { path: path.to_owned(), problem: error.to_string() };
    make_file(path).map_err(|error| not_opened(error.into()))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(SQLITE_BUSY)
        .foreign_keys(true)
        .optimize_on_close(true, None)
        .disable_statement_logging();

    let mut first = SqliteConnection::connect_with(&options).await.map_err(not_opened)?;
    migrate(&SQLITE, &mut first, not_opened).await?;
    first.close().await.map_err(not_opened)?;

    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await
        .map_err(not_opened)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .test_before_acquire(false)
        .connect_lazy_with(options);
    Ok(Database::Sqlite { writer, readers })
}

/// Makes the file where there is none, for its owner and group alone: it holds who was called. The
/// files that SQLite puts beside it take its mode.
fn make_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path).map(drop)
}

async fn open_postgres(
    url: &str,
    settings: &Settings,
    daemon: Uuid,
) -> Result<Database, OpenError> {
    let (options, mut first) = reach_postgres(url, settings).await?;
    let not_opened = |error: sqlx::Error| postgres_error(&options, &error);
    migrate(&POSTGRES, &mut first, not_opened).await?;
    first.close().await.map_err(not_opened)?;
    let pool = postgres_pool(options, settings, settings.connections_max, daemon);
    Ok(Database::Postgres { pool })
}

/// A lone connection first: a pool would try until its patience ends and then only say so.
async fn reach_postgres(
    url: &str,
    settings: &Settings,
) -> Result<(PgConnectOptions, PgConnection), OpenError> {
    let options: PgConnectOptions =
        url.parse().map_err(|_| OpenError::Address("it cannot be read as one".to_owned()))?;
    let options = options.application_name("rotary").disable_statement_logging();
    let connecting = PgConnection::connect_with(&options);
    let first = tokio::time::timeout(settings.connect_timeout, connecting)
        .await
        .map_err(|_| OpenError::Unreachable {
            place: place(&options),
            problem: format!("no answer within {} s", settings.connect_timeout.as_secs_f32()),
        })?
        .map_err(|error| postgres_error(&options, &error))?;
    Ok((options, first))
}

fn postgres_pool(
    options: PgConnectOptions,
    settings: &Settings,
    connections_max: u32,
    daemon: Uuid,
) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(settings.connect_timeout)
        .after_connect(move |db, _| Box::pin(mark(db, daemon)))
        .connect_lazy_with(options)
}

/// Triggers tell other daemons whose import this is.
async fn mark(db: &mut PgConnection, daemon: Uuid) -> Result<(), sqlx::Error> {
    let set = AssertSqlSafe(format!("set rotary.daemon = '{daemon}'"));
    sqlx::raw_sql(set).execute(db).await.map(drop)
}

async fn migrate<C>(
    migrations: &Migrator,
    connection: &mut C,
    lost: impl Fn(sqlx::Error) -> OpenError,
) -> Result<(), OpenError>
where
    C: sqlx::migrate::Migrate,
{
    match migrations.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(schema)) => Err(OpenError::Newer { schema }),
        Err(MigrateError::Execute(error)) => Err(lost(error)),
        Err(error) => Err(OpenError::Schema(error)),
    }
}

fn postgres_error(options: &PgConnectOptions, error: &sqlx::Error) -> OpenError {
    let Some(answer) = error.as_database_error() else {
        return OpenError::Unreachable { place: place(options), problem: error.to_string() };
    };
    let problem = answer.message().to_owned();
    match answer.code().as_deref() {
        Some("28P01" | "28000") => {
            OpenError::Login { user: options.get_username().to_owned(), problem }
        }
        Some("3D000") => OpenError::NoDatabase {
            database: options.get_database().unwrap_or(options.get_username()).to_owned(),
        },
        Some(_) | None => OpenError::Unreachable { place: place(options), problem },
    }
}

fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(directory) => directory.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

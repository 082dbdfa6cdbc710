//! What can go wrong, split by what the caller can do next.

use sqlx::error::DatabaseError;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the store did not do as asked. Never contains the password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// More picks wait for the database than may. Nothing was counted; ask again later.
    #[error("record the use: too many uses are waiting for the database")]
    Busy,
    /// The database could not be reached or went away. The act did not happen, or whether it did
    /// is not known. It may work later.
    #[error("{act}: {problem}")]
    Unavailable {
        /// What was being done.
        act: &'static str,
        /// What came in between.
        #[source]
        problem: Source,
    },
    /// The database refused, or holds what cannot be read. Trying again will not help.
    #[error("{act}: {problem}")]
    Broken {
        /// What was being done.
        act: &'static str,
        /// What the database said.
        #[source]
        problem: Source,
    },
}

/// Why a list was not given.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor is not one that an earlier page of the same list gave.
    #[error("{0:?} is no cursor of this list")]
    Cursor(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row that a person or another program wrote in a form we do not read.
#[derive(Debug, thiserror::Error)]
#[error("row {row}: {problem}")]
pub(super) struct Unreadable {
    row: String,
    problem: Source,
}

impl Unreadable {
    pub(super) fn new(
        row: impl std::fmt::Display,
        problem: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { row: row.to_string(), problem: Box::new(problem) }
    }
}

/// Names the act that failed.
pub(super) trait During<T> {
    fn during(self, act: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, act: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| {
            let passing = is_passing(&error);
            let problem = Box::new(error);
            match passing {
                true => StoreError::Unavailable { act, problem },
                false => StoreError::Broken { act, problem },
            }
        })
    }
}

impl<T> During<T> for Result<T, Unreadable> {
    fn during(self, act: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Broken { act, problem: Box::new(error) })
    }
}

/// Whether the failure is of the line or the moment, not of what was asked.
pub(super) fn is_passing(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Database(answer) = error {
        return is_passing_answer(answer.as_ref());
    }
    let lost = matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    );
    lost || matches!(error, sqlx::Error::BeginFailed)
}

fn is_passing_answer(answer: &dyn DatabaseError) -> bool {
    let Some(code) = answer.code() else { return false };
    if answer.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // busy, locked, an I/O error, a full disk; the upper bytes tell the shade.
        let shade: i32 = code.parse().unwrap_or(0);
        return matches!(shade & 0xff, 5 | 6 | 10 | 13);
    }
    // Connection lost, serialization or deadlock, out of resources, shutting down or starting,
    // a lock not granted, a standby that only reads.
    ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(&*code, "55P03" | "25006")
}

/// Whether two transactions wanted the same rows and this one was ended so that the other can go
/// on: nothing of it happened, and it may be tried again at once.
pub(super) fn is_contention(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|answer| answer.code());
    code.is_some_and(|code| code == "40001" || code == "40P01")
}

//! Calls that waited for a place on their trunk and got it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::domain::call::CallId;
use crate::store::{Database, During, Store, StoreError, id_text};

/// Asked again after an answer that was lost, at the same time, it finds the same calls.
macro_rules! initiate {
    ($among:literal) => {
        concat!(
            "update calls set status = 'initiated', initiated_at = $2 where id ",
            $among,
            " and (status = 'queued' or status = 'initiated' and initiated_at = $2) returning id"
        )
    };
}
const INITIATE_POSTGRES: &str = initiate!("= any ($1)");
const INITIATE_SQLITE: &str = initiate!("in (select unhex(value) from json_each($1))");

impl Store {
    /// Marks calls that waited as initiated, all in one statement, before Asterisk hears of them.
    /// Says which: one that is not among them has ended meanwhile and must not be placed.
    pub async fn initiate_queued(
        &self,
        calls: &[CallId],
        at: DateTime<Utc>,
    ) -> Result<HashSet<CallId>, StoreError> {
        let initiated: Result<Vec<Uuid>, sqlx::Error> = match &self.database {
            Database::Postgres { pool } => {
                let ids: Vec<Uuid> = calls.iter().map(|call| call.0).collect();
                sqlx::query_scalar(INITIATE_POSTGRES).bind(ids).bind(at).fetch_all(pool).await
            }
            Database::Sqlite { writer, .. } => {
                let ids: Vec<String> = calls.iter().map(|call| id_text(call.0)).collect();
                let ids = json!(ids).to_string();
                sqlx::query_scalar(INITIATE_SQLITE).bind(ids).bind(at).fetch_all(writer).await
            }
        };
        Ok(initiated.during("begin the calls that waited")?.into_iter().map(CallId).collect())
    }
}

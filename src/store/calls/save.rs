//! Saving how far calls have come, with the callbacks that tell of it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::domain::call::Call;
use crate::domain::callback::NewCallback;
use crate::store::callbacks::outbox;
use crate::store::{Database, During, Store, StoreError, id_text, stored_time, time_text};

/// By call, how many of its changes have callbacks now.
pub(in crate::store) type Told = HashMap<Uuid, u32>;

/// A call that is told to wait may have got its place meanwhile: that is written by
/// [`Store::initiate_queued`] and not taken back here.
macro_rules! save {
    ($greatest:literal, $from:literal) => {
        concat!(
            "update calls set \
             status = case n.status when 'queued' then calls.status else n.status end, \
             cause = n.cause, sip_code = n.sip_code, \
             initiated_at = coalesce(n.initiated_at, calls.initiated_at), \
             ringing_at = n.ringing_at, answered_at = n.answered_at, ended_at = n.ended_at, \
             trunk = n.trunk, attempt = n.attempt, announced = ",
            $greatest,
            "(calls.announced, n.announced) from ",
            $from,
            " where calls.id = n.id and calls.ended_at is null"
        )
    };
}
const SAVE_POSTGRES: &str = save!(
    "greatest",
    "unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], \
     $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::bigint[], $10::text[], \
     $11::bigint[]) as n (id, status, cause, sip_code, initiated_at, ringing_at, answered_at, \
     ended_at, announced, trunk, attempt)"
);
const SAVE_SQLITE: &str = save!(
    "max",
    "(select unhex(value ->> 0) as id, value ->> 1 as status, value ->> 2 as cause, \
     value ->> 3 as sip_code, value ->> 4 as initiated_at, value ->> 5 as ringing_at, \
     value ->> 6 as answered_at, value ->> 7 as ended_at, value ->> 8 as announced, \
     value ->> 9 as trunk, value ->> 10 as attempt from json_each($1)) as n"
);

impl Store {
    /// Saves how far these calls have come, all in one statement, and the callbacks that tell of
    /// it in the same transaction.
    ///
    /// A call that has ended in the store stays as it is. Of two entries for one call the last
    /// counts. Saved again after an answer that was lost, nothing is told twice.
    pub async fn save_calls(
        &self,
        calls: &[&Call],
        callbacks: &[NewCallback],
    ) -> Result<(), StoreError> {
        // Rows in the order of ids, so that two savers cannot wait for each other.
        let latest: BTreeMap<Uuid, &Call> = calls.iter().map(|call| (call.id().0, *call)).collect();
        let calls: Vec<&Call> = latest.into_values().collect();
        let mut told = Told::new();
        for new in callbacks {
            let most = told.entry(new.call.0).or_default();
            *most = new.sequence.max(*most);
        }
        self.save(&calls, &told, callbacks).await.during("save the calls")
    }

    async fn save(
        &self,
        calls: &[&Call],
        told: &Told,
        callbacks: &[NewCallback],
    ) -> Result<(), sqlx::Error> {
        match &self.database {
            Database::Postgres { pool } if callbacks.is_empty() => {
                save_to_postgres(calls, told).execute(pool).await.map(drop)
            }
            Database::Postgres { pool } => {
                let mut transaction = pool.begin().await?;
                save_to_postgres(calls, told).execute(&mut *transaction).await?;
                outbox::put_into_postgres(&mut transaction, callbacks).await?;
                transaction.commit().await
            }
            Database::Sqlite { writer, .. } if callbacks.is_empty() => {
                save_to_sqlite(calls, told).execute(writer).await.map(drop)
            }
            Database::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("begin immediate").await?;
                save_to_sqlite(calls, told).execute(&mut *transaction).await?;
                outbox::put_into_sqlite(&mut transaction, callbacks).await?;
                transaction.commit().await
            }
        }
    }
}

type Query<DB> = sqlx::query::Query<'static, DB, <DB as sqlx::Database>::Arguments>;

pub(in crate::store) fn save_to_postgres(calls: &[&Call], told: &Told) -> Query<sqlx::Postgres> {
    let times = |read: fn(&Call) -> Option<DateTime<Utc>>| -> Vec<Option<DateTime<Utc>>> {
        calls.iter().map(|call| read(call)).collect()
    };
    let numbers = |read: fn(&Call) -> Option<u16>| -> Vec<Option<i64>> {
        calls.iter().map(|call| read(call).map(i64::from)).collect()
    };
    sqlx::query(SAVE_POSTGRES)
        .bind(calls.iter().map(|call| call.id().0).collect::<Vec<_>>())
        .bind(calls.iter().map(|call| call.progress.status.as_str()).collect::<Vec<_>>())
        .bind(numbers(|call| call.progress.cause.map(|cause| cause.0)))
        .bind(numbers(|call| call.progress.sip_code))
        .bind(times(|call| call.progress.initiated_at))
        .bind(times(|call| call.progress.ringing_at))
        .bind(times(|call| call.progress.answered_at))
        .bind(times(|call| call.progress.ended_at))
        .bind(calls.iter().map(|call| announced(told, call)).collect::<Vec<_>>())
        .bind(calls.iter().map(|call| call.request.trunk.to_string()).collect::<Vec<_>>())
        .bind(calls.iter().map(|call| i64::from(call.progress.attempt)).collect::<Vec<_>>())
}

pub(in crate::store) fn save_to_sqlite(calls: &[&Call], told: &Told) -> Query<sqlx::Sqlite> {
    let time = |at: Option<DateTime<Utc>>| at.map(|at| time_text(stored_time(at)));
    let rows: Vec<_> = calls
        .iter()
        .map(|call| {
            let progress = &call.progress;
            json!([
                id_text(call.id().0),
                progress.status,
                progress.cause.map(|cause| cause.0),
                progress.sip_code,
                time(progress.initiated_at),
                time(progress.ringing_at),
                time(progress.answered_at),
                time(progress.ended_at),
                announced(told, call),
                call.request.trunk,
                progress.attempt,
            ])
        })
        .collect();
    sqlx::query(SAVE_SQLITE).bind(serde_json::Value::Array(rows).to_string())
}

fn announced(told: &Told, call: &Call) -> i64 {
    told.get(&call.id().0).copied().unwrap_or_default().into()
}

//! How much is still to be delivered.

use chrono::{DateTime, Utc};

use crate::store::{During, Store, StoreError, on};

/// Of each call that has callbacks to deliver exactly one has a next attempt; see [`super::outbox`].
/// The partial index finds those: without the order PostgreSQL would rather walk the whole table
/// when there are many. The limit bounds what a look costs.
const BACKLOG: &str = "select count(*), min(created_at) from (select created_at from callbacks \
     where next_attempt_at is not null order by host, next_attempt_at limit $1) as c";

impl Store {
    /// How many calls have a callback still to be delivered, due or not, counted up to `most`; and
    /// when the oldest of those that were counted was made. Of all tenants.
    pub async fn callback_backlog(
        &self,
        most: u32,
    ) -> Result<(i64, Option<DateTime<Utc>>), StoreError> {
        on!(self.reads(), pool => sqlx::query_as(BACKLOG)
            .bind(i64::from(most))
            .fetch_one(pool)
            .await)
        .during("count the callbacks to deliver")
    }
}

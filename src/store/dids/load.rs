//! Every DID, streamed: how the index is filled at start.

use futures_util::TryStreamExt;
use sqlx::{ColumnIndex, Decode, Row, Type};
use uuid::Uuid;

use super::row::{Shared, Texts};
use super::{During, Store, StoreError, on};
use crate::domain::did::DidState;

/// Columns by place, because a look-up by name for each of a million rows is felt.
const LOAD: &str = "select id, tenant_id, number, area_code, trunk, status, usage_count, \
     max_usage, campaign_id from asterisk_dids order by id";

impl Store {
    /// Hands every DID to `each`, in the order of ids, and says how many they were.
    ///
    /// Within a tenant the ids rise, as the index likes it. By tenant first would have to be
    /// sorted, while ids rise with time and so lie in their order already.
    ///
    /// A row that cannot be read (a person may have written it) is left out with a warning: one
    /// bad number must not keep the daemon from starting.
    pub async fn load_dids(&self, mut each: impl FnMut(DidState)) -> Result<u64, StoreError> {
        let mut shared = Shared::default();
        let mut loaded = 0;
        let mut take = |texts: Texts<'_>| match texts.read(&mut shared) {
            Ok(state) => {
                loaded += 1;
                each(state);
            }
            Err(unreadable) => {
                tracing::warn!(problem = %unreadable, "a DID cannot be read and is left out");
            }
        };
        on!(self.reads(), pool => {
            let mut rows = sqlx::query(LOAD).fetch(pool);
            loop {
                match rows.try_next().await {
                    Ok(Some(row)) => match texts(&row) {
                        Ok(texts) => take(texts),
                        Err(error) => break Err(error),
                    },
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            }
        })
        .during("load the DIDs")?;
        Ok(loaded)
    }
}

fn texts<'r, R: Row>(row: &'r R) -> Result<Texts<'r>, sqlx::Error>
where
    usize: ColumnIndex<R>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(Texts {
        id: row.try_get(0)?,
        tenant: row.try_get(1)?,
        number: row.try_get(2)?,
        area_code: row.try_get(3)?,
        trunk: row.try_get(4)?,
        status: row.try_get(5)?,
        usage_count: row.try_get(6)?,
        max_usage: row.try_get(7)?,
        campaign: row.try_get(8)?,
    })
}

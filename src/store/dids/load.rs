//! Every DID, streamed: how the index is filled at start.

use futures_util::TryStreamExt;

use super::row::{Shared, Texts, texts_of};
use super::{During, Store, StoreError, on};
use crate::domain::did::DidState;

/// Columns by place, as [`texts_of`] reads them.
const LOAD: &str = "select id, tenant_id, number, area_code, trunk, status, usage_count, \
     max_usage, campaign_id, head_start from asterisk_dids order by id";

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
                    Ok(Some(row)) => match texts_of(&row) {
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

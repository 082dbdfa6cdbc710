//! Reading what was told of, as the index needs it.

use std::ops::RangeInclusive;

use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Changes;
use crate::domain::did::{DidId, DidState};
use crate::domain::tenant::TenantId;
use crate::store::dids::{Shared, texts_of};
use crate::store::{During, StoreError};

/// Columns by place, as [`texts_of`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select d.id, d.tenant_id, d.number, d.area_code, d.trunk, d.status, d.usage_count, \
             d.max_usage, d.campaign_id, d.head_start from ",
            $rest
        )
    };
}
const NAMED: &str = select!(
    "unnest($1::text[], $2::uuid[]) as n (tenant_id, id) \
     join asterisk_dids d on d.id = n.id and d.tenant_id = n.tenant_id"
);
const BETWEEN: &str =
    select!("asterisk_dids d where d.id between $1 and $2 order by d.id limit $3");

/// A part of the table, in the order of ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// The DIDs in it, of any tenants.
    pub states: Vec<DidState>,
    /// What is left to read; none at the end.
    pub rest: Option<RangeInclusive<DidId>>,
}

impl Changes {
    /// Those of these DIDs that are there, under the tenants named.
    ///
    /// A row that cannot be read is left out with a warning, as at start.
    pub async fn dids(&self, named: &[(TenantId, DidId)]) -> Result<Vec<DidState>, StoreError> {
        let rows = sqlx::query(NAMED)
            .bind(named.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>())
            .bind(named.iter().map(|(_, id)| id.0).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await
            .during("read the DIDs that changed")?;
        states(&rows)
    }

    /// The first `limit` DIDs between these ids, whoever owns them.
    pub async fn dids_between(
        &self,
        ids: &RangeInclusive<DidId>,
        limit: u32,
    ) -> Result<Stretch, StoreError> {
        let rows = sqlx::query(BETWEEN)
            .bind(ids.start().0)
            .bind(ids.end().0)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .during("read the DIDs that changed")?;
        let full = rows.len() as u64 >= u64::from(limit);
        let last = rows.last().filter(|_| full).map(texts_of).transpose();
        let last = last.during("read the DIDs that changed")?.map(|last| last.id);
        let next = last.and_then(|last| last.as_u128().checked_add(1));
        let rest = next.map(|next| DidId(Uuid::from_u128(next))..=*ids.end());
        Ok(Stretch { states: states(&rows)?, rest })
    }
}

fn states(rows: &[PgRow]) -> Result<Vec<DidState>, StoreError> {
    let mut shared = Shared::default();
    let mut states = Vec::with_capacity(rows.len());
    for row in rows {
        match texts_of(row).during("read the DIDs that changed")?.read(&mut shared) {
            Ok(state) => states.push(state),
            Err(unreadable) => {
                tracing::warn!(problem = %unreadable, "a DID cannot be read and is left out");
            }
        }
    }
    Ok(states)
}

//! Lists of DIDs, page by page.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;
use sqlx::types::Json;
use uuid::Uuid;

use super::row::DidRow;
use super::{During, Store, StoreError, on};
use crate::domain::did::{Did, DidId, DidStatus, TrunkName};
use crate::domain::number::{AreaCode, E164};
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::{Database, ListError, Page, id_text};

/// Which DIDs to list; what is none or empty does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DidFilter {
    /// With exactly this number.
    pub number: Option<E164>,
    /// In this state.
    pub status: Option<DidStatus>,
    /// Of this area code.
    pub area_code: Option<AreaCode>,
    /// Leaving by this trunk.
    pub trunk: Option<TrunkName>,
    /// Of this pool.
    pub campaign: Option<CampaignId>,
    /// With these digits anywhere in the number; other characters do not count.
    pub q: Option<String>,
    /// In this order.
    pub sort: DidSort,
}

/// The order of a list of DIDs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DidSort {
    /// By number, as text.
    #[default]
    Number,
    /// The least used first, then by id: the order of picks.
    Usage,
    /// By id, which rises with the time a DID was made.
    Created,
}

/// The last row of the page before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DidPlace {
    /// Of a list by number.
    Number(E164),
    /// Of a list by usage: the count, and the id.
    Usage(u32, DidId),
    /// Of a list by creation.
    Created(DidId),
}

const THESE_OF_POSTGRES: &str = "select * from asterisk_dids where tenant_id = $1 and id = any($2)";
const THESE_OF_SQLITE: &str = "select * from asterisk_dids where tenant_id = $1 \
     and id in (select unhex(value) from json_each($2))";

impl Store {
    /// Up to `limit` of the tenant's DIDs, from where `cursor` left off.
    ///
    /// Pages by number or by creation neither repeat nor miss a DID while others come and go. By
    /// usage a DID that is picked between two pages may stand on both.
    pub async fn list_dids(
        &self,
        tenant: &TenantId,
        filter: &DidFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Did>, ListError> {
        let after = cursor.map(|text| filter.sort.read_cursor(text)).transpose()?;
        let sql = filter.statement(after);
        let rows: Vec<DidRow> = on!(self.reads(), pool => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(tenant.as_str());
            for (text, _) in filter.conditions() {
                query = query.bind(text);
            }
            query = match after {
                None => query,
                Some(DidPlace::Number(number)) => query.bind(number.to_string()),
                Some(DidPlace::Usage(count, id)) => query.bind(i64::from(count)).bind(id.0),
                Some(DidPlace::Created(id)) => query.bind(id.0),
            };
            query.bind(i64::from(limit) + 1).fetch_all(pool).await
        })
        .during("list the DIDs")?;
        let dids: Result<Vec<Did>, _> = rows.into_iter().map(Did::try_from).collect();
        let dids = dids.during("list the DIDs")?;
        Ok(Page::of(dids, limit as usize, |last| filter.sort.place_of(last).cursor()))
    }

    /// Those of the tenant's DIDs that have these ids, in the order of `ids`.
    pub async fn these_dids(
        &self,
        tenant: &TenantId,
        ids: &[DidId],
    ) -> Result<Vec<Did>, StoreError> {
        let rows: Result<Vec<DidRow>, _> = match &self.database {
            Database::Postgres { pool } => {
                let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
                let query = sqlx::query_as(THESE_OF_POSTGRES).bind(tenant.as_str()).bind(ids);
                query.fetch_all(pool).await
            }
            Database::Sqlite { readers, .. } => {
                let ids: Vec<String> = ids.iter().map(|id| id_text(id.0)).collect();
                let query = sqlx::query_as(THESE_OF_SQLITE).bind(tenant.as_str()).bind(Json(ids));
                query.fetch_all(readers).await
            }
        };
        let mut dids = HashMap::with_capacity(ids.len());
        for row in rows.during("list the DIDs")? {
            let did = Did::try_from(row).during("list the DIDs")?;
            dids.insert(did.id, did);
        }
        Ok(ids.iter().filter_map(|id| dids.remove(id)).collect())
    }
}

impl DidFilter {
    /// The statement of a page. It names only the filters that are there, for the planner to see.
    fn statement(&self, after: Option<DidPlace>) -> String {
        let mut sql = "select * from asterisk_dids where tenant_id = $1".to_owned();
        let mut parameters = 1;
        let mut next = || {
            parameters += 1;
            format!("${parameters}")
        };
        for (_, condition) in self.conditions() {
            sql += &condition.replace('?', &next());
        }
        sql += &match after {
            None => String::new(),
            Some(DidPlace::Number(_)) => format!(" and number > {}", next()),
            Some(DidPlace::Usage(..)) => {
                format!(" and (usage_count, id) > ({}, {})", next(), next())
            }
            Some(DidPlace::Created(_)) => format!(" and id > {}", next()),
        };
        let order = match self.sort {
            DidSort::Number => "number",
            DidSort::Usage => "usage_count, id",
            DidSort::Created => "id",
        };
        format!("{sql} order by {order} limit {}", next())
    }

    /// What is compared, and how.
    fn conditions(&self) -> impl Iterator<Item = (String, &'static str)> {
        let digits = self.q.as_deref().map(digits_of).filter(|digits| !digits.is_empty());
        [
            (self.number.map(|number| number.to_string()), " and number = ?"),
            (self.status.map(|status| status.as_str().to_owned()), " and status = ?"),
            (self.area_code.map(|code| code.to_string()), " and area_code = ?"),
            (self.trunk.as_ref().map(|trunk| trunk.as_str().to_owned()), " and trunk = ?"),
            (self.campaign.as_ref().map(|id| id.as_str().to_owned()), " and campaign_id = ?"),
            (digits, " and number like '%' || ? || '%'"),
        ]
        .into_iter()
        .filter_map(|(text, condition)| Some((text?, condition)))
    }
}

impl DidPlace {
    /// The place in characters that no URL changes.
    pub fn cursor(self) -> String {
        match self {
            Self::Number(number) => format!("n{}", number.digits()),
            Self::Usage(count, id) => format!("u{count}.{id}"),
            Self::Created(id) => format!("c{id}"),
        }
    }
}

impl DidSort {
    fn place_of(self, did: &Did) -> DidPlace {
        match self {
            Self::Number => DidPlace::Number(did.number),
            Self::Usage => DidPlace::Usage(did.usage_count, did.id),
            Self::Created => DidPlace::Created(did.id),
        }
    }

    /// The place that [`DidPlace::cursor`] of such a list has written.
    pub fn read_cursor(self, text: &str) -> Result<DidPlace, ListError> {
        let read = || match (self, text.split_at_checked(1)?) {
            (Self::Number, ("n", digits)) => {
                E164::from_digits(digits.parse().ok()?).map(DidPlace::Number)
            }
            (Self::Usage, ("u", place)) => {
                let (count, id) = place.split_once('.')?;
                Some(DidPlace::Usage(count.parse().ok()?, DidId(id.parse().ok()?)))
            }
            (Self::Created, ("c", id)) => id.parse().ok().map(|id| DidPlace::Created(DidId(id))),
            (Self::Number | Self::Usage | Self::Created, _) => None,
        };
        read().ok_or_else(|| ListError::Cursor(text.to_owned()))
    }
}

fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

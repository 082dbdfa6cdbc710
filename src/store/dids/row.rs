//! Rows of `asterisk_dids` as both databases give them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{ColumnIndex, Decode, Row, Type};
use uuid::Uuid;

use crate::domain::did::{Did, DidId, DidState, TrunkName};
use crate::domain::number::AreaCode;
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::Unreadable;

#[derive(sqlx::FromRow)]
pub(super) struct DidRow {
    id: Uuid,
    tenant_id: String,
    number: String,
    area_code: Option<String>,
    trunk: String,
    status: String,
    usage_count: i64,
    max_usage: Option<i64>,
    last_used: Option<DateTime<Utc>>,
    campaign_id: Option<String>,
    head_start: i64,
    metadata: Json<Map<String, Value>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<DidRow> for Did {
    type Error = Unreadable;

    fn try_from(row: DidRow) -> Result<Self, Unreadable> {
        let texts = Texts {
            id: row.id,
            tenant: &row.tenant_id,
            number: &row.number,
            area_code: row.area_code.as_deref(),
            trunk: &row.trunk,
            status: &row.status,
            usage_count: row.usage_count,
            max_usage: row.max_usage,
            campaign: row.campaign_id.as_deref(),
            head_start: row.head_start,
        };
        let state = texts.read(&mut Shared::default())?;
        Ok(Self {
            id: state.id,
            tenant: state.tenant,
            number: state.number,
            area_code: state.area_code,
            trunk: state.trunk,
            status: state.status,
            usage_count: state.usage_count,
            max_usage: state.max_usage,
            last_used: row.last_used,
            campaign: state.campaign,
            head_start: state.head_start,
            metadata: row.metadata.0,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// What the index needs of a row, as it lies in the row.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Texts<'r> {
    pub(in crate::store) id: Uuid,
    pub(in crate::store) tenant: &'r str,
    pub(in crate::store) number: &'r str,
    pub(in crate::store) area_code: Option<&'r str>,
    pub(in crate::store) trunk: &'r str,
    pub(in crate::store) status: &'r str,
    pub(in crate::store) usage_count: i64,
    pub(in crate::store) max_usage: Option<i64>,
    pub(in crate::store) campaign: Option<&'r str>,
    pub(in crate::store) head_start: i64,
}

/// Reads id, tenant, number, area code, trunk, status, count, limit, campaign and head start by
/// their places, because a look-up by name for each of a million rows is felt.
pub(in crate::store) fn texts_of<'r, R: Row>(row: &'r R) -> Result<Texts<'r>, sqlx::Error>
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
        head_start: row.try_get(9)?,
    })
}

/// The names of the row before. Neighbours have the same ones, and a million rows should not hold
/// a million copies.
#[derive(Debug, Default)]
pub(in crate::store) struct Shared {
    tenant: Option<TenantId>,
    trunk: Option<TrunkName>,
    campaign: Option<CampaignId>,
}

impl Texts<'_> {
    /// Reads the row. A count beyond `u32` reads as the most there is; a limit that large is none
    /// that a telephone could reach.
    pub(in crate::store) fn read(self, shared: &mut Shared) -> Result<DidState, Unreadable> {
        let row = self.id;
        Ok(DidState {
            id: DidId(row),
            tenant: same_or_new(&mut shared.tenant, self.tenant, TenantId::as_str)
                .map_err(|error| Unreadable::new(row, error))?,
            number: self.number.parse().map_err(|error| Unreadable::new(row, error))?,
            area_code: self
                .area_code
                .filter(|code| !code.is_empty())
                .map(str::parse::<AreaCode>)
                .transpose()
                .map_err(|error| Unreadable::new(row, error))?,
            trunk: same_or_new(&mut shared.trunk, self.trunk, TrunkName::as_str)
                .map_err(|error| Unreadable::new(row, error))?,
            status: self.status.parse().map_err(|error| Unreadable::new(row, error))?,
            usage_count: saturate(self.usage_count),
            max_usage: self.max_usage.map(saturate),
            campaign: self
                .campaign
                .map(|name| same_or_new(&mut shared.campaign, name, CampaignId::as_str))
                .transpose()
                .map_err(|error| Unreadable::new(row, error))?,
            head_start: saturate(self.head_start),
        })
    }
}

pub(in crate::store) fn saturate(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

fn same_or_new<T: Clone + std::str::FromStr>(
    last: &mut Option<T>,
    text: &str,
    as_str: impl Fn(&T) -> &str,
) -> Result<T, T::Err> {
    match last {
        Some(same) if as_str(same) == text => Ok(same.clone()),
        Some(_) | None => text.parse::<T>().map(|new| last.insert(new).clone()),
    }
}

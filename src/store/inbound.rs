//! Who is behind an inbound call: whose number was rung, and the last call from it to the one who calls.

use sqlx::types::Json;
use uuid::Uuid;

use super::{During, Store, StoreError, Unreadable, on};
use crate::domain::call::CallId;
use crate::domain::number::E164;
use crate::domain::tenant::{CampaignId, InvalidId, TenantId};

/// Whose a number is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The tenant.
    pub tenant: TenantId,
    /// The number's pool.
    pub campaign: Option<CampaignId>,
}

/// A call that somebody may be calling back about.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierCall {
    /// The call.
    pub id: CallId,
    /// The journey engine's own reference, as it came with the call.
    pub journey: Option<serde_json::Value>,
}

/// A number is unique within a tenant only. Of several holders the one that has it in rotation
/// counts, then the one that showed it last.
const HOLDER: &str = "select tenant_id, campaign_id from asterisk_dids where number = $1 \
     order by case status when 'active' then 0 else 1 end, last_used desc nulls last, tenant_id limit 1";

/// Along the index `calls_by_parties`.
const LAST_CALL: &str = "select id, journey from calls \
     where to_number = $1 and from_number = $2 and tenant_id = $3 order by created_at desc limit 1";

impl Store {
    /// Whose this number is; none where nobody holds it.
    pub async fn holder_of(&self, number: E164) -> Result<Option<Holder>, StoreError> {
        let row: Option<(String, Option<String>)> =
            on!(self.reads(), pool => sqlx::query_as(HOLDER)
                .bind(number.to_string())
                .fetch_optional(pool)
                .await)
            .during("look up whose number it is")?;
        let Some((tenant, campaign)) = row else { return Ok(None) };
        let holder = || {
            let unreadable = |error: InvalidId| Unreadable::new(number, error);
            Ok::<_, Unreadable>(Holder {
                tenant: tenant.parse().map_err(unreadable)?,
                campaign: campaign.map(|text| text.parse()).transpose().map_err(unreadable)?,
            })
        };
        holder().map(Some).during("look up whose number it is")
    }

    /// The last call of this tenant to `to` that showed `from`.
    pub async fn last_call(
        &self,
        tenant: &TenantId,
        from: E164,
        to: E164,
    ) -> Result<Option<EarlierCall>, StoreError> {
        let row: Option<(Uuid, Option<Json<serde_json::Value>>)> =
            on!(self.reads(), pool => sqlx::query_as(LAST_CALL)
                .bind(to.to_string())
                .bind(from.to_string())
                .bind(tenant.as_str())
                .fetch_optional(pool)
                .await)
            .during("look up the last call")?;
        Ok(row.map(|(id, journey)| EarlierCall {
            id: CallId(id),
            journey: journey.map(|journey| journey.0),
        }))
    }
}

//! Rows of `calls` as both databases give them.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::call::cause::Cause;
use crate::domain::call::{Call, CallId, CallRequest, Destination, PlacedBy, Progress};
use crate::domain::did::DidId;
use crate::store::Unreadable;

#[derive(sqlx::FromRow)]
pub(super) struct CallRow {
    id: Uuid,
    tenant_id: String,
    did_id: Uuid,
    did_reason: Option<String>,
    from_number: String,
    to_number: String,
    trunk: String,
    campaign_id: Option<String>,
    destination: Json<Destination>,
    variables: Json<Vec<(String, String)>>,
    caller_name: Option<String>,
    ring_timeout_seconds: i64,
    time_limit_seconds: Option<i64>,
    callback_url: Option<String>,
    journey: Option<Json<serde_json::Value>>,
    created_at: DateTime<Utc>,
    asterisk: Option<String>,
    status: String,
    cause: Option<i64>,
    sip_code: Option<i64>,
    initiated_at: Option<DateTime<Utc>>,
    ringing_at: Option<DateTime<Utc>>,
    answered_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    hang_up_asked_at: Option<DateTime<Utc>>,
    pub(super) announced: i64,
    queued_at: Option<DateTime<Utc>>,
    attempt: i64,
    placed_by: String,
}

impl TryFrom<CallRow> for Call {
    type Error = Unreadable;

    fn try_from(row: CallRow) -> Result<Self, Unreadable> {
        let id = row.id;
        let small = |number: i64| u16::try_from(number).unwrap_or(0);
        let request = CallRequest {
            id: CallId(id),
            tenant: row.tenant_id.parse().map_err(|error| Unreadable::new(id, error))?,
            to: row.to_number.parse().map_err(|error| Unreadable::new(id, error))?,
            did: DidId(row.did_id),
            from: row.from_number.parse().map_err(|error| Unreadable::new(id, error))?,
            reason: row
                .did_reason
                .map(|word| word.parse())
                .transpose()
                .map_err(|error| Unreadable::new(id, error))?,
            trunk: row.trunk.parse().map_err(|error| Unreadable::new(id, error))?,
            campaign: row
                .campaign_id
                .map(|text| text.parse())
                .transpose()
                .map_err(|error| Unreadable::new(id, error))?,
            destination: row.destination.0,
            variables: row.variables.0,
            caller_name: row.caller_name,
            ring_timeout_seconds: u32::try_from(row.ring_timeout_seconds).unwrap_or(0),
            time_limit_seconds: row
                .time_limit_seconds
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            callback_url: row.callback_url,
            journey: row.journey.map(|journey| journey.0),
            created_at: row.created_at,
            placed_by: match row.placed_by.as_str() {
                "dialplan" => PlacedBy::Dialplan,
                _ => PlacedBy::Rotary,
            },
        };
        let progress = Progress {
            status: row.status.parse().map_err(|error| Unreadable::new(id, error))?,
            asterisk: row
                .asterisk
                .map(|text| text.parse())
                .transpose()
                .map_err(|error| Unreadable::new(id, error))?,
            cause: row.cause.map(small).map(Cause),
            sip_code: row.sip_code.map(small),
            queued_at: row.queued_at,
            initiated_at: row.initiated_at,
            ringing_at: row.ringing_at,
            answered_at: row.answered_at,
            ended_at: row.ended_at,
            hang_up_asked_at: row.hang_up_asked_at,
            attempt: u32::try_from(row.attempt).unwrap_or(1),
        };
        Ok(Self::restored(request, progress))
    }
}

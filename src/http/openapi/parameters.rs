//! What stands in paths, queries and headers of requests, for the document; as [`super::asked`] is for bodies.

#![expect(dead_code, reason = "these are described, never made")]

use chrono::{DateTime, Utc};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::schemas::{Callee, WrittenNumber};
use crate::domain::call::{CallId, CallStatus};
use crate::domain::callback::CallbackStatus;
use crate::domain::did::{DidId, DidStatus, TrunkName};
use crate::domain::number::{AreaCode, Region};
use crate::domain::tenant::{CampaignId, TenantId};

/// In which order to list DIDs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct DidOrderQuery {
    /// The order; `number` where left out.
    #[param(inline)]
    sort: Option<DidOrder>,
}

/// Which DIDs to list or export.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct DidFilterQuery {
    /// Only the one with this number.
    number: Option<WrittenNumber>,
    /// Only those of this status.
    status: Option<DidStatus>,
    /// Only those of this area code.
    area_code: Option<AreaCode>,
    /// Only those of this trunk.
    trunk: Option<TrunkName>,
    /// Only those of this pool.
    campaign_id: Option<CampaignId>,
    /// Only those with these digits anywhere in the number.
    #[param(pattern = "^[^\\x00]*[0-9][^\\x00]*$", max_length = 64)]
    q: Option<String>,
}

/// How a list of DIDs is ordered.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum DidOrder {
    Number,
    Usage,
    UsageCount,
    Created,
    CreatedAt,
}

/// For which call the next DID is asked.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct NextQuery {
    /// Who would be called.
    to: Option<Callee>,
    /// The pool to pick from; every DID of the tenant where left out.
    campaign_id: Option<CampaignId>,
    /// The area code to prefer.
    area_code: Option<AreaCode>,
}

/// How a file is imported.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct ImportQuery {
    /// Whether to store nothing and say what an import would come to.
    dry_run: Option<bool>,
    /// The country by which numbers without `+` are read; `US` where left out.
    #[param(inline)]
    default_region: Option<Region>,
    /// What to do with a number that is there already; `skip` where left out. `update` changes what its row says.
    #[param(inline)]
    on_duplicate: Option<OnDuplicate>,
}

/// What becomes of a number that is there already.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum OnDuplicate {
    Skip,
    Update,
}

/// When a call is answered for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct MakeCallQuery {
    /// Holds the answer until the call is answered, or has ended.
    #[param(inline)]
    wait: Option<Wait>,
}

/// How far a call must come before its asker is answered.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum Wait {
    Answer,
    End,
}

/// What makes a repeated request the same request.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct IdempotencyKey {
    /// The same key answers with the first call and `Idempotent-Replayed: true`; with another request it is a conflict.
    #[param(rename = "Idempotency-Key", pattern = "^[!-~]([ -~]{0,253}[!-~])?$", max_length = 255)]
    key: Option<String>,
}

/// Which calls to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct CallListQuery {
    /// Only those that have come so far.
    status: Option<CallStatus>,
    /// Only those to this number.
    to: Option<Callee>,
    /// Only those that show this DID.
    did_id: Option<DidId>,
    /// Only those asked for at this time or later.
    since: Option<DateTime<Utc>>,
    /// How many at once; 100 where left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before, asked for with the same filters.
    #[param(min_length = 1, max_length = 200)]
    cursor: Option<String>,
}

/// Which picks to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct PickListQuery {
    /// Only those that are settled, or only the others.
    settled: Option<bool>,
    /// How many at once; 100 where left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before, asked for with the same filters.
    #[param(min_length = 1, max_length = 200)]
    cursor: Option<String>,
}

/// How a call's events are told.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct CallEventsQuery {
    /// Whether the answer goes on with what is still to come; `true` where left out.
    follow: Option<bool>,
}

/// Which events are told, and how.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct EventsQuery {
    /// Only those of this call.
    call_id: Option<CallId>,
    /// Only those of this type.
    #[param(rename = "type", inline)]
    kind: Option<EventType>,
    /// Whether the answer goes on with what is still to come; `true` where left out.
    follow: Option<bool>,
}

/// What a call came to.
#[derive(ToSchema)]
enum EventType {
    #[schema(rename = "call.queued")]
    Queued,
    #[schema(rename = "call.initiated")]
    Initiated,
    #[schema(rename = "call.ringing")]
    Ringing,
    #[schema(rename = "call.in-progress")]
    InProgress,
    #[schema(rename = "call.completed")]
    Completed,
    #[schema(rename = "call.busy")]
    Busy,
    #[schema(rename = "call.no-answer")]
    NoAnswer,
    #[schema(rename = "call.canceled")]
    Canceled,
    #[schema(rename = "call.failed")]
    Failed,
}

/// How far a call's events were read.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct LastOfCall {
    /// The `id` of the last event that was read: only later ones are told.
    #[param(rename = "Last-Event-ID", maximum = 4_294_967_295_i64)]
    last: Option<u32>,
}

/// How far a tenant's events were read.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct LastOfTenant {
    /// The `id` of the last event that was read: all later ones are told. Any other text is an id of which nothing is known.
    #[param(rename = "Last-Event-ID")]
    last: Option<String>,
}

/// Which callbacks to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct CallbackListQuery {
    /// Only those that have come so far.
    status: Option<CallbackStatus>,
    /// Only those that tell of this call.
    call_id: Option<CallId>,
    /// How many at once; 100 where left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before, asked for with the same filters.
    #[param(min_length = 1, max_length = 200)]
    cursor: Option<String>,
}

/// Which callbacks to send again.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ReplayQuery {
    /// The dead ones; others are sent again one by one.
    #[param(inline)]
    status: Replayed,
}

/// The one status of callbacks that are sent again together.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum Replayed {
    Dead,
}

/// The `{id}` of a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct PathUuid {
    /// The id.
    id: Uuid,
}

/// The `{id}` of a tenant's path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct PathTenant {
    /// The tenant's id.
    id: TenantId,
}

/// The `{id}` of a campaign's path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct PathCampaign {
    /// The campaign's id.
    id: CampaignId,
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PageQuery {
    /// How many at once; 100 where left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before.
    #[param(min_length = 1, max_length = 200)]
    cursor: Option<String>,
}

/// Which keys to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct KeyListQuery {
    /// Only this tenant's. Where `X-Tenant-Id` names one too, it must be the same.
    tenant_id: Option<TenantId>,
    /// How many at once; 100 where left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before, asked for with the same tenant.
    #[param(min_length = 1, max_length = 200)]
    cursor: Option<String>,
}

/// Which lines of the audit log to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct AuditQuery {
    /// Only what was done to this DID.
    did_id: Option<DidId>,
    /// Only what was done to this kind of thing: `did`, `import`, `tenant`, `campaign`, `callback` or `key`.
    #[param(pattern = "^[^\\x00]+$")]
    subject_type: Option<String>,
    /// Only what was done to the thing with this id.
    #[param(pattern = "^[^\\x00]+$")]
    subject_id: Option<String>,
    /// Only such acts, for instance `did.updated`.
    #[param(pattern = "^[^\\x00]+$")]
    action: Option<String>,
    /// Only what was done at this time or later.
    since: Option<DateTime<Utc>>,
    /// How many at once; 100 where left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before, asked for with the same filters.
    #[param(min_length = 1, max_length = 200)]
    cursor: Option<String>,
}

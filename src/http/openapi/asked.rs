//! What requests may hold, for the document. The handlers read field by field, to name what is
//! wrong; a test asks every operation which fields it knows and compares that with these.

#![expect(dead_code, reason = "these are described, never made")]

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::schemas::{Callee, Shown, WrittenNumber};
use crate::domain::call::CallStatus;
use crate::domain::did::{DidId, DidStatus, TrunkName};
use crate::domain::number::{AreaCode, Region};
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::keys::Role;

/// A DID to create.
#[derive(ToSchema)]
#[schema(as = NewDidRequest, rename_all = "camelCase")]
pub(in crate::http) struct NewDidBody {
    /// What the callee will see.
    number: WrittenNumber,
    /// Read from the number where left out.
    area_code: Option<AreaCode>,
    /// Where its calls leave; `PJSIP` where left out.
    trunk: Option<TrunkName>,
    /// `available` where left out, which is not picked until it is `active`.
    status: Option<DidStatus>,
    /// The most uses it may ever have; left out, there is no limit.
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    max_usage: Option<u32>,
    /// Its pool.
    campaign_id: Option<CampaignId>,
    /// What else there is to note (`provider`, `region`, `notes`, …), at most 16 KiB of JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// Which DIDs to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct DidListQuery {
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
    /// The order; `number` where left out.
    #[param(inline)]
    sort: Option<DidOrder>,
    /// How many at once; 100 where left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before, asked for with the same filters.
    #[param(min_length = 1, max_length = 200)]
    cursor: Option<String>,
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

/// A form with the file.
#[derive(ToSchema)]
pub(in crate::http) struct ImportForm {
    /// The CSV, at most 1 GiB. Other fields of the form are not looked at.
    #[schema(format = Binary, content_media_type = "text/csv")]
    file: String,
}

/// A call to place. `application` and `data` may stand in place of `context`, `exten` and `priority`.
#[derive(ToSchema)]
#[schema(as = MakeCallRequest, rename_all = "camelCase")]
pub(in crate::http) struct MakeCallBody {
    /// Who is called.
    to: Callee,
    /// What is shown.
    from: Option<Shown>,
    /// The pool the rotation picks from; every DID of the tenant where left out.
    campaign_id: Option<CampaignId>,
    /// The area code the rotation prefers.
    area_code: Option<AreaCode>,
    /// The trunk to leave by; the DID's own where left out.
    trunk: Option<TrunkName>,
    /// Where the answered call goes; what the configuration says where left out.
    #[schema(
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$",
        max_length = 79
    )]
    context: Option<String>,
    /// The extension in the context.
    #[schema(
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$",
        max_length = 79
    )]
    exten: Option<String>,
    /// The priority of the extension.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    priority: Option<u32>,
    /// The dialplan application to run instead.
    #[schema(
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$",
        max_length = 79
    )]
    application: Option<String>,
    /// Its arguments.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 900)]
    data: Option<String>,
    /// Channel variables, at most 64; a name has letters, digits and `_`.
    #[schema(value_type = Option<Object>)]
    variables: Option<Map<String, Value>>,
    /// The name shown beside the number.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 79)]
    caller_name: Option<String>,
    /// How long the phone may ring; what the configuration says where left out.
    #[schema(minimum = 1, maximum = 600)]
    ring_timeout_seconds: Option<u32>,
    /// Where changes will be posted. It is kept; nothing is posted to it in this version.
    #[schema(
        pattern = "^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?$",
        max_length = 2048
    )]
    callback_url: Option<String>,
    /// The journey engine's own reference, given back with the call; at most 16 KiB of JSON.
    #[schema(value_type = Option<Value>)]
    journey: Option<Value>,
    /// As the header `Idempotency-Key`.
    #[schema(pattern = "^[ -~]{1,255}$")]
    idempotency_key: Option<String>,
}

/// A call to place, as the node of a journey has it: what `POST /api/calls` takes, with the type and the tenant of the node.
#[derive(ToSchema)]
#[schema(as = JourneyNode, rename_all = "camelCase")]
pub(in crate::http) struct JourneyNodeBody {
    /// What the node does.
    #[schema(rename = "type")]
    kind: NodeType,
    /// For whom the call is placed.
    tenant_id: TenantId,
}

/// The one type of node there is.
#[derive(ToSchema)]
enum NodeType {
    #[schema(rename = "MAKE_CALL")]
    MakeCall,
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

/// A key to create.
#[derive(ToSchema)]
#[schema(as = NewKeyRequest, rename_all = "camelCase")]
pub(in crate::http) struct NewKeyBody {
    /// What its bearer may do.
    role: Role,
    /// Whose it is; the caller's tenant where left out. An admin's key has none.
    tenant_id: Option<TenantId>,
    /// What it is for, to tell keys apart.
    #[schema(max_length = 200)]
    label: Option<String>,
}

/// The `{id}` of a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct PathUuid {
    /// The id.
    id: Uuid,
}

//! What the bodies of requests may hold, for the document. The handlers read field by field, to name what is
//! wrong; a test asks every operation which fields it knows and compares that with these.

#![expect(dead_code, reason = "these are described, never made")]

use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::schemas::{CallbackUrl, Callee, Shown, WrittenNumber};
use crate::domain::campaign::Join;
use crate::domain::did::{DidStatus, TrunkName};
use crate::domain::number::AreaCode;
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

/// What to change of a DID.
#[derive(ToSchema)]
#[schema(as = ChangeDidRequest, rename_all = "camelCase")]
pub(in crate::http) struct ChangeDidBody {
    /// The DID's own id, as the path has it.
    #[schema(nullable = false)]
    id: Option<Uuid>,
    /// The DID's own tenant.
    #[schema(nullable = false)]
    tenant_id: Option<TenantId>,
    /// What the callee will see.
    #[schema(nullable = false)]
    number: Option<WrittenNumber>,
    /// Its area code; `null` for none.
    area_code: Option<AreaCode>,
    /// Where its calls leave.
    #[schema(nullable = false)]
    trunk: Option<TrunkName>,
    /// Whether it may be picked.
    #[schema(nullable = false)]
    status: Option<DidStatus>,
    /// Ignored.
    #[schema(value_type = Value, required = false)]
    usage_count: Value,
    /// Ignored.
    #[schema(value_type = Value, required = false)]
    head_start: Value,
    /// The most uses it may ever have; `null` for no limit.
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    max_usage: Option<u32>,
    /// Ignored.
    #[schema(value_type = Value, required = false)]
    last_used: Value,
    /// Its pool; `null` for none.
    campaign_id: Option<CampaignId>,
    /// What else there is to note, in place of all that was noted before; at most 16 KiB of JSON.
    #[schema(value_type = Option<Object>, nullable = false)]
    metadata: Option<Map<String, Value>>,
    /// Ignored.
    #[schema(value_type = Value, required = false)]
    created_at: Value,
    /// Ignored.
    #[schema(value_type = Value, required = false)]
    updated_at: Value,
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
    /// Where the answered call goes; what the configuration says where left out. At most 79 bytes of UTF-8, as every
    /// name in the dialplan.
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
    /// Its arguments, at most 900 bytes of UTF-8.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 900)]
    data: Option<String>,
    /// Channel variables, at most 64; a name has letters, digits and `_`, a value at most 900 bytes of UTF-8.
    #[schema(value_type = Option<Object>)]
    variables: Option<Map<String, Value>>,
    /// The name shown beside the number, at most 79 bytes of UTF-8.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 79)]
    caller_name: Option<String>,
    /// How long the phone may ring; what the configuration says where left out.
    #[schema(minimum = 1, maximum = 600)]
    ring_timeout_seconds: Option<u32>,
    /// How long the answered call may last, in seconds from the answer; then Rotary hangs it up. What the configuration
    /// says where left out.
    #[schema(minimum = 1, maximum = 86_400)]
    time_limit_seconds: Option<u32>,
    /// Where each change of the call is posted, signed.
    callback_url: Option<CallbackUrl>,
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

/// A campaign to describe.
#[derive(ToSchema)]
#[schema(as = NewCampaignRequest, rename_all = "camelCase")]
pub(in crate::http) struct NewCampaignBody {
    /// Its id, as DIDs and calls name it.
    id: CampaignId,
    /// What people call it.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 200)]
    name: Option<String>,
    /// `count` where left out.
    join: Option<Join>,
    /// Whether picks prefer the callee's own area code; `false` where left out.
    local_presence: Option<bool>,
}

/// What to change of a campaign.
#[derive(ToSchema)]
#[schema(as = ChangeCampaignRequest, rename_all = "camelCase")]
pub(in crate::http) struct ChangeCampaignBody {
    /// What people call it; an empty name takes it away.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 200)]
    name: Option<String>,
    /// Where those that join later begin.
    join: Option<Join>,
    /// Whether picks prefer the callee's own area code.
    local_presence: Option<bool>,
}

/// A tenant to create.
#[derive(ToSchema)]
#[schema(as = NewTenantRequest)]
pub(in crate::http) struct NewTenantBody {
    /// Its id, which comes from elsewhere.
    id: TenantId,
    /// What people call it.
    #[schema(max_length = 200)]
    name: Option<String>,
}

/// A DID to pick.
#[derive(ToSchema)]
#[schema(as = NewPickRequest, rename_all = "camelCase")]
pub(in crate::http) struct NewPickBody {
    /// Who will be called; without it the call cannot be among the calls later.
    to: Option<Callee>,
    /// The pool to pick from; every DID of the tenant where left out.
    campaign_id: Option<CampaignId>,
}

/// How a pick's call ended.
#[derive(ToSchema)]
#[schema(as = PickOutcomeRequest, rename_all = "camelCase")]
pub(in crate::http) struct PickOutcomeBody {
    /// How.
    status: CallEnd,
    /// Why, by Q.850; 0 where left out, which is "not known".
    #[schema(minimum = 0, maximum = 127)]
    cause: Option<u32>,
    /// For how long people talked, where the call is `completed`.
    #[schema(minimum = 0, maximum = 604_800)]
    talk_seconds: Option<u32>,
}

/// The ends of calls.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum CallEnd {
    Completed,
    Busy,
    NoAnswer,
    Canceled,
    Failed,
}

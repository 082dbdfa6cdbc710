//! The schemas of values that are a text in JSON. Their patterns say what the types of `domain` take.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::asterisk::AsteriskName;
use crate::domain::call::{CallId, CallStatus, PlacedBy};
use crate::domain::callback::{CallbackId, CallbackStatus};
use crate::domain::campaign::Join;
use crate::domain::did::{DidId, DidStatus, TrunkName};
use crate::domain::number::{AreaCode, E164, Region};
use crate::domain::pick::{PickId, PickStatus};
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::keys::Role;

/// A number in any written form, in a request.
pub(in crate::http) struct WrittenNumber;

/// A number that is to be called, in a request.
pub(in crate::http) struct Callee;

/// What a call is to show, in a request.
pub(in crate::http) struct Shown;

/// Where a call's changes are posted, in a request.
pub(in crate::http) struct CallbackUrl;

/// A CSV of DIDs, in an answer.
pub(in crate::http) struct DidCsv;

/// Calls to place, in a request.
pub(in crate::http) struct CallLines;

/// What became of them, in an answer.
pub(in crate::http) struct BatchResults;

macro_rules! schemas {
    ($($type:ident $name:literal: $schema:expr;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::T($schema)
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )+};
}

schemas! {
    TenantId "TenantId": pattern("Who owns numbers and places calls: an opaque id.", ID, "default");
    CampaignId "CampaignId": pattern("A tenant's named pool of numbers.", ID, "c_abc");
    E164 "E164": pattern("A telephone number in E.164 form.", r"^\+[1-9][0-9]{6,14}$", "+14045556789");
    AreaCode "AreaCode": pattern("The digits of an area code, leading zeros kept.", "^[0-9]{1,7}$", "404");
    TrunkName "Trunk": pattern("The PJSIP endpoint a call leaves by.", "^[A-Za-z0-9_.-]{1,64}$", "PJSIP");
    AsteriskName "AsteriskName": pattern("An Asterisk, by its name in the configuration.", "^[A-Za-z0-9_.-]{1,64}$", "pbx-1");
    Region "Region": pattern("A country, as ISO 3166-1 alpha-2.", "^[A-Za-z]{2}$", "US");
    DidId "DidId": uuid("The id of a DID.");
    CallId "CallId": uuid("The id of a call, also its channel's in Asterisk.");
    DidStatus "DidStatus": words(
        "`active` (in rotation), `available` (owned, not yet in rotation), `inactive`, `suspended`.",
        &["active", "available", "inactive", "suspended"],
    );
    CallStatus "CallStatus": words(
        "`queued` → `initiated` → `ringing` → `in-progress` → `completed`, or `busy`, `no-answer`, `canceled`, `failed`.",
        &["queued", "initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "canceled", "failed"],
    );
    PlacedBy "PlacedBy": words(
        "`rotary`, or `dialplan`: placed elsewhere with a DID that was picked for it, and on record once it has ended.",
        &["rotary", "dialplan"],
    );
    PickId "PickId": uuid("The id of a pick, also that of the call it was for.");
    PickStatus "PickStatus": words(
        "`open` (nobody has said what became of it), `released` (given back), `settled` (its call is over).",
        &["open", "released", "settled"],
    );
    CallbackId "CallbackId": uuid("The id of a callback, also its `webhook-id`.");
    CallbackStatus "CallbackStatus": words(
        "`pending` (sent, or to be sent), `delivered`, `dead` (given up until it is replayed).",
        &["pending", "delivered", "dead"],
    );
    Join "Join": words(
        "Where a DID that joins begins: `count`, by its own lifetime count, so that a new one is shown until it has \
         caught up, or `lowest`, level with the least used of those that can be picked.",
        &["count", "lowest"],
    );
    DidCsv "DidCsv": Schema::Object(
        text().description(Some("A line of column names, then a line for each DID.")).build(),
    );
    CallLines "CallLines": Schema::Object(
        text().description(Some("A `MakeCallRequest` in JSON a line.")).build(),
    );
    BatchResults "BatchResults": Schema::Object(
        text().description(Some("A `BatchResult` in JSON a line.")).build(),
    );
    Role "Role": words(
        "`admin` (all tenants), `operator` (all of one tenant), `journey` (calls and picks), `viewer` (reads).",
        &["admin", "operator", "journey", "viewer"],
    );
    WrittenNumber "WrittenNumber": of_format(
        "phone-number",
        "A telephone number in any written form; without `+` it is read as a North American one. It must have the \
         length that its country's numbers have.",
        "^[0-9+ ().-]{7,64}$",
        "(404) 555-6789",
    );
    Callee "Callee": of_format(
        "phone-number",
        "A telephone number with its `+` and country; between the digits may stand what people write there. It must \
         have the length that its country's numbers have.",
        r"^\+[0-9 ().-]{7,63}$",
        "+14155550123",
    );
    CallbackUrl "CallbackUrl": of_format(
        "callback-url",
        "An http or https URL of at most 2048 bytes, without a user name, a password or port 0. A private address is \
         refused unless `[webhooks] allow_private_targets = true`.",
        r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20\x7f-\x9f\\]+$",
        "https://journeys.example.com/callbacks",
    );
    Shown "Shown": Schema::AnyOf(
        AnyOfBuilder::new()
            .item(Ref::from_schema_name(DidId::name()))
            .item(Ref::from_schema_name(WrittenNumber::name()))
            .description(Some(
                "A DID's id or a number the tenant holds. Left out, the rotation picks; the tenant's own id means the same.",
            ))
            .build(),
    );
}

const ID: &str = "^[A-Za-z0-9_.:-]{1,64}$";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn pattern(says: &str, pattern: &str, example: &str) -> Schema {
    let schema = text().description(Some(says)).pattern(Some(pattern));
    Schema::Object(schema.examples([example]).build())
}

/// A pattern alone cannot know every country's numbers, or every host; the format says that there is more to it.
fn of_format(format: &str, says: &str, pattern: &str, example: &str) -> Schema {
    let format = SchemaFormat::Custom(format.to_owned());
    let schema = text().description(Some(says)).pattern(Some(pattern)).format(Some(format));
    Schema::Object(schema.examples([example]).build())
}

fn uuid(says: &str) -> Schema {
    let format = SchemaFormat::KnownFormat(KnownFormat::Uuid);
    Schema::Object(text().description(Some(says)).format(Some(format)).build())
}

fn words(says: &str, words: &[&str]) -> Schema {
    let words = words.iter().copied().map(String::from);
    Schema::Object(text().description(Some(says)).enum_values(Some(words)).build())
}

//! The OpenAPI document: made from the handlers' own annotations, finished here, served as it is
//! committed in `docs/openapi.json`.
//!
//! A route exists because `http::routes` names its handler, and so does its path in the document.
//! What belongs to every operation (the tenant's header, examples) is added by `finish`.

mod asked;
mod finish;
mod parameters;
mod refusals;
mod schemas;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

pub(super) use self::asked::{
    ChangeCampaignBody, ChangeDidBody, ImportForm, JourneyNodeBody, MakeCallBody, NewCampaignBody,
    NewDidBody, NewKeyBody, NewPickBody, NewTenantBody, PickOutcomeBody,
};
pub(super) use self::parameters::{
    AuditQuery, CallEventsQuery, CallListQuery, CallbackListQuery, DidFilterQuery, DidOrderQuery,
    EventsQuery, IdempotencyKey, ImportQuery, KeyListQuery, LastOfCall, LastOfTenant,
    MakeCallQuery, NextQuery, PageQuery, PathCampaign, PathTenant, PathUuid, PickListQuery,
    ReplayQuery,
};
pub(super) use self::refusals::{BODY, DOOR, HEAD, problems, refusals};
pub(super) use self::schemas::{BatchResults, CallLines, DidCsv};

/// What the document says of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rotary",
        description = "Rotary rotates caller IDs, places calls through Asterisk and follows them to their end.\n\n\
            **Keys.** Over TCP a request shows a key, `Authorization: Bearer KEY`; `rotary keys create` makes one. \
            On the control socket the peer is an administrator. A key has a role: `admin` (all tenants), `operator` \
            (all of one tenant), `journey` (calls and picks), `viewer` (reads). A tenant is never told of what \
            belongs to another: such an id answers 404.\n\n\
            **Problems.** What fails is told as `application/problem+json` (RFC 9457). Decide by `code`, which does not \
            change; show `detail` to people; `field` names the field at fault. An unknown path answers 404 \
            `route_not_found`, a method that a path does not take 405 `method_not_allowed` with `Allow`.\n\n\
            **Bodies.** JSON is camelCase. A field that is not known is refused with 422, so that a slip is never \
            silently ignored; `null` is the same as a field left out, unless the operation says that it clears. No text may hold a NUL. Numbers are E.164 with \
            `+`, times RFC 3339 in UTC.\n\n\
            **Request ids.** Every answer has `X-Request-Id`, the caller's own where it sent one; the log has it too.",
    ),
    tags(
        (name = "Calls", description = "Place calls and follow them."),
        (name = "Picks", description = "DIDs for calls that dialplans and other dialers place."),
        (name = "Callbacks", description = "What a call's `callbackUrl` was told of it."),
        (name = "DIDs", description = "The numbers that may be shown as caller ID."),
        (name = "Campaigns", description = "Pools of DIDs, and how they are picked from."),
        (name = "Tenants", description = "Who owns numbers and places calls."),
        (name = "Audit log", description = "Who did what."),
        (name = "Keys", description = "Who may use the API over TCP."),
        (name = "House", description = "How the daemon is doing, and this document."),
    ),
    components(schemas(super::problem::ProblemBody, super::batch::BatchResultView)),
    modifiers(&Bearer),
    security(("key" = [])),
)]
pub(super) struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("rk_…")
            .description(Some("A key, as `rotary keys create` or `POST /api/keys` shows it once."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let made = serde_json::to_value(super::routes().into_openapi());
    finish::finish(&made.expect("the document prints as JSON"))
});

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", *DOCUMENT));

/// The document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The document as it is served and committed.
pub fn text() -> &'static str {
    &TEXT
}

refusals! {
    Open: HEAD;
}

/// This document
///
/// The OpenAPI 3.1 document of this very version. Needs no key.
#[utoipa::path(
    get, path = "/openapi.json", tag = "House", operation_id = "openapi", security(()),
    responses((status = 200, description = "The document", body = Object, content_type = "application/json"), Open),
)]
pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text())
}

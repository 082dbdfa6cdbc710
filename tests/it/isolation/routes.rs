//! Every route there is, and how one tenant would ask there for what is another's.

use rotary::http::openapi;
use serde_json::{Value, json};

use super::Acme;
use crate::house::Ask;

/// One method of one path.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// The roles that may ask there for what is their own tenant's.
    pub(super) roles: &'static [&'static str],
    /// What these are answered.
    pub(super) expected: Expected,
    /// Each way to ask.
    pub(super) asks: fn(&Acme) -> Vec<Ask>,
}

/// What asking for another tenant's things comes to.
#[derive(Debug)]
pub(super) enum Expected {
    /// Anybody may ask, and it is nobody's in particular.
    Open,
    /// A part of the program, which is the same whoever asks and whatever the store holds.
    Constant,
    /// 404 with this code.
    NotFound(&'static str),
    /// This status, of one's own tenant.
    Own(u16),
}

use Expected::{Constant, NotFound, Open, Own};

const ALL: &[&str] = &["operator", "journey", "viewer"];
const CALLERS: &[&str] = &["operator", "journey"];
const OPERATORS: &[&str] = &["operator"];
const NOBODY: &[&str] = &[];

const DIDS: &str = "/api/asterisk-dids";
const NEXT: &str = "/api/asterisk-dids/next-available";
const IMPORT: &str = "/api/asterisk-dids/import";
const EXPORT: &str = "/api/asterisk-dids/export";
const RESET: &str = "/api/asterisk-dids/{id}/reset-usage";
const REJECTED: &str = "/api/asterisk-dids/imports/{id}/rejected";
const CALLBACKS: &str = "/api/callbacks";
const REPLAY: &str = "/api/callbacks/{id}/replay";
const REPLAY_DEAD: &str = "/api/callbacks/replay";
const PICKS: &str = "/api/picks";
const PICK: &str = "/api/picks/{id}";
const OUTCOME: &str = "/api/picks/{id}/outcome";
const BATCH: &str = "/api/calls/batch";
const NODE: &str = "/api/journeys/make-call";
const TO: &str = "+14155550199";

/// A number of the first tenant's, which the second never brings in.
pub(super) const FREE: &str = "+12125550002";

/// A route may have several lines: one for each thing that it can be asked for.
pub(super) const ROUTES: &[Route] = &[
    route("GET", "/healthz", ALL, Open, |_| vec![Ask::get("/healthz")]),
    route("GET", "/readyz", ALL, Open, |_| vec![Ask::get("/readyz")]),
    // It adds up what all tenants do.
    route("GET", "/metrics", NOBODY, Own(403), |_| vec![Ask::get("/metrics")]),
    route("GET", "/openapi.json", ALL, Constant, |_| vec![Ask::get("/openapi.json")]),
    route("GET", "/docs", ALL, Constant, |_| vec![Ask::get("/docs")]),
    route("GET", "/api/status", ALL, Own(200), |_| vec![Ask::get("/api/status")]),
    route("GET", DIDS, ALL, Own(200), |acme| {
        vec![
            Ask::get("/api/asterisk-dids?limit=1000"),
            Ask::get("/api/asterisk-dids?campaignId=c_acme"),
            Ask::get(&format!("/api/asterisk-dids?q={}", &acme.number[1..])),
        ]
    }),
    // The same number may be another tenant's: that it is must not show.
    route("POST", DIDS, OPERATORS, Own(201), |acme| {
        vec![Ask::post(DIDS, &json!({"number": acme.number}))]
    }),
    route("GET", NEXT, ALL, Own(200), |_| vec![Ask::get(NEXT)]),
    route("GET", NEXT, ALL, Own(409), |_| {
        vec![Ask::get("/api/asterisk-dids/next-available?campaignId=c_acme")]
    }),
    route("POST", IMPORT, OPERATORS, Own(200), |acme| {
        let csv = format!("number,status,notes\n{},inactive,mine\n", acme.number);
        vec![
            Ask::post_as(IMPORT, "text/csv", csv.clone()),
            Ask::post_as(&format!("{IMPORT}?onDuplicate=update"), "text/csv", csv),
        ]
    }),
    route("GET", "/api/asterisk-dids/{id}", ALL, NotFound("did_not_found"), |acme| {
        vec![Ask::get(&format!("{DIDS}/{}", acme.did))]
    }),
    route("PUT", "/api/asterisk-dids/{id}", OPERATORS, NotFound("did_not_found"), |acme| {
        vec![Ask::put(&format!("{DIDS}/{}", acme.did), &json!({"status": "suspended"}))]
    }),
    route("DELETE", "/api/asterisk-dids/{id}", OPERATORS, NotFound("did_not_found"), |acme| {
        vec![Ask::delete(&format!("{DIDS}/{}", acme.did))]
    }),
    route("POST", RESET, OPERATORS, NotFound("did_not_found"), |acme| {
        vec![Ask::post_as(&RESET.replace("{id}", &acme.did), "", "")]
    }),
    route("GET", EXPORT, ALL, Own(200), |_| {
        vec![Ask::get(EXPORT), Ask::get("/api/asterisk-dids/export?campaignId=c_acme")]
    }),
    route("GET", REJECTED, ALL, NotFound("import_not_found"), |acme| {
        vec![Ask::get(&REJECTED.replace("{id}", &acme.import))]
    }),
    route("GET", "/api/calls", ALL, Own(200), |acme| {
        vec![
            Ask::get("/api/calls?limit=1000"),
            Ask::get(&format!("/api/calls?didId={}", acme.did)),
            Ask::get("/api/calls?to=%2B14155550123"),
        ]
    }),
    route("POST", "/api/calls", CALLERS, Own(202), |_| {
        vec![Ask::post("/api/calls", &json!({"to": TO}))]
    }),
    // Another tenant's name in `from` is no rotation of that tenant's, and no number.
    route("POST", "/api/calls", CALLERS, Own(422), |_| {
        vec![Ask::post("/api/calls", &json!({"to": TO, "from": "acme"}))]
    }),
    route("POST", "/api/calls", CALLERS, Own(409), |_| {
        vec![Ask::post("/api/calls", &json!({"to": TO, "campaignId": "c_acme"}))]
    }),
    route("POST", "/api/calls", CALLERS, NotFound("did_not_found"), |acme| {
        vec![
            Ask::post("/api/calls", &json!({"to": TO, "from": acme.did})),
            Ask::post("/api/calls", &json!({"to": TO, "from": FREE})),
        ]
    }),
    route("GET", "/api/calls/{id}", ALL, NotFound("call_not_found"), |acme| {
        vec![Ask::get(&format!("/api/calls/{}", acme.call))]
    }),
    route("GET", "/api/calls/{id}/events", ALL, NotFound("call_not_found"), |acme| {
        vec![Ask::get(&format!("/api/calls/{}/events", acme.call))]
    }),
    route("GET", "/api/events", ALL, Own(200), |acme| {
        let asks = ["?follow=false".to_owned(), format!("?follow=false&callId={}", acme.call)];
        // From the beginning, if it were one's own.
        let from = format!("{}-0", acme.run);
        asks.map(|query| Ask::get(&format!("/api/events{query}")).header("last-event-id", &from))
            .into()
    }),
    route("DELETE", "/api/calls/{id}", CALLERS, NotFound("call_not_found"), |acme| {
        vec![Ask::delete(&format!("/api/calls/{}", acme.call))]
    }),
    // What is another's is refused line by line.
    route("POST", BATCH, CALLERS, Own(200), |acme| {
        let lines = [
            json!({"to": TO}),
            json!({"to": TO, "from": acme.did}),
            json!({"to": TO, "from": FREE}),
            json!({"to": TO, "campaignId": "c_acme"}),
        ];
        vec![Ask::lines(BATCH, &lines)]
    }),
    route("POST", NODE, CALLERS, Own(202), |_| {
        vec![Ask::post(NODE, &json!({"type": "MAKE_CALL", "tenantId": "other", "to": TO}))]
    }),
    route("POST", NODE, NOBODY, Own(403), |_| {
        vec![Ask::post(NODE, &json!({"type": "MAKE_CALL", "tenantId": "acme", "to": TO}))]
    }),
    route("GET", PICKS, ALL, Own(200), |_| {
        vec![Ask::get("/api/picks?limit=1000"), Ask::get("/api/picks?settled=false")]
    }),
    route("POST", PICKS, CALLERS, Own(201), |_| vec![Ask::post(PICKS, &json!({"to": TO}))]),
    route("POST", PICKS, CALLERS, Own(409), |_| {
        vec![Ask::post(PICKS, &json!({"to": TO, "campaignId": "c_acme"}))]
    }),
    route("GET", PICK, ALL, NotFound("pick_not_found"), |acme| {
        vec![Ask::get(&PICK.replace("{id}", &acme.pick))]
    }),
    route("DELETE", PICK, CALLERS, NotFound("pick_not_found"), |acme| {
        vec![Ask::delete(&PICK.replace("{id}", &acme.pick))]
    }),
    route("POST", OUTCOME, CALLERS, NotFound("pick_not_found"), |acme| {
        vec![Ask::post(&OUTCOME.replace("{id}", &acme.pick), &json!({"status": "busy"}))]
    }),
    route("GET", CALLBACKS, ALL, Own(200), |acme| {
        vec![
            Ask::get("/api/callbacks?limit=1000"),
            Ask::get("/api/callbacks?status=dead"),
            Ask::get(&format!("/api/callbacks?callId={}", acme.call)),
        ]
    }),
    route("POST", REPLAY, OPERATORS, NotFound("callback_not_found"), |acme| {
        vec![Ask::post_as(&REPLAY.replace("{id}", &acme.callback), "", "")]
    }),
    route("POST", REPLAY_DEAD, OPERATORS, Own(202), |_| {
        vec![Ask::post_as("/api/callbacks/replay?status=dead", "", "")]
    }),
    route("GET", "/api/campaigns", ALL, Own(200), |_| vec![Ask::get("/api/campaigns")]),
    // The same id may be another tenant's.
    route("POST", "/api/campaigns", OPERATORS, Own(201), |_| {
        vec![Ask::post("/api/campaigns", &json!({"id": "c_both"}))]
    }),
    route("GET", "/api/campaigns/{id}", ALL, NotFound("campaign_not_found"), |_| {
        vec![Ask::get("/api/campaigns/c_acme")]
    }),
    route("PUT", "/api/campaigns/{id}", OPERATORS, NotFound("campaign_not_found"), |_| {
        vec![Ask::put("/api/campaigns/c_acme", &json!({"join": "lowest"}))]
    }),
    route("GET", "/api/tenants", ALL, Own(200), |_| vec![Ask::get("/api/tenants")]),
    route("POST", "/api/tenants", NOBODY, Own(403), |_| {
        vec![Ask::post("/api/tenants", &json!({"id": "acme"}))]
    }),
    route("GET", "/api/tenants/{id}", ALL, NotFound("tenant_not_found"), |_| {
        vec![Ask::get("/api/tenants/acme")]
    }),
    route("POST", "/api/tenants/{id}/webhook-secret", NOBODY, Own(403), |_| {
        vec![Ask::post_as("/api/tenants/acme/webhook-secret", "", "")]
    }),
    route("GET", "/api/audit-log", OPERATORS, Own(200), |acme| {
        vec![
            Ask::get("/api/audit-log?limit=1000"),
            Ask::get(&format!("/api/audit-log?didId={}", acme.did)),
            Ask::get(&format!("/api/audit-log?subjectId={}", acme.key)),
        ]
    }),
    route("GET", "/api/keys", NOBODY, Own(403), |_| {
        vec![Ask::get("/api/keys"), Ask::get("/api/keys?tenantId=acme")]
    }),
    route("POST", "/api/keys", NOBODY, Own(403), |_| {
        vec![Ask::post("/api/keys", &json!({"role": "operator", "tenantId": "acme"}))]
    }),
    route("DELETE", "/api/keys/{id}", NOBODY, Own(403), |acme| {
        vec![Ask::delete(&format!("/api/keys/{}", acme.key))]
    }),
];

const fn route(
    method: &'static str,
    path: &'static str,
    roles: &'static [&'static str],
    expected: Expected,
    asks: fn(&Acme) -> Vec<Ask>,
) -> Route {
    Route { method, path, roles, expected, asks }
}

/// The routes in the document, as method and path; none is served that is not there.
pub(super) fn in_the_document() -> Vec<(String, String)> {
    let paths = openapi::document()["paths"].as_object().unwrap().iter();
    let methods = |(path, operations): (&String, &Value)| {
        let methods = operations.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    paths.flat_map(methods).collect()
}

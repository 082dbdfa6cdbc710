//! Is it alive, can it place calls, how is it doing.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::Utc;

use super::auth::MayRead;
use super::openapi::refusals;
use super::view::{
    AsteriskView, CheckView, ChecksView, DidCountsView, ReadyView, StatusView, TrunkView,
};
use crate::app::App;
use crate::app::asterisks::LineState;
use crate::app::status::{self as operation, Readiness};
use crate::domain::asterisk::AsteriskName;
use crate::store::keys::Role;

refusals! {
    Asking: DOOR;
    Open: HEAD;
}

/// Is it alive?
///
/// 200 while the process lives. Needs no key.
#[utoipa::path(
    get, path = "/healthz", tag = "House", operation_id = "health", security(()),
    responses((status = 200, description = "It lives", body = String, content_type = "text/plain"), Open),
)]
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// Can it place calls?
///
/// 200 when the store is up and every trunk of the configuration has an Asterisk that is up, else 503
/// naming what is down. Needs no key.
#[utoipa::path(
    get, path = "/readyz", tag = "House", operation_id = "ready", security(()),
    responses(
        (status = 200, description = "Calls can be placed", body = ReadyView),
        (status = 503, description = "Something is down", body = ReadyView),
        Open,
    ),
)]
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<ReadyView>) {
    let readiness = operation::readiness(&app).await;
    let code = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let view = ReadyView { status: word(&readiness).to_owned(), checks: checks(&readiness) };
    (code, Json(view))
}

/// How is it doing?
///
/// The daemon, what it leans on, and the tenant's DIDs and calls in numbers; to an administrator the trunks too.
#[utoipa::path(
    get, path = "/api/status", tag = "House", operation_id = "status",
    responses((status = 200, description = "How it is doing", body = StatusView), Asking),
)]
pub(super) async fn status(MayRead(caller): MayRead, State(app): State<App>) -> Json<StatusView> {
    let status = operation::status(&app, &caller.tenant).await;
    // What others' calls do on a trunk is for those who see all tenants.
    let trunks = (caller.role == Role::Admin).then_some(status.trunks);
    Json(StatusView {
        status: word(&status.readiness).to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: status.started_at,
        uptime_seconds: (Utc::now() - status.started_at).num_seconds(),
        store: status.store_kind.to_owned(),
        checks: checks(&status.readiness),
        tenant_id: caller.tenant,
        dids: DidCountsView {
            total: status.dids.total,
            active: status.dids.active,
            spent: status.dids.spent,
        },
        calls_in_progress: status.calls_in_progress,
        calls_queued: status.calls_queued,
        trunks: trunks.map(|trunks| trunks.iter().map(TrunkView::from).collect()),
    })
}

fn word(readiness: &Readiness) -> &'static str {
    if readiness.is_ready() { "ready" } else { "unready" }
}

fn checks(readiness: &Readiness) -> ChecksView {
    ChecksView {
        store: match &readiness.store {
            Ok(()) => up(None),
            // The cause may name hosts and users; anybody may ask for readiness.
            Err(_) => down(
                "it does not answer; check that the database runs and that [store] url names it, \
                 the log has the cause",
            ),
        },
        asterisk: match readiness.can_leave() {
            true => up(Some(in_words(readiness))),
            false => down(&in_words(readiness)),
        },
        asterisks: readiness.asterisks.iter().map(|(name, state)| view(name, state)).collect(),
    }
}

/// Where there are several, what is down goes before what is up.
fn in_words(readiness: &Readiness) -> String {
    if let [(_, LineState::Up { detail: only, .. } | LineState::Down { why: only })] =
        &readiness.asterisks[..]
    {
        return only.clone();
    }
    let stuck = readiness.stuck.iter().map(|trunk| format!("no call can leave by trunk {trunk}"));
    let all = readiness.asterisks.iter();
    let down = all.clone().filter_map(|(name, state)| match state {
        LineState::Down { why } => Some(format!("{name}: {why}")),
        LineState::Up { .. } => None,
    });
    let up = all.filter_map(|(name, state)| match state {
        LineState::Up { detail, .. } => Some(format!("{name}: {detail}")),
        LineState::Down { .. } => None,
    });
    stuck.chain(down).chain(up).collect::<Vec<_>>().join("; ")
}

fn view(name: &AsteriskName, state: &LineState) -> AsteriskView {
    let check = match state {
        LineState::Up { detail, .. } => up(Some(detail.clone())),
        LineState::Down { why } => down(why),
    };
    AsteriskView { name: name.clone(), check }
}

fn up(detail: Option<String>) -> CheckView {
    CheckView { status: "up".to_owned(), detail }
}

fn down(detail: &str) -> CheckView {
    CheckView { status: "down".to_owned(), detail: Some(detail.to_owned()) }
}

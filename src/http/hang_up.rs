//! `DELETE /api/calls/{id}`: hang up, or cancel before it is placed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use uuid::Uuid;

use super::auth::MayCall;
use super::openapi::{PathUuid, refusals};
use super::problem::{Code, Problem};
use super::request::PathId;
use super::view::CallView;
use crate::app::App;
use crate::app::hang_up::hang_up as hang_up_call;
use crate::domain::call::CallId;

refusals! {
    HangingUp: DOOR, [CallNotFound, RouteNotFound];
}

/// Hang up a call
///
/// Ends a call, or cancels it before it is placed. An answered call ends as `completed`, another as `canceled`, unless
/// the callee answers first or says no. The wish is kept until the call has ended, through a lost line and a restart, so
/// asking again is never wrong. Needs the role `journey`, `operator` or `admin`.
#[utoipa::path(
    delete, path = "/api/calls/{id}", tag = "Calls", operation_id = "hangUpCall",
    params(PathUuid),
    responses(
        (status = 200, description = "The call has ended", body = CallView),
        (status = 202, description = "The call is being hung up", body = CallView),
        HangingUp,
    ),
)]
pub(super) async fn hang_up(
    MayCall(caller): MayCall,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<(StatusCode, Json<CallView>), Problem> {
    let call_id = id.parse::<Uuid>().map(CallId).map_err(|_| call_not_found(&id))?;
    let operation = app.clone();
    let call = app
        .to_the_end(async move {
            hang_up_call(&operation, &caller.tenant, call_id, &caller.origin).await
        })
        .await
        .map_err(Problem::store_unavailable)?
        .ok_or_else(|| call_not_found(&id))?;
    let status = match call.progress.status.is_end() {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    Ok((status, Json(CallView::in_full(&call))))
}

/// What is answered when the tenant has no such call.
pub(super) fn call_not_found(id: &str) -> Problem {
    Problem::new(Code::CallNotFound, format!("Call not found: {id}"))
}

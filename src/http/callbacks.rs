//! `/api/callbacks`: what was told to receivers, and telling it again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::{MayChange, MayRead};
use super::fields::missing;
use super::openapi::{CallbackListQuery, PathUuid, ReplayQuery, refusals};
use super::problem::{Code, Problem};
use super::request::{PathId, QueryString, page_limit};
use super::view::PageView;
use crate::app::{App, replay_callbacks};
use crate::domain::call::CallId;
use crate::domain::callback::{Callback, CallbackId, CallbackStatus};
use crate::store::callbacks::CallbackFilter;

/// A callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallbackView {
    /// Its id, also its `webhook-id`.
    pub id: CallbackId,
    /// The call it tells of.
    pub call_id: CallId,
    /// Its place among the call's changes, from 1.
    pub sequence: u32,
    /// What it tells, such as `call.ringing`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it goes.
    pub url: String,
    /// How far it has come.
    pub status: CallbackStatus,
    /// How often it was sent since the change, or since its replay.
    pub attempts: u32,
    /// When it is sent next; none when it waits for the call's earlier ones, or is done.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The HTTP status of the last answer.
    pub last_status: Option<u16>,
    /// What was wrong with the last attempt.
    pub last_error: Option<String>,
    /// When the change was.
    pub created_at: DateTime<Utc>,
    /// When the receiver took it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was given up.
    pub dead_at: Option<DateTime<Utc>>,
}

/// How many callbacks are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayedView {
    /// How many.
    pub replayed: usize,
}

refusals! {
    Listing: DOOR, [UnknownField];
    Replaying: DOOR, [CallbackNotFound, RouteNotFound];
    ReplayingDead: DOOR, [UnknownField, MissingField];
}

/// List callbacks
///
/// What the tenant's receivers were told of its calls, the newest first, a part at a time. Delivered ones are deleted
/// after `[webhooks] keep_delivered_days`, dead ones after `keep_dead_days`.
#[utoipa::path(
    get, path = "/api/callbacks", tag = "Callbacks", operation_id = "listCallbacks",
    params(CallbackListQuery),
    responses((status = 200, description = "A part of the list", body = PageView<CallbackView>), Listing),
)]
pub(super) async fn list(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<Json<PageView<CallbackView>>, Problem> {
    let filter = CallbackFilter {
        status: query.parse("status")?,
        call: query.parse::<Uuid>("callId")?.map(CallId),
    };
    let limit = page_limit(&mut query)?;
    let cursor = query.text("cursor")?;
    query.finish()?;

    let page = app.store.list_callbacks(&caller.tenant, &filter, limit, cursor.as_deref()).await?;
    let data = page.items.iter().map(CallbackView::from).collect();
    Ok(Json(PageView { data, next_cursor: page.next }))
}

/// Send a callback again
///
/// Whatever became of it: it is pending again, after the call's other pending ones, and is tried as often as a new
/// one. Needs the role `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/callbacks/{id}/replay", tag = "Callbacks", operation_id = "replayCallback",
    params(PathUuid),
    responses((status = 202, description = "It will be sent again", body = CallbackView), Replaying),
)]
pub(super) async fn replay(
    MayChange(caller): MayChange,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<(StatusCode, Json<CallbackView>), Problem> {
    let not_found = || Problem::new(Code::CallbackNotFound, format!("Callback not found: {id}"));
    let callback = id.parse::<Uuid>().map(CallbackId).map_err(|_| not_found())?;
    let operation = app.clone();
    let replayed = app
        .to_the_end(async move {
            replay_callbacks::replay(&operation, &caller.tenant, callback, &caller.origin).await
        })
        .await
        .map_err(Problem::store_unavailable)?;
    let view = CallbackView::from(&replayed.ok_or_else(not_found)?);
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Send all dead callbacks again
///
/// All of the tenant's that are dead now are pending again. Needs the role `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/callbacks/replay", tag = "Callbacks", operation_id = "replayDeadCallbacks",
    params(ReplayQuery),
    responses((status = 202, description = "They will be sent again", body = ReplayedView), ReplayingDead),
)]
pub(super) async fn replay_dead(
    MayChange(caller): MayChange,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<(StatusCode, Json<ReplayedView>), Problem> {
    match query.parse("status")? {
        Some(CallbackStatus::Dead) => {}
        Some(CallbackStatus::Pending | CallbackStatus::Delivered) => {
            return Err(Problem::invalid("status", "must be dead; others are replayed one by one"));
        }
        None => return Err(missing("status")),
    }
    query.finish()?;
    let operation = app.clone();
    let replayed = app
        .to_the_end(async move {
            replay_callbacks::replay_dead(&operation, &caller.tenant, &caller.origin).await
        })
        .await
        .map_err(Problem::store_unavailable)?;
    Ok((StatusCode::ACCEPTED, Json(ReplayedView { replayed })))
}

impl From<&Callback> for CallbackView {
    fn from(callback: &Callback) -> Self {
        Self {
            id: callback.id,
            call_id: callback.call,
            sequence: callback.sequence,
            kind: callback.kind.clone(),
            url: callback.url.clone(),
            status: callback.status(),
            attempts: callback.attempts,
            next_attempt_at: callback.next_attempt_at,
            last_status: callback.last_status,
            last_error: callback.last_error.clone(),
            created_at: callback.created_at,
            delivered_at: callback.delivered_at,
            dead_at: callback.dead_at,
        }
    }
}

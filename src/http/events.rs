//! `/api/events` and `/api/calls/{id}/events`: what happens to calls, as Server-Sent Events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use futures_util::stream;
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use super::auth::{Caller, MayRead};
use super::listen::{Closing, Stay, Staying};
use super::openapi::{CallEventsQuery, EventsQuery, LastOfCall, LastOfTenant, PathUuid, refusals};
use super::problem::{Code, Limit, Problem};
use super::request::{PathId, QueryString};
use crate::app::App;
use crate::app::live::{CallWatch, Filter, Heard, Reader, Seat, TooManyStreams};
use crate::domain::call::announcement::Announcement;
use crate::domain::call::{Call, CallId, CallStatus, InvalidCallStatus};

/// When somebody who found no place may look again.
const STREAM_ENDS_IN: Duration = Duration::from_secs(5);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Has proxies pass on what they get at once.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

refusals! {
    FollowingCall: DOOR, [UnknownField, CallNotFound, RouteNotFound, TooManyStreams];
    Following: DOOR, [UnknownField, TooManyStreams];
}

/// Follow a call
///
/// Server-Sent Events: each state the call has come to, at once, then each it comes to, until it has ended. The data of
/// an event is what a `callbackUrl` is posted, its `event` the type, its `id` the sequence; with `Last-Event-ID` only
/// later ones are told, whichever daemon follows the call and however often it was started anew. A call that has ended
/// and of which all was told answers 204, on which an `EventSource` stops asking. A comment every 15 s shows that the
/// stream lives.
#[utoipa::path(
    get, path = "/api/calls/{id}/events", tag = "Calls", operation_id = "followCall",
    params(PathUuid, CallEventsQuery, LastOfCall),
    responses(
        (status = 200, description = "The call's events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The call has ended, and there is nothing more to tell"),
        FollowingCall,
    ),
)]
pub(super) async fn of_call(
    MayRead(caller): MayRead,
    State(app): State<App>,
    PathId(id): PathId,
    QueryString(mut query): QueryString,
    place: Place,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let not_found = || Problem::new(Code::CallNotFound, format!("Call not found: {id}"));
    let follow = query.truth("follow")?.unwrap_or(true);
    query.finish()?;
    let told = last_sequence(&headers)?;
    let call_id = id.parse::<Uuid>().map(CallId).map_err(|_| not_found())?;
    let seat = app.audience.enter(&caller.tenant)?;

    let mut watch = CallWatch::new(&app, &caller.tenant, call_id);
    let found = watch.next().await.map_err(Problem::store_unavailable)?;
    let mut steps = Steps { watch, told, ready: VecDeque::new(), over: false };
    steps.take_in(&found.ok_or_else(not_found)?);
    if steps.over && steps.ready.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Telling::new(app, caller, Source::Call(Box::new(steps)), follow, seat, place).answer())
}

/// Follow all calls
///
/// Server-Sent Events: each change of each of the tenant's calls, from now on. The data of an event is what a
/// `callbackUrl` is posted, its `event` the type. With `Last-Event-ID` all that was missed is told first. The last
/// 16,384 changes of all tenants are kept for that, in memory: where they do not go back so far, or the daemon was
/// started anew, one event `gap` says so (`{"type": "gap", "timestamp", "data": {"missed": 12}}`, `null` where it is
/// not known how many), and `GET /api/calls` has what is true now. So it is for a reader who falls behind. A daemon
/// tells of the calls that it places itself: where several share a database, listen to each. A comment every 15 s shows
/// that the stream lives.
#[utoipa::path(
    get, path = "/api/events", tag = "Calls", operation_id = "followCalls",
    params(EventsQuery, LastOfTenant),
    responses(
        (status = 200, description = "The calls' events", body = String, content_type = "text/event-stream"),
        Following,
    ),
)]
pub(super) async fn of_tenant(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
    place: Place,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = Filter {
        call: query.parse::<Uuid>("callId")?.map(CallId),
        status: query.text("type")?.map(|kind| status_in(&kind)).transpose()?,
    };
    let follow = query.truth("follow")?.unwrap_or(true);
    query.finish()?;
    let seat = app.audience.enter(&caller.tenant)?;

    // What is no text is no id of ours either.
    let after = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or_default());
    let reader = app.calls.feed().read(&caller.tenant, after, filter);
    Ok(Telling::new(app, caller, Source::Tenant(reader), follow, seat, place).answer())
}

/// What the door knows of the connection.
pub(super) struct Place {
    closing: CancellationToken,
    stay: Option<Staying>,
}

/// A stream on its way to its reader.
struct Telling {
    app: App,
    caller: Caller,
    source: Source,
    follow: bool,
    beat: Interval,
    closing: CancellationToken,
    /// Whether the first sign of life was given.
    greeted: bool,
    _seat: Seat,
    _stay: Option<Stay>,
}

enum Source {
    Call(Box<Steps>),
    Tenant(Reader),
}

/// One call's steps.
struct Steps {
    watch: CallWatch,
    told: u32,
    ready: VecDeque<Announcement>,
    /// Whether the last of them is ready or told.
    over: bool,
}

impl Telling {
    fn new(
        app: App,
        caller: Caller,
        source: Source,
        follow: bool,
        seat: Seat,
        place: Place,
    ) -> Self {
        let every = app.settings.stream_beat;
        let mut beat = interval_at(Instant::now() + every, every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            app,
            caller,
            source,
            follow,
            beat,
            closing: place.closing,
            greeted: false,
            _seat: seat,
            _stay: place.stay.as_ref().map(Staying::stay),
        }
    }

    fn answer(self) -> Response {
        let events = stream::unfold(self, async |mut telling| {
            let event = telling.next().await?;
            Some((Ok::<_, Infallible>(event), telling))
        });
        ([UNBUFFERED], Sse::new(events)).into_response()
    }

    /// The next event; none when all is told, the reader's key was revoked or the daemon stops.
    async fn next(&mut self) -> Option<Event> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(self.source.sign_of_life());
        }
        if !self.follow {
            return self.source.ready();
        }
        tokio::select! {
            biased;
            () = self.closing.cancelled() => None,
            _ = self.beat.tick() => {
                let asking = timeout(self.app.settings.patience, self.caller.is_welcome(&self.app));
                asking.await.unwrap_or(true).then(|| self.source.sign_of_life())
            }
            event = self.source.next() => event,
        }
    }
}

impl Source {
    /// What is to be told next, when it happens; none after the last.
    async fn next(&mut self) -> Option<Event> {
        match self {
            Self::Call(steps) => steps.next().await,
            Self::Tenant(reader) => Some(event_of(reader.next().await)),
        }
    }

    /// The same, if it has happened.
    fn ready(&mut self) -> Option<Event> {
        match self {
            Self::Call(steps) => steps.ready(),
            Self::Tenant(reader) => reader.look().map(event_of),
        }
    }

    /// A comment, and the id by which a reader goes on who has not heard anything that it wants.
    fn sign_of_life(&self) -> Event {
        let sign = Event::default().comment("");
        match self {
            Self::Call(_) => sign,
            Self::Tenant(reader) => match reader.id() {
                Some(id) => sign.id(id),
                None => sign,
            },
        }
    }
}

impl Steps {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            match self.watch.next().await {
                Ok(call) => self.take_in(&call?),
                Err(error) => {
                    // Whoever comes back goes on where this ends.
                    debug!("a stream of events ends: {error}");
                    return None;
                }
            }
        }
    }

    fn ready(&mut self) -> Option<Event> {
        let change = self.ready.pop_front()?;
        Some(told(&change.sequence.to_string(), &change))
    }

    fn take_in(&mut self, call: &Call) {
        self.ready.extend(call.announcements(self.told));
        self.told = self.told.max(call.steps());
        self.over |= call.progress.status.is_end();
    }
}

fn event_of(heard: Heard) -> Event {
    match heard {
        Heard::Change { id, change } => told(&id, &change),
        Heard::Gap { id, missed } => {
            let gap = json!({"type": "gap", "timestamp": Utc::now(), "data": {"missed": missed}});
            Event::default().id(id).event("gap").data(gap.to_string())
        }
    }
}

fn told(id: &str, change: &Announcement) -> Event {
    let data = serde_json::to_string(change).expect("an announcement is plain JSON");
    Event::default().id(id).event(&change.kind).data(data)
}

/// How many of a call's steps were read.
fn last_sequence(headers: &HeaderMap) -> Result<u32, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID) else { return Ok(0) };
    let number = id.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Problem::invalid("Last-Event-ID", "must be the id of an event of a call"))
}

fn status_in(kind: &str) -> Result<CallStatus, Problem> {
    let status = kind.strip_prefix("call.").map(str::parse);
    let status = status.unwrap_or_else(|| Err(InvalidCallStatus(kind.to_owned())));
    status.map_err(|_| Problem::invalid("type", "must be call. and the status of a call"))
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let closing = parts.extensions.get::<Closing>().map(|Closing(stop)| stop.clone());
        // A router that is asked without a door has none that closes.
        let closing = closing.unwrap_or_default();
        Ok(Self { closing, stay: parts.extensions.get::<Staying>().cloned() })
    }
}

impl From<TooManyStreams> for Problem {
    fn from(error: TooManyStreams) -> Self {
        let name = if error.of_the_tenant { "event_streams_of_tenant" } else { "event_streams" };
        let (current, max) = (error.current as u64, error.max as u64);
        Self::new(Code::TooManyStreams, error)
            .over(Limit { name, current, max })
            .retry_after(STREAM_ENDS_IN)
    }
}

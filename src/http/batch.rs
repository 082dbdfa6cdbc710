//! `POST /api/calls/batch`: a call a line in, a result a line out, in order.
//!
//! The answer pulls: a line is read when there is room among those on their way, and there is room
//! when the results before it are taken. So a client that does not read is not read either.

mod lines;
mod view;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::lines::{Line, Lines};
pub use self::view::BatchResultView;
use super::auth::MayCall;
use super::call_request::{IDEMPOTENCY_KEY, make_call as read_make_call};
use super::fields::Fields;
use super::limits::Gate;
use super::listen::Closing;
use super::openapi::{BatchResults, CallLines, refusals};
use super::problem::{Code, Problem};
use super::request::{QueryString, media_type};
use crate::app::App;
use crate::app::make_call::make_call;
use crate::domain::audit::Actor;
use crate::domain::tenant::TenantId;

/// The most calls in one batch.
const CALLS_MAX: u32 = 10_000;

/// The longest line, in bytes.
const LINE_MAX: usize = 64 * 1024;

/// How many calls of a batch may be on their way to Asterisk, or have a result that is not taken.
const AT_ONCE: usize = 64;

/// The type of lines of JSON.
const NDJSON: &str = "application/x-ndjson";

refusals! {
    Batching: DOOR, [UnknownField, UnsupportedMediaType];
}

/// Place many calls
///
/// NDJSON: a call a line, each what `POST /api/calls` takes, at most 10,000 of 64 KiB. Answers NDJSON as well, a result
/// for each line that is not empty, in order, as soon as it is there: `line` is its number in the request, `status` what
/// `POST /api/calls` would have answered, with the `call` or the `problem`. A bad line costs nothing but itself. Where the
/// request breaks off, the calls of all whole lines before are placed. `idempotencyKey` makes a line that is sent
/// again the same call, so that a batch may be repeated. Lines count as requests of the key, but wait instead of being
/// refused. Needs the role `journey`, `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/calls/batch", tag = "Calls", operation_id = "makeCalls",
    request_body(content = CallLines, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "What became of each line", body = BatchResults, content_type = "application/x-ndjson"),
        Batching,
    ),
)]
pub(super) async fn make(
    MayCall(caller): MayCall,
    State(app): State<App>,
    QueryString(query): QueryString,
    gate: Option<Extension<Gate>>,
    closing: Option<Extension<Closing>>,
    request: Request,
) -> Result<Response, Problem> {
    query.finish()?;
    let headers = request.headers();
    if !matches!(
        media_type(headers).as_deref(),
        Some(NDJSON | "application/ndjson" | "application/jsonl")
    ) {
        let detail = format!("Send a call a line, with Content-Type: {NDJSON}");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    if headers.contains_key(IDEMPOTENCY_KEY) {
        let why = "marks one call; in a batch each line has an idempotencyKey of its own";
        return Err(Problem::invalid("Idempotency-Key", why));
    }
    let waits_for_continue = headers.contains_key(EXPECT);

    let stopping = closing.map_or_else(CancellationToken::new, |Extension(Closing(stop))| stop);
    let lines = Lines::of(request.into_body(), stopping);
    let pace = match (caller.origin.actor, gate) {
        (Actor::Key(key), Some(Extension(gate))) => Some((gate, key)),
        _ => None,
    };
    let mut results = Box::pin(results(app, caller.tenant, lines, pace));
    // The sender is told to go on when the body is first asked for, and not any more once the answer
    // has begun.
    let first = if waits_for_continue { results.next().await } else { None };
    let body = stream::iter(first).chain(results).map(|result| result.map(Bytes::from));
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(body)).into_response())
}

/// The results, in order. What is begun is finished, whether its result is taken or not.
fn results(
    app: App,
    tenant: TenantId,
    lines: Lines,
    pace: Option<(Gate, Uuid)>,
) -> impl Stream<Item = serde_json::Result<Vec<u8>>> + Send {
    let paced = stream::unfold((lines, pace), async |(mut lines, pace)| {
        let line = lines.next().await?;
        if let Some((gate, key)) = &pace {
            while let Err(wait) = gate.may_go_on(*key) {
                sleep(wait).await;
            }
        }
        Some((line, (lines, pace)))
    });
    paced.map(move |line| begin(&app, &tenant, line)).buffered(AT_ONCE).map(|result| {
        let mut line = serde_json::to_vec(&result)?;
        line.push(b'\n');
        Ok(line)
    })
}

/// Begins what a line asks for at once; its result is there when it is done.
fn begin(
    app: &App,
    tenant: &TenantId,
    Line { number, text }: Line,
) -> impl Future<Output = BatchResultView> + Send + use<> {
    let wanted = text.and_then(|text| {
        let fields = Fields::of_json(&text)?;
        read_make_call(tenant.clone(), &app.settings, &HeaderMap::new(), fields)
    });
    let begun = wanted.map(|wanted| {
        let operation = app.clone();
        app.begin(async move { make_call(&operation, wanted).await })
    });
    async move {
        let made = match begun {
            Ok(begun) => begun.await.map_err(Problem::from),
            Err(problem) => Err(problem),
        };
        match made {
            Ok(made) => BatchResultView::made(number, StatusCode::ACCEPTED, &made),
            Err(problem) => BatchResultView::refused(number, &problem),
        }
    }
}

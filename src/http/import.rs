//! `POST /api/asterisk-dids/import`: a CSV of any length, streamed; and the rows it rejected.
//!
//! The body is passed on piece by piece to an operation that runs to its end. When the sender hangs
//! up in the middle, the operation learns that the file broke off; the rows before that stay.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, EXPECT};
use axum::response::IntoResponse;
use futures_util::{Stream, StreamExt};
use http_body_util::Limited;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::io::ReaderStream;
use tracing::{info, warn};
use uuid::Uuid;

use super::auth::{Caller, MayChange, MayRead};
use super::export::CSV;
use super::openapi::{DidCsv, ImportForm, ImportQuery, PathUuid, refusals};
use super::problem::{Code, Limit, Problem};
use super::request::{PathId, QueryString, media_type, too_large};
use crate::app::App;
use crate::app::import_dids::{
    ImportError, ImportFailure, ImportReport, ImportSettings, ROW_MAX, TooManyImports, import_dids,
    rejected_rows,
};
use crate::app::manage_tenants::know;
use crate::domain::number::Region;
use crate::store::StoreError;
use crate::store::dids::OnDuplicate;

/// The largest file, in bytes: some ten million rows.
const FILE_MAX: usize = 1024 * 1024 * 1024;

/// What a form may hold besides, in bytes.
const FORM_MAX: usize = 64 * 1024;

/// How much is still read of a file that is refused, in bytes.
const DROPPED_MAX: usize = 16 * 1024 * 1024;

/// When to try again where too many imports are under way: a file of 100,000 rows takes about as long.
const IMPORT_ENDS_IN: Duration = Duration::from_secs(5);

/// How long the sender may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How much of a file of rejected rows is read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// How many pieces of the body may wait for the importer; then the sender waits.
const PIECES_MAX: usize = 4;

/// The multipart field that holds the file.
const FIELD: &str = "file";

refusals! {
    Importing: DOOR, [InvalidBody, BodyTimeout, BodyTooLarge, UnsupportedMediaType, MissingField, UnknownField,
        InvalidCsv, TooManyImports];
    Fetching: DOOR, [ImportNotFound, RouteNotFound];
}

/// Import DIDs
///
/// A CSV of any number of rows, as the body or as the field `file` of a form. Columns are found by the names in the
/// first line, in any order and case: `number` must be there; `areaCode`, `trunk`, `status`, `maxUsage`, `campaignId`,
/// `provider`, `region` and `notes` may; any other is kept in `metadata`. A bad row is reported and the rest go in;
/// the bad ones can be had back at the path in `rejected`, to be mended and imported again. Needs the role
/// `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/asterisk-dids/import", tag = "DIDs", operation_id = "importDids",
    params(ImportQuery),
    request_body(content((String = "text/csv"), (ImportForm = "multipart/form-data"))),
    responses((status = 200, description = "What became of it", body = ImportReport), Importing),
)]
pub(super) async fn import(
    MayChange(caller): MayChange,
    State(app): State<App>,
    QueryString(mut query): QueryString,
    request: Request,
) -> Result<Json<ImportReport>, Problem> {
    let settings = ImportSettings {
        default_region: query.parse("defaultRegion")?.unwrap_or(Region::US),
        dry_run: query.truth("dryRun")?.unwrap_or(false),
    };
    let on_duplicate = match query.text("onDuplicate")?.as_deref() {
        None | Some("skip") => OnDuplicate::Skip,
        Some("update") => OnDuplicate::Update,
        Some(_) => return Err(Problem::invalid("onDuplicate", "must be skip or update")),
    };
    query.finish()?;
    let turn = match app.imports.begin(app.settings.imports.at_once) {
        Ok(turn) => turn,
        Err(too_many) => {
            read_a_little(request).await;
            return Err(too_many.into());
        }
    };
    if !settings.dry_run {
        know(&app, &caller.tenant, &caller.origin).await?;
    }

    let (sender, source) = pieces();
    let operation = app.clone();
    let importing = app.to_the_end(async move {
        let _until_done = turn;
        let Caller { tenant, origin, .. } = caller;
        let result =
            import_dids(&operation, &tenant, source, settings, on_duplicate, &origin).await;
        // The asker may be gone by now; the log is told in any case.
        match &result {
            Ok(report) => info!(%tenant, rows = report.rows(), "imported a file of DIDs"),
            Err(error) => warn!(%tenant, "an import of DIDs ended early: {error}"),
        }
        result
    });
    let (sent, report) = tokio::join!(pass_on(request, sender), importing);
    // A body that cannot be read is the reason, whatever the import then made of its beginning.
    sent?;
    Ok(Json(report?))
}

/// Have the rejected rows of an import
///
/// The rows as they were, with their columns `rotaryRow` and `rotaryError`, which an import does not look at. Only the
/// newest imports' are kept.
#[utoipa::path(
    get, path = "/api/asterisk-dids/imports/{id}/rejected", tag = "DIDs", operation_id = "rejectedRows",
    params(PathUuid),
    responses(
        (status = 200, description = "The rows", body = DidCsv, content_type = "text/csv",
            headers(("Content-Disposition" = String, description = "A name for the file"))),
        Fetching,
    ),
)]
pub(super) async fn rejected(
    MayRead(caller): MayRead,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<impl IntoResponse, Problem> {
    let found = match (id.parse::<Uuid>(), &app.settings.imports.directory) {
        (Ok(import), Some(directory)) => rejected_rows(directory, &caller.tenant, import)
            .await
            .map_err(|why| Problem::internal(format!("read the rejected rows of {id}: {why}")))?,
        _ => None,
    };
    let file = found.ok_or_else(|| {
        Problem::new(Code::ImportNotFound, format!("There are no rejected rows of an import {id}"))
    })?;
    let name = format!("attachment; filename=\"rejected-{id}.csv\"");
    let headers = [(CONTENT_TYPE, CSV.to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(file, PIECE))))
}

/// A piece of the file, or the word that it ended as it should.
enum Piece {
    Bytes(Bytes),
    End,
}

fn pieces() -> (mpsc::Sender<Piece>, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let source = futures_util::stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(receiver))),
            Some(Piece::End) => None,
            None => Some((Err(io::ErrorKind::UnexpectedEof.into()), None)),
        }
    });
    (sender, source)
}

async fn pass_on(request: Request, sender: mpsc::Sender<Piece>) -> Result<(), Problem> {
    match media_type(request.headers()).as_deref() {
        Some("text/csv" | "application/csv") => {
            pass_on_stream(request.into_body().into_data_stream(), sender).await
        }
        Some("multipart/form-data") => pass_on_field(request, sender).await,
        _ => {
            let detail = "Send the CSV with Content-Type: text/csv, or as the field \"file\" of multipart/form-data";
            Err(Problem::new(Code::UnsupportedMediaType, detail))
        }
    }
}

async fn pass_on_field(request: Request<Body>, sender: mpsc::Sender<Piece>) -> Result<(), Problem> {
    let broken = |why: &dyn std::fmt::Display| {
        Problem::new(Code::InvalidBody, format!("The multipart body cannot be read: {why}"))
    };
    // What stands before the file counts, for it may be as long.
    let request = request.map(|body| Body::new(Limited::new(body, FILE_MAX + FORM_MAX)));
    let mut form = Multipart::from_request(request, &()).await.map_err(|why| broken(&why))?;
    let deadline = Instant::now() + SILENCE_MAX;
    loop {
        let found = timeout_at(deadline, form.next_field()).await.map_err(|_| silent())?;
        match found.map_err(|why| broken(&why))? {
            Some(file) if file.name() == Some(FIELD) => return pass_on_stream(file, sender).await,
            Some(_) => {}
            None => break,
        }
    }
    Err(Problem::new(Code::MissingField, "The form has no field \"file\"").at(FIELD))
}

/// Passes all of it on. When the importer has given up, the rest is read and dropped, for a sender
/// that is still writing would not read the answer.
async fn pass_on_stream<E: std::fmt::Display>(
    body: impl Stream<Item = Result<Bytes, E>>,
    sender: mpsc::Sender<Piece>,
) -> Result<(), Problem> {
    let mut body = std::pin::pin!(body);
    let mut length = 0;
    loop {
        let piece = timeout(SILENCE_MAX, body.next()).await.map_err(|_| silent())?;
        match piece {
            None => break,
            Some(Err(why)) => {
                return Err(Problem::new(Code::InvalidBody, format!("The body broke off: {why}")));
            }
            Some(Ok(bytes)) => {
                length += bytes.len();
                if length > FILE_MAX {
                    return Err(too_large(FILE_MAX));
                }
                let _importer_gave_up = sender.send(Piece::Bytes(bytes)).await;
            }
        }
    }
    let _importer_gave_up = sender.send(Piece::End).await;
    Ok(())
}

/// Reads the beginning of a body that nobody wants, unless its sender waits to be told to send it.
/// A sender in the middle of a short file would not read the answer.
async fn read_a_little(request: Request) {
    if request.headers().contains_key(EXPECT) {
        return;
    }
    let mut body = request.into_body().into_data_stream();
    let mut length = 0;
    while length < DROPPED_MAX
        && let Ok(Some(Ok(bytes))) = timeout(SILENCE_MAX, body.next()).await
    {
        length += bytes.len();
    }
}

fn silent() -> Problem {
    let detail = format!("Nothing of the file came for {} s", SILENCE_MAX.as_secs());
    Problem::new(Code::BodyTimeout, detail)
}

impl From<TooManyImports> for Problem {
    fn from(error: TooManyImports) -> Self {
        let (current, max) = (error.current as u64, error.max as u64);
        Self::new(Code::TooManyImports, error)
            .over(Limit { name: "imports_at_once", current, max })
            .retry_after(IMPORT_ENDS_IN)
    }
}

impl From<ImportError<StoreError>> for Problem {
    fn from(error: ImportError<StoreError>) -> Self {
        match &error.failure {
            ImportFailure::Header(_) | ImportFailure::Empty | ImportFailure::NotText => {
                Self::new(Code::InvalidCsv, error).at(FIELD)
            }
            ImportFailure::RowTooLong { .. } => {
                let max = ROW_MAX as u64;
                let limit = Limit { name: "row_bytes", current: max + 1, max };
                Self::new(Code::InvalidCsv, error).at(FIELD).over(limit)
            }
            ImportFailure::Source(_) => Self::new(Code::InvalidBody, error),
            ImportFailure::Sink(_) => {
                let stored = error.report.imported + error.report.updated;
                Self::store_unavailable(&error).saying(format!(
                    "The store failed in the middle of the file; {stored} DIDs were imported before \
                     and stay. Import the file again: what is there already counts as a duplicate"
                ))
            }
        }
    }
}

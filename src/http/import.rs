//! `POST /api/asterisk-dids/import`: a CSV of any length, streamed.
//!
//! The body is passed on piece by piece to an operation that runs to its end. When the sender hangs
//! up in the middle, the operation learns that the file broke off; the rows before that stay.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request, State};
use futures_util::{Stream, StreamExt};
use http_body_util::Limited;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

use super::auth::MayChange;
use super::openapi::{ImportForm, ImportQuery, refusals};
use super::problem::{Code, Problem};
use super::request::{QueryString, media_type, too_large};
use super::view::ImportView;
use crate::app::App;
use crate::app::import_dids::{
    ImportError, ImportFailure, ImportReport, ImportSettings, import_dids,
};
use crate::domain::number::Region;
use crate::store::StoreError;
use crate::store::dids::OnDuplicate;

/// The largest file, in bytes: some ten million rows.
const FILE_MAX: usize = 1024 * 1024 * 1024;

/// What a form may hold besides, in bytes.
const FORM_MAX: usize = 64 * 1024;

/// How long the sender may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How many pieces of the body may wait for the importer; then the sender waits.
const PIECES_MAX: usize = 4;

/// The multipart field that holds the file.
const FIELD: &str = "file";

refusals! {
    Importing: DOOR, [InvalidBody, BodyTimeout, BodyTooLarge, UnsupportedMediaType, MissingField, UnknownField,
        InvalidCsv];
}

/// Import DIDs
///
/// A CSV of any number of rows, as the body or as the field `file` of a form. Columns are found by the names in the
/// first line, in any order and case: `number` must be there; `areaCode`, `trunk`, `status`, `maxUsage`, `provider`,
/// `region` and `notes` may; any other is kept in `metadata`. A bad row is reported and the rest go in. Needs the
/// role `operator` or `admin`.
#[utoipa::path(
    post, path = "/api/asterisk-dids/import", tag = "DIDs", operation_id = "importDids",
    params(ImportQuery),
    request_body(content((String = "text/csv"), (ImportForm = "multipart/form-data"))),
    responses((status = 200, description = "What became of it", body = ImportView), Importing),
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

    let (sender, source) = pieces();
    let operation = app.clone();
    let importing = app.to_the_end(async move {
        let tenant = caller.tenant;
        let result = import_dids(&operation, &tenant, source, settings, on_duplicate).await;
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

fn silent() -> Problem {
    let detail = format!("Nothing of the file came for {} s", SILENCE_MAX.as_secs());
    Problem::new(Code::BodyTimeout, detail)
}

impl From<ImportError<StoreError>> for Problem {
    fn from(error: ImportError<StoreError>) -> Self {
        match &error.failure {
            ImportFailure::Header(_)
            | ImportFailure::Empty
            | ImportFailure::NotUtf8
            | ImportFailure::RowTooLong { .. } => Self::new(Code::InvalidCsv, error).at(FIELD),
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

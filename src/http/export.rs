//! `GET /api/asterisk-dids/export`: the tenant's DIDs as a CSV that imports back unchanged.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use chrono::Utc;
use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::warn;

use super::auth::MayRead;
use super::dids::filter;
use super::openapi::{DidCsv, DidFilterQuery, refusals};
use super::problem::Problem;
use super::request::QueryString;
use crate::app::App;
use crate::app::export_dids::export_dids;

/// The type of a CSV that we write.
pub(super) const CSV: &str = "text/csv; charset=utf-8";

refusals! {
    Exporting: DOOR, [UnknownField, InvalidPhoneNumber];
}

/// Export DIDs
///
/// A CSV of the tenant's DIDs that imports back unchanged.
#[utoipa::path(
    get, path = "/api/asterisk-dids/export", tag = "DIDs", operation_id = "exportDids",
    params(DidFilterQuery),
    responses(
        (status = 200, description = "The CSV", body = DidCsv, content_type = "text/csv",
            headers(("Content-Disposition" = String, description = "A name for the file"))),
        Exporting,
    ),
)]
pub(super) async fn export(
    MayRead(caller): MayRead,
    State(app): State<App>,
    QueryString(mut query): QueryString,
) -> Result<impl IntoResponse, Problem> {
    let filter = filter(&mut query)?;
    query.finish()?;

    // A `:`, which an id may have, stands in no file name on Windows.
    let tenant = caller.tenant.as_str().replace(':', "_");
    let name = format!("dids-{tenant}-{}.csv", Utc::now().format("%Y-%m-%d"));
    let mut pages = Box::pin(export_dids(&app, caller.tenant, filter));
    // A store that is down is told as a problem. When it goes down later, the answer breaks off,
    // which no reader takes for its end.
    let first = pages.try_next().await?;
    let pages = stream::iter(first.map(Ok))
        .chain(pages)
        .inspect_err(|why| warn!("an export of DIDs broke off: {why}"));

    let attachment = format!("attachment; filename=\"{name}\"");
    let headers = [(CONTENT_TYPE, CSV.to_owned()), (CONTENT_DISPOSITION, attachment)];
    Ok((headers, Body::from_stream(pages)))
}

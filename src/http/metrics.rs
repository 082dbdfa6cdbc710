//! `/metrics`, and what is measured of every request.

use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::MayAdminister;
use super::openapi::refusals;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::app::meters::Meters;
use crate::app::meters::scrape::scrape;

/// The format, as Prometheus names it.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a request counts under that no route takes.
const NO_ROUTE: &str = "unmatched";

refusals! {
    Scraping: DOOR;
}

/// May see what is counted of all tenants together: an administrator, or anybody where the
/// configuration says so.
pub(super) struct MayScrape;

impl FromRequestParts<App> for MayScrape {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if !app.settings.metrics.public {
            MayAdminister::from_request_parts(parts, app).await?;
        }
        Ok(Self)
    }
}

/// What is it doing?
///
/// Prometheus text. Needs the role `admin`, for it adds up what all tenants do; with `[metrics] public = true` no key
/// at all. `docs/metrics.md` says what each metric means.
#[utoipa::path(
    get, path = "/metrics", tag = "House", operation_id = "metrics",
    responses((status = 200, description = "All metrics", body = String, content_type = "text/plain"), Scraping),
)]
pub(super) async fn metrics(_: MayScrape, State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], scrape(&app).await)
}

/// Counts a request and the time until its answer begins.
pub(super) async fn with_meters(
    State(meters): State<Meters>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = word(request.method());
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let problem = response.extensions().get::<Code>().map(|code| code.as_str());
    meters.request(route, method, class(response.status()), problem, begun.elapsed());
    response
}

/// A method by name where it is one of those that are used; anybody may invent one.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

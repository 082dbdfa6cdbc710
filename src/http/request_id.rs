//! Every request has an id, in its answer and on every line it logs.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::{Instrument, debug, info_span};
use uuid::Uuid;

use super::problem::Problem;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id taken over from a caller, in bytes.
const ID_LENGTH_MAX: usize = 128;

/// A request's id, for those who handle it.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Gives the request its id and answers for a handler that panics.
pub(super) async fn with_request_id(mut request: Request, next: Next) -> Response {
    let id = given_id(&request).unwrap_or_else(minted_id);
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = info_span!("request", request.id = id.to_str().unwrap_or_default());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());

    let answering = async move {
        let handled = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let response =
            handled.unwrap_or_else(|_| Problem::internal("the handler panicked").into_response());
        debug!(status = response.status().as_u16(), "{method} {path}");
        response
    };
    let mut response = answering.instrument(span).await;
    response.headers_mut().insert(X_REQUEST_ID, id);
    response
}

/// The caller's own id, unless it could upset a log line.
fn given_id(request: &Request) -> Option<HeaderValue> {
    let id = request.headers().get(X_REQUEST_ID)?;
    let sane =
        (1..=ID_LENGTH_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    sane.then(|| id.clone())
}

fn minted_id() -> HeaderValue {
    HeaderValue::from_str(&Uuid::now_v7().to_string()).expect("a UUID is ASCII")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, id: &str) -> Response {
        async fn fails() {
            panic!("a bug");
        }
        let router = Router::new()
            .route("/", get(async || "fine"))
            .route("/bug", get(fails))
            .layer(from_fn(with_request_id));
        let request = Request::get(path).header(X_REQUEST_ID, id).body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_sane_id_is_taken_over_and_any_other_replaced() {
        assert_eq!(ask("/", "trace-7").await.headers()[X_REQUEST_ID], "trace-7");

        let minted = ask("/", "two words").await.headers()[X_REQUEST_ID].clone();
        assert!(minted.to_str().unwrap().parse::<Uuid>().is_ok());
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for() {
        let response = ask("/bug", "trace-8").await;

        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[X_REQUEST_ID], "trace-8");
    }
}

//! What every handler reads of a request: its query, its JSON body, its size and its patience.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use bytes::BytesMut;
use futures_util::StreamExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::fields::Fields;
use super::problem::{Code, Limit, Problem};

/// The largest JSON body, in bytes.
pub(super) const BODY_MAX: usize = 1024 * 1024;

/// How much of a body over that is still read, in bytes.
const DROPPED_MAX: usize = 16 * BODY_MAX;

/// How long a JSON body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// The fields of a JSON body.
#[derive(Debug)]
pub(super) struct JsonBody(pub(super) Fields);

/// The `{id}` in the path, whatever it is.
#[derive(Debug)]
pub(super) struct PathId(pub(super) String);

/// The parameters after the `?`.
#[derive(Debug)]
pub(super) struct QueryString(pub(super) Fields);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        match media_type(request.headers()).as_deref() {
            Some("application/json") => {}
            Some(kind) if kind.starts_with("application/") && kind.ends_with("+json") => {}
            _ => {
                let detail = "Send JSON, with Content-Type: application/json";
                return Err(Problem::new(Code::UnsupportedMediaType, detail));
            }
        }
        let body = tokio::time::timeout(BODY_PATIENCE, whole_body(request.into_body()))
            .await
            .map_err(|_| {
                let detail =
                    format!("The body did not arrive within {} s", BODY_PATIENCE.as_secs());
                Problem::new(Code::BodyTimeout, detail)
            })??;
        Fields::of_json(&body).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // Only a path that is no UTF-8 once decoded fails here; nothing of ours is named like that.
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(nothing_at(parts.uri.path())),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryString {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) =
            Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|why| {
                Problem::new(Code::InvalidField, format!("The query cannot be read: {why}"))
            })?;
        Fields::of_query(pairs).map(Self)
    }
}

/// The type of the body, lower case and without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(given.split(';').next().unwrap_or(given).trim().to_ascii_lowercase())
}

/// How many items a list may give at once, by its `limit`.
pub(super) fn page_limit(query: &mut Fields) -> Result<u32, Problem> {
    Ok(query.whole("limit", 1, 1000)?.unwrap_or(100))
}

/// What an unknown path is answered with.
pub(super) async fn no_such_route(request: Request) -> Problem {
    nothing_at(request.uri().path())
}

fn nothing_at(path: &str) -> Problem {
    Problem::new(Code::RouteNotFound, format!("There is nothing at {path}"))
}

/// What a known path is answered with when it does not take the method.
pub(super) async fn no_such_method(method: Method, request: Request) -> Problem {
    let detail = format!("{} does not take {method}", request.uri().path());
    Problem::new(Code::MethodNotAllowed, detail)
}

/// The body, if it is within its bound. What is over is read and dropped, for a sender that is
/// still writing would not read the answer; but not for ever.
async fn whole_body(body: Body) -> Result<Bytes, Problem> {
    let mut body = Limited::new(body, DROPPED_MAX).into_data_stream();
    let (mut kept, mut length) = (BytesMut::new(), 0);
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large(BODY_MAX)),
            Err(error) => {
                return Err(Problem::new(
                    Code::InvalidBody,
                    format!("The body broke off: {error}"),
                ));
            }
        };
        length += piece.len();
        if length <= BODY_MAX {
            kept.extend_from_slice(&piece);
        }
    }
    if length <= BODY_MAX { Ok(kept.freeze()) } else { Err(too_large(BODY_MAX)) }
}

/// A body over its bound.
pub(super) fn too_large(max: usize) -> Problem {
    let max = max as u64;
    Problem::new(Code::BodyTooLarge, format!("The body has more than {max} bytes")).over(Limit {
        name: "body_bytes",
        current: max + 1,
        max,
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn read(kind: &str, body: impl Into<Body>) -> Result<Fields, Problem> {
        let request = Request::post("/").header(CONTENT_TYPE, kind).body(body.into()).unwrap();
        JsonBody::from_request(request, &()).await.map(|JsonBody(fields)| fields)
    }

    #[tokio::test]
    async fn a_body_is_taken_as_json_only_when_it_says_so() {
        assert!(read("application/json; charset=utf-8", "{}").await.is_ok());
        assert!(read("application/vnd.acme+json", "{}").await.is_ok());

        let refused = read("text/plain", "{}").await.unwrap_err();
        assert_eq!(refused.code(), Code::UnsupportedMediaType);
        assert_eq!(read("application/json", "{").await.unwrap_err().code(), Code::InvalidJson);
        assert_eq!(read("application/json", "[]").await.unwrap_err().code(), Code::InvalidField);
    }

    #[tokio::test]
    async fn a_body_over_the_bound_is_refused_and_not_kept() {
        for length in [BODY_MAX + 1, DROPPED_MAX + 1] {
            let refused = read("application/json", vec![b' '; length]).await.unwrap_err();

            assert_eq!(refused.code(), Code::BodyTooLarge);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let silent =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());

        let refused = read("application/json", silent).await.unwrap_err();

        assert_eq!(refused.code(), Code::BodyTimeout);
    }
}

//! How an operation may fail, in the document: a response for each status, naming its codes.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use crate::http::problem::Code;

/// What any request with a key may be answered.
pub(in crate::http) const DOOR: &[Code] = &[
    Code::Unauthorized,
    Code::Forbidden,
    Code::InvalidField,
    Code::RateLimited,
    Code::TooManyFailedAttempts,
    Code::HeadTooLarge,
    Code::Internal,
    Code::StoreUnavailable,
];

/// What any request may be answered, with a key or without.
pub(in crate::http) const HEAD: &[Code] = &[Code::HeadTooLarge];

/// The statuses that say when to try again.
const FOR_NOW: [StatusCode; 2] = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];

/// What a request with a JSON body may be answered besides.
pub(in crate::http) const BODY: &[Code] = &[
    Code::InvalidJson,
    Code::InvalidBody,
    Code::BodyTimeout,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::MissingField,
    Code::UnknownField,
];

/// Names the refusals of operations: `refusals! { Finding: DOOR, [DidNotFound]; }` makes a type
/// for an operation's `responses(…)`.
macro_rules! refusals {
    ($($name:ident: $($group:ident),+ $(, [$($code:ident),+])?;)+) => {$(
        struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses()
            -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>>
            {
                use $crate::http::problem::Code;
                let own: &[Code] = &[$($(Code::$code),+)?];
                $crate::http::openapi::problems(&[$($crate::http::openapi::$group),+, own])
            }
        }
    )+};
}
pub(in crate::http) use refusals;

/// The responses for these codes, by status.
pub(in crate::http) fn problems(codes: &[&[Code]]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<Code>> = BTreeMap::new();
    for code in codes.iter().copied().flatten() {
        by_status.entry(code.status().as_str().to_owned()).or_default().push(*code);
    }
    let responses = by_status.into_iter();
    responses.map(|(status, codes)| (status, RefOr::T(problem(&codes)))).collect()
}

fn problem(codes: &[Code]) -> Response {
    let says = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.title()));
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut response = ResponseBuilder::new()
        .description(says.collect::<Vec<_>>().join(" · "))
        .content("application/problem+json", body);
    if codes.contains(&Code::Unauthorized) {
        response = response.header("WWW-Authenticate", header(Type::String, "`Bearer`"));
    }
    if codes.iter().any(|code| FOR_NOW.contains(&code.status())) {
        let says = "In how many seconds to try again, where that is known";
        response = response.header("Retry-After", header(Type::Integer, says));
    }
    response.build()
}

fn header(kind: Type, says: &str) -> utoipa::openapi::header::Header {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(says)).build()
}

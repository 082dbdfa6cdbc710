//! What a caller is told when a request fails: RFC 9457 `application/problem+json`.
//!
//! A program decides by `code`, which never changes; a person reads `detail`, which says what to do.

use std::fmt::Display;
use std::time::Duration;

use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tracing::{error, warn};
use utoipa::ToSchema;

/// A failed request, as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    detail: String,
    field: Option<String>,
    limit: Option<Limit>,
    retry_after: Option<Duration>,
}

/// A bound that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: &'static str,
    /// How much there was.
    pub current: u64,
    /// How much there may be.
    pub max: u64,
}

/// The body of a problem as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:rotary:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The stable word for it.
    pub code: String,
    /// The field at fault, if it is one field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The bound that was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// How much there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// How much there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

macro_rules! codes {
    ($($name:ident $status:ident $word:literal $title:literal;)*) => {
        /// Every way a request can fail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The HTTP status it is answered with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The stable word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it means, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    InvalidJson          BAD_REQUEST            "invalid_json"           "The body is not JSON";
    InvalidBody          BAD_REQUEST            "invalid_body"           "The body cannot be read";
    Unauthorized         UNAUTHORIZED           "unauthorized"           "No valid key";
    Forbidden            FORBIDDEN              "forbidden"              "The key's role does not allow this";
    RouteNotFound        NOT_FOUND              "route_not_found"        "No such path";
    DidNotFound          NOT_FOUND              "did_not_found"          "No such DID";
    CallNotFound         NOT_FOUND              "call_not_found"         "No such call";
    PickNotFound         NOT_FOUND              "pick_not_found"         "No such pick";
    CallbackNotFound     NOT_FOUND              "callback_not_found"     "No such callback";
    CampaignNotFound     NOT_FOUND              "campaign_not_found"     "No such campaign";
    TenantNotFound       NOT_FOUND              "tenant_not_found"       "No such tenant";
    KeyNotFound          NOT_FOUND              "key_not_found"          "No such key";
    ImportNotFound       NOT_FOUND              "import_not_found"       "No such import";
    MethodNotAllowed     METHOD_NOT_ALLOWED     "method_not_allowed"     "The path does not take this method";
    BodyTimeout          REQUEST_TIMEOUT        "body_timeout"           "The body came too slowly";
    NoAvailableDid       CONFLICT               "no_available_did"       "No DID can be shown";
    DidNotPickable       CONFLICT               "did_not_pickable"       "This DID cannot be shown now";
    PickSettled          CONFLICT               "pick_settled"           "The pick is settled";
    DidExists            CONFLICT               "did_exists"             "The DID is already there";
    CampaignExists       CONFLICT               "campaign_exists"        "The campaign is already there";
    TenantExists         CONFLICT               "tenant_exists"          "The tenant is already there";
    IdempotencyConflict  CONFLICT               "idempotency_conflict"   "The idempotency key is taken";
    BodyTooLarge         PAYLOAD_TOO_LARGE      "body_too_large"         "The body is too large";
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body's type is not taken here";
    InvalidPhoneNumber   UNPROCESSABLE_ENTITY   "invalid_phone_number"   "Not a phone number";
    InvalidField         UNPROCESSABLE_ENTITY   "invalid_field"          "A field's value is not valid";
    MissingField         UNPROCESSABLE_ENTITY   "missing_field"          "A field is missing";
    UnknownField         UNPROCESSABLE_ENTITY   "unknown_field"          "A field is not known";
    InvalidCsv           UNPROCESSABLE_ENTITY   "invalid_csv"            "The file cannot be imported";
    RateLimited          TOO_MANY_REQUESTS      "rate_limited"           "The key asks too often";
    TooManyFailedAttempts TOO_MANY_REQUESTS     "too_many_failed_attempts" "Too many wrong keys";
    HeadTooLarge         REQUEST_HEADER_FIELDS_TOO_LARGE "head_too_large" "The head is too large";
    TooManyImports       TOO_MANY_REQUESTS      "too_many_imports"       "Too many imports at once";
    TooManyStreams       TOO_MANY_REQUESTS      "too_many_streams"       "Too many event streams at once";
    TrunkChannels        TOO_MANY_REQUESTS      "trunk_channels"         "The trunk has no free channel";
    TrunkCps             TOO_MANY_REQUESTS      "trunk_cps"              "The trunk takes no more calls this second";
    TrunkQueue           TOO_MANY_REQUESTS      "trunk_queue"            "Too many calls wait for the trunk";
    TenantChannels       TOO_MANY_REQUESTS      "tenant_channels"        "The tenant has too many calls in progress";
    TenantCps            TOO_MANY_REQUESTS      "tenant_cps"             "The tenant begins too many calls a second";
    DidChannels          TOO_MANY_REQUESTS      "did_channels"           "The DID is shown by too many calls";
    DidCps               TOO_MANY_REQUESTS      "did_cps"                "The DID begins too many calls a second";
    Internal             INTERNAL_SERVER_ERROR  "internal_error"         "Something broke inside";
    OriginateRefused     BAD_GATEWAY            "originate_refused"      "Asterisk refused the call";
    AsteriskUnavailable  SERVICE_UNAVAILABLE    "asterisk_unavailable"   "Asterisk cannot be reached";
    StoreUnavailable     SERVICE_UNAVAILABLE    "store_unavailable"      "The store cannot be reached";
    Stopping             SERVICE_UNAVAILABLE    "stopping"               "Rotary is stopping";
}

impl Problem {
    /// A problem with this detail.
    pub fn new(code: Code, detail: impl Display) -> Self {
        let detail = detail.to_string();
        Self { code, detail, field: None, limit: None, retry_after: None }
    }

    /// A field whose value will not do.
    pub fn invalid(field: &str, why: impl Display) -> Self {
        Self::new(Code::InvalidField, format!("{field}: {why}")).at(field)
    }

    /// Names the field at fault.
    pub fn at(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// Names the bound that was met.
    pub fn over(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Replaces the detail by one that says more.
    pub fn saying(mut self, detail: impl Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// Says when trying again may help.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Something only the operator can mend. The cause goes to the log, not to the caller.
    pub fn internal(cause: impl Display) -> Self {
        error!("a request failed: {cause}");
        Self::new(
            Code::Internal,
            "The request failed inside Rotary; the log has the cause under this request's id",
        )
    }

    /// The store did not do it, and may do it later. The cause goes to the log, for it may name hosts.
    pub fn store_unavailable(cause: impl Display) -> Self {
        warn!("the store failed a request: {cause}");
        let detail = "The store cannot be reached; nothing was changed. Try again, and see the log if it lasts";
        Self::new(Code::StoreUnavailable, detail).retry_after(Duration::from_secs(1))
    }

    /// The stable word.
    pub fn code(&self) -> Code {
        self.code
    }

    /// In how many seconds trying again may help. Whole ones: to come back a moment early would be in vain.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        let seconds = |wait: Duration| wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after.map(|wait| seconds(wait).max(1))
    }

    pub(super) fn body(&self) -> ProblemBody {
        let limit = self.limit.as_ref();
        ProblemBody {
            kind: format!("urn:rotary:problem:{}", self.code.as_str()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone(),
            code: self.code.as_str().to_owned(),
            field: self.field.clone(),
            limit: limit.map(|limit| limit.name.to_owned()),
            current: limit.map(|limit| limit.current),
            max: limit.map(|limit| limit.max),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let json = serde_json::to_vec(&self.body()).expect("a problem is plain JSON");
        let mut response = Response::new(axum::body::Body::from(json));
        *response.status_mut() = self.code.status();
        response.extensions_mut().insert(self.code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            let challenge = HeaderValue::from_static("Bearer realm=\"rotary\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn a_limit_names_itself_and_says_when_to_come_back() {
        let problem = Problem::new(Code::BodyTooLarge, "the body has more than 10 bytes")
            .over(Limit { name: "body_bytes", current: 11, max: 10 })
            .retry_after(Duration::from_millis(2200));

        let response = problem.into_response();

        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "3");
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({
                "type": "urn:rotary:problem:body_too_large",
                "title": "The body is too large",
                "status": 413,
                "detail": "the body has more than 10 bytes",
                "code": "body_too_large",
                "limit": "body_bytes",
                "current": 11,
                "max": 10,
            })
        );
    }

    #[test]
    fn a_cause_from_inside_is_not_told() {
        let problem = Problem::store_unavailable("postgres://rotary:hunter2@db/rotary refused");

        assert!(!problem.body().detail.contains("hunter2"));
        assert_eq!(problem.code(), Code::StoreUnavailable);
    }
}

//! One request and its answer, told by what the caller may do next.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Duration, timeout};

use super::{AriError, Settings};

/// How long a connection is kept for the next request: less than the 15 s after which Asterisk
/// closes it, for a request that meets that moment has an unknown outcome.
const IDLE: Duration = Duration::from_secs(5);

/// The longest text of Asterisk's that is passed on, in characters.
const TEXT_MAX: usize = 200;

/// Speaks to one Asterisk. Cloning it is cheap.
#[derive(Clone)]
pub(super) struct Rest {
    client: reqwest::Client,
    places: Arc<Semaphore>,
    settings: Arc<Settings>,
}

/// What Asterisk answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// None if it was too long or broke off.
    body: Option<Bytes>,
}

/// Both of the forms that Asterisk's errors have.
#[derive(Deserialize)]
struct Fault {
    message: Option<String>,
    error: Option<String>,
}

impl Rest {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let client = reqwest::Client::builder()
            .user_agent(concat!("rotary/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .tls_certs_only([])
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(settings.connect_deadline.min(settings.action_deadline / 2))
            .timeout(settings.action_deadline)
            .pool_max_idle_per_host(settings.requests_max)
            .pool_idle_timeout(IDLE)
            .build()
            .expect("a client without certificates needs nothing");
        Self { client, places: Arc::new(Semaphore::new(settings.requests_max)), settings }
    }

    /// Asks for something that changes nothing.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, AriError> {
        self.send(Method::GET, path, None).await
    }

    /// Sends a request, with JSON if there is any, and waits for the answer. `path` is what comes
    /// after `/ari`, escaped.
    ///
    /// # Errors
    /// `NotSent` if Asterisk certainly did not act on it, else `Unknown`.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Answer, AriError> {
        let Ok(place) = timeout(self.settings.action_deadline, self.places.acquire()).await else {
            return Err(AriError::NotSent("too many requests wait for Asterisk".to_owned()));
        };
        let _place = place.expect("the semaphore is never closed");
        let url = format!("http://{}/ari{path}", self.settings.address);
        let mut request = self.authorized(self.client.request(method, url));
        if let Some(json) = json {
            request = request.header(CONTENT_TYPE, "application/json").body(json);
        }
        let response = request.send().await.map_err(outcome)?;
        let status = response.status();
        let body = read(response, self.settings.answer_max).await;
        let answer = Answer { status, body };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // It boots or it stops, and says so before it looks at what was asked.
            return Err(AriError::NotSent(answer.text()));
        }
        Ok(answer)
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.settings.username, Some(self.settings.secret.expose_secret()))
    }
}

impl Answer {
    /// Whether Asterisk did it.
    pub(super) fn done(&self) -> Result<(), AriError> {
        match self.status.is_success() {
            true => Ok(()),
            false => Err(AriError::Refused(self.text())),
        }
    }

    /// What it answered with, if it did it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, AriError> {
        self.done()?;
        let body = self.body.as_ref().ok_or(AriError::Unknown)?;
        let unreadable = |error| AriError::Refused(format!("its answer cannot be read: {error}"));
        serde_json::from_slice(body).map_err(unreadable)
    }

    /// What it says in words.
    pub(super) fn text(&self) -> String {
        let body = self.body.as_deref().unwrap_or_default();
        let fault = serde_json::from_slice::<Fault>(body).ok();
        let text = fault.and_then(|fault| fault.message.or(fault.error));
        let text = text.unwrap_or_else(|| self.status.to_string());
        text.chars().filter(|letter| !letter.is_control()).take(TEXT_MAX).collect()
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("address", &self.settings.address).finish_non_exhaustive()
    }
}

/// Only a request whose connection was never made certainly did nothing.
fn outcome(error: reqwest::Error) -> AriError {
    match error.is_connect() || error.is_builder() {
        true => AriError::NotSent(root(&error)),
        false => AriError::Unknown,
    }
}

/// The innermost cause; what is around it names our own URL.
fn root(error: &reqwest::Error) -> String {
    let mut deepest: &dyn Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

async fn read(mut response: Response, most: usize) -> Option<Bytes> {
    let mut body = BytesMut::new();
    while let Some(part) = response.chunk().await.ok()? {
        if body.len() + part.len() > most {
            return None;
        }
        body.extend_from_slice(&part);
    }
    Some(body.freeze())
}

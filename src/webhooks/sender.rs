//! Posts one callback and says what the receiver answered.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, redirect};
use tracing::warn;

use super::authorities::Authorities;
use super::public::is_public;
use super::secret::WebhookSecret;
use super::target::{Refusal, Target, Targets};

/// How long an attempt may take, from the look-up of the name to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of an answer is read, in bytes. It says nothing to us, but a connection whose answer is
/// read may be used again.
const ANSWER_MAX: usize = 64 * 1024;

/// How many connections to one receiver are kept for the next callback, and how long.
const IDLE_MAX: usize = 16;
const IDLE: Duration = Duration::from_secs(5);

/// The longest error we keep, in characters.
const ERROR_LENGTH_MAX: usize = 300;

/// Sends callbacks. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    targets: Targets,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The `webhook-id`.
    pub id: String,
    /// When it is sent, in seconds of the Unix epoch.
    pub timestamp: i64,
    /// Where to.
    pub url: &'a str,
    /// The bytes that are signed.
    pub body: String,
}

/// What a receiver answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long it asks us to wait.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The URL can never be sent to.
    #[error("the URL {0}")]
    Refused(#[from] Refusal),
    /// It could not be sent, or nothing came back; it may work later.
    #[error("{0}")]
    Failed(String),
}

impl Sender {
    /// A sender that goes to these targets alone, and trusts these authorities beside those of the
    /// system. Where the system has none, it trusts these alone.
    pub fn new(targets: Targets, authorities: &Authorities) -> Self {
        let ours = || authorities.certificates();
        let client = client(targets).tls_certs_merge(ours()).build().or_else(|error| {
            warn!("the certificates of this system are not used for callbacks: {}", told(error));
            client(targets).tls_certs_only(ours()).build()
        });
        Self { client: client.expect("a client without certificates needs nothing"), targets }
    }

    /// Posts a callback, signed.
    ///
    /// # Errors
    /// There was no answer, or there can be none.
    pub async fn send(
        &self,
        message: Message<'_>,
        secret: &WebhookSecret,
    ) -> Result<Answer, SendError> {
        let Message { id, timestamp, url, body } = message;
        let target = Target::read(url, self.targets)?;
        let signature = secret.sign(&id, timestamp, &body);
        let request = self
            .client
            .post(target.into_url())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        let response = request.send().await.map_err(|error| SendError::Failed(told(error)))?;
        let answer =
            Answer { status: response.status().as_u16(), retry_after: retry_after(&response) };
        read(response).await;
        Ok(answer)
    }
}

fn client(targets: Targets) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("rotary/", env!("CARGO_PKG_VERSION")))
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(IDLE)
        .dns_resolver(Arc::new(Lookup { targets }))
}

/// Reads what comes after the head, up to the bound; how that ends changes nothing.
async fn read(mut response: Response) {
    let mut length = 0;
    while let Ok(Some(piece)) = response.chunk().await {
        length += piece.len();
        if length > ANSWER_MAX {
            return;
        }
    }
}

/// `Retry-After` in seconds, or as a date; what is neither asks for nothing.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    (date.to_utc() - chrono::Utc::now()).to_std().ok()
}

/// The chain of an error on one short line, without the URL, which may hold a secret.
fn told(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", PATIENCE.as_secs());
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let clean = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    clean.take(ERROR_LENGTH_MAX).collect()
}

/// Looks names up and refuses those that lead inside. The address that is checked is the one that
/// is connected to, so that a name that changes its address between the two gains nothing.
struct Lookup {
    targets: Targets,
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = self.targets;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(allowed(found, targets)?.into_iter()) as Addrs)
        })
    }
}

/// All of these addresses, or none: a name that leads inside with one of them is not to be trusted.
fn allowed(found: Vec<SocketAddr>, targets: Targets) -> Result<Vec<SocketAddr>, String> {
    match targets {
        Targets::Any => Ok(found),
        Targets::Public if found.iter().all(|at| is_public(at.ip())) => Ok(found),
        Targets::Public => Err("its name leads to a private or special address".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::domain::tenant::webhook_secret;

    #[test]
    fn a_name_with_one_private_address_is_not_connected_to() {
        let at = |text: &str| vec![text.parse().unwrap(), "1.1.1.1:0".parse().unwrap()];

        assert_eq!(allowed(at("9.9.9.9:0"), Targets::Public), Ok(at("9.9.9.9:0")));
        for inside in ["10.0.0.1:0", "127.0.0.1:0", "[::1]:0", "[::ffff:1.1.1.1]:0"] {
            assert!(allowed(at(inside), Targets::Public).is_err(), "{inside}");
            assert_eq!(allowed(at(inside), Targets::Any), Ok(at(inside)));
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_looked_up_and_then_refused() {
        let name = || "localhost".parse().unwrap();

        let inside = Lookup { targets: Targets::Public }.resolve(name()).await;
        let allowed = Lookup { targets: Targets::Any }.resolve(name()).await;

        assert!(inside.is_err());
        assert!(allowed.is_ok());
    }

    #[tokio::test]
    async fn an_address_is_refused_though_no_name_is_looked_up() {
        let sender = Sender::new(Targets::Public, &Authorities::default());
        let secret = webhook_secret([7; 32]).expose_secret().parse().unwrap();
        let url = "http://127.0.0.1:1/";
        let message = Message { id: "1".to_owned(), timestamp: 0, url, body: String::new() };

        let sent = sender.send(message, &secret).await;

        assert_eq!(sent, Err(SendError::Refused(Refusal::Private("127.0.0.1".to_owned()))));
    }
}

//! TLS around the line: whose certificate is taken, and in words why one is not.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

/// Whom the line trusts. Cloning it is cheap.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// Whose word is taken for who Asterisk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust<'a> {
    /// Those whom the system trusts.
    System,
    /// Those whose certificates these are, as PEM, and nobody else.
    Authorities(&'a [u8]),
}

/// Why there can be no TLS, whatever Asterisk does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The PEM holds no certificate, or one that cannot be read.
    #[error("{0}; it must hold the certificate of the authority, as PEM")]
    Authorities(String),
    /// The system's certificates cannot be used.
    #[error("the certificates of this system cannot be used: {0}")]
    System(String),
    /// This can be no certificate's name.
    #[error("{0:?} is neither a host name nor an address")]
    Name(String),
}

/// Why Asterisk is not trusted. As text it says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// What answers does not speak TLS.
    NotTls,
    /// The certificate was signed by somebody we do not trust.
    UnknownAuthority,
    /// The certificate is for another name.
    WrongName {
        /// Whom we wanted.
        wanted: String,
        /// Whose it is.
        presented: Vec<String>,
    },
    /// The certificate is too old.
    Expired {
        /// Since when, where that is known.
        since: Option<DateTime<Utc>>,
    },
    /// The certificate is not valid yet.
    NotYetValid {
        /// From when on, where that is known.
        from: Option<DateTime<Utc>>,
    },
    /// The certificate is one that signs others, not one of a server.
    Authority,
    /// The connection ended in the middle.
    Closed,
    /// Anything else, in the words of the library.
    Other(String),
}

impl Tls {
    /// TLS with whoever shows a certificate for `name` (a host name or an IP address) that one of
    /// the trusted has signed.
    ///
    /// # Errors
    /// The certificates to be trusted cannot be read, or `name` is none.
    pub fn new(trust: Trust<'_>, name: &str) -> Result<Self, TlsError> {
        let server = ServerName::try_from(name.to_owned());
        let server = server.map_err(|_| TlsError::Name(name.to_owned()))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS 1.2 and 1.3 need");
        let config = match trust {
            Trust::Authorities(pem) => builder.with_root_certificates(authorities(pem)?),
            Trust::System => {
                builder.with_platform_verifier().map_err(|why| TlsError::System(why.to_string()))?
            }
        };
        Ok(Self { config: Arc::new(config.with_no_client_auth()), name: server })
    }

    /// Agrees with the other side on how to encrypt.
    pub(super) async fn shake_hands(
        &self,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TlsFault> {
        let connector = TlsConnector::from(self.config.clone());
        connector.connect(self.name.clone(), socket).await.map_err(|error| fault(&error))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str(
                "what answers there does not speak TLS; give asterisk.address the port of tlsbindaddr in \
                 manager.conf, or set asterisk.tls = false",
            ),
            Self::UnknownAuthority => f.write_str(
                "its certificate is signed by an authority that is not trusted here; give that authority's \
                 certificate, as PEM, in asterisk.ca_file",
            ),
            Self::WrongName { wanted, presented } => write!(
                f,
                "its certificate is for {}, not for {wanted}; set asterisk.tls_name to the name in the certificate \
                 if this is the right Asterisk",
                listed(presented)
            ),
            Self::Expired { since } => write!(
                f,
                "its certificate expired{}; renew the file of tlscertfile in manager.conf, and check the clock of \
                 this machine",
                day(" on ", since)
            ),
            Self::NotYetValid { from } => write!(
                f,
                "its certificate is not valid yet{}; check the clocks of both machines",
                day(", only from ", from)
            ),
            Self::Authority => f.write_str(
                "its certificate is an authority's own and no server's (`openssl req -x509` makes such); sign a \
                 server's certificate with it for tlscertfile in manager.conf, as Asterisk's ast_tls_cert does",
            ),
            Self::Closed => f.write_str(
                "the other side closed the connection instead; look into Asterisk's log, and whether tlscertfile \
                 and tlsprivatekey in manager.conf can be read",
            ),
            Self::Other(why) => f.write_str(why),
        }
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate
            .map_err(|why| why.to_string())
            .and_then(|certificate| store.add(certificate).map_err(|why| why.to_string()));
        added
            .map_err(|why| TlsError::Authorities(format!("a certificate cannot be read: {why}")))?;
    }
    match store.is_empty() {
        true => Err(TlsError::Authorities("there is no certificate".to_owned())),
        false => Ok(store),
    }
}

fn fault(error: &io::Error) -> TlsFault {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(why)) => refusal(why),
        Some(rustls::Error::InvalidMessage(_)) => TlsFault::NotTls,
        Some(other) => TlsFault::Other(other.to_string()),
        None if closed(error) => TlsFault::Closed,
        None => TlsFault::Other(error.to_string()),
    }
}

fn closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    [BrokenPipe, ConnectionReset, UnexpectedEof].contains(&error.kind())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list grows")]
fn refusal(why: &CertificateError) -> TlsFault {
    match why {
        // The signature is bad where the authority has the name of a trusted one and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsFault::UnknownAuthority
        }
        CertificateError::NotValidForNameContext { expected, presented } => TlsFault::WrongName {
            wanted: expected.to_str().into_owned(),
            presented: presented.clone(),
        },
        CertificateError::Expired => TlsFault::Expired { since: None },
        CertificateError::ExpiredContext { not_after, .. } => {
            TlsFault::Expired { since: date(*not_after) }
        }
        CertificateError::NotValidYet => TlsFault::NotYetValid { from: None },
        CertificateError::NotValidYetContext { not_before, .. } => {
            TlsFault::NotYetValid { from: date(*not_before) }
        }
        CertificateError::Other(other) if signs_others(&*other.0) => TlsFault::Authority,
        other => TlsFault::Other(rustls::Error::InvalidCertificate(other.clone()).to_string()),
    }
}

/// The library that says so is not ours to name; its word for it is.
fn signs_others(error: &dyn Error) -> bool {
    error.to_string() == "CaUsedAsEndEntity"
}

fn date(time: UnixTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(time.as_secs()).ok()?, 0)
}

fn day(before: &str, time: &Option<DateTime<Utc>>) -> String {
    time.map_or_else(String::new, |time| format!("{before}{}", time.format("%F")))
}

/// `DnsName("pbx")` as rustls lists it is a name in quotes to a person.
fn listed(presented: &[String]) -> String {
    let names: Vec<&str> = presented
        .iter()
        .map(|name| {
            name.split_once('(').map_or(name.as_str(), |(_, name)| name.trim_end_matches(')'))
        })
        .collect();
    match names.is_empty() {
        true => "no name that counts (a subjectAltName)".to_owned(),
        false => names.join(", "),
    }
}

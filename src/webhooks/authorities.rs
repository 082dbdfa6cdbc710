//! Whose certificates a receiver of callbacks may show, beside those that the system trusts.

use std::fmt;

use reqwest::{Certificate, Client};

/// Authorities to be trusted, none at first.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities {
    pem: Vec<u8>,
}

/// Why a file names no authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; it must hold the certificate of the authority, as PEM")]
pub struct InvalidAuthorities(String);

impl Authorities {
    /// The certificates in a PEM, of which there must be one at least.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(pem: &[u8]) -> Result<Self, InvalidAuthorities> {
        let unreadable = |why| InvalidAuthorities(format!("a certificate cannot be read: {why:?}"));
        let certificates = Certificate::from_pem_bundle(pem).map_err(unreadable)?;
        if certificates.is_empty() {
            return Err(InvalidAuthorities("there is no certificate".to_owned()));
        }
        // Only a client looks into them.
        Client::builder().tls_certs_only(certificates).build().map_err(unreadable)?;
        Ok(Self { pem: pem.to_owned() })
    }

    pub(super) fn certificates(&self) -> Vec<Certificate> {
        Certificate::from_pem_bundle(&self.pem).expect("it was read before")
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of authorities", self.pem.len())
    }
}

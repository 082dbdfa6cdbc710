//! An authority of the tests, and the certificates it signs.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub(crate) struct Certified {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Somebody who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    own: Certified,
}

/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Authority {
    /// A new one of this name, whom nobody knows.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let own = Certified { certificate, key: key.serialize_pem() };
        Self { issuer: Issuer::new(params, key), own }
    }

    /// Its own certificate, by which it is known.
    pub(crate) fn own(&self) -> &Certified {
        &self.own
    }

    /// A certificate for this name that is good today.
    pub(crate) fn certify(&self, name: &str) -> Certified {
        let now = SystemTime::now();
        self.certify_for(name, now - DAY, now + DAY)
    }

    /// A certificate for this name that is good from one time to another.
    pub(crate) fn certify_for(&self, name: &str, from: SystemTime, to: SystemTime) -> Certified {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from.into(), to.into());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certified { certificate, key: key.serialize_pem() }
    }
}

//! The files that sections name: secrets, and the certificates of those who are trusted.
//!
//! They are read when the program starts, so that a wrong one is told to whoever starts it and not
//! at the next reconnect.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::sections::{Asterisk, Webhooks};
use super::{ConfigError, value};
use crate::ami::tls::{Tls, TlsError, Trust};
use crate::webhooks::Authorities;

/// What everybody may do with a file, as bits of its mode: read it.
const READ_BY_ALL: u32 = 0o004;

/// The secret in a file, without the line's end behind it. A file that everybody may read is
/// warned of.
pub(super) fn secret(
    key: &str,
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|why| at(key, path, why))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(at(key, path, "it is empty"));
    }
    if secret.contains(['\r', '\n']) {
        return Err(at(key, path, "it has more than one line; a secret is one"));
    }
    let mode = std::fs::metadata(path).map_err(|why| at(key, path, why))?.mode();
    if mode & READ_BY_ALL != 0 {
        let path = path.display();
        warnings.push(format!(
            "{key}: every user of this machine may read {path}; chmod 600, or 640 with the group of Rotary"
        ));
    }
    Ok(secret.to_owned())
}

/// How the line to Asterisk is encrypted, if it is. `section` is what the keys begin with.
pub(super) fn tls(section: &str, asterisk: &Asterisk) -> Result<Option<Tls>, ConfigError> {
    if !asterisk.tls {
        for (key, set) in
            [("ca_file", asterisk.ca_file.is_some()), ("tls_name", asterisk.tls_name.is_some())]
        {
            if set {
                let why = format!("it has no effect without {section}.tls = true");
                return Err(value(format!("{section}.{key}"), why));
            }
        }
        return Ok(None);
    }
    let host = host_of(asterisk.address());
    let name = asterisk.tls_name.as_deref().unwrap_or(host);
    let ca_key = format!("{section}.ca_file");
    let pem = asterisk.ca_file.as_deref().map(|path| read(&ca_key, path)).transpose()?;
    let trust = pem.as_deref().map_or(Trust::System, Trust::Authorities);
    let made = Tls::new(trust, name).map_err(|error| match (error, &asterisk.ca_file) {
        (error @ TlsError::Authorities(_), Some(path)) => at(&ca_key, path, error),
        (error @ TlsError::Name(_), _) if asterisk.tls_name.is_none() => {
            value(format!("{section}.address"), error.to_string())
        }
        (error @ TlsError::Name(_), _) => value(format!("{section}.tls_name"), error.to_string()),
        (error, _) => {
            value(format!("{section}.tls"), format!("{error}; name an authority in {ca_key}"))
        }
    });
    made.map(Some)
}

/// Whom receivers of callbacks may be certified by, beside whom the system trusts.
pub(super) fn receivers(webhooks: &Webhooks) -> Result<Authorities, ConfigError> {
    let Some(path) = &webhooks.ca_file else { return Ok(Authorities::default()) };
    let key = "webhooks.ca_file";
    Authorities::read(&read(key, path)?).map_err(|why| at(key, path, why))
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|why| at(key, path, why))
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn at(key: &str, path: &Path, why: impl std::fmt::Display) -> ConfigError {
    value(key, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests;

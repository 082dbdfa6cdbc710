//! The sections of `rotary.toml`, as a person writes them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::ConfigError;
use super::asterisks::OneOrMany;
use super::trunks::TrunkSection;
use crate::app::meters::MetricsSettings;
use crate::app::{CallDefaults, ImportLimits};
use crate::domain::asterisk::AsteriskName;
use crate::domain::did::TrunkName;
use crate::fastagi::{self, Network};
use crate::http::limits;
use crate::telemetry;

/// The whole file. Holds secrets, so it has no `Debug`; `rotary config` prints them masked.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sections {
    pub(super) daemon: Daemon,
    pub(super) store: Store,
    pub(super) asterisk: OneOrMany<Asterisk>,
    pub(super) calls: CallDefaults,
    pub(super) http: Http,
    pub(super) control: Control,
    pub(super) limits: limits::Settings,
    pub(super) imports: Imports,
    pub(super) log: telemetry::Settings,
    pub(super) metrics: MetricsSettings,
    pub(super) webhooks: Webhooks,
    pub(super) trunks: BTreeMap<TrunkName, TrunkSection>,
    pub(super) agi: Agi,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Daemon {
    /// Where the daemon keeps what must outlive it.
    pub(super) state: Option<PathBuf>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) url: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asterisk {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<AsteriskName>,
    pub(super) via: Via,
    /// Where, unless it is where Asterisk listens by default.
    pub(super) address: Option<String>,
    pub(super) username: String,
    pub(super) secret: Option<String>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) tls: bool,
    /// Whose certificates are trusted, as PEM; none: those whom the system trusts.
    pub(super) ca_file: Option<PathBuf>,
    /// The name in Asterisk's certificate, where it is not the host of `address`.
    pub(super) tls_name: Option<String>,
}

/// What is spoken with an Asterisk.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Via {
    Ami,
    Ari,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: SocketAddr,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Control {
    pub(super) socket: Option<PathBuf>,
}

/// `[agi]`: where dialplans come in, and from where.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Agi {
    pub(super) listen: SocketAddr,
    /// A list, or in the environment a text with commas.
    #[serde(deserialize_with = "networks")]
    pub(super) allow: Vec<Network>,
}

/// `[webhooks]`: where callbacks may go, and how long they are kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Webhooks {
    pub(super) allow_private_targets: bool,
    pub(super) keep_delivered_days: u32,
    pub(super) keep_dead_days: u32,
    /// Authorities trusted beside the system's, as PEM.
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Imports {
    /// How many may run at once, dry runs too.
    pub(super) at_once: usize,
}

impl Default for Asterisk {
    fn default() -> Self {
        Self {
            name: None,
            via: Via::Ami,
            address: None,
            username: "rotary".into(),
            secret: None,
            secret_file: None,
            tls: false,
            ca_file: None,
            tls_name: None,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 5000)) }
    }
}

impl Default for Agi {
    fn default() -> Self {
        let fastagi::Settings { listen, allow, .. } = fastagi::Settings::default();
        Self { listen, allow }
    }
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            allow_private_targets: false,
            keep_delivered_days: 7,
            keep_dead_days: 30,
            ca_file: None,
        }
    }
}

impl Default for Imports {
    fn default() -> Self {
        Self { at_once: ImportLimits::default().at_once }
    }
}

fn networks<'de, D: Deserializer<'de>>(given: D) -> Result<Vec<Network>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        List(Vec<String>),
        Text(String),
    }
    let texts = match Given::deserialize(given)? {
        Given::List(texts) => texts,
        Given::Text(text) => text.split(',').map(|one| one.trim().to_owned()).collect(),
    };
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

/// Reads a file. An error names the line and the key.
pub(super) fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
    let invalid = |why: toml::de::Error| ConfigError::Invalid {
        path: path.to_owned(),
        why: without_secrets(&text, &why),
    };
    // Read once as sections for the sake of the error, which knows the line only here.
    toml::from_str::<Sections>(&text).map_err(invalid)?;
    toml::from_str(&text).map_err(invalid)
}

impl Sections {
    /// The sections with secrets as `***`.
    pub(super) fn masked(&self) -> Self {
        let mut shown = self.clone();
        shown.asterisk.as_mut_slice().iter_mut().for_each(Asterisk::mask);
        shown.store.url = shown.store.url.as_deref().map(mask_password);
        shown
    }
}

/// What is wrong, with the line it is in unless that may be a secret's: the error goes to a log.
fn without_secrets(text: &str, why: &toml::de::Error) -> String {
    let before = why.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default().to_lowercase();
    let may_be_secret = ["secret", "url", "pass"].iter().any(|word| line.contains(word));
    if !may_be_secret {
        return why.to_string();
    }
    match why.message().starts_with("unknown field") {
        true => format!("line {number}: {}", why.message()),
        false => format!(
            "line {number} cannot be read; is it a text between two quotes? It is not shown here, \
             for it may hold a secret"
        ),
    }
}

/// `postgres://user:secret@host/db` with the secret as `***`, and so a `password` among the
/// parameters. What is no proper address is masked too: it may be one with a slip in it.
fn mask_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':').filter(|(scheme, _)| *scheme != "sqlite") else {
        return url.to_owned();
    };
    let rest = match rest.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split_once(':').map_or(login, |(user, _)| user);
            let secret = if user == login { "" } else { ":***" };
            format!("{user}{secret}@{host}")
        }
        None => rest.to_owned(),
    };
    let masked = rest.split_inclusive(['?', '&']).map(|part| match part.split_once('=') {
        Some((name, value)) if name.contains("password") => {
            let end = if value.ends_with('&') { "&" } else { "" };
            format!("{name}=***{end}")
        }
        Some(_) | None => part.to_owned(),
    });
    format!("{scheme}:{}", masked.collect::<String>())
}

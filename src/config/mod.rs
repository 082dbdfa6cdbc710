//! The configuration: a file, the environment over it, and what holds where both are silent.
//!
//! This is the only place that reads files and environment for settings; each module owns the type
//! of its own.

mod asterisks;
mod environment;
mod named_files;
mod places;
mod sections;
mod trunks;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use secrecy::SecretString;

pub use self::places::{default_socket, state_directory};
pub use self::sections::Sections;
use self::sections::{Asterisk, Via};
use crate::ami;
use crate::app;
use crate::app::asterisks::WireSettings;
use crate::app::deliver_callbacks::CallbackSettings;
use crate::app::make_call::TIME_LIMIT_MAX;
use crate::ari;
use crate::fastagi;
use crate::http;
use crate::store;
use crate::telemetry;
use crate::webhooks::Targets;

/// Everything the daemon needs to know.
pub struct Config {
    /// The sections as they are in force, for [`Config::masked`].
    sections: Sections,
    /// Where the daemon keeps what must outlive it.
    pub state: PathBuf,
    /// The store.
    pub store: store::Settings,
    /// The Asterisks, at least one, and the lines to them.
    pub asterisks: Vec<app::asterisks::Settings>,
    /// How calls are placed.
    pub app: app::Settings,
    /// The listeners.
    pub http: http::Settings,
    /// The dialplans' door.
    pub agi: fastagi::Settings,
    /// The log.
    pub log: telemetry::Settings,
    /// What works and should not stay so, in words that name the key.
    pub warnings: Vec<String>,
}

/// What is wrong with the configuration, in words that say where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        why: std::io::Error,
    },
    /// The file is no TOML, or has a key or a value that means nothing. Names key and line.
    #[error("{}: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Key, line and what would be right.
        why: String,
    },
    /// A variable of the environment means nothing.
    #[error("{variable}: {why}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong with it.
        why: String,
    },
    /// A value that is well formed and cannot work.
    #[error("{key}: {why}")]
    Value {
        /// `section.key`.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The variables of the environment, as they are when the program starts.
pub type Environment = Vec<(String, String)>;

/// Reads the configuration from `file` and the environment of this process.
///
/// Without a file, `ROTARY_CONFIG` names one; without that, the defaults hold.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let environment = texts(std::env::vars_os())?;
    let named = environment::get(&environment, "ROTARY_CONFIG").map(PathBuf::from);
    read(file.map(Path::to_owned).or(named).as_deref(), &environment)
}

/// The variables that are text. One of ours that is not would else be as if it were not set.
fn texts(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Environment, ConfigError> {
    let named = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let text = |(name, value): (String, OsString)| match value.into_string() {
        Ok(value) => Some(Ok((name, value))),
        Err(_) if name.starts_with("ROTARY_") || name == "DATABASE_URL" => {
            let why = "is not UTF-8 text".to_owned();
            Some(Err(ConfigError::Environment { variable: name, why }))
        }
        Err(_) => None,
    };
    named.filter_map(text).collect()
}

/// [`load`], with an environment of the caller's own.
pub fn read(file: Option<&Path>, environment: &Environment) -> Result<Config, ConfigError> {
    let table = match file {
        Some(path) => sections::read_file(path)?,
        None => toml::Table::new(),
    };
    let sections = environment::overlay(table, environment)?;
    assemble(sections, environment)
}

impl Config {
    /// The configuration in force, secrets as `***`.
    pub fn masked(&self) -> Sections {
        self.sections.masked()
    }

    /// [`Config::masked`] as TOML.
    pub fn print(&self) -> String {
        toml::to_string(&self.masked()).expect("sections are tables of plain values")
    }
}

fn assemble(mut sections: Sections, environment: &Environment) -> Result<Config, ConfigError> {
    let state = sections.daemon.state.clone().unwrap_or_else(|| state_directory(environment));
    let url = sections.store.url.get_or_insert_with(|| {
        environment::get(environment, "DATABASE_URL")
            .map_or_else(|| format!("sqlite:{}", state.join("rotary.db").display()), str::to_owned)
    });
    let store = store::Settings::new(url.clone());
    sections.daemon.state = Some(state.clone());
    sections.asterisk.as_mut_slice().iter_mut().for_each(Asterisk::complete);
    let socket = sections
        .control
        .socket
        .get_or_insert_with(|| places::default_socket_in(environment))
        .clone();

    let mut warnings = Vec::new();
    let config = Config {
        app: app_settings(&sections, &state)?,
        state,
        store,
        asterisks: asterisks::settings(&sections, &mut warnings)?,
        http: http::Settings {
            listen: sections.http.listen,
            socket,
            limits: sections.limits.clone(),
            ..http::Settings::default()
        },
        agi: fastagi::Settings {
            listen: sections.agi.listen,
            allow: sections.agi.allow.clone(),
            ..fastagi::Settings::default()
        },
        log: sections.log.clone(),
        warnings,
        sections,
    };
    Ok(config)
}

/// The line to one Asterisk, whose section is named by `key`.
fn wire_settings(
    key: &str,
    asterisk: &Asterisk,
    warnings: &mut Vec<String>,
) -> Result<WireSettings, ConfigError> {
    let secret = match (&asterisk.secret, &asterisk.secret_file) {
        (Some(_), Some(_)) => {
            return Err(value(format!("{key}.secret"), "give secret or secret_file, not both"));
        }
        (Some(secret), None) => secret.clone(),
        (None, Some(path)) => named_files::secret(&format!("{key}.secret_file"), path, warnings)?,
        (None, None) => String::new(),
    };
    let tls = named_files::tls(key, asterisk)?;
    let (address, username) = (asterisk.address().to_owned(), asterisk.username.clone());
    let secret = SecretString::from(secret);
    match asterisk.via {
        Via::Ami => {
            let settings = ami::Settings { address, tls, username, secret, ..Default::default() };
            Ok(WireSettings::Ami(settings))
        }
        Via::Ari if tls.is_some() => {
            let why = "ARI over TLS is not in this version; set it to false, or via = \"ami\"";
            Err(value(format!("{key}.tls"), why))
        }
        Via::Ari => {
            let settings = ari::Settings { address, username, secret, ..Default::default() };
            Ok(WireSettings::Ari(settings))
        }
    }
}

fn app_settings(sections: &Sections, state: &Path) -> Result<app::Settings, ConfigError> {
    trunks::check_calls(&sections.calls)?;
    let days = &sections.webhooks;
    for (key, days) in [
        ("webhooks.keep_delivered_days", days.keep_delivered_days),
        ("webhooks.keep_dead_days", days.keep_dead_days),
    ] {
        if !(1..=3650).contains(&days) {
            return Err(value(key, "callbacks are kept for 1 to 3650 days"));
        }
    }
    if !(1..=600).contains(&sections.calls.ring_timeout_seconds) {
        return Err(value("calls.ring_timeout_seconds", "a phone rings for 1 to 600 seconds"));
    }
    if sections.calls.time_limit_seconds > TIME_LIMIT_MAX {
        let why = format!("a call lasts for 1 to {TIME_LIMIT_MAX} seconds; 0 is without end");
        return Err(value("calls.time_limit_seconds", why));
    }
    if !(1..=16).contains(&sections.imports.at_once) {
        return Err(value("imports.at_once", "1 to 16 imports may run at once"));
    }
    let imports = app::ImportLimits {
        directory: Some(state.join("imports")),
        at_once: sections.imports.at_once,
    };
    Ok(app::Settings {
        calls: sections.calls.clone(),
        trunks: trunks::trunks(sections)?,
        imports,
        callbacks: callback_settings(sections)?,
        metrics: sections.metrics,
        ..app::Settings::default()
    })
}

fn callback_settings(sections: &Sections) -> Result<CallbackSettings, ConfigError> {
    let webhooks = &sections.webhooks;
    let targets = if webhooks.allow_private_targets { Targets::Any } else { Targets::Public };
    Ok(CallbackSettings {
        targets,
        authorities: named_files::receivers(webhooks)?,
        keep_delivered: TimeDelta::days(webhooks.keep_delivered_days.into()),
        keep_dead: TimeDelta::days(webhooks.keep_dead_days.into()),
        ..CallbackSettings::default()
    })
}

fn value(key: impl Into<String>, why: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: key.into(), why: why.into() }
}

#[cfg(test)]
mod tests;

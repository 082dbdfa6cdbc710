//! Where the daemon's log goes: standard error, as text or as JSON.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A line for a person to read.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What to log, and how.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// `text` or `json`.
    pub format: Format,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: "info".into(), format: Format::Text }
    }
}

/// Starts logging. A second call in one process changes nothing.
pub fn start(settings: &Settings) -> anyhow::Result<()> {
    let level: LevelFilter = settings.level.parse().map_err(|_| {
        anyhow::anyhow!(
            "log.level: {:?} is none of error, warn, info, debug, trace",
            settings.level
        )
    })?;
    // A line that cannot be written would be complained of on the same closed pipe, which panics:
    // `rotary serve 2>&1 | head` must cost the log and not the daemon.
    let log = fmt()
        .with_max_level(level)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A test starts several daemons in one process; the first one's log serves all.
    let _already_started = match settings.format {
        Format::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => log.json().flatten_event(true).try_init(),
    };
    Ok(())
}

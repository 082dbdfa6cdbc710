//! Rotary in this process, beside a simulated Asterisk whose people are quick.

use std::time::Duration;

use rotary::config;
use rotary::daemon::{self, Running};
use rotary::demo::callee::Pace;
use rotary::demo::{Settings, Simulated};
use rotary::lifecycle::Lifecycle;
use tempfile::TempDir;

/// A house that is open; it has to be closed.
pub struct House {
    pub running: Running,
    backdrop: Lifecycle,
    _place: TempDir,
}

/// Opens one, with SQLite unless these variables name another store.
pub async fn open(more: &[(&str, String)]) -> anyhow::Result<House> {
    let place = tempfile::tempdir()?;
    let quick = Pace {
        ring_after: Duration::from_millis(1),
        answer_after: Duration::from_millis(1),
        talk: Duration::from_millis(1),
        refuse_after: Duration::from_millis(1),
    };
    let settings = Settings { pace: quick, ..Settings::default() };
    let simulated = Simulated::bind("127.0.0.1:0".parse()?, settings).await?;
    let path = place.path().display().to_string();
    let mut environment = vec![
        ("STATE_DIRECTORY", path.clone()),
        ("RUNTIME_DIRECTORY", path),
        ("ROTARY_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ("ROTARY_AGI__LISTEN", "127.0.0.1:0".to_owned()),
        ("ROTARY_ASTERISK__ADDRESS", simulated.address().to_string()),
        ("ROTARY_ASTERISK__SECRET", "s3cret".to_owned()),
        ("ROTARY_WEBHOOKS__ALLOW_PRIVATE_TARGETS", "true".to_owned()),
    ];
    environment.extend(more.iter().cloned());
    let environment: Vec<_> =
        environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let backdrop = Lifecycle::default();
    let lines = backdrop.wires.tasks();
    backdrop.wires.spawn("simulated Asterisk", |stop| simulated.run(lines, stop));
    let running = daemon::start(config::read(None, &environment)?).await?;
    running.app.asterisks.some_up().await;
    Ok(House { running, backdrop, _place: place })
}

impl House {
    /// Ends all of it.
    pub async fn close(self) {
        self.running.lifecycle.stop(Duration::from_secs(20)).await;
        self.backdrop.stop(Duration::from_secs(5)).await;
    }
}

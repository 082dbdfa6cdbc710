//! An Asterisk over its REST interface.

use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::asterisk::{Leaving, line_is_down, settled, trunk_checks, version};
use super::endpoints::{self, Options, Reach, Seen};
use super::{Findings, clock};
use crate::ari::{self, AriError, Client, Settings};
use crate::domain::asterisk::AsteriskName;
use crate::line::LineState;

/// Looks at it, on a line of our own: an application's name of its own takes nobody's events.
pub(super) async fn examine(
    name: &AsteriskName,
    settings: &Settings,
    leaving: &[Leaving],
    findings: &mut Findings,
) {
    let settings = Settings {
        application: format!("rotary-doctor-{}", Uuid::now_v7()),
        backoff_min: Duration::from_secs(60),
        backoff_max: Duration::from_secs(60),
        ..settings.clone()
    };
    let (client, line, _reports) = ari::line(settings.clone());
    let stop = CancellationToken::new();
    let looking = async {
        look(name, &settings, leaving, &client, findings).await;
        stop.cancel();
    };
    let (_always_ok, ()) = tokio::join!(line.run(stop.clone()), looking);
}

async fn look(
    name: &AsteriskName,
    settings: &Settings,
    leaving: &[Leaving],
    client: &Client,
    findings: &mut Findings,
) {
    let number = match settled(client.states()).await {
        LineState::Up { version, .. } => version,
        LineState::Down { why } => {
            let hints = (
                "ari.conf and http.conf",
                "enabled = yes in [general] of both",
                "type = user, password = SECRET, read_only = no",
            );
            line_is_down(name, "ARI", hints, &why, findings);
            let rest = ["version", "clock", "dialplan"].map(|word| format!("{name} {word}"));
            let rest = rest.into_iter().chain(trunk_checks(name, leaving));
            return findings.skip_all(rest, "there is no line to this Asterisk");
        }
    };
    let Settings { username, address, .. } = settings;
    findings.ok(format!("{name} login"), format!("as {username} at {address}, over ARI"));
    version(name, &number, findings);
    let before = Utc::now();
    match client.clock().await {
        Ok(Some(now)) => {
            clock::compare(format!("{name} clock"), now, (before, Utc::now()), findings);
        }
        Ok(None) => findings.skip(format!("{name} clock"), "this Asterisk does not tell the time"),
        Err(why) => findings.skip(format!("{name} clock"), why.to_string()),
    }
    for one in leaving {
        let Some(endpoint) = &one.endpoint else { continue };
        let seen = seen(client, endpoint).await.unwrap_or_else(|why| Seen::Untold(why.to_string()));
        endpoints::judge(name, one, endpoint, seen, findings);
    }
    findings.skip(
        format!("{name} dialplan"),
        "ARI cannot be asked about it: asterisk -rx 'dialplan show' shows it",
    );
}

async fn seen(client: &Client, endpoint: &str) -> Result<Seen, AriError> {
    let reach = match client.endpoint_state(endpoint).await?.as_deref() {
        None => return Ok(Seen::Missing),
        Some("online") => Reach::Reachable,
        Some("unknown") => Reach::Unlooked,
        Some(state) => Reach::Unreachable(state.to_owned()),
    };
    let options = client.endpoint_options(endpoint).await.ok().flatten();
    Ok(Seen::There { options: options.map(Options::from), reach })
}

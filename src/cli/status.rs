//! `rotary status`: how the daemon is doing. Exit code 1 when it could not place a call.

use super::client::{Ask, Client};
use super::failure::Failure;
use super::output::{Output, time};
use crate::http::view::{CheckView, StatusView};

/// Shows it.
pub(super) async fn run(client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let status: StatusView = client.send(Ask::get("/api/status")).await?;
    if output.is_json() {
        output.json(&status)?;
    } else {
        print(&status, output)?;
    }
    if status.status == "ready" { Ok(()) } else { Err(Failure::told()) }
}

fn print(status: &StatusView, output: &mut Output<'_>) -> Result<(), Failure> {
    let dids = &status.dids;
    let mut pairs = vec![
        ("rotary", format!("{}, {}", status.version, status.status)),
        ("up since", format!("{} ({})", time(status.started_at), span(status.uptime_seconds))),
        ("store", format!("{}, {}", status.store, check(&status.checks.store))),
    ];
    match &status.checks.asterisks[..] {
        [] | [_] => pairs.push(("asterisk", check(&status.checks.asterisk))),
        several => pairs.extend(several.iter().enumerate().map(|(place, one)| {
            let label = if place == 0 { "asterisks" } else { "" };
            (label, format!("{} {}", one.name, check(&one.check)))
        })),
    }
    pairs.extend([
        (
            "dids",
            format!(
                "{} of {}: {} active, {} of them spent",
                dids.total, status.tenant_id, dids.active, dids.spent
            ),
        ),
        ("calls", format!("{} in progress", status.calls_in_progress)),
    ]);
    Ok(output.pairs(pairs)?)
}

fn check(check: &CheckView) -> String {
    match &check.detail {
        Some(detail) => format!("{}: {detail}", check.status),
        None => check.status.clone(),
    }
}

fn span(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

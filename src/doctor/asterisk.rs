//! One Asterisk: which of its trunks are looked at, and what every kind of line has in common.

use std::collections::BTreeSet;

use tokio::sync::watch;

use super::{Findings, InUse, ami, ari};
use crate::app::Trunk;
use crate::app::asterisks::{Settings, WireSettings};
use crate::config::Config;
use crate::domain::asterisk::AsteriskName;
use crate::domain::did::TrunkName;
use crate::line::{DownReason, LineState};

/// The oldest Asterisk that Rotary is used with.
const VERSION_MIN: u32 = 16;

/// More trunks than this are not asked about.
const TRUNKS_MAX: usize = 50;

/// A trunk whose calls may leave by the Asterisk that is looked at.
pub(super) struct Leaving {
    pub(super) trunk: TrunkName,
    /// The PJSIP endpoint; none where the dial string names none.
    pub(super) endpoint: Option<String>,
    /// Whether the dial string says where the call goes, so that the endpoint needs no contact.
    pub(super) names_a_host: bool,
}

/// Looks at it: the line, our rights, the trunks and the dialplan.
pub(super) async fn examine(
    config: &Config,
    asterisk: &Settings,
    in_use: &InUse,
    findings: &mut Findings,
) {
    let leaving = leaving(config, &asterisk.name, in_use);
    match &asterisk.wire {
        WireSettings::Ami(settings) => {
            ami::examine(&asterisk.name, settings, &config.app.calls, &leaving, findings).await;
        }
        WireSettings::Ari(settings) => {
            ari::examine(&asterisk.name, settings, &leaving, findings).await;
        }
    }
}

/// The trunks that are configured or that active DIDs name.
fn leaving(config: &Config, asterisk: &AsteriskName, in_use: &InUse) -> Vec<Leaving> {
    let usual = Trunk::default();
    let names: BTreeSet<&TrunkName> = config.app.trunks.keys().chain(in_use).collect();
    let described = names.into_iter().filter_map(|name| {
        let trunk = config.app.trunks.get(name).unwrap_or(&usual);
        let here = trunk.asterisk.is_empty() || trunk.asterisk.contains(asterisk);
        here.then(|| Leaving {
            trunk: name.clone(),
            endpoint: trunk.endpoint(name),
            names_a_host: trunk.dial.contains("/sip:"),
        })
    });
    described.take(TRUNKS_MAX).collect()
}

/// What the first attempt to connect comes to. The line's own deadlines bound it.
pub(super) async fn settled(mut states: watch::Receiver<LineState>) -> LineState {
    let connecting = LineState::Down { why: DownReason::Connecting };
    match states.wait_for(|state| *state != connecting).await {
        Ok(state) => state.clone(),
        Err(_) => LineState::Down { why: DownReason::Stopped },
    }
}

/// Tells why there is no line, where the interface is called `interface`, is configured in `file`
/// and `general` there switches it on.
pub(super) fn line_is_down(
    name: &AsteriskName,
    interface: &str,
    (file, general, user): (&str, &str, &str),
    why: &DownReason,
    findings: &mut Findings,
) {
    let (reached, login) = (format!("{name} {interface}"), format!("{name} login"));
    match why {
        DownReason::LoginRefused { username, message, .. } => {
            findings.ok(reached, "answers");
            findings.fail(
                login,
                format!("refused for {username}: {message}"),
                format!("{file}: [{username}] {user}; the same in rotary.toml: [asterisk] username and secret"),
            );
        }
        DownReason::Unreachable { address, cause, .. } => findings.fail(
            reached,
            format!("nobody answers at {address}: {cause}"),
            format!("{file}: {general}; that address in rotary.toml: [asterisk] address; and is Asterisk running?"),
        ),
        DownReason::NoGreeting { encrypted: false, .. } => findings.fail(
            reached,
            why.to_string(),
            "rotary.toml: [asterisk] address, and tls = true for the port of tlsbindaddr",
        ),
        DownReason::Untrusted { .. } | DownReason::NoGreeting { .. } => findings.fail(
            reached,
            why.to_string(),
            "rotary.toml: [asterisk] tls, ca_file and tls_name; manager.conf: tlsenable, tlscertfile",
        ),
        DownReason::ShuttingDown
        | DownReason::Lost { .. }
        | DownReason::Connecting
        | DownReason::Stopped => {
            findings.fail(reached, why.to_string(), "asterisk -rx 'core show uptime': does it run?");
        }
    }
}

/// Judges Asterisk's version, which begins with its number.
pub(super) fn version(name: &AsteriskName, version: &str, findings: &mut Findings) {
    let check = format!("{name} version");
    let digits = version.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    match digits.parse::<u32>() {
        Ok(number) if number < VERSION_MIN => findings.fail(
            check,
            format!("Asterisk {version} is too old"),
            format!("move to Asterisk {VERSION_MIN} or newer; 22 is the long-term release"),
        ),
        Ok(_) => findings.ok(check, format!("Asterisk {version}")),
        Err(_) => findings.skip(check, format!("it says of itself only {version:?}")),
    }
}

/// The names of the checks of trunks, for when they are passed over.
pub(super) fn trunk_checks(name: &AsteriskName, leaving: &[Leaving]) -> Vec<String> {
    leaving.iter().map(|one| format!("{name} trunk {}", one.trunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn an_asterisk_that_is_too_old_is_told() {
        let told = |text| {
            let mut findings = Findings::default();
            version(&AsteriskName::lone(), text, &mut findings);
            findings.all()[0].outcome
        };

        assert_eq!(told("13.38.3"), Outcome::Failed);
        assert_eq!(told("16.28.0~dfsg-0+deb11u4"), Outcome::Ok);
        assert_eq!(told("GIT-master-abc"), Outcome::Skipped);
    }
}

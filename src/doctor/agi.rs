//! The dialplans' door: does it answer, and can each Asterisk come in by it?

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Findings;
use crate::app::asterisks::WireSettings;
use crate::config::Config;

/// How long the door may take to open: Asterisk's own patience.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at it, where a daemon runs; and at the addresses that Asterisks come from.
pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    let check = "FastAGI";
    let listen = config.agi.listen;
    for asterisk in &config.asterisks {
        let address = match &asterisk.wire {
            WireSettings::Ami(ami) => &ami.address,
            WireSettings::Ari(ari) => &ari.address,
        };
        shut_out(check, config, address, findings);
    }
    if UnixStream::connect(&config.http.socket).await.is_err() {
        return findings.ok(check, format!("no daemon runs; it will listen at {listen}"));
    }
    match timeout(PATIENCE, TcpStream::connect(door(listen))).await {
        Ok(Ok(_)) => findings.ok(check, format!("answers at {listen}")),
        Ok(Err(why)) => findings.fail(
            check,
            format!("a daemon runs, and nobody answers at {listen}: {why}"),
            "rotary.toml: [agi] listen, as it was when the daemon was started; or start it again",
        ),
        Err(_) => findings.fail(
            check,
            format!("no answer at {listen} within {PATIENCE:?}"),
            "let the firewall of this machine pass that port",
        ),
    }
}

/// An Asterisk on another machine reaches no loopback address, and comes in only where its own is
/// allowed. One that is named by a word is not looked up.
fn shut_out(check: &str, config: &Config, asterisk: &str, findings: &mut Findings) {
    let Ok(address) = asterisk.parse::<SocketAddr>() else { return };
    let (ip, listen) = (address.ip(), config.agi.listen);
    if ip.is_loopback() {
        return;
    }
    if listen.ip().is_loopback() {
        let port = listen.port();
        findings.warn(
            check,
            format!("an Asterisk at {ip} cannot reach {listen}, which is this machine alone"),
            format!("rotary.toml: [agi] listen = \"0.0.0.0:{port}\" and allow = [\"{ip}\"], if its dialplan uses it"),
        );
    } else if !config.agi.allow.iter().any(|network| network.contains(ip)) {
        findings.warn(
            check,
            format!("an Asterisk at {ip} is turned away"),
            format!("rotary.toml: [agi] allow = [\"{ip}\"], if its dialplan uses it"),
        );
    }
}

/// Where one connects to reach what listens there.
fn door(listen: SocketAddr) -> SocketAddr {
    match listen.ip().is_unspecified() {
        true => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.port()),
        false => listen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::doctor::Outcome;

    #[test]
    fn an_asterisk_elsewhere_that_cannot_come_in_is_told() {
        let told = |listen: &str, allow: &str, asterisk: &str| {
            let environment = [("ROTARY_AGI__LISTEN", listen), ("ROTARY_AGI__ALLOW", allow)];
            let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let config = config::read(None, &environment.to_vec()).unwrap();
            let mut findings = Findings::default();
            shut_out("FastAGI", &config, asterisk, &mut findings);
            findings.count(Outcome::Warning)
        };

        assert_eq!(told("127.0.0.1:4573", "127.0.0.1", "127.0.0.1:5038"), 0);
        assert_eq!(told("127.0.0.1:4573", "127.0.0.1", "192.0.2.1:5038"), 1);
        assert_eq!(told("0.0.0.0:4573", "127.0.0.1", "192.0.2.1:5038"), 1);
        assert_eq!(told("0.0.0.0:4573", "192.0.2.0/24", "192.0.2.1:5038"), 0);
    }
}

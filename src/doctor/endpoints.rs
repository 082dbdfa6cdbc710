//! A trunk's endpoint: is it there, can it be reached, and does the caller ID survive it?

use super::Findings;
use super::asterisk::Leaving;
use crate::domain::asterisk::AsteriskName;

/// What Asterisk says of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It has none of that name.
    Missing,
    /// It has one.
    There { options: Option<Options>, reach: Reach },
    /// It cannot be asked, for this reason.
    Untold(String),
}

/// What becomes of the caller ID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The word that stands in From in place of the caller ID; usually empty.
    pub(super) from_user: String,
    pub(super) send_pai: bool,
    pub(super) send_rpid: bool,
}

/// Whether calls get out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    Reachable,
    /// Nobody has looked: the contact is not qualified.
    Unlooked,
    /// None of its contacts, or what Asterisk says of them.
    Unreachable(String),
    /// There is no contact.
    Nowhere,
}

impl Options {
    /// From names and values as in pjsip.conf, whatever their case and underscores.
    pub(super) fn from(options: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut found = Self::default();
        for (name, value) in options {
            let yes = ["true", "yes", "on"].iter().any(|word| value.eq_ignore_ascii_case(word));
            match name.to_ascii_lowercase().replace('_', "").as_str() {
                "fromuser" => found.from_user = value,
                "sendpai" => found.send_pai = yes,
                "sendrpid" => found.send_rpid = yes,
                _ => {}
            }
        }
        found
    }
}

/// Judges what was seen of the endpoint of one trunk.
pub(super) fn judge(
    name: &AsteriskName,
    leaving: &Leaving,
    endpoint: &str,
    seen: Seen,
    findings: &mut Findings,
) {
    let trunk = &leaving.trunk;
    let (check, shown) = (format!("{name} trunk {trunk}"), format!("{name} caller ID on {trunk}"));
    let (options, reach) = match seen {
        Seen::There { options, reach } => (options, reach),
        Seen::Missing => {
            let seen = format!("Asterisk has no PJSIP endpoint {endpoint}");
            let mend = format!(
                "pjsip.conf: [{endpoint}] type = endpoint; or rotary.toml: [trunks.{trunk}] dial = \
                 \"PJSIP/{{to}}@ENDPOINT\" with one it has"
            );
            findings.fail(check, seen, mend);
            return findings.skip(shown, "there is no such endpoint");
        }
        Seen::Untold(why) => {
            findings.skip(check, why.clone());
            return findings.skip(shown, why);
        }
    };
    reachable(check, leaving, endpoint, reach, findings);
    match options {
        Some(options) => survives(shown, endpoint, &options, findings),
        None => findings.skip(
            shown,
            "Asterisk does not tell the endpoint's options: load = func_pjsip_endpoint.so in modules.conf",
        ),
    }
}

fn reachable(
    check: String,
    leaving: &Leaving,
    endpoint: &str,
    reach: Reach,
    findings: &mut Findings,
) {
    match reach {
        Reach::Reachable => findings.ok(check, format!("the endpoint {endpoint} is reachable")),
        Reach::Unlooked => findings.ok(
            check,
            format!("the endpoint {endpoint} is there; whether its carrier answers is not looked at (qualify_frequency)"),
        ),
        Reach::Nowhere | Reach::Unreachable(_) if leaving.names_a_host => {
            findings.ok(check, format!("the endpoint {endpoint} is there; the dial string says where calls go"));
        }
        Reach::Unreachable(state) => findings.fail(
            check,
            format!("the endpoint {endpoint} is {state}"),
            format!("pjsip.conf: contact = sip:CARRIER in the aor of [{endpoint}]; or qualify_frequency = 0, \
                     where the carrier does not answer OPTIONS"),
        ),
        Reach::Nowhere => findings.fail(
            check,
            format!("the endpoint {endpoint} has no contact: calls have nowhere to go"),
            format!("pjsip.conf: [{endpoint}] aors = AOR, and [AOR] type = aor, contact = sip:CARRIER"),
        ),
    }
}

fn survives(check: String, endpoint: &str, options: &Options, findings: &mut Findings) {
    let Options { from_user, send_pai, send_rpid } = options;
    let told_besides = match (send_pai, send_rpid) {
        (true, _) => Some("P-Asserted-Identity"),
        (false, true) => Some("Remote-Party-ID"),
        (false, false) => None,
    };
    let mend = format!("pjsip.conf: take from_user out of [{endpoint}]");
    match (from_user.as_str(), told_besides) {
        ("", Some(header)) => findings.ok(check, format!("the DID is in From and {header}")),
        ("", None) => findings.warn(
            check,
            "the DID is in From alone; many carriers take it from P-Asserted-Identity",
            format!("pjsip.conf: send_pai = yes in [{endpoint}], unless your carrier takes From"),
        ),
        (word, Some(header)) => findings.warn(
            check,
            format!("from_user = {word} stands in From; the DID is in {header} alone"),
            mend,
        ),
        (word, None) => findings.fail(
            check,
            format!(
                "every call shows {word}: from_user = {word} stands in From in place of the DID"
            ),
            mend,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn options_are_read_whatever_way_asterisk_writes_them() {
        let as_event = [("FromUser", "acme"), ("SendPai", "true"), ("SendRpid", "false")];
        let as_file = [("from_user", "acme"), ("send_pai", "yes"), ("send_rpid", "no")];

        for written in [as_event, as_file] {
            let options = Options::from(written.map(|(name, value)| (name.into(), value.into())));

            let wanted = Options { from_user: "acme".into(), send_pai: true, send_rpid: false };
            assert_eq!(options, wanted);
        }
    }

    #[test]
    fn a_host_in_the_dial_string_needs_no_contact() {
        let told = |names_a_host| {
            let mut findings = Findings::default();
            let leaving = Leaving {
                trunk: "carrier".parse().unwrap(),
                endpoint: Some("carrier".into()),
                names_a_host,
            };
            let seen = Seen::There { options: None, reach: Reach::Nowhere };
            judge(&AsteriskName::lone(), &leaving, "carrier", seen, &mut findings);
            findings.all()[0].outcome
        };

        assert_eq!(told(true), Outcome::Ok);
        assert_eq!(told(false), Outcome::Failed);
    }
}

//! An Asterisk over its manager interface.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::asterisk::{Leaving, line_is_down, settled, trunk_checks, version};
use super::endpoints::{self, Options, Reach, Seen};
use super::{Findings, clock, dialplan};
use crate::ami::action::Message;
use crate::ami::{self, AmiError, Client, Settings};
use crate::app::CallDefaults;
use crate::domain::asterisk::AsteriskName;
use crate::line::LineState;

/// What Asterisk says of a contact that is looked at and answers.
const REACHABLE: [&str; 2] = ["Reachable", "Avail"];

/// What it says of one that is not looked at, or not yet.
const UNLOOKED: [&str; 4] = ["NonQualified", "NonQual", "Created", "Unknown"];

/// Looks at it, on a line of our own.
pub(super) async fn examine(
    name: &AsteriskName,
    settings: &Settings,
    calls: &CallDefaults,
    leaving: &[Leaving],
    findings: &mut Findings,
) {
    let settings = Settings {
        // Without `call` no event comes but what tells how Asterisk is.
        events: "system".to_owned(),
        backoff_min: Duration::from_secs(60),
        backoff_max: Duration::from_secs(60),
        ..settings.clone()
    };
    let (client, line, _reports) = ami::line(settings.clone());
    let stop = CancellationToken::new();
    let looking = async {
        look(name, &settings, calls, leaving, &client, findings).await;
        stop.cancel();
    };
    let (_always_ok, ()) = tokio::join!(line.run(stop.clone()), looking);
}

async fn look(
    name: &AsteriskName,
    settings: &Settings,
    calls: &CallDefaults,
    leaving: &[Leaving],
    client: &Client,
    findings: &mut Findings,
) {
    let Settings { username, address, .. } = settings;
    let (number, missing) = match settled(client.states()).await {
        LineState::Up { version, missing, .. } => (version, missing),
        LineState::Down { why } => {
            let hints = (
                "manager.conf",
                "[general] enabled = yes, bindaddr and port",
                "secret = SECRET, and a permit = line for where Rotary connects from",
            );
            line_is_down(name, "AMI", hints, &why, findings);
            let rest = ["version", "events", "rights", "clock", "dialplan"];
            let rest = rest.map(|word| format!("{name} {word}"));
            let rest = rest.into_iter().chain(trunk_checks(name, leaving));
            return findings.skip_all(rest, "there is no line to this Asterisk");
        }
    };
    let way = if settings.tls.is_some() { "AMI over TLS" } else { "AMI" };
    findings.ok(format!("{name} login"), format!("as {username} at {address}, over {way}"));
    version(name, &number, findings);
    hears(name, username, client, findings).await;
    rights(name, username, &missing, findings);
    clock(name, client, findings).await;
    for one in leaving {
        let Some(endpoint) = &one.endpoint else { continue };
        let seen = seen(client, endpoint).await.unwrap_or_else(|why| Seen::Untold(why.to_string()));
        endpoints::judge(name, one, endpoint, seen, findings);
    }
    dialplan::examine(name, calls, client, findings).await;
}

/// Whether we hear what becomes of calls. Only the CLI tells a user's classes of events; that
/// `system` is among them shows by `FullyBooted`.
async fn hears(name: &AsteriskName, username: &str, client: &Client, findings: &mut Findings) {
    let check = format!("{name} events");
    let mend = format!("manager.conf: [{username}] read = system,call");
    if client.counters().boots() == 0 {
        let seen = "FullyBooted was not heard: Rotary waits longer after each login and asks for calls while \
                    Asterisk stops";
        return findings.fail(check, seen, mend);
    }
    match classes(client, username).await {
        Some(classes) if ["call", "all"].iter().any(|class| has(&classes, class)) => {
            findings.ok(check, format!("Asterisk has booted, and its events of calls are heard: {classes}"));
        }
        Some(classes) => findings.fail(
            check,
            format!("no events of calls are heard: read = {classes}"),
            mend,
        ),
        None => findings.ok(
            check,
            format!(
                "Asterisk has booted and says so. Whether its events of calls are heard it does not tell: `asterisk -rx \
                 'manager show user {username}'` must show call in read perm"
            ),
        ),
    }
}

/// The classes of events that our user may hear, where it may run commands.
async fn classes(client: &Client, username: &str) -> Option<String> {
    let command = format!("manager show user {username}");
    let asked = Message::new("Action", "Command").header("Command", command).ok()?;
    let answer = client.ask(asked).await.ok()?;
    answer.output().find_map(|line| {
        let line = String::from_utf8_lossy(line).into_owned();
        let (_, classes) = line.split_once("read perm:")?;
        Some(classes.trim().to_owned())
    })
}

fn has(classes: &str, class: &str) -> bool {
    classes.split(',').any(|one| one.trim() == class)
}

fn rights(name: &AsteriskName, username: &str, missing: &[String], findings: &mut Findings) {
    let check = format!("{name} rights");
    if missing.is_empty() {
        return findings.ok(check, format!("{username} may originate, hang up and list channels"));
    }
    let classes = missing.iter().map(|action| match action.as_str() {
        "Originate" => "originate",
        "Hangup" => "call",
        _ => "reporting",
    });
    let classes: Vec<&str> = classes.collect();
    findings.fail(
        check,
        format!(
            "{username} may not {}: the class {} is missing",
            missing.join(", "),
            classes.join(", ")
        ),
        format!("manager.conf: [{username}] write = originate,call,reporting"),
    );
}

async fn clock(name: &AsteriskName, client: &Client, findings: &mut Findings) {
    let check = format!("{name} clock");
    let before = Utc::now();
    let answer = client.ask(Message::new("Action", "Ping")).await;
    let after = Utc::now();
    let told = answer.ok().and_then(|pong| {
        let seconds: f64 = pong.text("Timestamp")?.parse().ok()?;
        DateTime::from_timestamp_millis((seconds * 1000.0) as i64)
    });
    match told {
        Some(now) => clock::compare(check, now, (before, after), findings),
        None => findings.skip(check, "this Asterisk does not tell the time"),
    }
}

/// What Asterisk tells of an endpoint: all, to a user of the class `system`; to others only what
/// functions of the dialplan tell.
async fn seen(client: &Client, endpoint: &str) -> Result<Seen, AmiError> {
    let asked = Message::new("Action", "PJSIPShowEndpoint").header("Endpoint", endpoint)?;
    match client.list(asked).await {
        Ok(items) => {
            let of = |item: &&crate::ami::frame::Frame| item.is_event("EndpointDetail");
            let options = items.iter().find(of).map(|detail| {
                Options::from(["FromUser", "SendPai", "SendRpid"].map(|name| {
                    (name.to_owned(), detail.text(name).unwrap_or_default().into_owned())
                }))
            });
            let contacts = items.iter().filter(|item| item.is_event("ContactStatusDetail"));
            let states = contacts.filter_map(|one| Some(one.text("Status")?.into_owned()));
            Ok(Seen::There { options, reach: reach(&states.collect::<Vec<_>>()) })
        }
        Err(AmiError::Refused(why)) if why.starts_with("Unable to retrieve") => Ok(Seen::Missing),
        Err(AmiError::Refused(_)) => by_functions(client, endpoint).await,
        Err(why) => Err(why),
    }
}

fn reach(states: &[String]) -> Reach {
    let any = |words: &[&str]| states.iter().any(|state| words.contains(&state.as_str()));
    match states {
        [] => Reach::Nowhere,
        _ if any(&REACHABLE) => Reach::Reachable,
        _ if any(&UNLOOKED) => Reach::Unlooked,
        [first, ..] => Reach::Unreachable(first.to_lowercase()),
    }
}

/// `PJSIP_DIAL_CONTACTS` is part of chan_pjsip and tells the contacts that can be dialled;
/// `PJSIP_ENDPOINT` tells options, where its module is loaded. Both are empty for an endpoint that is
/// not there, and read nothing but what is asked.
async fn by_functions(client: &Client, endpoint: &str) -> Result<Seen, AmiError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !endpoint.bytes().all(plain) {
        return Ok(Seen::Untold("its name cannot stand in a function of the dialplan".to_owned()));
    }
    let contacts = value(client, format!("PJSIP_DIAL_CONTACTS({endpoint})")).await?;
    let names = ["from_user", "send_pai", "send_rpid"];
    let mut options = Vec::with_capacity(names.len());
    for name in names {
        let told = value(client, format!("PJSIP_ENDPOINT({endpoint},{name})")).await?;
        options.push((name.to_owned(), told));
    }
    let is_told = options.iter().any(|(_, told)| !told.is_empty());
    let reach = match (contacts.is_empty(), is_told) {
        (true, false) => return Ok(Seen::Missing),
        (true, true) => Reach::Unreachable("without a contact that can be reached".to_owned()),
        (false, _) => Reach::Unlooked,
    };
    Ok(Seen::There { options: is_told.then(|| Options::from(options)), reach })
}

async fn value(client: &Client, function: String) -> Result<String, AmiError> {
    let asked = Message::new("Action", "GetVar").header("Variable", function)?;
    let answer = client.ask(asked).await?;
    Ok(answer.text("Value").unwrap_or_default().trim().to_owned())
}

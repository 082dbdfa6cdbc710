//! Reading an `Originate`: what Asterisk takes, and what it refuses at once.

use std::time::Duration;

use crate::ami::frame::Frame;
use crate::domain::call::Destination;

use super::channel::Party;
use super::user::Classes;

/// What Asterisk waits for an answer when the action names no `Timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest `ChannelId`.
const UNIQUE_ID_MAX: usize = 149;

/// An accepted `Originate`.
#[derive(Debug, Clone)]
pub(super) struct Originate {
    pub(super) action_id: Option<String>,
    /// The dial string as it came: `PJSIP/15551230000@carrier`.
    pub(super) channel: String,
    /// Who is dialled, where the dial string can be dialled at all.
    pub(super) dialled: Option<Dialled>,
    pub(super) channel_id: Option<String>,
    pub(super) caller: Party,
    /// Where the answered call goes; without one it is made and dropped on answer.
    pub(super) destination: Option<Destination>,
    pub(super) account: String,
    /// In the order they came, the first of a name only.
    pub(super) variables: Vec<(String, String)>,
    /// How long it may stay unanswered; none is for ever.
    pub(super) ring_timeout: Option<Duration>,
}

/// A dial string taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialled {
    pub(super) endpoint: String,
    pub(super) number: String,
    /// What `DialBegin` shows.
    pub(super) dial_string: String,
}

/// What the reader must know of the rest of the server.
pub(super) struct Known<'a> {
    /// The asker's `write` classes.
    pub(super) write: Classes,
    /// The extensions there are, as (context, extension).
    pub(super) dialplan: &'a [(String, String)],
}

impl Originate {
    /// Reads the action; an error is the `Message` that Asterisk refuses it with. The checks come
    /// in the order in which Asterisk makes them.
    pub(super) fn read(frame: &Frame, known: &Known<'_>) -> Result<Self, &'static str> {
        let given = |name: &str| {
            let text = frame.text(name).unwrap_or_default();
            Some(text.into_owned()).filter(|text| !text.is_empty())
        };

        let channel = given("Channel").ok_or("Channel not specified")?;
        let priority = match given("Priority") {
            Some(text) => Some(text.parse().map_err(|_| "Invalid priority")?),
            None => None,
        };
        let ring_timeout = match given("Timeout") {
            Some(text) => read_timeout(&text)?,
            None => Some(DEFAULT_TIMEOUT),
        };
        let channel_id = given("ChannelId");
        if channel_id.as_ref().is_some_and(|id| id.len() > UNIQUE_ID_MAX) {
            return Err("Uniqueid length exceeds maximum of 149\n");
        }
        if !channel.contains('/') {
            return Err("Invalid channel");
        }

        let destination = match (given("Application"), given("Context"), given("Exten")) {
            (Some(application), _, _) => {
                let data = given("Data").unwrap_or_default();
                if is_blacklisted(&application, &data, known.write) {
                    return Err("Originate Access Forbidden: app or data blacklisted");
                }
                Some(Destination::Application { application, data })
            }
            (None, Some(context), Some(exten)) => {
                let exists = known.dialplan.iter().any(|(c, e)| *c == context && *e == exten);
                if !exists {
                    return Err("Extension does not exist.");
                }
                Some(Destination::Dialplan { context, exten, priority: priority.unwrap_or(1) })
            }
            (None, ..) => None,
        };

        Ok(Self {
            action_id: given("ActionID"),
            dialled: Dialled::read(&channel),
            channel,
            channel_id,
            caller: given("CallerID").map(|text| Party::read(&text)).unwrap_or_default(),
            destination,
            account: given("Account").unwrap_or_default(),
            variables: read_variables(frame),
            ring_timeout,
        })
    }
}

impl Dialled {
    /// Takes apart `PJSIP/number@endpoint` and `PJSIP/endpoint/sip:number@host`. Anything else is
    /// nothing this Asterisk can dial: as in a real one, `PJSIP/+15551230000` would be the name
    /// of an endpoint, and there is none of that name.
    fn read(channel: &str) -> Option<Self> {
        let dial_string = channel.strip_prefix("PJSIP/")?;
        let (endpoint, number) = match dial_string.split_once('/') {
            Some((endpoint, uri)) => {
                let user = uri.trim_start_matches("sip:").split('@').next().unwrap_or_default();
                (endpoint, user)
            }
            None => {
                let (number, endpoint) = dial_string.split_once('@')?;
                (endpoint, number)
            }
        };
        if endpoint.is_empty() || number.is_empty() {
            return None;
        }
        Some(Self {
            endpoint: endpoint.to_owned(),
            number: number.to_owned(),
            dial_string: dial_string.to_owned(),
        })
    }
}

/// A `Timeout` in milliseconds; a negative one is no limit.
fn read_timeout(text: &str) -> Result<Option<Duration>, &'static str> {
    let milliseconds: i64 = text.trim().parse().map_err(|_| "Invalid timeout")?;
    Ok(u64::try_from(milliseconds).ok().map(Duration::from_millis))
}

/// Whether a user without `system` is refused this application. Asterisk looks for the words
/// anywhere, so that an argument with `DB` or `FILE` in it is refused as well.
fn is_blacklisted(application: &str, data: &str, write: Classes) -> bool {
    const APPLICATIONS: [&str; 8] =
        ["agi", "exec", "system", "mixmonitor", "originate", "reload", "externalivr", "dbdeltree"];
    const DATA: [&str; 7] = ["SHELL", "EVAL", "DB", "FILE", "CURL", "ODBC", "REALTIME"];

    let application = application.to_ascii_lowercase();
    !write.meets(Classes::SYSTEM)
        && (APPLICATIONS.iter().any(|word| application.contains(word))
            || DATA.iter().any(|word| data.contains(word)))
}

/// All variables of all `Variable` headers; of one name the first counts.
fn read_variables(frame: &Frame) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for header in frame.all("Variable") {
        for assignment in split_list(&String::from_utf8_lossy(header)) {
            let Some((name, value)) = assignment.split_once('=') else { continue };
            if !name.is_empty() && variables.iter().all(|(known, _)| known != name) {
                variables.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    variables
}

/// Splits at commas as Asterisk splits arguments: a backslash protects the next character, quotes
/// protect what is between them, and both are taken away.
fn split_list(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let last = parts.last_mut().expect("there is one from the start");
        match character {
            '\\' => last.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            _ => last.push(character),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_string_without_an_endpoint_cannot_be_dialled() {
        let carrier = Dialled::read("PJSIP/15551230000@carrier").unwrap();
        assert_eq!((&*carrier.endpoint, &*carrier.number), ("carrier", "15551230000"));

        let uri = Dialled::read("PJSIP/carrier/sip:+15551230000@10.0.0.1").unwrap();
        assert_eq!((&*uri.endpoint, &*uri.number), ("carrier", "+15551230000"));

        assert_eq!(Dialled::read("PJSIP/+15551230000"), None);
        assert_eq!(Dialled::read("NOTECH/1@x"), None);
    }

    #[test]
    fn commas_in_a_list_can_be_protected() {
        assert_eq!(split_list("A=1,B=2"), ["A=1", "B=2"]);
        assert_eq!(split_list(r"A=a\,b,B=c\\d"), ["A=a,b", r"B=c\d"]);
        assert_eq!(split_list("A=\"a,b\",B=1"), ["A=a,b", "B=1"]);
        assert_eq!(split_list("A=x=y"), ["A=x=y"]);
    }

    #[test]
    fn without_the_system_class_some_words_are_refused() {
        let (some, all) = (Classes::ORIGINATE, Classes::ALL);

        assert!(is_blacklisted("MixMonitor", "", some));
        assert!(is_blacklisted("Playback", "tenant-DB-7", some));
        assert!(!is_blacklisted("Playback", "hello", some));
        assert!(!is_blacklisted("MixMonitor", "", all));
    }
}

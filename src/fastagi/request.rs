//! What a dialplan asks for: the script, and its arguments from the query or beside the URL.

use std::fmt::Display;
use std::str::FromStr;

use uuid::Uuid;

use crate::agi::Prelude;
use crate::app::take_pick::WantedPick;
use crate::domain::call::cause::Cause;
use crate::domain::number::{E164, Region};
use crate::domain::pick::PickId;
use crate::domain::tenant::TenantId;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// A DID to show.
    CallerId(WantedPick),
    /// It was not shown.
    Release(PickId),
    /// The call that showed it is over.
    Outcome {
        pick: PickId,
        /// `DIALSTATUS`.
        status: String,
        /// `HANGUPCAUSE`.
        cause: Option<Cause>,
        /// `ANSWEREDTIME`, in seconds.
        talk: Option<u32>,
    },
    /// Somebody calls a number.
    Inbound { number: E164, caller: Option<E164> },
}

/// What is wrong with a request, for the log; values, which may be numbers, are left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRequest {
    #[error("there is no such script; caller-id, release, outcome and inbound are")]
    Script,
    #[error("the arguments are no text")]
    NoText,
    #[error("an argument is not of the form name=value")]
    NoPair,
    #[error("{0} is given twice")]
    Twice(String),
    #[error("{0} is no argument of this script")]
    Unknown(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} {1}")]
    Invalid(&'static str, String),
}

/// Reads a request out of what Asterisk said.
pub(super) fn read(prelude: &Prelude) -> Result<Request, BadRequest> {
    let script = prelude.script().ok_or(BadRequest::Script)?;
    let script = std::str::from_utf8(script).map_err(|_| BadRequest::NoText)?;
    let (name, query) = script.split_once('?').unwrap_or((script, ""));
    let mut arguments = Arguments::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(BadRequest::NoPair)?;
        arguments.add(decoded(name)?, decoded(value)?)?;
    }
    for argument in prelude.arguments().filter(|argument| !argument.is_empty()) {
        let text = std::str::from_utf8(argument).map_err(|_| BadRequest::NoText)?;
        let (name, value) = text.split_once('=').ok_or(BadRequest::NoPair)?;
        arguments.add(name.trim().to_owned(), value.to_owned())?;
    }
    let request = match name {
        "caller-id" => Request::CallerId(WantedPick {
            tenant: arguments.tenant()?,
            campaign: arguments.parse("campaign")?,
            to: arguments.number("to")?,
        }),
        "release" => Request::Release(arguments.pick()?),
        "outcome" => Request::Outcome {
            pick: arguments.pick()?,
            status: arguments.take("status").ok_or(BadRequest::Missing("status"))?,
            cause: arguments.parse::<Small>("cause")?.map(|Small(cause)| Cause(cause)),
            talk: arguments.parse("talk")?,
        },
        "inbound" => Request::Inbound {
            number: arguments.number("number")?.ok_or(BadRequest::Missing("number"))?,
            // A caller whose number is withheld, or no number, still has somebody rung.
            caller: match arguments.take("caller") {
                Some(caller) => number(&caller),
                None => prelude.caller().and_then(number),
            },
        },
        _ => return Err(BadRequest::Script),
    };
    match arguments.0.pop() {
        None => Ok(request),
        Some((name, _)) => Err(BadRequest::Unknown(name)),
    }
}

/// Those that are not taken yet.
#[derive(Debug, Default)]
struct Arguments(Vec<(String, String)>);

impl Arguments {
    fn add(&mut self, name: String, value: String) -> Result<(), BadRequest> {
        if self.0.iter().any(|(known, _)| *known == name) {
            return Err(BadRequest::Twice(name));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// An argument; one that is empty, as a variable without a value is, is left out.
    fn take(&mut self, name: &'static str) -> Option<String> {
        self.take_even_empty(name).filter(|value| !value.is_empty())
    }

    fn take_even_empty(&mut self, name: &'static str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    fn parse<T: FromStr<Err: Display>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, BadRequest> {
        let parsed = self.take(name).map(|value| value.parse()).transpose();
        parsed.map_err(|why: T::Err| BadRequest::Invalid(name, why.to_string()))
    }

    /// The tenant `default` where none is named. An empty name is a slip, and showing another
    /// tenant's number would be the worst that could come of it.
    fn tenant(&mut self) -> Result<TenantId, BadRequest> {
        match self.take_even_empty("tenant") {
            None => Ok(TenantId::default_tenant()),
            Some(name) => {
                name.parse().map_err(|_| BadRequest::Invalid("tenant", "is no tenant's id".into()))
            }
        }
    }

    fn pick(&mut self) -> Result<PickId, BadRequest> {
        let id = self.take("pick").ok_or(BadRequest::Missing("pick"))?;
        let invalid = || BadRequest::Invalid("pick", "is no pick's id".into());
        id.parse::<Uuid>().map(PickId).map_err(|_| invalid())
    }

    fn number(&mut self, name: &'static str) -> Result<Option<E164>, BadRequest> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let invalid = || BadRequest::Invalid(name, "is no telephone number".into());
        number(&text).map(Some).ok_or_else(invalid)
    }
}

/// A cause of Q.850, of seven bits.
struct Small(u16);

impl FromStr for Small {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let cause = text.parse().ok().filter(|cause| *cause <= 127);
        cause.map(Self).ok_or("is no cause of Q.850")
    }
}

/// A number as dialplans and carriers have it: with `+`, by the North American plan, or all of its
/// digits without the `+`.
fn number(text: &str) -> Option<E164> {
    let international = || {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| E164::read(&format!("+{text}"), Region::US).ok()).flatten()
    };
    E164::read(text, Region::US).ok().or_else(international)
}

/// A part of a query. A `+` is itself, for an extension may begin with it.
fn decoded(text: &str) -> Result<String, BadRequest> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| *first == b'%');
        let escaped = escaped.and_then(|(digits, after)| Some((hex(digits)?, after)));
        let (byte, after) = escaped.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| BadRequest::NoText)
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let (high, low) = (digit(*digits.first()?)?, digit(*digits.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agi::PreludeReader;

    const ID: &str = "0192f0c1-3b7e-7a10-8000-000000000001";

    #[test]
    fn arguments_come_in_the_query_or_beside_it() {
        let wanted = Request::CallerId(WantedPick {
            tenant: "acme".parse().unwrap(),
            campaign: Some("c_1".parse().unwrap()),
            to: Some("+14155550123".parse().unwrap()),
        });

        for (script, arguments) in [
            ("caller-id?tenant=acme&to=+14155550123&campaign=c_1", &[][..]),
            ("caller-id?tenant=acme&to=%2B14155550123&campaign=c%5f1", &[]),
            ("caller-id", &["tenant=acme", "to=4155550123", "campaign=c_1", ""]),
            ("caller-id?tenant=acme", &["to=14155550123", "campaign=c_1"]),
        ] {
            assert_eq!(asked(script, arguments), Ok(wanted.clone()), "{script} {arguments:?}");
        }
    }

    #[test]
    fn what_is_left_out_or_empty_is_usual_but_for_a_tenant() {
        let none = WantedPick { tenant: TenantId::default_tenant(), campaign: None, to: None };

        assert_eq!(asked("caller-id", &[]), Ok(Request::CallerId(none.clone())));
        assert_eq!(asked("caller-id?to=&campaign=", &[]), Ok(Request::CallerId(none)));
        assert!(asked("caller-id?tenant=", &[]).is_err());
    }

    #[test]
    fn a_slip_is_never_silently_ignored() {
        for script in [
            "",
            "caller-i",
            "caller-id/deeper/still",
            "/caller-id",
            "CALLER-ID",
            "caller-id?tenat=acme",
            "caller-id?tenant=a&tenant=b",
            "caller-id?tenant",
            "caller-id?tenant=a%20b",
            "caller-id?tenant=%ff",
            "caller-id?to=100",
            "release",
            "release?pick=",
            "release?pick=7",
            "outcome?status=ANSWER",
        ] {
            assert!(asked(script, &[]).is_err(), "{script:?}");
        }
        assert!(asked("caller-id?tenant=a", &["tenant=b"]).is_err());
        assert!(asked("caller-id", &["acme"]).is_err());
        assert_eq!(asked("caller-id?tenat=a", &[]), Err(BadRequest::Unknown("tenat".into())));
        assert!(asked(&format!("outcome?pick={ID}&status=ANSWER&cause=128"), &[]).is_err());
        assert_eq!(asked(&format!("outcome?pick={ID}"), &[]), Err(BadRequest::Missing("status")));
    }

    #[test]
    fn an_outcome_has_what_dial_says() {
        let pick = PickId(ID.parse().unwrap());
        let (status, cause) = ("ANSWER".to_owned(), Some(Cause(16)));

        let told = asked(&format!("outcome?pick={ID}&status=ANSWER&cause=16&talk=7"), &[]);

        assert_eq!(told, Ok(Request::Outcome { pick, status, cause, talk: Some(7) }));
    }

    #[test]
    fn a_caller_may_be_unknown_or_foreign() {
        let caller = |id: &str| {
            let asked = read(&prelude("inbound?number=4045556789", &[], id)).unwrap();
            let Request::Inbound { caller, .. } = asked else { panic!("{asked:?}") };
            caller.map(|caller| caller.to_string())
        };

        assert_eq!(caller("unknown"), None);
        assert_eq!(caller("anonymous"), None);
        assert_eq!(caller("4155550123"), Some("+14155550123".into()));
        assert_eq!(caller("442071838750"), Some("+442071838750".into()));
    }

    fn asked(script: &str, arguments: &[&str]) -> Result<Request, BadRequest> {
        read(&prelude(script, arguments, "unknown"))
    }

    fn prelude(script: &str, arguments: &[&str], caller: &str) -> Prelude {
        let numbered = arguments.iter().enumerate();
        let arguments: String =
            numbered.map(|(n, argument)| format!("agi_arg_{}: {argument}\n", n + 1)).collect();
        let text = format!("agi_network_script: {script}\nagi_callerid: {caller}\n{arguments}\n");
        PreludeReader::default().push(text.as_bytes()).unwrap().unwrap()
    }
}

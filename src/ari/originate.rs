//! What we say to Asterisk when a call is placed: the body of `POST /ari/channels`.
//!
//! JSON lets every character through, so what AMI could not carry is refused here as well: a CR or
//! LF in a value would reach headers of SIP and the manager events that others read.

use serde_json::{Map, Value, json};

use crate::domain::call::Destination;
use crate::domain::call::originate::{Originate, fault_of_name};

/// Asterisk takes no longer body (40,960 bytes), counted before its own escaping.
const MAX_BODY: usize = 40_000;

/// Asterisk refuses a longer id of a channel, in bytes.
const MAX_CHANNEL_ID: usize = 149;

/// Something that cannot be sent. Sending it again is useless: what it says must change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct InvalidField {
    /// The part of [`Originate`] at fault.
    pub field: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The request that rings somebody, as JSON.
///
/// # Errors
/// Names the field that cannot be sent; a variable as `variables.NAME`.
pub(super) fn body_of(asked: &Originate) -> Result<Vec<u8>, InvalidField> {
    let Destination::Dialplan { context, exten, priority } = &asked.destination else {
        return Err(invalid(
            "application",
            "cannot be said over ARI, which sends a call to the dialplan alone: name a context, or use an \
             Asterisk with via = \"ami\"",
        ));
    };
    if asked.id.len() > MAX_CHANNEL_ID {
        return Err(invalid("id", "is too long: it may have 149 bytes"));
    }
    let caller = asked.caller_id();
    for (field, text) in [
        ("id", &asked.id),
        ("channel", &asked.channel),
        ("callerName", &caller),
        ("context", context),
        ("exten", exten),
    ] {
        plain(field, text)?;
    }
    let body = json!({
        "endpoint": asked.channel,
        "channelId": asked.id,
        "callerId": caller,
        "context": context,
        "extension": exten,
        "priority": priority,
        // In whole seconds, and never none at all, which Asterisk takes for its default of 30.
        "timeout": asked.ring_timeout.as_millis().div_ceil(1000).max(1),
        "variables": variables(asked)?,
    });
    let body = body.to_string().into_bytes();
    if body.len() > MAX_BODY {
        return Err(invalid("variables", "are too long: a call may have 40000 bytes over ARI"));
    }
    Ok(body)
}

/// The variables by name. Of two with one name the first counts, as over AMI.
fn variables(asked: &Originate) -> Result<Map<String, Value>, InvalidField> {
    let mut variables = Map::new();
    for (name, value) in &asked.variables {
        let field = format!("variables.{name}");
        if let Some(why) = fault_of_name(name) {
            return Err(invalid(&field, why));
        }
        plain(&field, value)?;
        variables.entry(name.clone()).or_insert_with(|| Value::from(value.clone()));
    }
    Ok(variables)
}

fn plain(field: &str, text: &str) -> Result<(), InvalidField> {
    match text.contains(['\r', '\n', '\0']) {
        true => Err(invalid(field, "must not contain CR, LF or NUL")),
        false => Ok(()),
    }
}

fn invalid(field: &str, why: &'static str) -> InvalidField {
    InvalidField { field: field.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_call_is_asked_for_in_asterisks_words() {
        let body: Value = serde_json::from_slice(&body_of(&call()).unwrap()).unwrap();

        let wanted = json!({
            "endpoint": "PJSIP/+14155550123@carrier",
            "channelId": "0192",
            "callerId": "\"A 'B' (C) /\" <+14045556789>",
            "context": "DynamicIVR",
            "extension": "s",
            "priority": 1,
            "timeout": 2,
            "variables": {"JOURNEY": "a,b \"c\" \\", "TWICE": "first"},
        });
        assert_eq!(body, wanted);
    }

    #[test]
    fn what_cannot_be_said_is_named() {
        let application =
            Destination::Application { application: "Echo".to_owned(), data: String::new() };
        let with = |change: &dyn Fn(&mut Originate)| {
            let mut call = call();
            change(&mut call);
            body_of(&call).unwrap_err().field
        };
        let variable = |name: &str, value: &str| {
            with(&|call| call.variables = vec![(name.to_owned(), value.to_owned())])
        };

        assert_eq!(with(&|call| call.destination = application.clone()), "application");
        assert_eq!(with(&|call| call.channel.push('\n')), "channel");
        assert_eq!(with(&|call| call.caller_name = Some("A\r\nB".to_owned())), "callerName");
        assert_eq!(with(&|call| call.id = "x".repeat(150)), "id");
        assert_eq!(variable("A", "x\0y"), "variables.A");
        assert_eq!(variable("FILE(/etc/passwd)", "x"), "variables.FILE(/etc/passwd)");
        assert_eq!(variable("", "x"), "variables.");
        assert_eq!(variable("A", &"x".repeat(40_000)), "variables");
    }

    fn call() -> Originate {
        let variables = [("JOURNEY", "a,b \"c\" \\"), ("TWICE", "first"), ("TWICE", "second")];
        Originate {
            id: "0192".to_owned(),
            channel: "PJSIP/+14155550123@carrier".to_owned(),
            caller_number: "+14045556789".to_owned(),
            caller_name: Some(r#"A "B" <C> \"#.to_owned()),
            destination: Destination::Dialplan {
                context: "DynamicIVR".to_owned(),
                exten: "s".to_owned(),
                priority: 1,
            },
            ring_timeout: Duration::from_millis(1_001),
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }
}

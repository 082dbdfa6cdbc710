//! Reading MAKE_CALL: what a body may say, and what Asterisk would choke on.
//!
//! Everything that ends up in a manager action is checked here, before a use is counted.

use axum::http::HeaderMap;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::fields::{Fields, callee, missing};
use super::problem::{Code, Problem};
use crate::app::make_call::{MakeCall, Shown, TIME_LIMIT_MAX};
use crate::app::{CallDefaults, Settings};
use crate::domain::call::Destination;
use crate::domain::did::DidId;
use crate::domain::number::{E164, Region};
use crate::domain::tenant::TenantId;
use crate::store::ledger::RequestKey;
use crate::webhooks::{Target, Targets};

/// The longest context, extension or application name Asterisk keeps (its `AST_MAX_EXTENSION`).
const NAME_LENGTH_MAX: usize = 79;

/// The longest value we put on one line of an action; Asterisk cuts lines at 1,024 bytes.
const VALUE_LENGTH_MAX: usize = 900;

/// How many variables a call may set; Asterisk takes 128 lines an action.
const VARIABLES_MAX: usize = 64;

/// The longest idempotency key and callback URL, in bytes.
const KEY_LENGTH_MAX: usize = 255;
const URL_LENGTH_MAX: usize = 2048;

/// The largest journey reference, in bytes of JSON.
const JOURNEY_LENGTH_MAX: usize = 16 * 1024;

/// The header by which a request says it may be a repetition.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Reads a body for this tenant. What the settings say holds where the body names only a part of a
/// destination, and for where callbacks may go.
///
/// # Errors
/// 422, naming the field.
pub(super) fn make_call(
    tenant: TenantId,
    settings: &Settings,
    headers: &HeaderMap,
    mut fields: Fields,
) -> Result<MakeCall, Problem> {
    let calls = &settings.calls;
    let request_key = request_key(headers, &mut fields)?;
    let call = MakeCall {
        to: callee("to", &fields.need_text("to")?)?,
        shown: shown(&tenant, fields.text("from")?)?,
        campaign: fields.parse("campaignId")?,
        area_code: fields.parse("areaCode")?,
        trunk: fields.parse("trunk")?,
        destination: destination(calls, &mut fields)?,
        variables: variables(fields.object("variables")?.unwrap_or_default())?,
        caller_name: line(&mut fields, "callerName", NAME_LENGTH_MAX)?,
        ring_timeout_seconds: fields.whole("ringTimeoutSeconds", 1, 600)?,
        time_limit_seconds: fields.whole("timeLimitSeconds", 1, TIME_LIMIT_MAX)?,
        callback_url: callback_url(settings.callbacks.targets, &mut fields)?,
        journey: journey(&mut fields)?,
        key: request_key,
        tenant,
    };
    fields.finish()?;
    Ok(call)
}

/// Takes out of a journey engine's node what is not part of the call: its type and its tenant.
pub(super) fn journey_node(fields: &mut Fields) -> Result<TenantId, Problem> {
    match fields.text("type")?.as_deref() {
        Some("MAKE_CALL") => {}
        Some(_) => return Err(Problem::invalid("type", "must be MAKE_CALL")),
        None => return Err(missing("type")),
    }
    fields.parse("tenantId")?.ok_or_else(|| missing("tenantId"))
}

fn request_key(headers: &HeaderMap, fields: &mut Fields) -> Result<Option<RequestKey>, Problem> {
    let in_body = fields.text("idempotencyKey")?;
    let in_header = match headers.get(IDEMPOTENCY_KEY) {
        None => None,
        Some(value) => {
            let text =
                value.to_str().map_err(|_| Problem::invalid("Idempotency-Key", "is not ASCII"))?;
            Some(text.to_owned())
        }
    };
    let key = match (in_header, in_body) {
        (Some(header), Some(body)) if header != body => {
            let detail = "idempotencyKey is another than the Idempotency-Key header";
            return Err(Problem::new(Code::IdempotencyConflict, detail).at("idempotencyKey"));
        }
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) => return Ok(None),
    };
    // A header carries no more than ASCII, and the body is to say the same.
    let plain = key.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if !(1..=KEY_LENGTH_MAX).contains(&key.len()) || !plain {
        let why = format!("must have 1 to {KEY_LENGTH_MAX} characters of ASCII");
        return Err(Problem::invalid("idempotencyKey", why));
    }
    Ok(Some(RequestKey { key, request_hash: fields.fingerprint().to_vec() }))
}

fn shown(tenant: &TenantId, from: Option<String>) -> Result<Shown, Problem> {
    let Some(from) = from.filter(|from| from != tenant.as_str()) else {
        return Ok(Shown::Rotation);
    };
    if let Ok(id) = from.parse::<Uuid>() {
        return Ok(Shown::Did(DidId(id)));
    }
    E164::read(&from, Region::US).map(Shown::Number).map_err(|_| {
        let detail =
            format!("Invalid phone number: {from} (from is a DID's id, a number, or left out)");
        Problem::new(Code::InvalidPhoneNumber, detail).at("from")
    })
}

fn destination(calls: &CallDefaults, fields: &mut Fields) -> Result<Option<Destination>, Problem> {
    let context = name(fields, "context")?;
    let exten = name(fields, "exten")?;
    let priority = fields.whole("priority", 1, i32::MAX as u32)?;
    let application = name(fields, "application")?;
    let data = line(fields, "data", VALUE_LENGTH_MAX)?;

    let extension = context.is_some() || exten.is_some() || priority.is_some();
    match (application, data) {
        (Some(_), _) if extension => {
            Err(Problem::invalid("application", "stands in place of context, exten and priority"))
        }
        (Some(application), data) => {
            Ok(Some(Destination::Application { application, data: data.unwrap_or_default() }))
        }
        (None, Some(_)) => Err(missing("application")),
        (None, None) if !extension => Ok(None),
        (None, None) => Ok(Some(Destination::Dialplan {
            context: context.unwrap_or_else(|| calls.context.clone()),
            exten: exten.unwrap_or_else(|| calls.exten.clone()),
            priority: priority.unwrap_or(calls.priority),
        })),
    }
}

fn variables(given: Map<String, Value>) -> Result<Vec<(String, String)>, Problem> {
    if given.len() > VARIABLES_MAX {
        let why = format!("has {} entries; a call may set {VARIABLES_MAX}", given.len());
        return Err(Problem::invalid("variables", why));
    }
    given.into_iter().map(|(name, value)| variable(name, value)).collect()
}

fn variable(name: String, value: Value) -> Result<(String, String), Problem> {
    let field = format!("variables.{name}");
    // `FILE(…)=` would be a dialplan function that Asterisk runs.
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !letters || !(1..=NAME_LENGTH_MAX).contains(&name.len()) {
        return Err(Problem::invalid(&field, "a variable's name has letters, digits and _ only"));
    }
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => String::new(),
        Value::Array(_) | Value::Object(_) => {
            return Err(Problem::invalid(&field, "must be a text, a number or true or false"));
        }
    };
    Ok((name, one_line(&field, text, VALUE_LENGTH_MAX)?))
}

/// Checked again when it is sent to, for a name may lead elsewhere by then.
fn callback_url(targets: Targets, fields: &mut Fields) -> Result<Option<String>, Problem> {
    let Some(url) = line(fields, "callbackUrl", URL_LENGTH_MAX)? else { return Ok(None) };
    match Target::read(&url, targets) {
        Ok(_) => Ok(Some(url)),
        Err(refusal) => Err(Problem::invalid("callbackUrl", refusal)),
    }
}

fn journey(fields: &mut Fields) -> Result<Option<Value>, Problem> {
    let Some(journey) = fields.value("journey") else { return Ok(None) };
    if journey.to_string().len() > JOURNEY_LENGTH_MAX {
        let why = format!("has more than {JOURNEY_LENGTH_MAX} bytes");
        return Err(Problem::invalid("journey", why));
    }
    Ok(Some(journey))
}

/// A name in the dialplan. Without a letter it is none, and Asterisk would take it for left out.
fn name(fields: &mut Fields, field: &'static str) -> Result<Option<String>, Problem> {
    match line(fields, field, NAME_LENGTH_MAX)? {
        Some(name) if name.trim_matches(' ').is_empty() => {
            Err(Problem::invalid(field, "must not be empty"))
        }
        name => Ok(name),
    }
}

fn line(fields: &mut Fields, name: &'static str, max: usize) -> Result<Option<String>, Problem> {
    fields.text(name)?.map(|text| one_line(name, text, max)).transpose()
}

fn one_line(field: &str, text: String, max: usize) -> Result<String, Problem> {
    if text.len() > max {
        return Err(Problem::invalid(
            field,
            format!("has {} bytes; it may have {max}", text.len()),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "must be one line without control characters"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_to_is_required() {
        let call = read(json!({"to": "+1 (415) 555-0123"})).unwrap();

        assert_eq!(call.to.to_string(), "+14155550123");
        assert_eq!(call.shown, Shown::Rotation);
        assert_eq!(call.destination, None);
        assert_eq!(read(json!({})).unwrap_err().code(), Code::MissingField);
    }

    #[test]
    fn a_callee_without_its_country_is_refused() {
        let refused = read(json!({"to": "4155550123"})).unwrap_err();

        assert_eq!(refused.code(), Code::InvalidPhoneNumber);
    }

    #[test]
    fn from_names_a_did_a_number_or_the_rotation() {
        let id = "0192f0c1-3b7e-7a10-8000-000000000001";
        let shown = |from: &str| read(json!({"to": "+14155550123", "from": from})).map(|c| c.shown);

        assert_eq!(shown("acme"), Ok(Shown::Rotation));
        assert_eq!(shown(id), Ok(Shown::Did(DidId(id.parse().unwrap()))));
        assert_eq!(shown("(404) 555-6789"), Ok(Shown::Number("+14045556789".parse().unwrap())));
        assert_eq!(shown("nobody").unwrap_err().code(), Code::InvalidPhoneNumber);
    }

    #[test]
    fn a_part_of_a_destination_is_completed_and_two_destinations_are_refused() {
        let goes_to = |context: &str| Destination::Dialplan {
            context: context.into(),
            exten: "s".into(),
            priority: 1,
        };

        let call = read(json!({"to": "+14155550123", "context": "Survey"})).unwrap();
        assert_eq!(call.destination, Some(goes_to("Survey")));

        let both = json!({"to": "+14155550123", "context": "Survey", "application": "Echo"});
        assert_eq!(read(both).unwrap_err().code(), Code::InvalidField);
    }

    #[test]
    fn nothing_that_could_forge_a_line_comes_through() {
        for (field, value) in [
            ("context", json!("x\r\nAction: Command")),
            ("exten", json!("")),
            ("application", json!(" ")),
            ("callerName", json!("A\nB")),
            ("variables", json!({"A": "1\r\n\r\nAction: Logoff"})),
            ("variables", json!({"SHELL(rm)": "1"})),
            ("trunk", json!("a@b")),
            ("callbackUrl", json!("file:///etc/passwd")),
            ("callbackUrl", json!("http://169.254.169.254/latest/meta-data")),
        ] {
            let refused = read(json!({"to": "+14155550123", field: value})).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidField, "{field}");
        }
    }

    #[test]
    fn variables_are_texts_and_take_numbers_as_theirs() {
        let body = json!({"to": "+14155550123", "variables": {"A": "x,\"y\"", "B": 7, "C": true}});

        let call = read(body).unwrap();

        let pairs: Vec<_> = call.variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("A", "x,\"y\""), ("B", "7"), ("C", "true")]);
    }

    #[test]
    fn the_key_is_no_part_of_what_it_marks() {
        let in_body = read(json!({"to": "+14155550123", "idempotencyKey": "k"})).unwrap();
        let headers =
            [("idempotency-key".parse().unwrap(), "k".parse().unwrap())].into_iter().collect();
        let fields = Fields::of_json(br#"{"to": "+14155550123"}"#).unwrap();

        let in_header = make_call(acme(), &Settings::default(), &headers, fields).unwrap();

        assert_eq!(in_body.key, in_header.key);
        assert!(in_body.key.is_some());
    }

    fn read(body: Value) -> Result<MakeCall, Problem> {
        let fields = Fields::of_json(body.to_string().as_bytes()).unwrap();
        make_call(acme(), &Settings::default(), &HeaderMap::new(), fields)
    }

    fn acme() -> TenantId {
        "acme".parse().unwrap()
    }
}

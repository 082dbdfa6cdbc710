//! Reading a request's fields one by one, so that every complaint can name its field.
//!
//! What is read is taken out; [`Fields::finish`] complains of what nobody asked for, and says what
//! there is. An explicit `null` is the same as a field left out, but for a change, which asks for it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::problem::{Code, Problem};
use crate::domain::json;
use crate::domain::number::{E164, Region};

/// The fields of a JSON body or of a query that are not read yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fields {
    given: Map<String, Value>,
    /// The fields of a JSON body that are explicitly `null`.
    nulls: BTreeSet<String>,
    source: Source,
    /// What was asked for so far: the fields there are.
    asked: Vec<&'static str>,
}

/// Where fields come from: a query has texts only, and writes its numbers out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Json,
    Query,
}

impl Fields {
    /// The fields of a JSON body.
    ///
    /// # Errors
    /// 400 when it is no JSON, or none that [`json`] takes; 422 when it is no object.
    pub(super) fn of_json(body: &[u8]) -> Result<Self, Problem> {
        let value = json::read(body).map_err(|why| {
            Problem::new(Code::InvalidJson, format!("The body is not JSON: {why}"))
        })?;
        match value {
            Value::Object(fields) => Ok(Self::new(Source::Json, fields)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                Err(Problem::new(Code::InvalidField, "The body must be a JSON object"))
            }
        }
    }

    /// The parameters of a query, given as decoded pairs. One without a value is refused: left out is
    /// left out, and a filter whose value got lost would show everything.
    ///
    /// # Errors
    /// 422 when one is given twice, has no value, or holds a NUL.
    pub(super) fn of_query(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut fields = Map::new();
        for (name, value) in pairs {
            if fields.contains_key(&name) {
                return Err(Problem::invalid(&name, "is given twice"));
            }
            if value.contains('\0') {
                return Err(Problem::invalid(&name, "must not contain NUL"));
            }
            if value.is_empty() {
                return Err(Problem::invalid(&name, "has no value; give it one or leave it out"));
            }
            fields.insert(name, Value::String(value));
        }
        Ok(Self::new(Source::Query, fields))
    }

    fn new(source: Source, mut given: Map<String, Value>) -> Self {
        let is_null = |(name, value): (&String, &Value)| value.is_null().then(|| name.clone());
        let nulls = given.iter().filter_map(is_null).collect();
        given.retain(|_, value| !value.is_null());
        Self { given, nulls, source, asked: Vec::new() }
    }

    /// What makes two requests the same: SHA-256 over the fields, whatever their order and spacing.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        // The map keeps its keys sorted, so equal fields print equally.
        Sha256::digest(serde_json::to_vec(&self.given).expect("JSON prints")).into()
    }

    /// Takes a field as it is.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.note(name);
        self.given.remove(name)
    }

    /// Takes a text.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.value(name).map(|value| text_of(name, value)).transpose()
    }

    /// Takes a text that must be there.
    pub(super) fn need_text(&mut self, name: &'static str) -> Result<String, Problem> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// Takes a text and reads it.
    pub(super) fn parse<T>(&mut self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|why| Problem::invalid(name, why))
    }

    /// Takes a telephone number from a query as E.164. A `+` that was not written as `%2B` reads as
    /// a space, and means a `+` all the same.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<E164>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let text = text.strip_prefix(' ').map_or_else(|| text.clone(), |rest| format!("+{rest}"));
        callee(name, &text).map(Some)
    }

    /// Takes a whole number between `min` and `max`; in a query it is written out.
    pub(super) fn whole(
        &mut self,
        name: &'static str,
        min: u32,
        max: u32,
    ) -> Result<Option<u32>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = match self.source {
            Source::Json => value.as_number().and_then(whole_of),
            Source::Query => value.as_str().and_then(|digits| digits.parse().ok()),
        };
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(Problem::invalid(name, format!("must be a whole number from {min} to {max}")))
            }
        }
    }

    /// Takes a truth; in a query it is `true` or `false`.
    pub(super) fn truth(&mut self, name: &'static str) -> Result<Option<bool>, Problem> {
        let query = self.source == Source::Query;
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(Value::String(word)) if word == "true" && query => Ok(Some(true)),
            Some(Value::String(word)) if word == "false" && query => Ok(Some(false)),
            Some(_) => Err(Problem::invalid(name, "must be true or false")),
        }
    }

    /// Takes an object.
    pub(super) fn object(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Map<String, Value>>, Problem> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(Problem::invalid(name, "must be a JSON object")),
        }
    }

    /// Takes the explicit `null` of a field that it clears.
    pub(super) fn is_null(&mut self, name: &'static str) -> bool {
        self.note(name);
        self.nulls.remove(name)
    }

    /// Complains of an explicit `null` in a field that cannot be cleared.
    pub(super) fn not_null(&self, name: &str) -> Result<(), Problem> {
        match self.nulls.contains(name) {
            true => Err(Problem::invalid(name, "cannot be cleared")),
            false => Ok(()),
        }
    }

    /// Takes a field that may be there and means nothing.
    pub(super) fn ignore(&mut self, name: &'static str) {
        self.note(name);
        self.given.remove(name);
        self.nulls.remove(name);
    }

    /// Complains of a field that nobody read.
    pub(super) fn finish(self) -> Result<(), Problem> {
        self.given.keys().next().map_or(Ok(()), |name| Err(self.unknown(name)))
    }

    /// The same, where an explicit `null` has a meaning of its own.
    pub(super) fn finish_with_nulls(self) -> Result<(), Problem> {
        let mut names = self.given.keys().chain(&self.nulls);
        names.next().map_or(Ok(()), |name| Err(self.unknown(name)))
    }

    fn note(&mut self, name: &'static str) {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
    }

    fn unknown(&self, name: &str) -> Problem {
        let known = self.asked.join(", ");
        let detail = format!("There is no field {name:?} here; known are: {known}");
        Problem::new(Code::UnknownField, detail).at(name)
    }
}

/// A number without a fraction, which JSON may write `7.0`.
fn whole_of(number: &serde_json::Number) -> Option<u32> {
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0);
    let whole = number.as_u64().or_else(|| float().map(|float| float as u64));
    whole.and_then(|whole| u32::try_from(whole).ok())
}

/// Reads a number that is to be called: E.164 with its `+`, for a guessed country dials a stranger.
pub(super) fn callee(field: &str, text: &str) -> Result<E164, Problem> {
    let international = text.trim_start().starts_with('+');
    match E164::read(text, Region::US) {
        Ok(number) if international => Ok(number),
        Ok(_) => Err(not_a_number(
            field,
            format!("Invalid phone number: {text} (write it with + and the country)"),
        )),
        Err(why) => Err(not_a_number(field, why.to_string())),
    }
}

/// A text that is no telephone number.
pub(super) fn not_a_number(field: &str, detail: impl Display) -> Problem {
    Problem::new(Code::InvalidPhoneNumber, detail).at(field)
}

/// A field that must be there and is not.
pub(super) fn missing(name: &str) -> Problem {
    Problem::new(Code::MissingField, format!("{name} is missing")).at(name)
}

fn text_of(name: &str, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Problem::invalid(name, "must be a text"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: &Value) -> Fields {
        Fields::of_json(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_field_nobody_asked_for_is_refused_by_name() {
        let mut fields = fields(&json!({"to": "+1", "rnigTimeout": 3, "from": null}));
        fields.text("to").unwrap();

        let problem = fields.finish().unwrap_err();

        assert_eq!(
            problem,
            Problem::new(
                Code::UnknownField,
                "There is no field \"rnigTimeout\" here; known are: to"
            )
            .at("rnigTimeout")
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_its_field() {
        let mut fields = fields(&json!({"to": 5, "maxUsage": -1, "rotate": "yes", "metadata": []}));

        assert_eq!(fields.text("to"), Err(Problem::invalid("to", "must be a text")));
        assert_eq!(fields.whole("maxUsage", 1, 9).unwrap_err().code(), Code::InvalidField);
        assert_eq!(fields.truth("rotate").unwrap_err().code(), Code::InvalidField);
        assert_eq!(fields.object("metadata").unwrap_err().code(), Code::InvalidField);
    }

    #[test]
    fn only_a_query_writes_a_number_or_a_truth_as_text() {
        let mut body = fields(&json!({"limit": "50", "dryRun": "true", "maxUsage": 7.0}));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let pairs = vec![pair("limit", "50"), pair("dryRun", "true")];
        let mut query = Fields::of_query(pairs).unwrap();

        assert_eq!(body.whole("limit", 1, 99).unwrap_err().code(), Code::InvalidField);
        assert_eq!(body.truth("dryRun").unwrap_err().code(), Code::InvalidField);
        assert_eq!(body.whole("maxUsage", 1, 9), Ok(Some(7)));
        assert_eq!(query.whole("limit", 1, 99), Ok(Some(50)));
        assert_eq!(query.truth("dryRun"), Ok(Some(true)));
    }

    #[test]
    fn a_null_is_a_field_left_out_but_for_a_change() {
        let mut fields = fields(&json!({"maxUsage": null, "trunk": null, "trnuk": null}));

        assert_eq!(fields.clone().finish(), Ok(()));
        assert!(fields.is_null("maxUsage") && !fields.is_null("campaignId"));
        assert_eq!(fields.not_null("trunk").unwrap_err().code(), Code::InvalidField);
        fields.ignore("trunk");
        assert_eq!(fields.finish_with_nulls().unwrap_err().code(), Code::UnknownField);
    }

    #[test]
    fn the_same_fields_in_another_order_are_the_same_request() {
        let one = Fields::of_json(br#"{"a": 1, "b": {"x": 1, "y": 2}, "c": null}"#).unwrap();
        let same = Fields::of_json(br#"{"b":{"y":2,"x":1},"a":1}"#).unwrap();
        let other = Fields::of_json(br#"{"b":{"y":2,"x":1},"a":2}"#).unwrap();

        assert_eq!(one.fingerprint(), same.fingerprint());
        assert_ne!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn a_query_writes_its_numbers_out_and_gives_each_once() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut query = Fields::of_query(vec![pair("limit", "50")]).unwrap();

        assert_eq!(query.whole("limit", 1, 1000), Ok(Some(50)));
        assert_eq!(query.text("q"), Ok(None));
        assert_eq!(query.finish(), Ok(()));
        let twice = Fields::of_query(vec![pair("limit", "1"), pair("limit", "2")]);
        assert_eq!(twice, Err(Problem::invalid("limit", "is given twice")));
    }

    #[test]
    fn a_parameter_without_a_value_is_no_way_to_be_overheard() {
        let bare = |name: &str| Fields::of_query(vec![(name.to_owned(), String::new())]);

        let why = "has no value; give it one or leave it out";
        assert_eq!(bare("dryRun"), Err(Problem::invalid("dryRun", why)));
        assert_eq!(bare("statsu"), Err(Problem::invalid("statsu", why)));
        let nul = Fields::of_query(vec![("q".to_owned(), "4\0".to_owned())]).unwrap_err();
        assert_eq!(nul.code(), Code::InvalidField);
    }

    #[test]
    fn a_plus_that_a_query_turned_into_a_space_is_still_a_plus() {
        let to = |text: &str| {
            Fields::of_query(vec![("to".to_owned(), text.to_owned())]).unwrap().number("to")
        };

        assert_eq!(to(" 14155550123"), to("+14155550123"));
        assert_eq!(to("+14155550123").unwrap().unwrap().to_string(), "+14155550123");
        assert_eq!(to("4155550123").unwrap_err().code(), Code::InvalidPhoneNumber);
    }
}

//! `ROTARY_SECTION__KEY` over the file.

use serde::Deserialize;
use toml::{Table, Value};

use super::sections::Sections;
use super::{ConfigError, Environment, asterisks};

/// The value of one variable; an empty one counts as not set.
pub(super) fn get<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    let (_, value) = environment.iter().find(|(other, _)| other == name)?;
    Some(value.as_str()).filter(|value| !value.is_empty())
}

/// The sections of `table` with every `ROTARY_SECTION__KEY` put in its place.
pub(super) fn overlay(
    mut table: Table,
    environment: &Environment,
) -> Result<Sections, ConfigError> {
    let ours = environment.iter().filter(|(name, _)| name.starts_with("ROTARY_"));
    for (name, value) in ours.filter(|(name, _)| name.contains("__")) {
        table = with_variable(&table, name, value)?;
    }
    Sections::deserialize(table)
        .map_err(|why| ConfigError::Value { key: "the configuration".into(), why: why.to_string() })
}

/// A variable is text. Where the key wants a number or a truth value, the text is read as one.
fn with_variable(table: &Table, name: &str, text: &str) -> Result<Table, ConfigError> {
    let path = path_of(name);
    let as_text = with_variable_at(table, name, &path, Value::String(text.to_owned()))?;
    let first = match Sections::deserialize(as_text.clone()) {
        Ok(_) => return Ok(as_text),
        Err(why) => why,
    };
    let literal = match (text.parse::<i64>(), text.parse::<bool>()) {
        (Ok(number), _) => Value::Integer(number),
        (_, Ok(truth)) => Value::Boolean(truth),
        _ => return Err(invalid(name, &first)),
    };
    let as_literal = with_variable_at(table, name, &path, literal)?;
    match Sections::deserialize(as_literal.clone()) {
        Ok(_) => Ok(as_literal),
        Err(_) => Err(invalid(name, &first)),
    }
}

/// The value put in its place; for one of several Asterisks in that one's table.
fn with_variable_at(
    table: &Table,
    name: &str,
    path: &[String],
    value: Value,
) -> Result<Table, ConfigError> {
    let Some(list) = asterisks::listed(table).filter(|_| path[0] == "asterisk") else {
        return Ok(with_value(table, path, value));
    };
    let (place, rest) = asterisks::meant(list, &path[1..])
        .map_err(|why| ConfigError::Environment { variable: name.to_owned(), why: why.into() })?;
    let mut list = list.clone();
    if let Some(Value::Table(one)) = list.get_mut(place) {
        *one = with_value(one, rest, value);
    }
    let mut table = table.clone();
    table.insert("asterisk".to_owned(), Value::Array(list));
    Ok(table)
}

/// `ROTARY_HTTP__LISTEN` is `http.listen`; a trunk's name keeps its case.
fn path_of(variable: &str) -> Vec<String> {
    let words: Vec<&str> = variable["ROTARY_".len()..].split("__").collect();
    let is_trunk = words[0] == "TRUNKS";
    let keeps_case = |place| is_trunk && place == 1;
    let word = |(place, word): (usize, &&str)| match keeps_case(place) {
        true => (*word).to_owned(),
        false => word.to_lowercase(),
    };
    words.iter().enumerate().map(word).collect()
}

fn with_value(table: &Table, path: &[String], value: Value) -> Table {
    let mut table = table.clone();
    match path {
        [] => {}
        [key] => drop(table.insert(key.clone(), value)),
        [key, rest @ ..] => {
            let inner = table.get(key).and_then(Value::as_table).cloned().unwrap_or_default();
            table.insert(key.clone(), Value::Table(with_value(&inner, rest, value)));
        }
    }
    table
}

fn invalid(name: &str, why: &toml::de::Error) -> ConfigError {
    ConfigError::Environment { variable: name.to_owned(), why: why.message().to_owned() }
}

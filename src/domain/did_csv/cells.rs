//! What a single cell says, healed of what spreadsheets do to it where nothing is lost.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::super::did::{MAX_USAGE_MAX, METADATA_LENGTH_MAX};
use super::super::json;
use super::super::number::{AreaCode, E164, Region};

/// What is wrong with a cell.
pub(super) struct Fault {
    pub(super) column: Option<&'static str>,
    pub(super) code: &'static str,
    pub(super) error: String,
}

/// Characters at the beginning of a cell that make Excel, LibreOffice or Sheets take it for a
/// formula; the wide ones do in East Asian versions (OWASP, "CSV Injection").
const FORMULA: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Whether a spreadsheet would take this cell for a formula.
pub(super) fn is_formula(text: &str) -> bool {
    text.starts_with(FORMULA)
}

/// A cell without the white space around it, visible or not, and without the `'` that keeps a
/// spreadsheet from running it as a formula, as an export has it.
pub(super) fn cleaned(cell: &str) -> &str {
    let text = cell.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        Some(_) | None => text,
    }
}

/// A cell that holds a single word or number: also without what a spreadsheet puts around it to
/// have it taken for text, a leading `'` or `="…"`.
pub(super) fn word(cell: &str) -> &str {
    let text = cleaned(cell).trim_start_matches('\'');
    let quoted = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"'));
    quoted.map_or(text, cleaned)
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
}

/// Reads a number, and one that a spreadsheet has damaged if nothing is lost: `4045556789.0`, or a
/// lost `+` where the digits can only be an international number.
pub(super) fn number(cell: &str, region: Region) -> Result<E164, Fault> {
    let text = without_decimals(word(cell));
    let error = match E164::read(text, region) {
        Ok(number) => return Ok(number),
        Err(error) => error,
    };
    let plus_lost = text.len() > 10 && text.bytes().all(|b| b.is_ascii_digit());
    if plus_lost
        && let Ok(number) = E164::read(&format!("+{text}"), region)
        && number.is_assigned()
    {
        return Ok(number);
    }
    let why = if is_scientific(text) {
        " (a spreadsheet has rounded it, and its last digits are lost)"
    } else if text.is_empty() {
        "(empty)"
    } else {
        ""
    };
    let column = Some("number");
    Err(Fault { column, code: "invalid_phone_number", error: format!("{error}{why}") })
}

pub(super) fn area_code(text: &str) -> Result<AreaCode, Fault> {
    let bare = without_decimals(text.trim_matches(['(', ')']));
    parse(bare, "areaCode", "invalid_area_code")
}

pub(super) fn max_usage(text: &str) -> Result<u32, Fault> {
    let limit = without_decimals(text).parse().ok().filter(|limit| *limit <= MAX_USAGE_MAX);
    limit.ok_or_else(|| Fault {
        column: Some("maxUsage"),
        code: "invalid_max_usage",
        error: format!("{text:?} is no limit (a whole number from 0 to {MAX_USAGE_MAX} is)"),
    })
}

pub(super) fn object(json: &str) -> Result<Map<String, Value>, Fault> {
    match json::read(json.as_bytes()) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(invalid_metadata(format!("{other} is no JSON object"))),
        Err(why) => Err(invalid_metadata(format!("{json:?} is no JSON object: {why}"))),
    }
}

/// The bound that the metadata of a DID has wherever it comes from.
pub(super) fn check_length(metadata: &Map<String, Value>) -> Result<(), Fault> {
    let length = serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len());
    if length <= METADATA_LENGTH_MAX {
        return Ok(());
    }
    let error = format!(
        "what the row notes down has {length} bytes as JSON; it may have {METADATA_LENGTH_MAX}"
    );
    Err(Fault { column: Some("metadata"), code: "metadata_too_long", error })
}

fn invalid_metadata(error: String) -> Fault {
    Fault { column: Some("metadata"), code: "invalid_metadata", error }
}

pub(super) fn parse<T: FromStr<Err: ToString>>(
    text: &str,
    column: &'static str,
    code: &'static str,
) -> Result<T, Fault> {
    text.parse().map_err(|error: T::Err| Fault {
        column: Some(column),
        code,
        error: error.to_string(),
    })
}

/// `404.0` is how a spreadsheet writes 404 once it has taken it for a quantity.
fn without_decimals(text: &str) -> &str {
    let Some(whole) = text.strip_suffix(".0") else { return text };
    let is_whole = whole.trim_start_matches('+').bytes().all(|b| b.is_ascii_digit());
    if is_whole { whole } else { text }
}

/// `4.04556E+09`, and `4,04556E+09` where a comma is the decimal point.
pub(super) fn is_scientific(text: &str) -> bool {
    text.split_once(['E', 'e']).is_some_and(|(mantissa, exponent)| {
        mantissa.replace(',', ".").parse::<f64>().is_ok() && exponent.parse::<i32>().is_ok()
    })
}

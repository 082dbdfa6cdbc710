//! What a row of a CSV of DIDs means.
//!
//! Splitting bytes into cells and storing what comes out is `app::import_dids`; here is only the
//! deciding: which column is which, and whether a row is a DID.

use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::did::{DidId, DidStatus, MAX_USAGE_MAX, NewDid, TrunkName};
use super::json;
use super::number::{AreaCode, E164, Region};
use super::tenant::CampaignId;

/// The columns we know, by their names in lower case without `_`, `-` and spaces.
const KNOWN: [(&str, Column); 17] = [
    ("number", Column::Number),
    ("areacode", Column::AreaCode),
    ("trunk", Column::Trunk),
    ("status", Column::Status),
    ("maxusage", Column::MaxUsage),
    ("campaignid", Column::Campaign),
    ("campaign", Column::Campaign),
    ("metadata", Column::Metadata),
    ("provider", Column::Noted("provider")),
    ("region", Column::Noted("region")),
    ("notes", Column::Noted("notes")),
    // An export has these; what they say is ours to say, not a file's.
    ("id", Column::Ignored),
    ("tenantid", Column::Ignored),
    ("usagecount", Column::Ignored),
    ("lastused", Column::Ignored),
    ("createdat", Column::Ignored),
    ("updatedat", Column::Ignored),
];

/// The most that a report repeats of a cell or says of it, in characters.
const TEXT_MAX: usize = 200;

/// Which column of a file holds what.
#[derive(Debug, Clone)]
pub struct Columns {
    number: usize,
    area_code: Option<usize>,
    trunk: Option<usize>,
    status: Option<usize>,
    max_usage: Option<usize>,
    campaign: Option<usize>,
    metadata: Option<usize>,
    noted: Vec<(usize, String)>,
    width: usize,
}

/// A header row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// No column holds the numbers.
    #[error("no column is named \"number\"; the first line names {}", listed(.found))]
    NoNumber {
        /// The columns it has instead.
        found: Vec<String>,
    },
    /// Two columns mean the same.
    #[error("two columns are named {0:?}")]
    Twice(String),
}

/// A DID as a row of a file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct DidRow {
    /// The DID, complete: what the row leaves open is as usual.
    pub did: NewDid,
    /// What the row itself says, all that may change a DID that is there already.
    pub given: Given,
}

/// The cells of a row that are not empty. The number always is one of them, and of the metadata
/// each key that is there was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Given {
    /// The area code; else it was read from the number.
    pub area_code: bool,
    /// The trunk.
    pub trunk: bool,
    /// The status.
    pub status: bool,
    /// The limit.
    pub max_usage: bool,
    /// The campaign.
    pub campaign: bool,
}

impl Given {
    /// A row without an empty cell.
    pub const ALL: Self =
        Self { area_code: true, trunk: true, status: true, max_usage: true, campaign: true };
}

/// A row that is no DID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowError {
    /// Its line in the file; the header is line 1.
    pub row: u64,
    /// The number as it was written.
    pub number: String,
    /// The column at fault, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<&'static str>,
    /// A stable word for the fault, such as `invalid_phone_number`.
    pub code: &'static str,
    /// The fault in words.
    pub error: String,
}

#[derive(Clone, Copy)]
enum Column {
    Number,
    AreaCode,
    Trunk,
    Status,
    MaxUsage,
    Campaign,
    Metadata,
    Noted(&'static str),
    Ignored,
}

/// What is wrong with a cell.
struct Fault {
    column: Option<&'static str>,
    code: &'static str,
    error: String,
}

/// Reads rows one after the other. Rows of a file mostly name the same trunk and campaign, so it
/// keeps the last of each and shares it.
#[derive(Debug)]
pub struct RowReader {
    columns: Columns,
    region: Region,
    trunk: TrunkName,
    campaign: Option<CampaignId>,
}

impl Columns {
    /// Reads the header row. Case, `_`, `-` and spaces make no difference; a column of another name
    /// is kept in every DID's metadata under that name.
    pub fn read<'a>(header: impl Iterator<Item = &'a str>) -> Result<Self, InvalidHeader> {
        let names: Vec<&str> = header.map(str::trim).collect();
        let mut number = None;
        let mut columns = Self {
            number: 0,
            area_code: None,
            trunk: None,
            status: None,
            max_usage: None,
            campaign: None,
            metadata: None,
            noted: Vec::new(),
            width: names.len(),
        };
        for (place, name) in names.iter().enumerate() {
            let one_of_ours = match column_of(name) {
                Some(Column::Number) => &mut number,
                Some(Column::AreaCode) => &mut columns.area_code,
                Some(Column::Trunk) => &mut columns.trunk,
                Some(Column::Status) => &mut columns.status,
                Some(Column::MaxUsage) => &mut columns.max_usage,
                Some(Column::Campaign) => &mut columns.campaign,
                Some(Column::Metadata) => &mut columns.metadata,
                Some(Column::Noted(name)) => {
                    columns.noted.push((place, name.to_owned()));
                    continue;
                }
                Some(Column::Ignored) => continue,
                None if name.is_empty() => continue,
                None => {
                    columns.noted.push((place, (*name).to_owned()));
                    continue;
                }
            };
            if one_of_ours.replace(place).is_some() {
                return Err(InvalidHeader::Twice((*name).to_owned()));
            }
        }
        let found = || names.iter().map(|name| (*name).to_owned()).collect();
        columns.number = number.ok_or_else(|| InvalidHeader::NoNumber { found: found() })?;
        Ok(columns)
    }
}

impl RowReader {
    /// A reader of rows under these columns; numbers without `+` are read by `region`'s plan.
    pub fn new(columns: Columns, region: Region) -> Self {
        Self { columns, region, trunk: TrunkName::pjsip(), campaign: None }
    }

    /// Reads the row that begins on line `row`: `cell(n)` is its n-th cell of `width`, and `""`
    /// beyond the last. An empty cell is as good as none.
    pub fn read<'a>(
        &mut self,
        row: u64,
        width: usize,
        cell: impl Fn(usize) -> &'a str,
        id: DidId,
    ) -> Result<DidRow, RowError> {
        let read = self.check_width(width, &cell).and_then(|()| self.read_cells(&cell, id));
        read.map_err(|fault| RowError {
            row,
            number: clipped(cell(self.columns.number).trim()),
            column: fault.column,
            code: fault.code,
            error: clipped(&fault.error),
        })
    }

    fn check_width<'a>(&self, width: usize, cell: &impl Fn(usize) -> &'a str) -> Result<(), Fault> {
        let expected = self.columns.width;
        if (expected..width).all(|place| cell(place).trim().is_empty()) {
            return Ok(());
        }
        let error = format!("the row has {width} cells, the header {expected}");
        Err(Fault { column: None, code: "bad_row", error })
    }

    fn read_cells<'a>(
        &mut self,
        cell: &impl Fn(usize) -> &'a str,
        id: DidId,
    ) -> Result<DidRow, Fault> {
        let optional = |place: Option<usize>| {
            place.map(|place| cell(place).trim()).filter(|text| !text.is_empty())
        };
        let number = number_of(cell(self.columns.number), self.region)?;
        let area_code = match optional(self.columns.area_code) {
            Some(text) => Some(area_code_of(text)?),
            None => number.area_code(),
        };
        if let Some(text) = optional(self.columns.trunk) {
            if text != self.trunk.as_str() {
                self.trunk = parse(text, "trunk", "invalid_trunk")?;
            }
        } else if self.trunk.as_str() != TrunkName::DEFAULT {
            self.trunk = TrunkName::pjsip();
        }
        let campaign = optional(self.columns.campaign);
        if campaign != self.campaign.as_ref().map(CampaignId::as_str) {
            let read = campaign.map(|text| parse(text, "campaignId", "invalid_campaign"));
            self.campaign = read.transpose()?;
        }
        let status: Option<DidStatus> = optional(self.columns.status)
            .map(|text| parse(text, "status", "invalid_status"))
            .transpose()?;
        let did = NewDid {
            id,
            number,
            area_code,
            trunk: self.trunk.clone(),
            status: status.unwrap_or_default(),
            max_usage: optional(self.columns.max_usage).map(max_usage_of).transpose()?,
            campaign: self.campaign.clone(),
            head_start: 0,
            metadata: self.metadata_of(optional)?,
        };
        let given = Given {
            area_code: optional(self.columns.area_code).is_some(),
            trunk: optional(self.columns.trunk).is_some(),
            status: status.is_some(),
            max_usage: did.max_usage.is_some(),
            campaign: did.campaign.is_some(),
        };
        Ok(DidRow { did, given })
    }

    fn metadata_of<'a>(
        &self,
        optional: impl Fn(Option<usize>) -> Option<&'a str>,
    ) -> Result<Map<String, Value>, Fault> {
        let mut metadata = match optional(self.columns.metadata) {
            Some(text) => object_of(text)?,
            None => Map::new(),
        };
        for (place, name) in &self.columns.noted {
            if let Some(text) = optional(Some(*place)) {
                metadata.insert(name.clone(), Value::from(text));
            }
        }
        Ok(metadata)
    }
}

fn column_of(name: &str) -> Option<Column> {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    KNOWN.iter().find(|(known, _)| *known == plain).map(|(_, column)| *column)
}

/// Reads a number, and one that a spreadsheet has damaged if nothing is lost: `4045556789.0`, a
/// leading `'`, or a lost `+` where the digits can only be an international number.
fn number_of(cell: &str, region: Region) -> Result<E164, Fault> {
    let written = cell.trim();
    let text = without_decimals(written.trim_start_matches('\''));
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
        " (a spreadsheet has rounded it: format the column as text and export again)"
    } else if text.is_empty() {
        "(empty)"
    } else {
        ""
    };
    let column = Some("number");
    Err(Fault { column, code: "invalid_phone_number", error: format!("{error}{why}") })
}

fn area_code_of(text: &str) -> Result<AreaCode, Fault> {
    let bare = without_decimals(text.trim_matches(['(', ')', '\'']));
    parse(bare, "areaCode", "invalid_area_code")
}

fn max_usage_of(text: &str) -> Result<u32, Fault> {
    let limit = without_decimals(text).parse().ok().filter(|limit| *limit <= MAX_USAGE_MAX);
    limit.ok_or_else(|| Fault {
        column: Some("maxUsage"),
        code: "invalid_max_usage",
        error: format!("{text:?} is no limit (a whole number from 0 to {MAX_USAGE_MAX} is)"),
    })
}

fn object_of(json: &str) -> Result<Map<String, Value>, Fault> {
    let fault = |error| Fault { column: Some("metadata"), code: "invalid_metadata", error };
    match json::read(json.as_bytes()) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(fault(format!("{other} is no JSON object"))),
        Err(why) => Err(fault(format!("{json:?} is no JSON object: {why}"))),
    }
}

fn parse<T: FromStr<Err: ToString>>(
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

fn is_scientific(text: &str) -> bool {
    text.split_once(['E', 'e']).is_some_and(|(mantissa, exponent)| {
        mantissa.parse::<f64>().is_ok() && exponent.parse::<i32>().is_ok()
    })
}

/// Reports are kept and sent whole, and a cell may be a megabyte.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn listed(found: &[String]) -> String {
    if found.iter().all(String::is_empty) {
        return "nothing".to_owned();
    }
    let quoted: Vec<String> = found.iter().map(|name| format!("{:?}", clipped(name))).collect();
    clipped(&quoted.join(", "))
}

#[cfg(test)]
mod tests;

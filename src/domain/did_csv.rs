//! What a row of a CSV of DIDs means, and what a DID looks like as such a row.
//!
//! Splitting bytes into cells and storing what comes out is `app::import_dids`; here is only the
//! deciding: which column is which, and whether a row is a DID.

mod cells;
mod header;
mod suggest;
mod write;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use self::cells::{Fault, cleaned, word};
use super::did::{DidId, DidStatus, METADATA_LENGTH_MAX, NewDid, TrunkName};
use super::number::Region;
use super::tenant::CampaignId;

pub use self::header::{Columns, InvalidHeader, ROTARY_ERROR, ROTARY_ROW, is_rotarys_own};
pub use self::write::{HEADER, push_cell, push_row, text_cell};

/// The most that a report repeats of a cell or says of it, in characters.
const TEXT_MAX: usize = 200;

/// How many rows of a file get a suggestion. It may take a dozen looks into the tables of numbers,
/// and a report lists no more rows.
const SUGGESTIONS_MAX: u32 = 1_000;

/// Metadata whose texts are together no longer than this need not be measured as JSON, which makes
/// at most six bytes of one.
const PLAINLY_SHORT: usize = METADATA_LENGTH_MAX / 8;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowError {
    /// Its line in the file; the header is line 1.
    pub row: u64,
    /// The number as it was written.
    pub number: String,
    /// The column at fault, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub column: Option<Cow<'static, str>>,
    /// A stable word for the fault, such as `invalid_phone_number`.
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// The fault in words.
    pub error: String,
    /// What would be right, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub suggestion: Option<Box<str>>,
}

impl RowError {
    /// A row that cannot be taken apart into cells.
    pub fn bad_row(row: u64, error: &str, suggestion: &str) -> Self {
        let (error, suggestion) = (error.to_owned(), Some(suggestion.into()));
        Self { row, number: String::new(), column: None, code: "bad_row".into(), error, suggestion }
    }
}

/// Reads rows one after the other. Rows of a file mostly name the same trunk and campaign, so it
/// keeps the last of each and shares it.
#[derive(Debug)]
pub struct RowReader {
    columns: Columns,
    region: Region,
    trunk: TrunkName,
    campaign: Option<CampaignId>,
    suggestions_left: u32,
}

impl RowReader {
    /// A reader of rows under these columns; numbers without `+` are read by `region`'s plan.
    pub fn new(columns: Columns, region: Region) -> Self {
        let suggestions_left = SUGGESTIONS_MAX;
        Self { columns, region, trunk: TrunkName::pjsip(), campaign: None, suggestions_left }
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
        read.map_err(|fault| {
            let may_suggest = self.suggestions_left > 0;
            self.suggestions_left -= u32::from(may_suggest);
            let place = fault.column.and_then(|column| self.columns.place_of(column));
            let culprit = place.map_or("", &cell);
            let suggestion =
                may_suggest.then(|| suggest::mend(&fault, culprit, self.region)).flatten();
            RowError {
                row,
                number: clipped(cell(self.columns.number).trim()),
                column: fault.column.map(Cow::Borrowed),
                code: Cow::Borrowed(fault.code),
                error: clipped(&fault.error),
                suggestion: suggestion.map(|text| clipped(&text).into()),
            }
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
        let columns = &self.columns;
        let optional = |place: Option<usize>| {
            place.map(|place| word(cell(place))).filter(|text| !text.is_empty())
        };
        let number = cells::number(cell(columns.number), self.region)?;
        let own_code = optional(columns.area_code);
        let area_code = match own_code {
            Some(text) => Some(cells::area_code(text)?),
            None => number.area_code(),
        };
        let trunk = optional(columns.trunk);
        let wanted = trunk.unwrap_or(TrunkName::DEFAULT);
        if wanted != self.trunk.as_str() {
            self.trunk = cells::parse(wanted, "trunk", "invalid_trunk")?;
        }
        let campaign = optional(columns.campaign);
        if campaign != self.campaign.as_ref().map(CampaignId::as_str) {
            let read = campaign.map(|text| cells::parse(text, "campaignId", "invalid_campaign"));
            self.campaign = read.transpose()?;
        }
        let status: Option<DidStatus> = optional(columns.status)
            .map(|text| cells::parse(text, "status", "invalid_status"))
            .transpose()?;
        let did = NewDid {
            id,
            number,
            area_code,
            trunk: self.trunk.clone(),
            status: status.unwrap_or_default(),
            max_usage: optional(columns.max_usage).map(cells::max_usage).transpose()?,
            campaign: self.campaign.clone(),
            head_start: 0,
            metadata: self.metadata_of(cell)?,
        };
        let given = Given {
            area_code: own_code.is_some(),
            trunk: trunk.is_some(),
            status: status.is_some(),
            max_usage: did.max_usage.is_some(),
            campaign: campaign.is_some(),
        };
        Ok(DidRow { did, given })
    }

    fn metadata_of<'a>(
        &self,
        cell: &impl Fn(usize) -> &'a str,
    ) -> Result<Map<String, Value>, Fault> {
        let json = self.columns.metadata.map_or("", |place| cleaned(cell(place)));
        let mut metadata = if json.is_empty() { Map::new() } else { cells::object(json)? };
        let mut length = json.len();
        for (place, name) in &self.columns.noted {
            let text = cleaned(cell(*place));
            if !text.is_empty() {
                length += name.len() + text.len();
                metadata.insert(name.clone(), Value::from(text));
            }
        }
        if length > PLAINLY_SHORT {
            cells::check_length(&metadata)?;
        }
        Ok(metadata)
    }
}

/// Reports are kept and sent whole, and a cell may be a megabyte.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;

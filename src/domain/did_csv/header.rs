//! Which column of a file holds what.

use super::super::number::Region;
use super::{cells, clipped, suggest};

/// The column of a file of rejected rows that says why; ignored when the file comes back.
pub const ROTARY_ERROR: &str = "rotaryError";

/// The column of a file of rejected rows that says on which line a row stood.
pub const ROTARY_ROW: &str = "rotaryRow";

/// Our own names, in lower case without `_`, `-`, spaces and the like.
const OURS: [(&str, Column); 18] = [
    ("number", Column::Number),
    ("areacode", Column::AreaCode),
    ("trunk", Column::Trunk),
    ("status", Column::Status),
    ("maxusage", Column::MaxUsage),
    ("campaignid", Column::Campaign),
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
    // And a file of rejected rows these.
    ("rotaryerror", Column::Ignored),
    ("rotaryrow", Column::Ignored),
];

/// What others call the same. Only words that mean nothing else: `state` may be a status or a
/// place, `carrier` a trunk or a provider, so both stay metadata.
const OTHERS: [(&[&str], Column); 6] = [
    (
        &[
            "phone",
            "phonenumber",
            "phoneno",
            "phonenum",
            "did",
            "didnumber",
            "didno",
            "tn",
            "telephone",
            "telephonenumber",
            "telephoneno",
            "telno",
            "tel",
            "msisdn",
            "e164",
            "e164number",
            "numbere164",
            "callerid",
            "calleridnumber",
            "cid",
            "cidnumber",
            "clid",
            "cli",
            "ani",
            "ddi",
            "numbers",
            "dids",
            "phonenumbers",
        ],
        Column::Number,
    ),
    (&["npa", "area"], Column::AreaCode),
    (
        &["trunkname", "endpoint", "pjsipendpoint", "gateway", "carriertrunk", "siptrunk"],
        Column::Trunk,
    ),
    (&["didstatus", "numberstatus"], Column::Status),
    (
        &[
            "limit",
            "usagelimit",
            "uselimit",
            "maxuses",
            "maxuse",
            "maxcalls",
            "maximumusage",
            "cap",
            "usagecap",
        ],
        Column::MaxUsage,
    ),
    (&["campaign"], Column::Campaign),
];

/// The same for what is metadata by a name of ours.
const OTHER_NOTES: [&str; 6] = ["note", "comment", "comments", "description", "remark", "remarks"];

/// Which column of a file holds what.
#[derive(Debug, Clone)]
pub struct Columns {
    pub(super) number: usize,
    pub(super) area_code: Option<usize>,
    pub(super) trunk: Option<usize>,
    pub(super) status: Option<usize>,
    pub(super) max_usage: Option<usize>,
    pub(super) campaign: Option<usize>,
    pub(super) metadata: Option<usize>,
    pub(super) noted: Vec<(usize, String)>,
    pub(super) width: usize,
}

/// A header row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// No column holds the numbers.
    #[error("no column is named \"number\"; the first line names {}{}", listed(.found), hint(.found))]
    NoNumber {
        /// The columns it has instead.
        found: Vec<String>,
    },
    /// There is no header: the first line is a row already.
    #[error(
        "the first line looks like a row, not like a header ({:?} is a telephone number): put a \
         line above it that names the columns, `number` above the numbers", clipped(.0)
    )]
    IsRow(String),
    /// Two columns have the same name.
    #[error("two columns are named {:?}", clipped(.0))]
    Twice(String),
    /// Two columns may be meant and none has our own name.
    #[error(
        "the columns {:?} and {:?} may both be the {of}: name the right one \"{of}\"",
        clipped(first),
        clipped(second)
    )]
    Ambiguous {
        /// The one that stands first.
        first: String,
        /// The other.
        second: String,
        /// Our name for it.
        of: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Columns {
    /// Reads the header row. Case, `_`, `-` and spaces make no difference, and a column may have one
    /// of the names that other programs give it. What else there is goes into every DID's metadata
    /// under its own name.
    ///
    /// `region` is what numbers will be read by: a first line that holds one is no header.
    pub fn read<'a>(
        header: impl Iterator<Item = &'a str>,
        region: Region,
    ) -> Result<Self, InvalidHeader> {
        let names: Vec<&str> = header.map(cells::cleaned).collect();
        let one = |column| find(&names, column);
        let number = match one(Column::Number)? {
            Some(place) => place,
            None => return Err(without_number(&names, region)),
        };
        let mut columns = Self {
            number,
            area_code: one(Column::AreaCode)?,
            trunk: one(Column::Trunk)?,
            status: one(Column::Status)?,
            max_usage: one(Column::MaxUsage)?,
            campaign: one(Column::Campaign)?,
            metadata: one(Column::Metadata)?,
            noted: Vec::new(),
            width: names.len(),
        };
        for column in ["provider", "region", "notes"] {
            if let Some(place) = one(Column::Noted(column))? {
                columns.noted.push((place, column.to_owned()));
            }
        }
        for (place, name) in names.iter().enumerate() {
            let is_taken = columns.takes(place) || exact(name) == Some(Column::Ignored);
            if !is_taken && !name.is_empty() {
                let name = columns.free_name(name);
                columns.noted.push((place, name));
            }
        }
        Ok(columns)
    }

    /// How many of these names we know: what tells the right delimiter of a file from the others.
    pub fn known<'a>(names: impl Iterator<Item = &'a str>) -> usize {
        let is_known = |name: &&str| exact(name).or_else(|| by_another_name(name)).is_some();
        names.map(cells::cleaned).filter(is_known).count()
    }

    /// Where the column of this name is; of those that a fault can name.
    pub(super) fn place_of(&self, column: &str) -> Option<usize> {
        match column {
            "number" => Some(self.number),
            "areaCode" => self.area_code,
            "trunk" => self.trunk,
            "status" => self.status,
            "maxUsage" => self.max_usage,
            "campaignId" => self.campaign,
            _ => None,
        }
    }

    fn takes(&self, place: usize) -> bool {
        let ours = [
            Some(self.number),
            self.area_code,
            self.trunk,
            self.status,
            self.max_usage,
            self.campaign,
            self.metadata,
        ];
        ours.contains(&Some(place)) || self.noted.iter().any(|(taken, _)| *taken == place)
    }

    /// The second of two unknown columns of one name would else take the place of the first.
    fn free_name(&self, name: &str) -> String {
        let is_free = |name: &str| self.noted.iter().all(|(_, taken)| taken != name);
        let numbered = (2..).map(|n| format!("{name} {n}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        names.find(|name| is_free(name)).unwrap_or_default()
    }
}

/// Whether a column of this name was added by us to a file of rejected rows.
pub fn is_rotarys_own(name: &str) -> bool {
    [ROTARY_ERROR, ROTARY_ROW].iter().any(|own| plain(own) == plain(name))
}

/// Where this column is. Our own name for it goes before those that others have.
fn find(names: &[&str], column: Column) -> Result<Option<usize>, InvalidHeader> {
    let places = |is: fn(&str) -> Option<Column>| {
        let mut places = (0..names.len()).filter(move |place| is(names[*place]) == Some(column));
        (places.next(), places.next())
    };
    match places(exact) {
        (Some(_), Some(second)) => Err(InvalidHeader::Twice(names[second].to_owned())),
        (Some(place), None) => Ok(Some(place)),
        (None, _) => match (places(by_another_name), column.name()) {
            ((Some(first), Some(second)), Some(of)) => Err(InvalidHeader::Ambiguous {
                first: names[first].to_owned(),
                second: names[second].to_owned(),
                of,
            }),
            // Of two that are only noted down, the second keeps its own name.
            ((place, _), _) => Ok(place),
        },
    }
}

impl Column {
    /// Our name for it, if it must be unambiguous.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Number => Some("number"),
            Self::AreaCode => Some("areaCode"),
            Self::Trunk => Some("trunk"),
            Self::Status => Some("status"),
            Self::MaxUsage => Some("maxUsage"),
            Self::Campaign => Some("campaignId"),
            Self::Metadata | Self::Noted(_) | Self::Ignored => None,
        }
    }
}

fn exact(name: &str) -> Option<Column> {
    let plain = plain(name);
    OURS.iter().find(|(ours, _)| *ours == plain).map(|(_, column)| *column)
}

fn by_another_name(name: &str) -> Option<Column> {
    let plain = plain(name);
    if OTHER_NOTES.contains(&plain.as_str()) {
        return Some(Column::Noted("notes"));
    }
    let found = OTHERS.iter().find(|(names, _)| names.contains(&plain.as_str()));
    found.map(|(_, column)| *column)
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

fn without_number(names: &[&str], region: Region) -> InvalidHeader {
    match names.iter().find(|name| cells::number(name, region).is_ok()) {
        Some(number) => InvalidHeader::IsRow((*number).to_owned()),
        None => {
            InvalidHeader::NoNumber { found: names.iter().map(|name| (*name).to_owned()).collect() }
        }
    }
}

fn listed(found: &[String]) -> String {
    if found.iter().all(String::is_empty) {
        return "nothing".to_owned();
    }
    let quoted: Vec<String> = found.iter().map(|name| format!("{:?}", clipped(name))).collect();
    clipped(&quoted.join(", "))
}

fn hint(found: &[String]) -> String {
    let is_near = |name: &&String| suggest::is_near(&plain(name), "number");
    match found.iter().find(is_near) {
        Some(name) => format!(" (is {:?} meant to be \"number\"?)", clipped(name)),
        None => String::new(),
    }
}

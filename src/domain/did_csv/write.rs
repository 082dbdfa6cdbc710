//! A DID as a row of an export: what imports back unchanged, and what no spreadsheet runs.
//!
//! Why each cell looks as it does is told in `docs/decisions`, "Cells that cannot run".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use super::super::did::Did;
use super::cells::{cleaned, is_formula};

/// The header of an export, with its line break.
pub const HEADER: &str = "number,areaCode,trunk,status,maxUsage,campaignId,provider,region,notes,\
     metadata,usageCount,lastUsed,createdAt,updatedAt\r\n";

/// The metadata that has a column of its own.
const NOTED: [&str; 3] = ["provider", "region", "notes"];

/// Appends a DID as a row under [`HEADER`].
pub fn push_row(out: &mut Vec<u8>, did: &Did) {
    let mut plain = |text: std::fmt::Arguments<'_>| {
        // Digits and letters of ours: nothing to quote. Writing to memory does not fail.
        let _never_fails = out.write_fmt(text);
        out.push(b',');
    };
    plain(format_args!("'{}", did.number));
    plain(format_args!("{}", did.area_code.map(|code| code.to_string()).unwrap_or_default()));
    plain(format_args!("{}", text_cell(did.trunk.as_str())));
    plain(format_args!("{}", did.status));
    plain(format_args!("{}", did.max_usage.map(|max| max.to_string()).unwrap_or_default()));
    plain(format_args!("{}", text_cell(did.campaign.as_ref().map_or("", |id| id.as_str()))));
    for name in NOTED {
        let cell = own_cell(&did.metadata, name).unwrap_or_default();
        push_cell(out, text_cell(cell).as_bytes(), b',');
        out.push(b',');
    }
    push_cell(out, others(&did.metadata).as_bytes(), b',');
    let times = [did.last_used, Some(did.created_at), Some(did.updated_at)].map(time);
    let [last_used, created, updated] = times;
    let _never_fails = write!(out, ",{},{last_used},{created},{updated}\r\n", did.usage_count);
}

/// Appends one cell, in quotes where it must be.
pub fn push_cell(out: &mut Vec<u8>, cell: &[u8], delimiter: u8) {
    let special = |byte: &u8| *byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n');
    if !cell.iter().any(special) {
        out.extend_from_slice(cell);
        return;
    }
    out.push(b'"');
    for byte in cell {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// A text as a cell that no spreadsheet takes for a formula: with a `'` before what would be one,
/// which an import takes off again.
pub fn text_cell(text: &str) -> Cow<'_, str> {
    match is_formula(text.trim_start_matches('\'')) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// The text under this name, if it can stand in a cell of its own: one line of text that reads back
/// as it is.
fn own_cell<'a>(metadata: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = metadata.get(name)?.as_str()?;
    let stays = !text.is_empty()
        && !text.contains(char::is_control)
        && !hides_formula(text)
        && cleaned(&text_cell(text)) == text;
    stays.then_some(text)
}

/// Whether a spreadsheet that splits at `;`, as it does where the comma is the decimal point, would
/// find a formula after one.
fn hides_formula(text: &str) -> bool {
    let after = text.split(';').skip(1);
    after.map(|part| part.trim_start_matches([' ', '"', '\''])).any(is_formula)
}

/// All metadata without a cell of its own, as JSON; nothing if there is none. JSON begins with a
/// brace, holds no line break, and says `;` in another way where a formula could follow.
fn others(metadata: &Map<String, Value>) -> String {
    let has_own = |name: &str| NOTED.contains(&name) && own_cell(metadata, name).is_some();
    let others: BTreeMap<&String, &Value> =
        metadata.iter().filter(|(name, _)| !has_own(name)).collect();
    if others.is_empty() {
        return String::new();
    }
    let json = serde_json::to_string(&others).expect("JSON prints");
    match hides_formula(&json) {
        true => json.replace(';', "\\u003b"),
        false => json,
    }
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::super::super::did::{DidId, DidStatus, NewDid, TrunkName};
    use super::super::super::number::{E164, Region};
    use super::super::{Columns, DidRow, RowReader};
    use super::*;

    #[test]
    fn a_did_is_a_row() {
        let mut out = HEADER.as_bytes().to_vec();
        push_row(&mut out, &did(json!({"provider": "A", "notes": "say \"hi\", now", "cost": 1.5})));

        assert_eq!(
            String::from_utf8(out).unwrap().lines().last().unwrap(),
            "'+14045556789,404,'-odd,active,5,c_1,A,,\"say \"\"hi\"\", now\",\"{\"\"cost\"\":1.5}\",\
             7,,2026-03-01T12:00:00.123456Z,2026-03-01T12:00:00.123456Z"
        );
    }

    #[test]
    fn no_cell_can_run_even_where_it_is_split_at_semicolons() {
        for text in
            ["=1+1", "+1", "-1", "@x", "a;=1", "a; \"=1", "\t=1", "\u{ff1d}1", "'=1", "a\n=1"]
        {
            let metadata = json!({"notes": text, "other": text});
            let cells = cells_of(&did(metadata));

            for part in cells.iter().flat_map(|cell| cell.split([';', '\n', '\t'])) {
                assert!(!is_formula(part.trim_start_matches([' ', '"'])), "{text:?}: {part:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_was_noted_down_comes_back(
            notes in proptest::option::of(any_text()),
            region in proptest::option::of(any_text()),
            others in proptest::collection::btree_map(any_text(), any_json(), 0..4),
        ) {
            let mut metadata: Map<String, Value> = others.into_iter().collect();
            metadata.extend(notes.map(|text| ("notes".to_owned(), Value::from(text))));
            metadata.extend(region.map(|text| ("region".to_owned(), Value::from(text))));
            let did = did(Value::Object(metadata));

            let DidRow { did: back, .. } = read_back(&did);

            let expected = NewDid {
                id: back.id,
                number: did.number,
                area_code: did.area_code,
                trunk: did.trunk,
                status: did.status,
                max_usage: did.max_usage,
                campaign: did.campaign,
                head_start: 0,
                metadata: did.metadata,
            };
            prop_assert_eq!(back, expected);
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        "[a=+\\-@;,'\"\t\r\n \u{a0}\u{200b}\u{ff1d}\u{e9}{}\\\\]{0,12}"
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| if number.is_finite() {
                json!(number)
            } else {
                json!(0.5)
            }),
            any_text().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map(any_text(), inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn did(metadata: Value) -> Did {
        let Value::Object(metadata) = metadata else { panic!("no object") };
        let number: E164 = "+14045556789".parse().unwrap();
        let at = "2026-03-01T12:00:00.123456Z".parse().unwrap();
        Did {
            id: DidId(Uuid::nil()),
            tenant: "t_1".parse().unwrap(),
            number,
            area_code: number.area_code(),
            trunk: "-odd".parse::<TrunkName>().unwrap(),
            status: DidStatus::Active,
            usage_count: 7,
            max_usage: Some(5),
            last_used: None,
            campaign: Some("c_1".parse().unwrap()),
            head_start: 3,
            metadata,
            created_at: at,
            updated_at: at,
        }
    }

    fn read_back(did: &Did) -> DidRow {
        let columns = Columns::read(HEADER.trim_end().split(','), Region::US).unwrap();
        let cells = cells_of(did);
        let cell = |place: usize| cells[place].as_str();
        RowReader::new(columns, Region::US).read(2, cells.len(), cell, DidId(Uuid::nil())).unwrap()
    }

    /// The row as a reader of CSV has it.
    fn cells_of(did: &Did) -> Vec<String> {
        let mut out = Vec::new();
        push_row(&mut out, did);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(out.as_slice());
        let record = reader.records().next().unwrap().unwrap();
        record.iter().map(str::to_owned).collect()
    }
}

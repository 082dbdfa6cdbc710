//! Rows as people and spreadsheets write them.

use uuid::Uuid;

use super::*;

const HEADER: &str = "number,areaCode,trunk,status,maxUsage,provider,region,notes";

#[test]
fn a_full_row_and_an_empty_one_become_dids() {
    let full = read(HEADER, "+14045556789,404,carrier,active,1000,Provider A,US-East,Main DID");
    let bare = read(HEADER, "4045556790,,,available,,,,").unwrap();

    let full = full.unwrap();
    assert_eq!(full.number.to_string(), "+14045556789");
    assert_eq!((full.trunk.as_str(), full.status), ("carrier", DidStatus::Active));
    assert_eq!(full.max_usage, Some(1000));
    assert_eq!(
        Value::Object(full.metadata).to_string(),
        r#"{"notes":"Main DID","provider":"Provider A","region":"US-East"}"#
    );
    assert_eq!(bare.area_code.map(String::from), Some("404".into()));
    assert_eq!((bare.trunk.as_str(), bare.status), ("PJSIP", DidStatus::Available));
    assert_eq!((bare.max_usage, bare.metadata.len()), (None, 0));
}

#[test]
fn columns_are_found_in_any_order_and_case() {
    let did = read("Notes,MAX_USAGE,Campaign ID,Number,Cost Centre", "x,5.0,c_1,4045556789,K7");

    let did = did.unwrap();
    assert_eq!(did.max_usage, Some(5));
    assert_eq!(did.campaign.as_ref().map(CampaignId::as_str), Some("c_1"));
    assert_eq!(did.metadata["Cost Centre"], "K7");
}

#[test]
fn a_header_without_numbers_names_what_it_has() {
    let error = Columns::read("phone,status".split(',')).unwrap_err();

    let expected = "no column is named \"number\"; the first line names \"phone\", \"status\"";
    assert_eq!(error.to_string(), expected);
    let twice = Columns::read("number,Number".split(',')).unwrap_err();
    assert_eq!(twice, InvalidHeader::Twice("Number".into()));
}

#[test]
fn every_bad_cell_is_named() {
    let row = |cells: &str| {
        let error = read(&format!("{HEADER},campaign,metadata"), cells).unwrap_err();
        (error.column.unwrap_or(""), error.code, error.error)
    };

    assert_eq!(
        row("404555"),
        ("number", "invalid_phone_number", "Invalid phone number: 404555".into())
    );
    assert_eq!(row("4045556789,ab").1, "invalid_area_code");
    assert_eq!(row("4045556789,,a@b").1, "invalid_trunk");
    assert_eq!(row("4045556789,,,gone").1, "invalid_status");
    assert_eq!(row("4045556789,,,,-1").1, "invalid_max_usage");
    assert_eq!(row("4045556789,,,,,,,,a b").1, "invalid_campaign");
    assert_eq!(row("4045556789,,,,,,,,,[]").1, "invalid_metadata");
    assert_eq!(
        row("4045556789,,,,,,,,,,,x"),
        ("", "bad_row", "the row has 12 cells, the header 10".into())
    );
}

#[test]
fn what_a_spreadsheet_damaged_is_healed_or_explained() {
    let number = |text: &str| read("number", text).map(|did| did.number.to_string());

    assert_eq!(number("14045556789.0"), Ok("+14045556789".into()));
    assert_eq!(number("'+14045556789"), Ok("+14045556789".into()));
    assert_eq!(number("442071838750"), Ok("+442071838750".into()));
    assert_eq!(
        number("4.04556E+09").unwrap_err().error,
        "Invalid phone number: 4.04556E+09 \
         (a spreadsheet has rounded it: format the column as text and export again)"
    );
    assert_eq!(number(" ").unwrap_err().error, "Invalid phone number: (empty)");
}

#[test]
fn a_trunk_is_not_carried_over_to_the_next_row() {
    let columns = Columns::read("number,trunk,campaign".split(',')).unwrap();
    let mut reader = RowReader::new(columns, Region::US);
    let mut read = |row: &'static str| {
        let cells: Vec<&str> = row.split(',').collect();
        let cell = |place: usize| cells.get(place).copied().unwrap_or("");
        reader.read(2, cells.len(), cell, DidId(Uuid::nil())).unwrap().did
    };

    let (first, second) = (read("4045556789,carrier,c_1"), read("4045556790,,"));

    assert_eq!((first.trunk.as_str(), first.campaign.is_some()), ("carrier", true));
    assert_eq!((second.trunk.as_str(), second.campaign), ("PJSIP", None));
}

#[test]
fn an_empty_cell_is_not_given() {
    let cells = ["4045556789", "", " ", "active", "", "c_1"];
    let header = "number,areaCode,trunk,status,maxUsage,campaignId";

    let row = read_row(header, cells.len(), |place| cells[place]).unwrap();

    let nothing =
        Given { area_code: false, trunk: false, status: false, max_usage: false, campaign: false };
    assert_eq!(row.given, Given { status: true, campaign: true, ..nothing });
    assert_eq!(row.did.area_code.unwrap().to_string(), "404");
}

#[test]
fn a_report_repeats_only_the_beginning_of_a_long_cell() {
    let error = read("number", &"9".repeat(10_000)).unwrap_err();

    assert_eq!((error.number.chars().count(), error.error.chars().count()), (201, 201));
}

fn read(header: &str, row: &str) -> Result<NewDid, RowError> {
    let cells: Vec<&str> = row.split(',').collect();
    let cell = |place: usize| cells.get(place).copied().unwrap_or("");
    read_row(header, cells.len(), cell).map(|row| row.did)
}

fn read_row<'a>(
    header: &str,
    width: usize,
    cell: impl Fn(usize) -> &'a str,
) -> Result<DidRow, RowError> {
    let columns = Columns::read(header.split(',')).unwrap();
    RowReader::new(columns, Region::US).read(2, width, cell, DidId(Uuid::nil()))
}

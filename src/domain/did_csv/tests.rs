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
    let said = |names: &str| header(names).unwrap_err().to_string();

    assert_eq!(
        said("name,status"),
        "no column is named \"number\"; the first line names \"name\", \"status\""
    );
    assert!(said("Nubmer,status").ends_with("(is \"Nubmer\" meant to be \"number\"?)"));
    assert_eq!(header("number,Number").unwrap_err(), InvalidHeader::Twice("Number".into()));
}

#[test]
fn a_first_line_that_is_a_row_is_not_taken_for_a_header() {
    for line in ["+14045556789", "4045556789,active", "Main,(404) 555-6789", "'+14045556789"] {
        let error = header(line).unwrap_err();

        assert!(matches!(error, InvalidHeader::IsRow(_)), "{line}: {error}");
        assert!(error.to_string().contains("`number` above the numbers"), "{error}");
    }
}

#[test]
fn a_column_may_have_the_name_that_another_program_gives_it() {
    for names in ["Phone Number", "DID", "tn", "E.164", "Caller ID", "Telephone No.", "MSISDN"] {
        assert_eq!(header(names).unwrap().number, 0, "{names}");
    }
    let columns = header("NPA,phone,SIP Trunk,max calls,Comment,State,Carrier").unwrap();

    assert_eq!((columns.area_code, columns.number, columns.trunk), (Some(0), 1, Some(2)));
    assert_eq!((columns.max_usage, columns.status), (Some(3), None));
    let noted: Vec<_> = columns.noted.iter().map(|(at, name)| (*at, name.as_str())).collect();
    assert_eq!(noted, [(4, "notes"), (5, "State"), (6, "Carrier")]);
}

#[test]
fn our_own_name_goes_before_all_others_and_two_others_are_no_name() {
    let both = header("phone,number,note,notes,note").unwrap();

    assert_eq!(both.number, 1);
    let noted: Vec<_> = both.noted.iter().map(|(at, name)| (*at, name.as_str())).collect();
    assert_eq!(noted, [(3, "notes"), (0, "phone"), (2, "note"), (4, "note 2")]);
    assert_eq!(
        header("phone,DID").unwrap_err().to_string(),
        "the columns \"phone\" and \"DID\" may both be the number: name the right one \"number\""
    );
}

#[test]
fn every_bad_cell_is_named() {
    let row = |cells: &str| {
        let error = read(&format!("{HEADER},campaign,metadata"), cells).unwrap_err();
        (error.column.unwrap_or_default(), error.code, error.error)
    };

    assert_eq!(
        row("404555"),
        ("number".into(), "invalid_phone_number".into(), "Invalid phone number: 404555".to_owned())
    );
    assert_eq!(row("4045556789,ab").1, "invalid_area_code");
    assert_eq!(row("4045556789,,a@b").1, "invalid_trunk");
    assert_eq!(row("4045556789,,,gone").1, "invalid_status");
    assert_eq!(row("4045556789,,,,-1").1, "invalid_max_usage");
    assert_eq!(row("4045556789,,,,,,,,a b").1, "invalid_campaign");
    assert_eq!(row("4045556789,,,,,,,,,[]").1, "invalid_metadata");
    assert_eq!(
        row("4045556789,,,,,,,,,,,x"),
        ("".into(), "bad_row".into(), "the row has 12 cells, the header 10".to_owned())
    );
}

#[test]
fn what_a_spreadsheet_damaged_is_healed_or_explained() {
    let number = |text: &str| read("number", text).map(|did| did.number.to_string());

    assert_eq!(number("14045556789.0"), Ok("+14045556789".into()));
    assert_eq!(number("'+14045556789"), Ok("+14045556789".into()));
    assert_eq!(number("442071838750"), Ok("+442071838750".into()));
    assert_eq!(number("=\"4045556789\""), Ok("+14045556789".into()));
    assert_eq!(number("\u{200b}4045556789\u{2009}\u{a0}"), Ok("+14045556789".into()));
    assert_eq!(number("\u{ff14}\u{ff10}\u{ff14}5556789"), Ok("+14045556789".into()));
    assert_eq!(
        number("4.04556E+09").unwrap_err().error,
        "Invalid phone number: 4.04556E+09 (a spreadsheet has rounded it, and its last digits are lost)"
    );
    assert_eq!(number(" ").unwrap_err().error, "Invalid phone number: (empty)");
}

#[test]
fn what_would_be_right_is_suggested() {
    let suggested = |header: &str, row: &str| read(header, row).unwrap_err().suggestion;
    for (header, row, suggestion) in [
        ("number", "(11) 91234-5678", Some("write +5511912345678 or pass defaultRegion=BR")),
        (
            "number",
            "020 7946 0018",
            Some(
                "write it as +442079460018 in GB, as +912079460018 in IN, as +3902079460018 in IT, \
                 or pass defaultRegion",
            ),
        ),
        ("number", "555-6789", Some("write the area code before it")),
        ("number", "4045556789 x12", Some("a caller ID has no extension: write +14045556789")),
        (
            "number",
            "4.04556E+09",
            Some("format the column as text in the spreadsheet and export it again"),
        ),
        ("number", "404555", None),
        ("number,status", "4045556789,Enabled", Some("did you mean active?")),
        ("number,status", "4045556789,avialable", Some("did you mean available?")),
        ("number,status", "4045556789,blue", None),
        ("number;maxUsage", "4045556789;1,000", Some("write the digits alone: 1000")),
        ("number,maxUsage", "4045556789,Unlimited", Some("leave the cell empty for no limit")),
        ("number", "0049 30 901820", Some("write +4930901820")),
        ("number,areaCode", "4045556789,4o4", None),
        ("number,areaCode", "4045556789,a404", Some("write the digits alone: 404")),
        (
            "number,trunk",
            "4045556789,PJSIP/carrier",
            Some("write the endpoint's name alone: carrier"),
        ),
        ("number,campaign", "4045556789,my campaign", Some("did you mean my_campaign?")),
    ] {
        let delimiter = if header.contains(';') { ';' } else { ',' };
        let cells: Vec<&str> = row.split(delimiter).collect();
        let columns = Columns::read(header.split(delimiter), Region::US).unwrap();
        let cell = |place: usize| cells.get(place).copied().unwrap_or("");
        let read =
            RowReader::new(columns, Region::US).read(2, cells.len(), cell, DidId(Uuid::nil()));
        assert_eq!(read.unwrap_err().suggestion.as_deref(), suggestion, "{row}");
    }
    assert!(suggested("number,metadata", "4045556789,[]").is_some());
}

#[test]
fn metadata_has_the_same_bound_as_elsewhere() {
    let row = |notes: usize| read("number,notes", &format!("4045556789,{}", "x".repeat(notes)));

    assert!(row(METADATA_LENGTH_MAX - 12).is_ok());
    assert_eq!(row(METADATA_LENGTH_MAX - 11).unwrap_err().code, "metadata_too_long");
}

#[test]
fn a_trunk_is_not_carried_over_to_the_next_row() {
    let columns = header("number,trunk,campaign").unwrap();
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
    let columns = Columns::read(header.split(','), Region::US).unwrap();
    RowReader::new(columns, Region::US).read(2, width, cell, DidId(Uuid::nil()))
}

fn header(names: &str) -> Result<Columns, InvalidHeader> {
    Columns::read(names.split(','), Region::US)
}

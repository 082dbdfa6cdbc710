//! An export is a file that imports back unchanged, whatever stands in the DIDs.

use rotary::store;
use serde_json::{Value, json};

use crate::house::{Ask, House};
use crate::postgres::{Fsync, Postgres};

const DIDS: &str = "/api/asterisk-dids";
const EXPORT: &str = "/api/asterisk-dids/export";
const IMPORT: &str = "/api/asterisk-dids/import";

#[tokio::test]
async fn an_export_imports_back_unchanged_on_sqlite() {
    let house = House::open().await;

    imports_back_unchanged(&house).await;
}

#[tokio::test]
async fn an_export_imports_back_unchanged_on_postgres() {
    let postgres = Postgres::new(Fsync::Off);
    let url = postgres.url();
    let house = House::open_changed(|config| config.store = store::Settings::new(url)).await;

    imports_back_unchanged(&house).await;

    house.close().await;
}

async fn imports_back_unchanged(house: &House) {
    for (n, metadata) in odd_metadata().into_iter().enumerate() {
        let did = json!({
            "number": format!("+1404555{n:04}"), "areaCode": "020", "trunk": "-odd.trunk",
            "status": "suspended", "maxUsage": n, "campaignId": "-c:1", "metadata": metadata,
        });
        assert_eq!(house.ask(Ask::post(DIDS, &did)).await.status, 201);
    }
    let plain = json!({"number": "+442071838750"});
    assert_eq!(house.ask(Ask::post(DIDS, &plain)).await.status, 201);
    let before = dids(house, "default").await;
    let (_, csv) = house.fetch(Ask::get(EXPORT)).await;

    let skipped = import(house, "default", "?onDuplicate=skip", &csv).await;
    let after_skip = dids(house, "default").await;
    let updated = import(house, "default", "?onDuplicate=update", &csv).await;
    let after_update = dids(house, "default").await;
    let copied = import(house, "copy", "", &csv).await;
    let copy = dids(house, "copy").await;

    let all = before.len() as u64;
    assert_eq!((&skipped["duplicates"], &skipped["failed"]), (&json!(all), &json!(0)), "{skipped}");
    assert_eq!(updated["failed"], 0, "{updated}");
    assert_eq!(copied["imported"], all, "{copied}");
    assert_eq!(after_skip, before);
    let own = ["id", "tenantId", "createdAt", "updatedAt"];
    assert_eq!(without(&after_update, &["updatedAt"]), without(&before, &["updatedAt"]));
    assert_eq!(without(&copy, &own), without(&before, &own));
    let (_, again) = house.fetch(Ask::get(EXPORT)).await;
    assert_eq!(rows(&again).len(), rows(&csv).len());
}

#[tokio::test]
async fn an_export_is_filtered_and_named_and_goes_on_over_pages() {
    let house = House::open().await;
    let rows: String = (0..2_500).map(|n| format!("+1404555{n:04},active\n")).collect();
    let file = format!("number,status\n{rows}+12125550001,inactive\n");
    assert_eq!(import(&house, "a:b", "", file.as_bytes()).await["imported"], 2_501);
    let ask = |query: &str| Ask::get(&format!("{EXPORT}{query}")).header("x-tenant-id", "a:b");

    let (headers, all) = house.fetch(ask("")).await;
    let (_, inactive) = house.fetch(ask("?status=inactive")).await;
    let (_, some) = house.fetch(ask("?q=555000&areaCode=404&trunk=PJSIP")).await;
    let (_, nothing) = house.fetch(Ask::get(EXPORT)).await;
    let wrong = house.ask(ask("?statuss=active")).await;

    assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
    let name = headers["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"dids-a_b-20"), "{name}");
    let numbers: Vec<String> = self::rows(&all).into_iter().map(|row| row[0].clone()).collect();
    let mut sorted = numbers.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((numbers.len(), &numbers), (2_501, &sorted));
    assert_eq!((self::rows(&inactive).len(), self::rows(&some).len()), (1, 10));
    assert_eq!(self::rows(&nothing).len(), 0, "another tenant's DIDs");
    assert_eq!(wrong.problem(), (422, "unknown_field"));
}

/// What people and programs note down, the odder the better.
fn odd_metadata() -> Vec<Value> {
    let texts = [
        "plain",
        "=1+1",
        "+1",
        "-1",
        "@sum",
        "\ttab",
        "'=1",
        "'quoted'",
        " spaced ",
        "",
        "say \"hi\"",
        "two\nlines",
        "a;=1",
        "a,b",
        "\u{ff1d}1",
        "\u{e9}\u{1f4de}",
        "\u{a0}nbsp",
        "\r",
        "=\"404\"",
    ];
    let noted = texts.iter().map(|text| json!({"notes": text, "region": text, "other": text}));
    let others = [
        json!({"provider": 5, "notes": null, "region": ["a", {"b": false}]}),
        json!({"": "", "=key": 1, "number": "x", "metadata": {"a": "b"}, "status": "s"}),
        json!({"cost": 0.1, "big": 9007199254740993_i64, "neg": -2, "yes": true, "none": null}),
        json!({"e": 1.5e300, "third": 0.3333333333333333, "sum": 0.30000000000000004, "a\"b": 0.30000000000000004}),
        json!({"most": 18446744073709551615_u64, "deep": {"sum": 0.30000000000000004}}),
    ];
    noted.chain(others).collect()
}

async fn import(house: &House, tenant: &str, query: &str, csv: &[u8]) -> Value {
    let ask = Ask::post_as(&format!("{IMPORT}{query}"), "text/csv", csv.to_vec());
    house.ask(ask.header("x-tenant-id", tenant)).await.body
}

async fn dids(house: &House, tenant: &str) -> Vec<Value> {
    let list = Ask::get(&format!("{DIDS}?limit=1000")).header("x-tenant-id", tenant);
    house.ask(list).await.body["data"].as_array().unwrap().clone()
}

fn without(dids: &[Value], names: &[&str]) -> Vec<Value> {
    let mut dids = dids.to_vec();
    for did in &mut dids {
        did.as_object_mut().unwrap().retain(|name, _| !names.contains(&name.as_str()));
    }
    dids
}

fn rows(csv: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv);
    let records = reader.records().map(|record| record.unwrap());
    records.map(|record| record.iter().map(str::to_owned).collect()).collect()
}

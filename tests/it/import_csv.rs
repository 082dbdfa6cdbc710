//! Every file of `tests/fixtures/csv` imports over HTTP with the outcome written beside it, the same
//! on both databases.
//!
//! A name that ends with a country, as `…-GB.csv`, is imported with that `defaultRegion`.
//! `UPDATE_FIXTURES=1` writes the outcomes anew, to be read before they are committed.

use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use rotary::store;
use serde_json::{Value, json};

use crate::house::{Ask, House};
use crate::postgres::{Fsync, Postgres};

/// What of a DID differs from run to run, or is the same for every new one.
const UNTOLD: [&str; 5] = ["id", "tenantId", "usageCount", "createdAt", "updatedAt"];

#[tokio::test]
async fn every_file_of_the_corpus_imports_as_expected_on_sqlite() {
    let house = House::open().await;

    every_file(&house, true).await;
}

#[tokio::test]
async fn every_file_of_the_corpus_imports_as_expected_on_postgres() {
    let postgres = Postgres::new(Fsync::Off);
    let url = postgres.url();
    let house = House::open_changed(|config| config.store = store::Settings::new(url)).await;

    every_file(&house, false).await;

    house.close().await;
}

async fn every_file(house: &House, may_update: bool) {
    let files: Vec<PathBuf> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    assert!(files.len() >= 40, "only {} files found", files.len());
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let content = fs::read(&file).unwrap();

        let whole = outcome_of(house, name, &content, content.len().max(1)).await;
        let in_pieces = outcome_of(house, &format!("7.{name}"), &content, 7).await;

        assert_eq!(whole, in_pieces, "{name} in small pieces");
        assert_eq!(whole, expected(&file, &whole, may_update), "{name}");
    }
}

/// What the file comes to for a tenant that has nothing yet.
async fn outcome_of(house: &House, name: &str, content: &[u8], piece: usize) -> Value {
    // An id has at most 64 characters.
    let tenant: String = name.chars().take(64).collect();
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        content.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let body = Body::from_stream(stream::iter(pieces));
    let ask = Ask::post_as(&path(name), "text/csv", body).header("x-tenant-id", &tenant);
    let mut answer = house.ask(ask).await;
    if !answer.status.is_success() {
        return json!({ "status": answer.status.as_u16(), "detail": answer.body["detail"] });
    }
    let rejected = match answer.body["rejected"].as_str() {
        None => Value::Null,
        Some(path) => {
            let (_, csv) = house.fetch(Ask::get(path).header("x-tenant-id", &tenant)).await;
            let csv = csv.escape_ascii().to_string().replace("\\\"", "\"");
            Value::from(csv.split_terminator("\\r\\n").map(Value::from).collect::<Vec<_>>())
        }
    };
    let report = answer.body.as_object_mut().unwrap();
    assert!(report.remove("importId").is_some_and(|id| id.is_string()), "an import has an id");
    report.remove("rejected");
    let list = Ask::get("/api/asterisk-dids?limit=1000&sort=number").header("x-tenant-id", &tenant);
    let mut dids = house.ask(list).await.body["data"].take();
    for did in dids.as_array_mut().unwrap() {
        let did = did.as_object_mut().unwrap();
        did.retain(|name, _| !UNTOLD.contains(&name.as_str()));
        did.retain(|_, value| !value.is_null() && *value != json!({}));
    }
    json!({ "report": answer.body, "dids": dids, "rejected": rejected })
}

fn path(name: &str) -> String {
    let import = "/api/asterisk-dids/import";
    match name.rsplit_once('-') {
        Some((_, region))
            if region.len() == 2 && region.bytes().all(|b| b.is_ascii_uppercase()) =>
        {
            format!("{import}?defaultRegion={region}")
        }
        _ => import.to_owned(),
    }
}

fn expected(file: &Path, outcome: &Value, may_update: bool) -> Value {
    let beside = file.with_extension("json");
    if may_update && std::env::var_os("UPDATE_FIXTURES").is_some() {
        let text = serde_json::to_string_pretty(outcome).unwrap() + "\n";
        fs::write(&beside, text).unwrap();
    }
    let text = fs::read_to_string(&beside).unwrap_or_else(|error| panic!("{beside:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/csv")
}

//! Every file of `tests/fixtures/csv` imports with the outcome written beside it.
//!
//! `UPDATE_FIXTURES=1` writes the outcomes anew, to be read before they are committed.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use rotary::app::import_dids::{ImportSettings, Stored, import};
use rotary::domain::did::DidStatus;
use rotary::domain::did_csv::DidRow;
use rotary::domain::number::Region;

#[tokio::test]
async fn every_file_of_the_corpus_imports_as_expected() {
    let mut files = 0;
    for file in fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let content = fs::read(&file).unwrap();

        let outcome = outcome_of(&content, content.len().max(1)).await;
        let in_pieces = outcome_of(&content, 7).await;

        assert_eq!(outcome, in_pieces, "{file:?} in small pieces");
        assert_eq!(outcome, expected(&file, &outcome), "{file:?}");
        files += 1;
    }
    assert!(files >= 12, "only {files} files found");
}

async fn outcome_of(content: &[u8], piece: usize) -> Value {
    let pieces: Vec<io::Result<Bytes>> =
        content.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let settings = ImportSettings { default_region: Region::US, dry_run: false };
    let mut shelf = Shelf::default();
    let sink = |chunk| std::future::ready(Ok::<_, Infallible>(shelf.put(chunk)));

    match import(stream::iter(pieces), settings, sink).await {
        Ok(report) => json!({ "report": report, "dids": shelf.dids }),
        Err(error) => json!({ "error": error.to_string(), "dids": shelf.dids }),
    }
}

/// Stands for the store: takes each number once.
#[derive(Default)]
struct Shelf {
    numbers: HashSet<String>,
    dids: Vec<Value>,
}

impl Shelf {
    fn put(&mut self, chunk: Vec<DidRow>) -> Stored {
        let mut stored = Stored::default();
        for DidRow { did, .. } in chunk {
            if !self.numbers.insert(did.number.to_string()) {
                stored.duplicates += 1;
                continue;
            }
            stored.imported += 1;
            stored.available += u64::from(did.status == DidStatus::Available);
            self.dids.push(json!({
                "number": did.number,
                "areaCode": did.area_code,
                "trunk": did.trunk,
                "status": did.status,
                "maxUsage": did.max_usage,
                "campaignId": did.campaign,
                "metadata": did.metadata,
            }));
        }
        stored
    }
}

fn expected(file: &Path, outcome: &Value) -> Value {
    let beside = file.with_extension("json");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        let text = serde_json::to_string_pretty(outcome).unwrap() + "\n";
        fs::write(&beside, text).unwrap();
    }
    let text = fs::read_to_string(&beside).unwrap_or_else(|error| panic!("{beside:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/csv")
}

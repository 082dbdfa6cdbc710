//! Reading a CSV of plain NANP numbers into DIDs: rows per second, nothing stored.

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream;

use rotary::app::import_dids::{ImportSettings, Stored, import};
use rotary::domain::number::Region;

const ROWS: u64 = 1_000_000;

/// What a body brings at once.
const PIECE: usize = 64 << 10;

fn main() {
    bench("number only", "number\n", |number| format!("+1{number}\n"));
    bench(
        "all columns",
        "number,areaCode,trunk,status,maxUsage,provider,region,notes\n",
        |number| format!("+1{number},404,PJSIP,active,1000,Provider A,US-East,Main DID\n"),
    );
}

fn bench(name: &str, header: &str, row: impl Fn(u64) -> String) {
    let mut file = header.to_owned();
    (0..ROWS).for_each(|n| file.push_str(&row(4_042_000_000 + n)));
    let file = Bytes::from(file);
    let pieces = (0..file.len()).step_by(PIECE);
    let source =
        stream::iter(pieces.map(|at| io::Result::Ok(file.slice(at..file.len().min(at + PIECE)))));
    let settings = ImportSettings { default_region: Region::US, dry_run: false };
    let sink = |chunk: Vec<_>| {
        ready(Ok::<_, Infallible>(Stored { imported: chunk.len() as u64, ..Stored::default() }))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");

    let begun = Instant::now();
    let report = runtime.block_on(import(source, settings, sink)).expect("a good file");
    let per_second = ROWS as f64 / begun.elapsed().as_secs_f64();

    assert_eq!(report.imported, ROWS);
    println!("import, read and check, {name} | {per_second:.0} rows/s | |");
}

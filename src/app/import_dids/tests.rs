//! What the corpus in `tests/fixtures/csv` cannot show: chunks, faults of source and sink, bounds.

use std::cell::{Cell, RefCell};
use std::pin::pin;

use futures_util::stream;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("connection refused")]
struct Refused;

#[tokio::test]
async fn a_long_file_goes_to_the_sink_in_chunks() {
    let sizes = RefCell::new(Vec::new());
    let sink = |chunk: Vec<DidRow>| {
        sizes.borrow_mut().push(chunk.len());
        stored(&chunk)
    };

    let report = import(file(12_000), settings(), sink).await.unwrap();

    assert_eq!(*sizes.borrow(), [5_000, 5_000, 2_000]);
    assert_eq!((report.success, report.imported), (true, 12_000));
    assert_eq!(
        report.notice.as_deref(),
        Some(
            "12000 of the 12000 imported DIDs are 'available' and will not be picked until they are 'active'"
        )
    );
}

#[tokio::test]
async fn a_mark_that_comes_byte_by_byte_is_no_part_of_the_header() {
    let file = b"\xef\xbb\xbf\"number\"\n+14045556789\n";
    let bytes = file.iter().map(|byte| Ok(Bytes::copy_from_slice(&[*byte])));

    let report = import(stream::iter(bytes), settings(), |chunk| stored(&chunk)).await.unwrap();

    assert_eq!(report.imported, 1);
}

#[tokio::test]
async fn the_next_bytes_are_read_when_the_last_chunk_is_stored() {
    let read = Cell::new(0);
    let source = stream::iter(lines(20_000)).inspect(|_| read.set(read.get() + 1));
    let read_at_store = RefCell::new(Vec::new());
    let sink = |chunk: Vec<DidRow>| {
        read_at_store.borrow_mut().push(read.get());
        stored(&chunk)
    };

    import(source, settings(), sink).await.unwrap();

    assert_eq!(*read_at_store.borrow(), [5_001, 10_001, 15_001, 20_001]);
}

#[tokio::test]
async fn while_the_sink_is_at_work_one_chunk_more_is_read_and_no_further() {
    let read = Cell::new(0);
    let source = stream::iter(lines(20_000)).inspect(|_| read.set(read.get() + 1));
    let (finish, finished) = oneshot::channel::<()>();
    let finished = RefCell::new(Some(finished));
    let sink = |chunk: Vec<DidRow>| {
        let wait = finished.take();
        async move {
            if let Some(wait) = wait {
                wait.await.unwrap();
            }
            stored(&chunk).await
        }
    };
    let mut importing = pin!(import(source, settings(), sink));

    let stuck = async {
        let mut before = 0;
        while before < read.get() || before < 10_000 {
            before = read.get();
            yield_now().await;
            yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut importing => panic!("the sink is not done"),
        () = stuck => {}
    }

    assert_eq!(read.get(), 10_001);
    finish.send(()).unwrap();
    assert_eq!(importing.await.unwrap().imported, 20_000);
}

#[tokio::test]
async fn a_chunk_at_work_when_the_source_breaks_off_is_finished_and_told() {
    let broken = lines(6_000).into_iter().chain([Err(io::Error::other("reset"))]);
    let sink = |chunk: Vec<DidRow>| async move {
        for _ in 0..20_000 {
            yield_now().await;
        }
        stored(&chunk).await
    };

    let error = import(stream::iter(broken), settings(), sink).await.unwrap_err();

    assert!(matches!(error.failure, ImportFailure::Source(_)));
    assert_eq!(error.report.imported, 5_000);
}

#[tokio::test]
async fn a_sink_that_fails_ends_the_import_and_says_what_is_done() {
    let calls = Cell::new(0);
    let sink = |chunk: Vec<DidRow>| {
        calls.set(calls.get() + 1);
        let fails = calls.get() == 2;
        async move { if fails { Err(Refused) } else { stored(&chunk).await } }
    };

    let error = import(file(12_000), settings(), sink).await.unwrap_err();

    assert_eq!(error.report.imported, 5_000);
    assert_eq!(
        error.to_string(),
        "store the DIDs: connection refused (5000 DIDs of the rows before it are imported and stay)"
    );
}

#[tokio::test]
async fn a_source_that_breaks_off_imports_nothing_it_did_not_read() {
    let broken = stream::iter(lines(10).into_iter().chain([Err(io::Error::other("reset"))]));

    let error = import(broken, settings(), |chunk| stored(&chunk)).await.unwrap_err();

    assert!(matches!(error.failure, ImportFailure::Source(_)));
    assert_eq!(error.to_string(), "read the file: reset");
}

#[tokio::test]
async fn all_failures_are_counted_and_the_first_thousand_listed() {
    let bad = format!("number\n{}", "404555\n".repeat(1_500));

    let report = import(text(bad), settings(), |chunk| stored(&chunk)).await.unwrap();

    assert_eq!((report.failed, report.errors.len()), (1_500, 1_000));
    assert_eq!(report.errors.last().unwrap().row, 1_001);
}

#[tokio::test]
async fn a_dry_run_notices_a_number_that_stands_in_the_file_twice() {
    let twice = "number\n4045556789\n+14045556789\n4045556790\n".to_owned();
    let settings = ImportSettings { dry_run: true, ..settings() };

    let report = import(text(twice), settings, |chunk| stored(&chunk)).await.unwrap();

    assert_eq!((report.imported, report.duplicates, report.dry_run), (2, 1, true));
}

#[tokio::test]
async fn a_quote_that_swallows_the_file_is_found_by_its_line() {
    let endless = format!("number,notes\n+14045556789,\"{}", "x".repeat(2 << 20));

    let error = import(text(endless), settings(), |chunk| stored(&chunk)).await.unwrap_err();

    assert!(matches!(error.failure, ImportFailure::RowTooLong { line: 2 }));
}

fn stored(chunk: &[DidRow]) -> std::future::Ready<Result<Stored, Refused>> {
    let all = chunk.len() as u64;
    std::future::ready(Ok(Stored { imported: all, available: all, ..Stored::default() }))
}

fn settings() -> ImportSettings {
    ImportSettings { default_region: Region::US, dry_run: false }
}

fn file(rows: u32) -> impl Stream<Item = io::Result<Bytes>> {
    stream::iter(lines(rows))
}

fn text(text: String) -> impl Stream<Item = io::Result<Bytes>> {
    stream::iter([Ok(Bytes::from(text))])
}

/// A header and rows, each a read of its own.
fn lines(rows: u32) -> Vec<io::Result<Bytes>> {
    let rows = (0..rows).map(|n| format!("+1404{:07}\n", 2_000_000 + n));
    ["number\n".to_owned()].into_iter().chain(rows).map(|line| Ok(Bytes::from(line))).collect()
}

//! A file of several chunks, written in parts at once, comes to what row by row would.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use futures_util::stream;
use rotary::app::App;
use rotary::app::import_dids::{ImportError, ImportReport, ImportSettings, import_dids};
use rotary::domain::audit::Origin;
use rotary::domain::did::{DidId, DidState, DidStatus};
use rotary::domain::number::{E164, Region};
use rotary::domain::rotation::{Rank, Search, Wanted};
use rotary::store::dids::OnDuplicate;
use rotary::store::{Store, StoreError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::csv::app;
use super::{insert, new_did, now, number, on_both, tenant};
use crate::postgres::Fsync;

on_both!(a_large_file_comes_to_what_row_by_row_would);

async fn a_large_file_comes_to_what_row_by_row_would(store: &Store) {
    for (seed, on_duplicate) in [(1, OnDuplicate::Skip), (2, OnDuplicate::Update)] {
        let mut model = contents(store).await;
        let before = model.len();
        let first_there = model.clone();
        for n in [10, 5_000, 7_999] {
            let did = store
                .insert_did(
                    &tenant(),
                    &new_did(n + seed * 8_000, Some(9)),
                    &Origin::rotary(),
                    now(),
                )
                .await;
            let did = did.unwrap();
            model.insert(did.number, (did.status, did.max_usage));
        }
        let app = app(store);
        store.load_dids(|state| app.index.lock().upsert(&state)).await.unwrap();
        let rows = rows(seed, 12_500);

        let report = send(&app, &rows, on_duplicate).await.unwrap();

        let expected = row_by_row(&mut model, &rows, on_duplicate);
        assert_eq!((report.imported, report.updated, report.duplicates), expected);
        assert_eq!(contents(store).await, model);
        assert!(model.len() > before + 6_000, "most of the numbers are new");
        assert!(first_there.iter().all(|(number, did)| model[number] == *did));
        assert_eq!(known(&app), ids(store).await, "the index knows what the store has");
    }
}

#[tokio::test]
async fn a_chunk_that_cannot_be_stored_is_not_told_as_stored_and_those_beside_it_are() {
    let own = super::on_postgres(Fsync::Off).await;
    let mut db = PgConnection::connect(&own.place.url()).await.unwrap();
    let check = format!(
        "alter table asterisk_dids add constraint no check (number <> '{}')",
        number(7_400)
    );
    sqlx::query(AssertSqlSafe(check)).execute(&mut db).await.unwrap();
    let app = app(&own);
    let rows: Vec<Row> = (0..12_000).map(|n| (number(n), Some(5))).collect();

    let error = send(&app, &rows, OnDuplicate::Skip).await.unwrap_err();

    // The second of three chunks was not stored; the third had been begun beside it.
    assert_eq!(error.report.imported, 7_000);
    assert_eq!(contents(&own).await.len(), 7_000);
    assert_eq!(known(&app), ids(&own).await);

    sqlx::query("alter table asterisk_dids drop constraint no").execute(&mut db).await.unwrap();
    let again = send(&app, &rows, OnDuplicate::Skip).await.unwrap();

    assert_eq!((again.imported, again.duplicates), (5_000, 7_000));
    assert_eq!(known(&app), ids(&own).await);
}

#[tokio::test]
async fn on_sqlite_a_chunk_that_cannot_be_stored_leaves_nothing() {
    let own = super::on_sqlite().await;
    let mut db = SqliteConnection::connect(&super::sqlite_url(&own.place)).await.unwrap();
    let trigger = format!(
        "create trigger no before insert on asterisk_dids when new.number = '{}' \
         begin select raise(abort, 'no'); end",
        number(7_400)
    );
    sqlx::query(AssertSqlSafe(trigger)).execute(&mut db).await.unwrap();
    let app = app(&own);
    let rows: Vec<Row> = (0..9_000).map(|n| (number(n), None)).collect();

    let error = send(&app, &rows, OnDuplicate::Skip).await.unwrap_err();

    assert_eq!(error.report.imported, 5_000);
    assert_eq!(known(&app), ids(&own).await);
    assert_eq!(known(&app).len(), 5_000);
}

#[tokio::test]
async fn a_database_that_dies_under_an_import_keeps_what_the_report_says() {
    let mut own = super::on_postgres(Fsync::On).await;
    insert(&own, 1, None).await;
    let app = app(&own);
    let file: Vec<Row> = (0..60_000).map(|n| (number(n), Some(5))).collect();
    let sending = send(&app, &file, OnDuplicate::Skip);
    let mut sending = std::pin::pin!(sending);

    // Some chunks in, it dies in the middle of whatever it does.
    let begun = async {
        while app.index.lock().len() < 10_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut sending => panic!("the import ended before the database did"),
        () = begun => own.place.stop_immediate(),
    }
    let error = sending.await.unwrap_err();
    own.place.start();

    let there = contents(&own).await.len() as u64 - 1;
    let told = error.report.imported;
    // Of the chunk that was cut short, a part may be there whose answer was lost.
    assert!((told..=told + 5_000).contains(&there), "{told} told, {there} there");
    let again = send(&app, &file, OnDuplicate::Skip).await.unwrap();
    assert_eq!(again.imported, 60_000 - 1 - there);
    assert_eq!(contents(&own).await.len(), 60_000);
}

/// A number and a limit, or an empty cell.
type Row = (E164, Option<u32>);

type Contents = BTreeMap<E164, (DidStatus, Option<u32>)>;

/// Rows of 8,000 numbers at random, so that many stand there twice, in one chunk and across them.
fn rows(seed: u64, count: usize) -> Vec<Row> {
    let mut random = seed;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        random >> 33
    };
    (0..count)
        .map(|_| {
            let limit = next() % 1_000;
            (number(seed * 8_000 + next() % 8_000), (limit > 100).then_some(limit as u32))
        })
        .collect()
}

/// What the rows come to one after the other; returns imported, updated, duplicates.
fn row_by_row(model: &mut Contents, rows: &[Row], on_duplicate: OnDuplicate) -> (u64, u64, u64) {
    let mut seen = HashMap::new();
    let (mut imported, mut updated, mut duplicates) = (0, 0, 0);
    for (number, limit) in rows {
        let first = seen.insert(number, ()).is_none();
        match (model.get_mut(number), on_duplicate) {
            (None, _) => {
                imported += 1;
                model.insert(*number, (DidStatus::Active, *limit));
            }
            (Some(there), OnDuplicate::Update) if first => {
                updated += 1;
                there.1 = limit.or(there.1);
            }
            (Some(_), _) => duplicates += 1,
        }
    }
    (imported, updated, duplicates)
}

async fn send(
    app: &App,
    rows: &[Row],
    on_duplicate: OnDuplicate,
) -> Result<ImportReport, ImportError<StoreError>> {
    let text = |limit: &Option<u32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
    let pieces: Vec<_> = rows
        .chunks(900)
        .map(|rows| {
            rows.iter()
                .map(|(number, limit)| format!("{number},active,{}\n", text(limit)))
                .collect()
        })
        .collect();
    let file = std::iter::once("number,status,maxUsage\n".to_owned()).chain(pieces);
    let file = stream::iter(file.map(|piece| Ok(Bytes::from(piece))));
    let settings = ImportSettings { default_region: Region::US, dry_run: false };
    import_dids(app, &tenant(), file, settings, on_duplicate, &Origin::rotary()).await
}

async fn states(store: &Store) -> Vec<DidState> {
    let mut states = Vec::new();
    store.load_dids(|state| states.push(state)).await.unwrap();
    states
}

async fn contents(store: &Store) -> Contents {
    let states = states(store).await;
    states.into_iter().map(|did| (did.number, (did.status, did.max_usage))).collect()
}

async fn ids(store: &Store) -> Vec<DidId> {
    states(store).await.iter().map(|state| state.id).collect()
}

fn known(app: &App) -> Vec<DidId> {
    let mut search = Search::new(tenant(), Wanted::default(), Rank::Id, 100_000, None);
    while !app.index.lock().search(&mut search, 100_000) {}
    search.found().iter().map(|found| found.id).collect()
}

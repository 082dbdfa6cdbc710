//! The import of a million rows of CSV through the whole house, and the start with a million DIDs,
//! on a PostgreSQL of their own.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chrono::Utc;
use futures_util::{Stream, stream};
use rotary::ami;
use rotary::app::call_book::CallBook;
use rotary::app::import_dids::{ImportSettings, import_dids};
use rotary::app::warm_up::warm_up;
use rotary::app::{App, SharedIndex};
use rotary::domain::number::Region;
use rotary::store::dids::OnDuplicate;
use rotary::store::ledger::{LedgerSettings, WriterId, ledger};
use rotary::store::{Settings, Store};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::measure::row;
use super::postgres::{Fsync, Postgres};
use super::{new_did, tenant};

const ROWS: u64 = 1_000_000;
const CHUNK: u64 = 5_000;

/// What a daemon with a million DIDs may hold, in MB.
const RESIDENT_MAX: f64 = 180.0;

/// Begun with this argument and a URL, the process stands in for a daemon that has just started.
pub const AS_DAEMON: &str = "start-with";

pub async fn run() {
    let server = Postgres::new(Fsync::On);
    let app = app(&server.url()).await;

    let before = resident();
    let settings = ImportSettings { default_region: Region::US, dry_run: false };
    let begin = Instant::now();
    let report = import_dids(&app, &tenant(), file(), settings, OnDuplicate::Skip).await;
    let ours = ROWS as f64 / begin.elapsed().as_secs_f64();
    assert_eq!(report.expect("an import").imported, ROWS);
    let grown = resident() - before;
    row(
        "postgres: import of a CSV of 1,000,000 DIDs, index included, beside COPY and insert (rows/s)",
        ours,
        copy(&server).await,
    );
    println!("postgres: memory grown by that import, index included | {grown:.0} MB | - | -");
    drop(app);

    // In a process of its own, whose memory no import has touched.
    for _ in 0..3 {
        let program = std::env::current_exe().expect("this program");
        let ended = std::process::Command::new(program).args([AS_DAEMON, &server.url()]).status();
        assert!(ended.expect("a start").success());
    }
}

/// A start with what is in the database.
pub async fn start_with(url: &str) {
    let app = app(url).await;
    let begin = Instant::now();
    warm_up(&app, WriterId(Uuid::now_v7())).await.expect("a start");
    let seconds = begin.elapsed().as_secs_f64();
    let (dids, resident) = (app.index.lock().len(), resident());
    println!(
        "postgres: start with {dids} DIDs, index included | {seconds:.2} s | 1.50 s | {:.2}",
        seconds / 1.5
    );
    println!(
        "postgres: resident after that start | {resident:.0} MB | {RESIDENT_MAX:.0} MB | {:.2}",
        resident / RESIDENT_MAX
    );
}

async fn app(url: &str) -> App {
    let store = Store::open(&Settings::new(url.to_owned())).await.expect("a store");
    App {
        ledger: ledger(store.clone(), WriterId(Uuid::now_v7()), LedgerSettings::default()).0,
        store,
        ami: ami::line(ami::Settings::default()).0,
        index: SharedIndex::default(),
        changes: Arc::default(),
        calls: CallBook::default(),
        outbox: Arc::default(),
        settings: Arc::default(),
        tasks: Default::default(),
        started_at: Utc::now(),
    }
}

/// The file as a body brings it: made as it is read, so that it takes no memory.
fn file() -> impl Stream<Item = std::io::Result<Bytes>> {
    let header = "number,areaCode,trunk,status,maxUsage,provider,region,notes\n".to_owned();
    let rows = (0..ROWS / 1_000).map(|piece| {
        (piece * 1_000..(piece + 1) * 1_000)
            .map(|n| {
                format!("+{},212,PJSIP,active,1000,Provider A,US-East,Main\n", 12_120_000_000 + n)
            })
            .collect()
    });
    stream::iter(std::iter::once(header).chain(rows).map(|text: String| Ok(Bytes::from(text))))
}

/// What this process holds, in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).expect("a size");
    kilobytes.parse::<f64>().expect("a number") / 1024.0
}

const METADATA: &str = r#"{"provider":"Provider A","region":"US-East","notes":"Main"}"#;

/// COPY into a staging table, then one insert on conflict do nothing, with the same keys.
async fn copy(server: &Postgres) -> f64 {
    let mut db = PgConnection::connect(&server.url()).await.expect("a connection");
    for sql in [
        "create table copied (like asterisk_dids including all) with (fillfactor = 70)",
        "create unlogged table staging (id uuid, number text, area_code text, metadata jsonb)",
    ] {
        sqlx::query(sql).execute(&mut db).await.expect("a table");
    }
    let begin = Instant::now();
    let mut copying = db.copy_in_raw("copy staging from stdin").await.expect("a copy");
    for chunk in 0..ROWS / CHUNK {
        let text: String = (chunk * CHUNK..(chunk + 1) * CHUNK)
            .map(new_did)
            .map(|row| format!("{}\t{}\t212\t{METADATA}\n", row.did.id, row.did.number))
            .collect();
        copying.send(text.into_bytes()).await.expect("rows");
    }
    copying.finish().await.expect("the end of the copy");
    sqlx::query(
        "insert into copied (id, tenant_id, number, area_code, status, max_usage, metadata) \
         select id, 't_1', number, area_code, 'active', 1000, metadata from staging on conflict do nothing",
    )
    .execute(&mut db)
    .await
    .expect("an insert");
    ROWS as f64 / begin.elapsed().as_secs_f64()
}

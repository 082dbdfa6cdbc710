//! The import of a million rows of CSV through the whole house, and the start with a million DIDs,
//! on a PostgreSQL of their own.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chrono::Utc;
use futures_util::{Stream, stream};
use rotary::ami;
use rotary::app::asterisks::{self, WireSettings};
use rotary::app::call_book::CallBook;
use rotary::app::meters::Meters;
use rotary::app::import_dids::{ImportSettings, import_dids};
use rotary::app::pace::SharedPace;
use rotary::app::warm_up::warm_up;
use rotary::app::{App, SharedIndex};
use rotary::domain::asterisk::AsteriskName;
use rotary::domain::audit::Origin;
use rotary::domain::number::Region;
use rotary::store::dids::OnDuplicate;
use rotary::store::ledger::{LedgerSettings, WriterId, ledger};
use rotary::store::{Settings, Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::measure::row;
use super::postgres::{Fsync, Postgres};
use super::tenant;

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
    let origin = Origin::rotary();
    let report = import_dids(&app, &tenant(), file(), settings, OnDuplicate::Skip, &origin).await;
    let ours = ROWS as f64 / begin.elapsed().as_secs_f64();
    assert_eq!(report.expect("an import").imported, ROWS);
    let grown = resident() - before;
    let mut db = PgConnection::connect(&server.url()).await.expect("a connection");
    row(
        "postgres: import of a CSV of 1,000,000 DIDs, index included, beside COPY and insert (rows/s)",
        ours,
        copy(&mut db).await,
    );
    row(
        "postgres: the same beside an insert a row, 10,000 of them measured (rows/s)",
        ours,
        row_by_row(&mut db).await,
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

pub async fn app(url: &str) -> App {
    let store = Store::open(&Settings::new(url.to_owned())).await.expect("a store");
    let wire = WireSettings::Ami(ami::Settings::default());
    let nobody = asterisks::Settings { name: AsteriskName::lone(), wire };
    App {
        ledger: ledger(store.clone(), WriterId(Uuid::now_v7()), LedgerSettings::default()).0,
        store,
        asterisks: asterisks::lines(vec![nobody]).0,
        index: SharedIndex::default(),
        campaigns: Default::default(),
        changes: Arc::default(),
        calls: CallBook::default(),
        pace: SharedPace::new(Default::default()),
        outbox: Arc::default(),
        imports: Default::default(),
        meters: Meters::default(),
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

/// What an import writes of a DID.
const COLUMNS: &str = "id, tenant_id, number, area_code, trunk, status, max_usage, campaign_id, \
     metadata, created_at, updated_at";

/// COPY of the same rows into a staging table, then one insert on conflict do nothing, with the
/// same keys. The staging table is spared the write-ahead log.
async fn copy(db: &mut PgConnection) -> f64 {
    for sql in [
        "create table copied (like asterisk_dids including all) with (fillfactor = 70)",
        "create unlogged table staging (id uuid, tenant_id text, number text, area_code text, \
         trunk text, status text, max_usage bigint, campaign_id text, metadata jsonb, \
         created_at timestamptz, updated_at timestamptz)",
    ] {
        sqlx::query(sql).execute(&mut *db).await.expect("a table");
    }
    let now = Utc::now().to_rfc3339();
    let begin = Instant::now();
    let mut copying = db.copy_in_raw("copy staging from stdin").await.expect("a copy");
    for chunk in 0..ROWS / CHUNK {
        let text: String = (chunk * CHUNK..(chunk + 1) * CHUNK)
            .map(|n| {
                let (id, number) = (Uuid::now_v7(), 12_120_000_000 + n);
                format!(
                    "{id}\tt_1\t+{number}\t212\tPJSIP\tactive\t1000\t\\N\t{METADATA}\t{now}\t{now}\n"
                )
            })
            .collect();
        copying.send(text.into_bytes()).await.expect("rows");
    }
    copying.finish().await.expect("the end of the copy");
    let insert = format!(
        "insert into copied ({COLUMNS}) select {COLUMNS} from staging on conflict do nothing"
    );
    sqlx::query(AssertSqlSafe(insert)).execute(&mut *db).await.expect("an insert");
    ROWS as f64 / begin.elapsed().as_secs_f64()
}

/// A statement a row, each its own transaction, into the table that [`copy`] has filled.
async fn row_by_row(db: &mut PgConnection) -> f64 {
    const SLICE: u64 = 10_000;
    let insert = "insert into copied (id, tenant_id, number, area_code, trunk, status, max_usage, \
         metadata, created_at, updated_at) values ($1, 't_1', $2, '212', 'PJSIP', 'active', 1000, \
         $3::text::jsonb, $4, $4) on conflict (tenant_id, number) do nothing";
    let begin = Instant::now();
    for n in 0..SLICE {
        let inserted = sqlx::query(insert)
            .bind(Uuid::now_v7())
            .bind(format!("+{}", 12_130_000_000 + n))
            .bind(METADATA)
            .bind(Utc::now())
            .execute(&mut *db)
            .await
            .expect("an insert");
        assert_eq!(inserted.rows_affected(), 1);
    }
    SLICE as f64 / begin.elapsed().as_secs_f64()
}

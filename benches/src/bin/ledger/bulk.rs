//! The import and the load of a million DIDs, on a PostgreSQL of their own.

use std::time::Instant;

use chrono::Utc;
use rotary::store::dids::OnDuplicate;
use rotary::store::{Settings, Store};
use sqlx::{Connection, PgConnection};

use super::measure::row;
use super::postgres::{Fsync, Postgres};
use super::{new_did, tenant};

const ROWS: u64 = 1_000_000;
const CHUNK: u64 = 5_000;

pub async fn run() {
    let server = Postgres::new(Fsync::On);
    let store = Store::open(&Settings::new(server.url())).await.expect("a store");

    let begin = Instant::now();
    for chunk in 0..ROWS / CHUNK {
        let rows = (chunk * CHUNK..(chunk + 1) * CHUNK).map(new_did).collect();
        store.import_dids(&tenant(), rows, OnDuplicate::Skip, Utc::now()).await.expect("a chunk");
    }
    let ours = ROWS as f64 / begin.elapsed().as_secs_f64();
    row(
        "postgres: import of 1,000,000 DIDs, beside COPY and insert (rows/s)",
        ours,
        copy(&server).await,
    );

    for _ in 0..3 {
        let begin = Instant::now();
        let mut digits = 0;
        let loaded = store.load_dids(|did| digits ^= did.number.digits()).await.expect("a load");
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "postgres: load of {loaded} DIDs, checksum {digits:x} | {seconds:.2} s | 1.50 s | {:.2}",
            seconds / 1.5
        );
    }
}

/// COPY into a staging table, then one insert on conflict do nothing, with the same keys.
async fn copy(server: &Postgres) -> f64 {
    let mut db = PgConnection::connect(&server.url()).await.expect("a connection");
    for sql in [
        "create table copied (like asterisk_dids including all) with (fillfactor = 70)",
        "create unlogged table staging (id uuid, number text, area_code text)",
    ] {
        sqlx::query(sql).execute(&mut db).await.expect("a table");
    }
    let begin = Instant::now();
    let mut copying = db.copy_in_raw("copy staging from stdin").await.expect("a copy");
    for chunk in 0..ROWS / CHUNK {
        let text: String = (chunk * CHUNK..(chunk + 1) * CHUNK)
            .map(new_did)
            .map(|row| format!("{}\t{}\t212\n", row.did.id, row.did.number))
            .collect();
        copying.send(text.into_bytes()).await.expect("rows");
    }
    copying.finish().await.expect("the end of the copy");
    sqlx::query(
        "insert into copied (id, tenant_id, number, area_code, status) \
         select id, 't_1', number, area_code, 'active' from staging on conflict do nothing",
    )
    .execute(&mut db)
    .await
    .expect("an insert");
    ROWS as f64 / begin.elapsed().as_secs_f64()
}

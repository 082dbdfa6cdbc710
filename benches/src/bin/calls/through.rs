//! Calls from the request to the stored end on PostgreSQL, with callbacks and without: how many a
//! second, everything durable, nothing lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use rotary::app::App;
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;

use crate::postgres::{Fsync, Postgres};
use crate::{call, fill, house};

const CALLS: usize = 30_000;
const CALLERS: usize = 256;

const LEFT: &str = "select (select count(*) from calls where ended_at is null) \
     + (select count(*) from callbacks where delivered_at is null)";
const ENDED: &str = "select count(*) from calls \
     where status = 'completed' and answered_at is not null and cause = 16";
const USES: &str = "select sum(usage_count)::bigint from asterisk_dids";
const DELIVERED: &str = "select count(delivered_at) from callbacks";

/// Measures and prints the rows.
pub async fn run() -> anyhow::Result<()> {
    through(None).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let hook = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().route("/", post(async || StatusCode::NO_CONTENT));
    let receiver = tokio::spawn(async move { axum::serve(listener, router).await });
    through(Some(hook)).await?;
    receiver.abort();
    Ok(())
}

async fn through(hook: Option<String>) -> anyhow::Result<()> {
    let postgres = Postgres::new(Fsync::On);
    let house = house::open(&[("ROTARY_STORE__URL", postgres.url())]).await?;
    let app = house.running.app.clone();
    fill(&app).await?;
    let mut db = PgConnection::connect(&postgres.url()).await?;

    let begun = Instant::now();
    place_all(&app, hook.as_deref()).await;
    let placed = begun.elapsed();
    while app.calls.in_progress() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The book forgets a call once its end is stored; the look is for what is seen from outside.
    let ended = loop {
        let open: i64 = sqlx::query_scalar("select count(*) from calls where ended_at is null")
            .fetch_one(&mut db)
            .await?;
        if open == 0 {
            break begun.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    while sqlx::query_scalar::<_, i64>(LEFT).fetch_one(&mut db).await? > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = begun.elapsed();

    let all = i64::try_from(CALLS)?;
    let completed: i64 = sqlx::query_scalar(ENDED).fetch_one(&mut db).await?;
    let uses: i64 = sqlx::query_scalar(USES).fetch_one(&mut db).await?;
    let delivered: i64 = sqlx::query_scalar(DELIVERED).fetch_one(&mut db).await?;
    anyhow::ensure!((completed, uses) == (all, all), "{completed} completed, {uses} uses of {all}");
    let steps = if hook.is_some() { 4 } else { 0 };
    anyhow::ensure!(delivered == steps * all, "{delivered} callbacks delivered");
    let rate = |time: Duration| CALLS as f64 / time.as_secs_f64();
    let with = if hook.is_some() { "with callbacks" } else { "without callbacks" };
    println!(
        "calls: {CALLERS} callers, placed and followed to the stored end on PostgreSQL, {with} | \
         {:.0} calls/s (placed {:.0}/s) | - | -",
        rate(ended),
        rate(placed),
    );
    if hook.is_some() {
        println!(
            "calls: the same, with each of 4 callbacks delivered | {:.0} calls/s | - | -",
            rate(told)
        );
    }
    house.close().await;
    Ok(())
}

async fn place_all(app: &App, hook: Option<&str>) {
    let next = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (next, app) = (Arc::clone(&next), app.clone());
            let hook = hook.map(str::to_owned);
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= CALLS {
                        return;
                    }
                    call(&app, n, hook.clone()).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no panic");
    }
}

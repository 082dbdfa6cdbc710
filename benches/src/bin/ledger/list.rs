//! A page of 50 from a tenant of a million DIDs, on PostgreSQL, while 5,000 uses a second are counted.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use futures_util::stream;
use rotary::app::App;
use rotary::app::import_dids::{ImportSettings, import_dids};
use rotary::app::list_dids::list_dids;
use rotary::domain::audit::Origin;
use rotary::domain::did::DidStatus;
use rotary::domain::number::Region;
use rotary::domain::rotation::Want;
use rotary::store::dids::{DidFilter, DidSort, OnDuplicate};
use rotary::store::ledger::{LedgerSettings, Recorded, Use, WriterId, ledger};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::bulk::app;
use super::postgres::{Fsync, Postgres};
use super::tenant;

const ROWS: u64 = 1_000_000;
const PAGES: usize = 200;
const PICKS_PER_SECOND: u64 = 5_000;

/// What a page may take, in ms.
const P99_MAX: f64 = 20.0;

pub async fn run() {
    let server = Postgres::new(Fsync::On);
    let mut app = app(&server.url()).await;
    let (handle, task) =
        ledger(app.store.clone(), WriterId(Uuid::now_v7()), LedgerSettings::default());
    app.ledger = handle;
    let stop = CancellationToken::new();
    let writer = tokio::spawn(task.run(stop.clone()));
    fill(&app).await;
    let beside = tokio::spawn(pick_on(app.clone(), stop.clone()));

    let any = DidFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let kinds = [
        ("plain", any()),
        ("sort=created", DidFilter { sort: DidSort::Created, ..any() }),
        ("sort=usage", DidFilter { sort: DidSort::Usage, ..any() }),
        ("status, frequent", DidFilter { status: Some(DidStatus::Active), ..any() }),
        ("status, rare", DidFilter { status: Some(DidStatus::Suspended), ..any() }),
        ("areaCode, frequent", DidFilter { area_code: "212".parse().ok(), ..any() }),
        ("areaCode, rare", DidFilter { area_code: "917".parse().ok(), ..any() }),
        ("trunk, frequent", DidFilter { trunk: "PJSIP".parse().ok(), ..any() }),
        ("trunk, rare", DidFilter { trunk: "carrier-9".parse().ok(), ..any() }),
        ("campaignId, frequent", DidFilter { campaign: "c_1".parse().ok(), ..any() }),
        ("campaignId, rare", DidFilter { campaign: "c_9".parse().ok(), ..any() }),
        ("q, frequent", DidFilter { q: text("55"), ..any() }),
        ("q, rare", DidFilter { q: text("2065432"), ..any() }),
        ("q, none", DidFilter { q: text("99999"), ..any() }),
    ];
    let deep = "+12120900000".parse().expect("a number");
    let deep = app.store.did_by_number(&tenant(), deep).await.expect("an answer").expect("a DID");
    for (name, filter) in &kinds {
        let place = match filter.sort {
            DidSort::Number => format!("n{}", deep.number.digits()),
            DidSort::Usage => format!("u0.{}", deep.id),
            DidSort::Created => format!("c{}", deep.id),
        };
        measure(&app, &format!("{name}, first page"), filter, None).await;
        measure(&app, &format!("{name}, after 900,000"), filter, Some(&place)).await;
    }
    let begun = Instant::now();
    stop.cancel();
    let (picked, took) = beside.await.expect("the picks");
    let (counted, refused): (Vec<_>, Vec<_>) =
        picked.into_iter().partition(|wait| *wait < Duration::MAX);
    println!(
        "list: picks beside it all | {:.0} picks/s, p99 {:.2} ms, {} refused for want of room | - | -",
        counted.len() as f64 / (took - begun.elapsed()).as_secs_f64(),
        percentile(counted, 0.99),
        refused.len()
    );
    writer.await.expect("the writer").expect("a good end");
}

async fn measure(app: &App, name: &str, filter: &DidFilter, cursor: Option<&str>) {
    let mut waits = Vec::with_capacity(PAGES);
    for _ in 0..PAGES {
        let begin = Instant::now();
        list_dids(app, &tenant(), filter, 50, cursor).await.expect("a page");
        waits.push(begin.elapsed());
    }
    let p99 = percentile(waits.clone(), 0.99);
    println!(
        "list: 50 of 1,000,000 by {name}, 5,000 picks/s beside it | p50 {:.2} ms, p99 {p99:.2} ms | {P99_MAX:.0} ms | {:.2}",
        percentile(waits, 0.5),
        p99 / P99_MAX
    );
}

/// In ms.
fn percentile(mut waits: Vec<Duration>, share: f64) -> f64 {
    waits.sort_unstable();
    let place = (waits.len() as f64 * share) as usize;
    waits.get(place).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
}

/// Picks at a steady pace, however long each takes, until it is stopped.
async fn pick_on(app: App, stop: CancellationToken) -> (Vec<Duration>, Duration) {
    let begun = Instant::now();
    let mut picks = tokio::task::JoinSet::new();
    let mut waits = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        for _ in 0..PICKS_PER_SECOND * 2 / 1_000 {
            picks.spawn(pick(app.clone()));
        }
        while let Some(wait) = picks.try_join_next() {
            waits.push(wait.expect("a pick"));
        }
    }
    let took = begun.elapsed();
    while let Some(wait) = picks.join_next().await {
        waits.push(wait.expect("a pick"));
    }
    (waits, took)
}

async fn pick(app: App) -> Duration {
    let begin = Instant::now();
    let want = Want { tenant: tenant(), campaign: None, area_code: None };
    let pick = app.index.lock().pick(&want).expect("a DID");
    let using = Use { tenant: tenant(), did: pick.did, at: Utc::now(), call: None, pick: None };
    match app.ledger.record(using).await {
        Ok(Recorded::Counted { usage_count }) => app.index.lock().settle(&pick, usage_count),
        Ok(Recorded::Refused(_) | Recorded::Gone | Recorded::Conflict) => {
            panic!("every DID may be used, and no call has a key")
        }
        // More are waiting than may: this machine does not keep up with the pace.
        Err(_) => {
            app.index.lock().give_back(&pick);
            return Duration::MAX;
        }
    }
    begin.elapsed()
}

/// One in 20,000 is the odd one of each kind, half are in a campaign.
async fn fill(app: &App) {
    let header = "number,areaCode,trunk,status,campaignId\n".to_owned();
    let pieces = (0..ROWS / 1_000).map(|piece| {
        (piece * 1_000..(piece + 1) * 1_000)
            .map(|n| {
                let rest = match n % 20_000 {
                    7 => "917,carrier-9,suspended,c_9",
                    n if n % 2 == 0 => "212,PJSIP,active,c_1",
                    _ => "212,PJSIP,active,",
                };
                format!("+{},{rest}\n", 12_120_000_000 + n)
            })
            .collect()
    });
    let file = stream::iter(
        std::iter::once(header).chain(pieces).map(|text: String| Ok(Bytes::from(text))),
    );
    let settings = ImportSettings { default_region: Region::US, dry_run: false };
    let report =
        import_dids(app, &tenant(), file, settings, OnDuplicate::Skip, &Origin::rotary()).await;
    assert_eq!(report.expect("an import").imported, ROWS);
}

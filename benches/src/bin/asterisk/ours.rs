//! Rotary on PostgreSQL, on the same Asterisk.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use futures_util::stream;
use rotary::app::App;
use rotary::app::import_dids::{ImportSettings, import_dids};
use rotary::app::make_call::{MakeCall, Shown, make_call};
use rotary::config;
use rotary::daemon;
use rotary::domain::audit::Origin;
use rotary::domain::call::Destination;
use rotary::domain::number::Region;
use rotary::domain::tenant::TenantId;
use rotary::store::dids::OnDuplicate;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use crate::postgres::{Fsync, Postgres};
use crate::real::{Real, SECRET};
use crate::wire::Wire;
use crate::{PATIENCE, RUN, WINDOW};

const DIDS: usize = 1_000;

/// What was measured.
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Measures the most that it places, then the way to the wire at this rate.
pub async fn run(real: &Real, half: f64) -> anyhow::Result<Measured> {
    let postgres = Postgres::new(Fsync::On);
    let place = tempfile::tempdir()?;
    let path = place.path().display().to_string();
    let wire = Wire::default();
    let through = wire.open(real.address).await?;
    let environment = [
        ("STATE_DIRECTORY", path.clone()),
        ("RUNTIME_DIRECTORY", path),
        ("ROTARY_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ("ROTARY_AGI__LISTEN", "127.0.0.1:0".to_owned()),
        ("ROTARY_STORE__URL", postgres.url()),
        ("ROTARY_ASTERISK__ADDRESS", through.to_string()),
        ("ROTARY_ASTERISK__SECRET", SECRET.to_owned()),
        ("ROTARY_TRUNKS__PJSIP__DIAL", "PJSIP/{to}@carrier".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let running = daemon::start(config::read(None, &environment.to_vec())?).await?;
    let app = running.app.clone();
    app.asterisks.some_up().await;
    fill(&app).await?;

    let per_second = most(&app).await?;
    let mut waits = paced(&app, &wire, half).await?;
    waits.sort_unstable();
    ensure!(!waits.is_empty(), "no Originate was seen on the wire");
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let measured = Measured { per_second, p50_ms: at(0.5), p99_ms: at(0.99) };
    running.lifecycle.stop(Duration::from_secs(20)).await;
    Ok(measured)
}

/// As many as it can, [`WINDOW`] unanswered at most; those answered in the time.
async fn most(app: &App) -> anyhow::Result<f64> {
    let window = Arc::new(Semaphore::new(WINDOW));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut changes = app.calls.listen();
    let (room, count) = (Arc::clone(&window), Arc::clone(&answered));
    let hearing = tokio::spawn(async move {
        let mut known = HashSet::new();
        loop {
            let call =
                changes.recv().await.expect("the window is smaller than what may be unheard");
            let progress = &call.progress;
            if (progress.answered_at.is_some() || progress.ended_at.is_some())
                && known.insert(call.id())
            {
                count.fetch_add(1, Ordering::Relaxed);
                room.add_permits(1);
            }
        }
    });
    let begun = Instant::now();
    let mut placed = 0_usize;
    while begun.elapsed() < RUN {
        window.acquire().await?.forget();
        let (app, n) = (app.clone(), placed);
        tokio::spawn(async move { make_call(&app, wanted(n)).await.expect("a call") });
        placed += 1;
    }
    let per_second = answered.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    let all = tokio::time::timeout(PATIENCE, window.acquire_many(WINDOW as u32));
    ensure!(
        all.await.is_ok(),
        "{} of {placed} calls are not answered",
        placed - answered.load(Ordering::Relaxed)
    );
    hearing.abort();
    Ok(per_second)
}

/// So many a second, evenly; how long each took to the wire.
async fn paced(app: &App, wire: &Wire, per_second: f64) -> anyhow::Result<Vec<Duration>> {
    // What was placed before has other numbers.
    let first = 1_000_000;
    let mut tick = interval(Duration::from_secs_f64(1.0 / per_second));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = Instant::now();
    let mut requests = Vec::new();
    while begun.elapsed() < RUN {
        tick.tick().await;
        let (app, n) = (app.clone(), first + requests.len());
        requests.push(tokio::spawn(async move {
            let asked = Instant::now();
            make_call(&app, wanted(n)).await.expect("a call");
            (n, asked)
        }));
    }
    let mut asked = Vec::new();
    for request in requests {
        asked.push(request.await?);
    }
    let sent = wire.take();
    let waits = asked.iter().filter_map(|(n, asked)| Some(sent.get(n)?.duration_since(*asked)));
    Ok(waits.collect())
}

async fn fill(app: &App) -> anyhow::Result<()> {
    let mut csv = String::from("number,status\n");
    for n in 0..DIDS {
        csv.push_str(&format!("+1404555{n:04},active\n"));
    }
    let source = stream::iter([Ok(Bytes::from(csv))]);
    let settings = ImportSettings { default_region: Region::US, dry_run: false };
    let tenant = TenantId::default_tenant();
    import_dids(app, &tenant, source, settings, OnDuplicate::Skip, &Origin::rotary()).await?;
    Ok(())
}

/// The same call as the bare client's.
fn wanted(n: usize) -> MakeCall {
    MakeCall {
        tenant: TenantId::default_tenant(),
        to: format!("+1415555{:04}", 1000 + n % 100).parse().expect("a number"),
        shown: Shown::Rotation,
        campaign: None,
        area_code: None,
        trunk: None,
        destination: Some(Destination::Application {
            application: "NoOp".into(),
            data: String::new(),
        }),
        variables: vec![("JOURNEY".into(), n.to_string())],
        caller_name: None,
        ring_timeout_seconds: None,
        time_limit_seconds: None,
        callback_url: None,
        journey: None,
        key: None,
    }
}

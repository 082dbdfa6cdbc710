//! What a call costs before the phone rings: from the request to Asterisk's "queued", with the use
//! and the call durable on SQLite in between, beside a bare AMI client on the same simulated
//! Asterisk. Then calls to their stored end on PostgreSQL.
//!
//! Rows on stdout: `name | value | baseline | ratio`. All of it, or the part named by the argument:
//! `before` or `through`.

mod house;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../../../tests/it/postgres.rs"]
mod postgres;
mod through;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use rotary::app::App;
use rotary::app::import_dids::{ImportSettings, import_dids};
use rotary::app::make_call::{MakeCall, Shown, make_call};
use rotary::domain::audit::Origin;
use rotary::domain::call::Destination;
use rotary::domain::call::originate::Originate;
use rotary::domain::number::Region;
use rotary::domain::tenant::TenantId;
use rotary::store::dids::OnDuplicate;
use uuid::Uuid;

const DIDS: usize = 10_000;
const CALLS: usize = 20_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let only = std::env::args().nth(1);
    let wanted = |part| only.as_deref().is_none_or(|only| only == part);
    if wanted("before") {
        before_the_phone_rings().await?;
    }
    if wanted("through") {
        through::run().await?;
    }
    Ok(())
}

async fn before_the_phone_rings() -> anyhow::Result<()> {
    let house = house::open(&[]).await?;
    let app = house.running.app.clone();
    fill(&app).await?;
    for callers in [1, 16, 64] {
        let bare = measure(callers, &app, |app, n| async move { originate(&app, n).await }).await;
        let ours = measure(callers, &app, |app, n| async move { call(&app, n, None).await }).await;
        println!(
            "calls: {callers} callers, request to queued, durable on SQLite | {} | {} | {:.2}",
            ours.told(),
            bare.told(),
            ours.per_second / bare.per_second,
        );
    }
    house.close().await;
    Ok(())
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

async fn call(app: &App, n: usize, callback_url: Option<String>) {
    let wanted = MakeCall {
        tenant: TenantId::default_tenant(),
        to: callee(n).parse().expect("a number"),
        shown: Shown::Rotation,
        campaign: None,
        area_code: None,
        trunk: None,
        destination: None,
        variables: vec![("JOURNEY".into(), "j_1".into())],
        caller_name: None,
        ring_timeout_seconds: None,
        time_limit_seconds: None,
        callback_url,
        journey: None,
        key: None,
    };
    make_call(app, wanted).await.expect("a call");
}

async fn originate(app: &App, n: usize) {
    let originate = Originate {
        id: Uuid::now_v7().to_string(),
        channel: format!("PJSIP/{}@PJSIP", callee(n)),
        caller_number: "+14045550000".into(),
        caller_name: None,
        destination: Destination::Dialplan {
            context: "DynamicIVR".into(),
            exten: "s".into(),
            priority: 1,
        },
        ring_timeout: Duration::from_secs(30),
        variables: vec![("JOURNEY".into(), "j_1".into())],
    };
    app.asterisks.first().originate(&originate).await.expect("a call");
}

/// Somebody who answers.
fn callee(n: usize) -> String {
    format!("+1415555{:04}", 1000 + n % 100)
}

struct Measured {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl Measured {
    fn told(&self) -> String {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let (p50, p99) = (ms(self.p50), ms(self.p99));
        format!("{:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms", self.per_second)
    }
}

/// Places [`CALLS`] calls, `callers` at a time.
async fn measure<F, W>(callers: usize, app: &App, work: F) -> Measured
where
    F: Fn(App, usize) -> W + Copy + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let count = if callers == 1 { CALLS / 10 } else { CALLS };
    let begun = Instant::now();
    let workers: Vec<_> = (0..callers)
        .map(|_| {
            let (next, app) = (Arc::clone(&next), app.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return times;
                    }
                    let begun = Instant::now();
                    work(app.clone(), n).await;
                    times.push(begun.elapsed());
                }
            })
        })
        .collect();
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await.expect("no panic"));
    }
    let per_second = count as f64 / begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Measured { per_second, p50: at(0.5), p99: at(0.99) }
}

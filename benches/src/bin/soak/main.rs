//! A soak: the daemon for minutes on end with everything around it misbehaving, then a balance sheet.
//!
//! ```text
//! callers ──HTTP──> rotary serve ──AMI──> simulated Asterisk, which loses every 50th event
//!  (give up,          │      ▲                 ▲
//!   ask again)        ▼      └ kill -9         └ weather: lines drop, answers are late
//!                 PostgreSQL
//!                     └──callbacks──> receivers that fail a third of the requests
//! ```
//!
//! `MINUTES` says for how long, 10 unless given. The daemon is this program started again as
//! `serve`, so a process of its own that can be killed. Exit code 1 when a line does not add up.

mod callers;
mod daemon;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../../../tests/it/postgres.rs"]
mod postgres;
mod receiver;
mod sheet;
mod store;
mod weather;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rotary::demo::callee::Pace;
use rotary::demo::{Settings, Simulated};
use rotary::lifecycle::Lifecycle;
use tokio_util::sync::CancellationToken;

use self::callers::{Answers, Caller, Habits};
use self::daemon::Daemon;
use self::postgres::{Fsync, Postgres};
use self::receiver::Receivers;
use self::sheet::Sheet;
use self::store::Records;
use self::weather::Weather;

/// How long all may take to come to rest once no more calls are placed.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "serve") {
        return rotary::cli::run(std::env::args_os());
    }
    let runtime = tokio::runtime::Runtime::new().expect("a machine that can run threads");
    match runtime.block_on(soak()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether all of it added up.
async fn soak() -> anyhow::Result<bool> {
    let minutes: f64 = match std::env::var("MINUTES") {
        Ok(text) => text.parse().context("MINUTES is a number")?,
        Err(_) => 10.0,
    };
    let run = Duration::from_secs_f64(minutes * 60.0);
    let postgres = Postgres::new(Fsync::On);
    let backdrop = Lifecycle::default();
    let simulated = Simulated::bind("127.0.0.1:0".parse()?, phones()).await?;
    let (asterisk, address) = (simulated.control(), simulated.address());
    let lines = backdrop.wires.tasks();
    backdrop.wires.spawn("simulated Asterisk", |stop| simulated.run(lines, stop));

    let mut daemon = Daemon::start(&postgres.url(), address).await?;
    let receivers = Arc::new(Receivers::default());
    let answers = Arc::new(Answers::default());
    let mut callers = Vec::new();
    for habits in tenants(run) {
        let secret = daemon.add_tenant(&habits).await?;
        let hook = receivers.open(secret.parse().context("read the tenant's secret")?).await?;
        let key = daemon.add_key(habits.tenant).await?;
        let (door, answers) = (daemon.door(), Arc::clone(&answers));
        callers.push(Caller { habits, door, key, hook, answers });
    }
    let fresh = daemon.memory()?;

    println!("soaking for {minutes} minutes; then all comes to rest, which may take some more");
    let over = CancellationToken::new();
    let placing: Vec<_> =
        callers.into_iter().map(|caller| tokio::spawn(caller.run(over.clone()))).collect();
    let mut weather = Weather::new(asterisk.clone());
    weather.rage(&mut daemon, run).await?;
    over.cancel();
    for caller in placing {
        caller.await?;
    }
    let stopped = Instant::now();
    let at_rest = come_to_rest(&postgres.url(), &mut weather, stopped).await?;

    let sheet = Sheet {
        answers: answers.take(),
        records: Records::read(&postgres.url()).await?,
        given_back: daemon.uses_given_back()?,
        told: receivers.take(),
        weather: weather.take(),
        status: daemon.status().await?,
        memory: (fresh, daemon.memory()?),
        rest: stopped.elapsed(),
        at_rest,
    };
    let adds_up = sheet.print();
    daemon.kill()?;
    backdrop.stop(Duration::from_secs(5)).await;
    if !adds_up {
        println!("the daemon's log: {}", daemon.keep().display());
    }
    Ok(adds_up)
}

/// Waits until no call is open and no callback is to be sent. Events are lost on, but the weather is
/// fair; says whether it came to that in time.
async fn come_to_rest(url: &str, weather: &mut Weather, since: Instant) -> anyhow::Result<bool> {
    while since.elapsed() < PATIENCE {
        weather.look();
        if store::unsettled(url).await? == 0 {
            // What was just stored is told to those who count slots.
            tokio::time::sleep(Duration::from_secs(1)).await;
            weather.look();
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(false)
}

/// People who are quick.
fn phones() -> Settings {
    let pace = Pace {
        ring_after: Duration::from_millis(200),
        answer_after: Duration::from_millis(500),
        talk: Duration::from_millis(1500),
        refuse_after: Duration::from_millis(300),
    };
    Settings { pace, ..Settings::default() }
}

/// One with numbers enough, one that runs out of them after two thirds of the time, one that waits
/// for its trunk and one that is turned away by it.
fn tenants(run: Duration) -> Vec<Habits> {
    let usual = Habits {
        tenant: "t_plenty",
        trunk: "PJSIP",
        dids: 50,
        max_usage: None,
        calls_per_second: 8.0,
        hangs_up: 0.08,
    };
    let limit = usual.calls_per_second / 2.0 * run.as_secs_f64() * 2.0 / 3.0 / 20.0;
    vec![
        Habits {
            tenant: "t_limited",
            dids: 20,
            max_usage: Some(limit.ceil() as u32),
            calls_per_second: usual.calls_per_second / 2.0,
            ..usual
        },
        Habits {
            tenant: "t_paced",
            trunk: daemon::PACED,
            calls_per_second: 5.0,
            hangs_up: 0.2,
            ..usual
        },
        Habits { tenant: "t_narrow", trunk: daemon::NARROW, calls_per_second: 3.0, ..usual },
        usual,
    ]
}

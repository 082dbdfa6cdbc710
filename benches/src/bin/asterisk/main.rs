//! A real Asterisk 22 and sipp behind it: how many calls a second Rotary places and sees answered,
//! each durable on PostgreSQL, beside a bare AMI client on the same Asterisk; then, at half the bare
//! rate, how long a request takes until its Originate is on the wire.
//!
//! Rows on stdout: `name | value | baseline | ratio`. Needs what `tests/prepare.sh` prepares.

mod bare;
mod ours;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../../../tests/it/postgres.rs"]
mod postgres;
mod real;
mod wire;

use std::time::Duration;

use self::real::Real;

/// How long each rate is measured.
const RUN: Duration = Duration::from_secs(10);

/// How long the last calls of a run may take to be answered: a packet that was lost is sent again late.
const PATIENCE: Duration = Duration::from_secs(40);

/// Calls that were not yet answered, at most.
const WINDOW: usize = 32;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let real = Real::start().await?;
    // Before and after, for a machine is not as quick at all times.
    let before = bare::run(&real, RUN).await?;
    let ours = ours::run(&real, before / 2.0).await?;
    let after = bare::run(&real, RUN).await?;
    let bare = (before + after) / 2.0;
    println!(
        "asterisk: PJSIP to sipp, window {WINDOW}, answered calls, durable on PostgreSQL | {:.0}/s | {bare:.0}/s | {:.2}",
        ours.per_second,
        ours.per_second / bare
    );
    println!(
        "asterisk: request to Originate on the wire at {:.0} calls/s | p50 {:.2} ms, p99 {:.2} ms | 10 ms | -",
        before / 2.0,
        ours.p50_ms,
        ours.p99_ms
    );
    Ok(())
}

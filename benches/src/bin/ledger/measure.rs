//! Callers in a loop, and what they waited.

use std::time::{Duration, Instant};

const RUN: Duration = Duration::from_secs(3);

/// What was measured in one run.
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Lets `callers` call at once for some seconds; the first half second warms up.
pub async fn measure<Caller, Act>(callers: usize, caller: impl Fn() -> Caller) -> Measured
where
    Caller: Fn() -> Act + Send + 'static,
    Act: Future<Output = ()> + Send,
{
    let warm = Instant::now() + Duration::from_millis(500);
    let end = warm + RUN;
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let act = caller();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                loop {
                    let begin = Instant::now();
                    if begin >= end {
                        return waits;
                    }
                    act().await;
                    if begin >= warm {
                        waits.push(begin.elapsed());
                    }
                }
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.expect("a caller"));
    }
    waits.sort_unstable();
    let at = |share: f64| {
        let place = (waits.len() as f64 * share) as usize;
        waits.get(place).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
    };
    let per_second = waits.len() as f64 / RUN.as_secs_f64();
    Measured { per_second, p50_ms: at(0.5), p99_ms: at(0.99) }
}

/// One row of the table.
pub fn row(name: &str, value: f64, baseline: f64) {
    println!("{name} | {value:.0} | {baseline:.1} | {:.1}", value / baseline);
}

//! The show: numbers are imported, calls placed and followed, and what was shown is told.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Full};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::app::import_dids::ImportReport;
use crate::cli::client::{Ask, Client};
use crate::domain::call::{CallId, CallStatus};
use crate::http::view::{CallView, DidView, PageView, StepView};

/// The numbers that may be shown.
const NUMBERS: &str = include_str!("sample.csv");

/// How long a phone rings in the demo, in seconds.
const RING_SECONDS: u32 = 3;

/// Between the placing of one call and the next.
const CALL_PAUSE: Duration = Duration::from_millis(400);

/// Between two looks at the calls.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How long all calls together may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is called, and how the call must end.
struct Callee {
    number: &'static str,
    who: &'static str,
    ends: CallStatus,
}

const CALLEES: [Callee; 8] = [
    Callee { number: "+14155550101", who: "answers", ends: CallStatus::Completed },
    Callee { number: "+12125550486", who: "is busy", ends: CallStatus::Busy },
    Callee { number: "+13125550180", who: "never answers", ends: CallStatus::NoAnswer },
    Callee { number: "+14045550503", who: "has no free circuit", ends: CallStatus::Failed },
    Callee { number: "+14155550102", who: "answers", ends: CallStatus::Completed },
    Callee { number: "+12065550404", who: "does not exist", ends: CallStatus::Failed },
    Callee { number: "+17025550603", who: "declines", ends: CallStatus::Failed },
    Callee { number: "+13055550103", who: "answers", ends: CallStatus::Completed },
];

/// A call that is shown as it goes.
struct Followed {
    id: CallId,
    callee: &'static Callee,
    /// How much of its timeline was told.
    told: usize,
    ended: bool,
}

/// Imports the sample numbers and says what came of it.
pub(super) async fn import(client: &Client, out: &mut dyn Write) -> anyhow::Result<()> {
    let body = Full::new(Bytes::from_static(NUMBERS.as_bytes()));
    let body = body.map_err(|never| match never {}).boxed();
    let ask = Ask::stream("/api/asterisk-dids/import", "text/csv", body);
    let report: ImportReport = send(client, ask).await?;

    writeln!(out, "Imported {} numbers from a CSV file.", report.imported)?;
    if let Some(notice) = report.notice {
        writeln!(out, "  {notice}")?;
    }
    ensure!(report.failed == 0, "{} rows of the sample failed", report.failed);
    Ok(())
}

/// Places the sample calls and tells what becomes of them. An error names what went otherwise
/// than it must.
pub(super) async fn calls(client: &Client, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "Placing {} calls:", CALLEES.len())?;
    let begin = Utc::now();
    let mut waiting: VecDeque<_> = CALLEES.iter().collect();
    let mut followed: Vec<Followed> = Vec::new();
    let mut next_call = tokio::time::interval(CALL_PAUSE);
    let mut next_look = tokio::time::interval(LOOK_PAUSE);
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);

    while !waiting.is_empty() || followed.iter().any(|call| !call.ended) {
        tokio::select! {
            () = &mut patience => return Err(anyhow!("the calls take longer than {PATIENCE:?}")),
            _ = next_call.tick(), if !waiting.is_empty() => {
                if let Some(callee) = waiting.pop_front() {
                    followed.push(place(client, callee).await?);
                }
            }
            _ = next_look.tick() => {
                for call in followed.iter_mut().filter(|call| !call.ended) {
                    look(client, call, begin, out).await?;
                }
            }
        }
    }
    Ok(())
}

/// Tells how often each number was shown. An error names what does not add up.
pub(super) async fn numbers(client: &Client, out: &mut dyn Write) -> anyhow::Result<()> {
    let dids: PageView<DidView> = send(client, Ask::get("/api/asterisk-dids?limit=100")).await?;
    writeln!(out, "Numbers, and how often each was shown:")?;
    for did in &dids.data {
        let limit = did.max_usage.map_or_else(|| "no limit".to_owned(), |max| format!("of {max}"));
        let spent = did.max_usage.is_some_and(|max| did.usage_count >= max);
        let remark = if spent { "   at its limit, out of rotation" } else { "" };
        let (number, status) = (did.number.to_string(), did.status.to_string());
        let line = format!("  {number:<14} {status:<10} {:>3} {limit:<9}{remark}", did.usage_count);
        writeln!(out, "{}", line.trim_end())?;
    }
    let uses: usize = dids.data.iter().map(|did| did.usage_count as usize).sum();
    // Somebody who tries the commands meanwhile adds to it.
    ensure!(uses >= CALLEES.len(), "{} calls were placed and {uses} uses counted", CALLEES.len());
    Ok(())
}

async fn place(client: &Client, callee: &'static Callee) -> anyhow::Result<Followed> {
    let request = json!({"to": callee.number, "ringTimeoutSeconds": RING_SECONDS});
    let call: CallView = send(client, Ask::post("/api/calls", &request)).await?;
    Ok(Followed { id: call.id, callee, told: 0, ended: false })
}

/// Tells what is new of a call.
async fn look(
    client: &Client,
    followed: &mut Followed,
    begin: DateTime<Utc>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let call: CallView = send(client, Ask::get(format!("/api/calls/{}", followed.id))).await?;
    let timeline = call.timeline.as_deref().unwrap_or_default();
    for step in timeline.iter().skip(followed.told) {
        let since = (step.at - begin).num_milliseconds().max(0);
        let (seconds, hundredths) = (since / 1000, since % 1000 / 10);
        let status = step.status.as_str();
        let remark = remark(followed.callee, &call, step);
        let line = format!("  {seconds:>2}.{hundredths:02} s  {}  {status:<11}  {remark}", call.to);
        writeln!(out, "{}", line.trim_end())?;
    }
    followed.told = timeline.len();
    followed.ended = call.status.is_end();
    let Callee { number, ends, .. } = followed.callee;
    ensure!(
        !followed.ended || call.status == *ends,
        "the call to {number} ended as {} instead of {ends}",
        call.status
    );
    Ok(())
}

fn remark(callee: &Callee, call: &CallView, step: &StepView) -> String {
    match step.status {
        CallStatus::Initiated => format!("shows {} to somebody who {}", call.from, callee.who),
        CallStatus::Queued | CallStatus::Ringing | CallStatus::InProgress => String::new(),
        CallStatus::Completed => {
            format!("{}, {} s talked", cause(call), call.talk_seconds.unwrap_or(0))
        }
        CallStatus::Busy | CallStatus::NoAnswer | CallStatus::Canceled | CallStatus::Failed => {
            cause(call)
        }
    }
}

fn cause(call: &CallView) -> String {
    match &call.cause {
        Some(cause) => format!("{} (cause {})", cause.text, cause.code),
        None => "for an unknown cause".to_owned(),
    }
}

/// Sends a request to the daemon; an error is what the command line would print.
pub(super) async fn send<T: DeserializeOwned>(client: &Client, ask: Ask) -> anyhow::Result<T> {
    client.send(ask).await.map_err(|failure| anyhow!(failure.message))
}

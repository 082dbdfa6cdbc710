//! `rotary call` places a call; `rotary calls` shows calls.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::batch;
use super::client::{Ask, Client, escape};
use super::events::{Told, listen};
use super::failure::{Failure, UNREACHABLE};
use super::output::{Output, or_dash, time};
use crate::domain::call::CallStatus;
use crate::domain::did::TrunkName;
use crate::domain::tenant::CampaignId;
use crate::http::view::{CallView, PageView};

/// What describes one call, and so stands in a file's lines instead.
const ONE_CALL: [&str; 15] = [
    "to",
    "from",
    "campaign",
    "trunk",
    "context",
    "exten",
    "priority",
    "application",
    "data",
    "variables",
    "caller_name",
    "ring_timeout",
    "time_limit",
    "idempotency_key",
    "wait",
];

#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// Who is called, in E.164 (+14155550123)
    #[arg(required_unless_present = "batch")]
    to: Option<String>,
    /// Place the calls of this file instead, one JSON object a line as `POST /api/calls` takes it; - is
    /// standard input. Exit code 1 when one was not placed
    #[arg(long, value_name = "FILE", conflicts_with_all = ONE_CALL)]
    batch: Option<PathBuf>,
    /// The DID to show: its id or its number [default: the next in rotation]
    #[arg(long, value_name = "DID")]
    from: Option<String>,
    /// Pick from this campaign
    #[arg(long)]
    campaign: Option<CampaignId>,
    /// Leave by this trunk instead of the DID's own
    #[arg(long)]
    trunk: Option<TrunkName>,
    /// The dialplan context the answered call goes to
    #[arg(long)]
    context: Option<String>,
    /// The extension in that context
    #[arg(long)]
    exten: Option<String>,
    /// The priority of that extension
    #[arg(long)]
    priority: Option<u32>,
    /// A dialplan application instead of a context
    #[arg(long, conflicts_with_all = ["context", "exten", "priority"])]
    application: Option<String>,
    /// That application's arguments
    #[arg(long, requires = "application")]
    data: Option<String>,
    /// A channel variable; may be repeated
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// The name shown beside the number
    #[arg(long, value_name = "NAME")]
    caller_name: Option<String>,
    /// How long the phone may ring
    #[arg(long, value_name = "SECONDS")]
    ring_timeout: Option<u32>,
    /// How long the answered call may last
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u32>,
    /// Makes a repeated command the same call
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until the call is answered, or over, and show on a terminal how it comes along; exit
    /// code 1 when it was busy, was not answered or failed
    #[arg(long, value_enum)]
    wait: Option<Wait>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wait {
    Answer,
    End,
}

/// What can be asked about calls.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show one call and each state it was in
    Show {
        /// The call's id
        id: String,
    },
    /// Hang calls up, or cancel them before they are placed
    Hangup {
        /// The calls' ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// List calls, newest first
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only these: initiated, ringing, in-progress, completed, busy, no-answer, canceled or failed
    #[arg(long)]
    status: Option<CallStatus>,
    /// Only calls to this number
    #[arg(long)]
    to: Option<String>,
    /// Only calls that showed this DID, by its id
    #[arg(long, value_name = "DID")]
    did: Option<String>,
    /// Only calls since this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most this many, up to 1000
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Where the last list left off
    #[arg(long)]
    cursor: Option<String>,
}

/// Places a call.
pub(super) async fn call(
    args: CallArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if let Some(file) = &args.batch {
        return batch::run(file, client, output).await;
    }
    let wait = args.wait.map(|wait| match wait {
        Wait::Answer => "answer",
        Wait::End => "end",
    });
    let call = match args.wait {
        Some(until) if !output.is_json() && io::stderr().is_terminal() => {
            let placed = client.send(Ask::post("/api/calls", &body(&args))).await?;
            watch(placed, until, client, output).await?
        }
        None => client.send(Ask::post("/api/calls", &body(&args))).await?,
        Some(_) => {
            let ask = Ask::post("/api/calls", &body(&args)).query("wait", wait);
            client.send(ask.patiently()).await?
        }
    };

    if output.is_json() {
        output.json(&call)?;
    } else {
        print(&call, output)?;
    }
    let unanswered = call.status.is_end() && call.answered_at.is_none();
    if wait.is_some() && unanswered { Err(Failure::told()) } else { Ok(()) }
}

/// Tells on standard error each state the call comes to, until it has come far enough. The call as
/// it then is.
async fn watch(
    placed: CallView,
    until: Wait,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<CallView, Failure> {
    let path = format!("/api/calls/{}/events", placed.id);
    let mut call = placed;
    listen(client, &path, true, output, |told, _, output| {
        let Told::Change(change) = told else { return Ok(ControlFlow::Continue(())) };
        output.note(format!("{}  {}", time(change.timestamp), change.data.status))?;
        call = change.data.clone();
        let answered = call.answered_at.is_some() && matches!(until, Wait::Answer);
        let enough = call.status.is_end() || answered;
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .await?;
    Ok(call)
}

/// Runs one of them.
pub(super) async fn run(
    command: Command,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Show { id } => show(&id, client, output).await,
        Command::Hangup { ids } => hang_up(&ids, client, output).await,
        Command::List(args) => list(args, client, output).await,
    }
}

async fn show(id: &str, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let call: CallView = client.send(Ask::get(format!("/api/calls/{}", escape(id)))).await?;
    if output.is_json() {
        return Ok(output.json(&call)?);
    }
    print(&call, output)?;
    for step in call.timeline.unwrap_or_default() {
        output.line(format!("  {}  {}", time(step.at), step.status))?;
    }
    Ok(())
}

/// Goes on after a call that could not be hung up, and fails in the end.
async fn hang_up(ids: &[String], client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let (mut calls, mut failed) = (Vec::new(), None);
    for id in ids {
        match client.send::<CallView>(Ask::delete(format!("/api/calls/{}", escape(id)))).await {
            Ok(call) if output.is_json() => calls.push(call),
            Ok(call) if call.status.is_end() => {
                output.line(format!("{id}  {}", call.status))?;
            }
            Ok(call) => output.line(format!("{id}  {}, being hung up", call.status))?,
            Err(why) if ids.len() == 1 || why.code == UNREACHABLE => return Err(why),
            Err(why) => {
                output.note(format!("{id}  {}", why.message))?;
                failed = Some(Failure::told());
            }
        }
    }
    match calls.as_slice() {
        [call] if ids.len() == 1 => output.json(call)?,
        calls if output.is_json() => output.json(&calls)?,
        _ => {}
    }
    failed.map_or(Ok(()), Err)
}

async fn list(args: ListArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask = Ask::get("/api/calls")
        .query("status", args.status)
        .query("to", args.to)
        .query("didId", args.did)
        .query("since", args.since)
        .query("limit", Some(args.limit))
        .query("cursor", args.cursor);
    let page: PageView<CallView> = client.send(ask).await?;
    let headings = ["CREATED", "TO", "FROM", "STATUS", "CAUSE", "TALK", "ID"];
    Ok(output.page(&page, headings, row)?)
}

fn body(args: &CallArgs) -> Value {
    let variables = args.variables.iter();
    let variables: Map<String, Value> =
        variables.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    json!({
        "to": args.to,
        "from": args.from,
        "campaignId": args.campaign,
        "trunk": args.trunk,
        "context": args.context,
        "exten": args.exten,
        "priority": args.priority,
        "application": args.application,
        "data": args.data,
        "variables": variables,
        "callerName": args.caller_name,
        "ringTimeoutSeconds": args.ring_timeout,
        "timeLimitSeconds": args.time_limit,
        "idempotencyKey": args.idempotency_key,
    })
}

fn print(call: &CallView, output: &mut Output<'_>) -> Result<(), Failure> {
    let talked = call.talk_seconds.filter(|_| call.answered_at.is_some());
    Ok(output.pairs([
        ("call", call.id.to_string()),
        ("status", call.status.to_string()),
        ("to", call.to.to_string()),
        ("from", format!("{} by {}", call.from, call.trunk)),
        ("attempts", attempts(call)),
        ("cause", cause(call).unwrap_or_default()),
        ("talk", talked.map(|seconds| format!("{seconds} s")).unwrap_or_default()),
    ])?)
}

/// Nothing for the one attempt that most calls need.
fn attempts(call: &CallView) -> String {
    if call.attempts > 1 { call.attempts.to_string() } else { String::new() }
}

fn row(call: &CallView) -> [String; 7] {
    [
        time(call.created_at),
        call.to.to_string(),
        call.from.to_string(),
        call.status.to_string(),
        or_dash(cause(call)),
        or_dash(call.talk_seconds.map(|seconds| format!("{seconds} s"))),
        call.id.to_string(),
    ]
}

pub(super) fn cause(call: &CallView) -> Option<String> {
    let cause = call.cause.as_ref()?;
    let sip = call.sip_code.map(|code| format!(", SIP {code}")).unwrap_or_default();
    Some(format!("{} ({}{sip})", cause.text, cause.code))
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a variable is given as NAME=VALUE".to_owned()),
    }
}

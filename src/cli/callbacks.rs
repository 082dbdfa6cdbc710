//! `rotary callbacks`: what was told to receivers, and telling it again.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Ask, Client, escape};
use super::failure::Failure;
use super::output::{Output, or_dash, time};
use crate::domain::callback::CallbackStatus;
use crate::http::callbacks::{CallbackView, ReplayedView};
use crate::http::view::PageView;

/// What can be done with callbacks.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List callbacks, newest first
    List(ListArgs),
    /// Send callbacks again
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only these: pending, delivered or dead
    #[arg(long)]
    status: Option<CallbackStatus>,
    /// Only those of this call, by its id
    #[arg(long, value_name = "CALL")]
    call: Option<String>,
    /// At most this many, up to 1000
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Where the last list left off
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct ReplayArgs {
    /// The callback's id
    id: Option<String>,
    /// All that are dead
    #[arg(long)]
    dead: bool,
}

/// Runs one of them.
pub(super) async fn run(
    command: Command,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        Command::List(args) => list(args, client, output).await,
        Command::Replay(ReplayArgs { id: Some(id), .. }) => replay(&id, client, output).await,
        Command::Replay(ReplayArgs { id: None, .. }) => replay_dead(client, output).await,
    }
}

async fn list(args: ListArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask = Ask::get("/api/callbacks")
        .query("status", args.status)
        .query("callId", args.call)
        .query("limit", Some(args.limit))
        .query("cursor", args.cursor);
    let page: PageView<CallbackView> = client.send(ask).await?;
    let headings = ["CREATED", "TYPE", "STATUS", "ATTEMPTS", "NEXT", "LAST", "CALL", "ID"];
    Ok(output.page(&page, headings, row)?)
}

async fn replay(id: &str, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let path = format!("/api/callbacks/{}/replay", escape(id));
    let callback: CallbackView = client.send(Ask::post(path, &Value::Null)).await?;
    if output.is_json() {
        return Ok(output.json(&callback)?);
    }
    Ok(output.line(format!("replayed {id}"))?)
}

async fn replay_dead(client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask = Ask::post("/api/callbacks/replay?status=dead", &Value::Null).patiently();
    let done: ReplayedView = client.send(ask).await?;
    if output.is_json() {
        return Ok(output.json(&done)?);
    }
    Ok(output.line(format!("replayed {}", done.replayed))?)
}

fn row(callback: &CallbackView) -> [String; 8] {
    let status = callback.last_status.map(|status| status.to_string());
    [
        time(callback.created_at),
        callback.kind.clone(),
        callback.status.to_string(),
        callback.attempts.to_string(),
        or_dash(callback.next_attempt_at.map(time)),
        or_dash(callback.last_error.clone().or(status)),
        callback.call_id.to_string(),
        callback.id.to_string(),
    ]
}

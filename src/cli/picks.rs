//! `rotary picks`: the DIDs that dialplans and other dialers were given, and giving one back.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Ask, Client, escape};
use super::failure::Failure;
use super::output::{Output, or_dash, time};
use crate::http::picks::PickView;
use crate::http::view::PageView;

/// What can be done with picks.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List picks, newest first
    List(ListArgs),
    /// Give a pick back: no call was placed
    Release {
        /// Its id, ROTARY_PICK_ID in the dialplan
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of which nobody has said what became of them
    #[arg(long)]
    open: bool,
    /// At most this many, up to 1000
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Where the last list left off
    #[arg(long)]
    cursor: Option<String>,
}

/// Runs one of them.
pub(super) async fn run(
    command: Command,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        Command::List(args) => list(args, client, output).await,
        Command::Release { id } => release(&id, client, output).await,
    }
}

async fn list(args: ListArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask = Ask::get("/api/picks")
        .query("settled", args.open.then_some(false))
        .query("limit", Some(args.limit))
        .query("cursor", args.cursor);
    let page: PageView<PickView> = client.send(ask).await?;
    let headings = ["PICKED", "STATUS", "OUTCOME", "NUMBER", "TO", "CAMPAIGN", "ID"];
    Ok(output.page(&page, headings, row)?)
}

async fn release(id: &str, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let _no_content: Value = client.send(Ask::delete(format!("/api/picks/{}", escape(id)))).await?;
    if output.is_json() {
        return Ok(output.json(&json!({"released": id}))?);
    }
    Ok(output.line(format!("released {id}"))?)
}

fn row(pick: &PickView) -> [String; 7] {
    [
        time(pick.created_at),
        pick.status.as_str().to_owned(),
        or_dash(pick.outcome),
        pick.did.number.to_string(),
        or_dash(pick.to),
        or_dash(pick.campaign_id.as_ref()),
        pick.pick_id.to_string(),
    ]
}

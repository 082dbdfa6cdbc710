//! `rotary campaigns`: the pools that calls pick from.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Ask, Client, escape};
use super::failure::Failure;
use super::output::{Output, or_dash};
use crate::domain::campaign::Join;
use crate::domain::tenant::CampaignId;
use crate::http::view::{CampaignView, PageView};

/// What can be done with campaigns.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Describe a campaign; DIDs may name it before or after
    Add(AddArgs),
    /// List campaigns
    List(ListArgs),
    /// Change a campaign, only in what is given
    Set(SetArgs),
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Its id, by which DIDs and calls name it
    id: CampaignId,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Where a DID that joins begins: count (by its own uses, so a new one is shown until it has
    /// caught up) or lowest (level with the least used) [default: count]
    #[arg(long)]
    join: Option<Join>,
    /// Prefer DIDs of the callee's own area code
    #[arg(long)]
    local_presence: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// At most this many, up to 1000
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Where the last list left off
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Its id
    id: CampaignId,
    /// What people call it; empty takes the name away
    #[arg(long)]
    name: Option<String>,
    /// Where a DID that joins from now on begins: count or lowest
    #[arg(long)]
    join: Option<Join>,
    /// Prefer DIDs of the callee's own area code
    #[arg(long, value_name = "true|false")]
    local_presence: Option<bool>,
}

/// Runs one of them.
pub(super) async fn run(
    command: Command,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Add(args) => add(args, client, output).await,
        Command::List(args) => list(args, client, output).await,
        Command::Set(args) => set(args, client, output).await,
    }
}

async fn add(args: AddArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let body = json!({
        "id": args.id,
        "name": args.name,
        "join": args.join,
        "localPresence": args.local_presence,
    });
    let added: CampaignView = client.send(Ask::post("/api/campaigns", &body)).await?;
    show(&added, "added", output)
}

async fn list(args: ListArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask =
        Ask::get("/api/campaigns").query("limit", Some(args.limit)).query("cursor", args.cursor);
    let page: PageView<CampaignView> = client.send(ask).await?;
    let headings = ["ID", "NAME", "JOIN", "LOCAL PRESENCE", "DIDS", "ACTIVE", "SPENT"];
    Ok(output.page(&page, headings, row)?)
}

async fn set(args: SetArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut body = json!({"name": args.name, "join": args.join});
    if let Some(local_presence) = args.local_presence {
        body["localPresence"] = local_presence.into();
    }
    let path = format!("/api/campaigns/{}", escape(args.id.as_str()));
    let changed: CampaignView = client.send(Ask::put(path, &body)).await?;
    show(&changed, "changed", output)
}

fn show(campaign: &CampaignView, done: &str, output: &mut Output<'_>) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(output.json(campaign)?);
    }
    let presence = if campaign.local_presence { ", local presence" } else { "" };
    Ok(output.line(format!("{done} {}: join {}{presence}", campaign.id, campaign.join))?)
}

fn row(campaign: &CampaignView) -> [String; 7] {
    [
        campaign.id.to_string(),
        or_dash(campaign.name.as_ref()),
        campaign.join.to_string(),
        if campaign.local_presence { "yes" } else { "no" }.to_owned(),
        campaign.dids.total.to_string(),
        campaign.dids.active.to_string(),
        campaign.dids.spent.to_string(),
    ]
}

//! `rotary dids`: bring in, list, add and change the numbers that may be shown.

use clap::{Args, Subcommand};
use serde_json::json;

use super::change_dids::{OneArgs, SetArgs, remove, set, show};
use super::client::{Ask, Client};
use super::did_filter::DidFilterArgs;
use super::export::{ExportArgs, export};
use super::failure::Failure;
use super::import::{ImportArgs, import};
use super::output::{Output, or_dash, time};
use crate::domain::did::{DidStatus, TrunkName};
use crate::domain::number::AreaCode;
use crate::domain::tenant::CampaignId;
use crate::http::view::{DidView, NextView, PageView};

/// What can be done with DIDs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Bring in a CSV of numbers (only the column `number` is required)
    Import(ImportArgs),
    /// Write DIDs as a CSV that imports back unchanged
    Export(ExportArgs),
    /// List DIDs
    List(ListArgs),
    /// Show the DID the next call would show, without using it
    Next(NextArgs),
    /// Add one DID
    Add(AddArgs),
    /// Change one DID
    Set(SetArgs),
    /// Delete one DID; its calls stay
    Remove(OneArgs),
    /// Show one DID
    Show(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    filter: DidFilterArgs,
    /// number, usage or created [default: number]
    #[arg(long)]
    sort: Option<String>,
    /// At most this many, up to 1000
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Where the last list left off
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct NextArgs {
    /// For a call to this number
    #[arg(long)]
    to: Option<String>,
    /// From this campaign
    #[arg(long)]
    campaign: Option<CampaignId>,
    /// Preferring this area code
    #[arg(long)]
    area_code: Option<AreaCode>,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The number, in any written form
    number: String,
    /// Its area code, if not the number's own
    #[arg(long)]
    area_code: Option<AreaCode>,
    /// The trunk its calls leave by [default: PJSIP]
    #[arg(long)]
    trunk: Option<TrunkName>,
    /// active, available, inactive or suspended; only active DIDs are picked [default: available]
    #[arg(long)]
    status: Option<DidStatus>,
    /// The most calls that may ever show it [default: no limit]
    #[arg(long)]
    max_usage: Option<u32>,
    /// Its campaign
    #[arg(long)]
    campaign: Option<CampaignId>,
}

/// Runs one of them.
pub(super) async fn run(
    command: Command,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Import(args) => import(args, client, output).await,
        Command::Export(args) => export(args, client, output).await,
        Command::List(args) => list(args, client, output).await,
        Command::Next(args) => next(args, client, output).await,
        Command::Add(args) => add(args, client, output).await,
        Command::Set(args) => set(args, client, output).await,
        Command::Remove(args) => remove(args, client, output).await,
        Command::Show(args) => show(args, client, output).await,
    }
}

async fn list(args: ListArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask = args
        .filter
        .of(Ask::get("/api/asterisk-dids"))
        .query("sort", args.sort)
        .query("limit", Some(args.limit))
        .query("cursor", args.cursor);
    let page: PageView<DidView> = client.send(ask).await?;
    let headings = ["NUMBER", "STATUS", "USES", "AREA", "TRUNK", "CAMPAIGN", "LAST USED", "ID"];
    Ok(output.page(&page, headings, row)?)
}

async fn next(args: NextArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask = Ask::get("/api/asterisk-dids/next-available")
        .query("to", args.to)
        .query("campaignId", args.campaign)
        .query("areaCode", args.area_code);
    let next: NextView = client.send(ask).await?;
    if output.is_json() {
        return Ok(output.json(&next)?);
    }
    print(&next.did, output)?;
    Ok(output.line(format!("why        {}", next.reason))?)
}

async fn add(args: AddArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let body = json!({
        "number": args.number,
        "areaCode": args.area_code,
        "trunk": args.trunk,
        "status": args.status,
        "maxUsage": args.max_usage,
        "campaignId": args.campaign,
    });
    let did: DidView = client.send(Ask::post("/api/asterisk-dids", &body)).await?;
    if output.is_json() {
        return Ok(output.json(&did)?);
    }
    print(&did, output)?;
    if did.status != DidStatus::Active {
        output.note(format!("it is '{}': calls show only DIDs that are 'active'", did.status))?;
    }
    Ok(())
}

/// Prints what matters of a DID.
pub(super) fn print(did: &DidView, output: &mut Output<'_>) -> Result<(), Failure> {
    Ok(output.pairs([
        ("number", did.number.to_string()),
        ("status", did.status.to_string()),
        ("uses", uses(did)),
        ("trunk", did.trunk.to_string()),
        ("area code", or_dash(did.area_code)),
        ("campaign", or_dash(did.campaign_id.as_ref())),
        ("id", did.id.to_string()),
    ])?)
}

fn row(did: &DidView) -> [String; 8] {
    [
        did.number.to_string(),
        did.status.to_string(),
        uses(did),
        or_dash(did.area_code),
        did.trunk.to_string(),
        or_dash(did.campaign_id.as_ref()),
        or_dash(did.last_used.map(time)),
        did.id.to_string(),
    ]
}

fn uses(did: &DidView) -> String {
    match did.max_usage {
        Some(max) => format!("{} of {max}", did.usage_count),
        None => did.usage_count.to_string(),
    }
}

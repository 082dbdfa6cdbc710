//! `rotary dids set`, `remove` and `show`: one DID, named by its number or its id.

use std::str::FromStr;

use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::client::{Ask, Client};
use super::dids::print;
use super::failure::{Failure, PROBLEM};
use super::output::{Output, time};
use crate::domain::did::{DidStatus, TrunkName};
use crate::domain::number::AreaCode;
use crate::domain::tenant::CampaignId;
use crate::http::view::{DidView, PageView};

const CHANGES: [&str; 7] =
    ["status", "max_usage", "trunk", "campaign", "area_code", "note", "reset_usage"];

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(CHANGES))]
pub(super) struct SetArgs {
    /// Its number, in any written form, or its id
    #[arg(value_name = "NUMBER|ID")]
    did: String,
    /// active, available, inactive or suspended; only active DIDs are picked
    #[arg(long)]
    status: Option<DidStatus>,
    /// The most calls that may show it, or none
    #[arg(long, value_name = "N|none")]
    max_usage: Option<OrNone<u32>>,
    /// The trunk its calls leave by
    #[arg(long)]
    trunk: Option<TrunkName>,
    /// Its campaign, or none
    #[arg(long, value_name = "C|none")]
    campaign: Option<OrNone<CampaignId>>,
    /// Its area code, or none
    #[arg(long, value_name = "A|none")]
    area_code: Option<OrNone<AreaCode>>,
    /// Write this into its metadata, the rest of which stays; an empty value takes the name out
    #[arg(long, value_name = "NAME=VALUE", value_parser = note)]
    note: Vec<(String, String)>,
    /// Set its count of uses back to 0
    #[arg(long)]
    reset_usage: bool,
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// Its number, in any written form, or its id
    #[arg(value_name = "NUMBER|ID")]
    did: String,
}

/// A value, or the word `none`, which clears it.
#[derive(Debug, Clone)]
struct OrNone<T>(Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}

/// Changes one DID.
pub(super) async fn set(
    args: SetArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let mut did = find(&args.did, client).await?;
    let path = path_of(&did);
    let change = change_of(&args, &did);
    if !change.is_empty() {
        did = client.send(Ask::put(&path, &change.into())).await?;
    }
    if args.reset_usage {
        did = client.send(Ask::post(format!("{path}/reset-usage"), &json!({}))).await?;
    }
    if output.is_json() {
        return Ok(output.json(&did)?);
    }
    print(&did, output)
}

/// Deletes one DID.
pub(super) async fn remove(
    args: OneArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let did = find(&args.did, client).await?;
    let _no_content: Value = client.send(Ask::delete(path_of(&did))).await?;
    if output.is_json() {
        return Ok(output.json(&json!({"removed": did.id, "number": did.number}))?);
    }
    Ok(output.line(format!("removed {}", did.number))?)
}

/// Shows one DID with all there is to know of it.
pub(super) async fn show(
    args: OneArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let did = find(&args.did, client).await?;
    if output.is_json() {
        return Ok(output.json(&did)?);
    }
    print(&did, output)?;
    output.pairs([
        ("tenant", did.tenant_id.to_string()),
        ("last used", did.last_used.map(time).unwrap_or_default()),
        ("created", time(did.created_at)),
        ("changed", time(did.updated_at)),
    ])?;
    for (name, value) in &did.metadata {
        output.pairs([(name.as_str(), shown(value))])?;
    }
    Ok(())
}

/// The id of the DID that a person names by its number or its id.
pub(super) async fn id_of(named: &str, client: &Client) -> Result<Uuid, Failure> {
    match named.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(find(named, client).await?.id.0),
    }
}

async fn find(named: &str, client: &Client) -> Result<DidView, Failure> {
    if let Ok(id) = named.parse::<Uuid>() {
        return client.send(Ask::get(format!("/api/asterisk-dids/{id}"))).await;
    }
    let ask = Ask::get("/api/asterisk-dids").query("number", Some(named));
    let page: PageView<DidView> = client.send(ask).await?;
    let found = page.data.into_iter().next();
    found.ok_or_else(|| Failure::new(PROBLEM, format!("DID not found: {named}")))
}

fn path_of(did: &DidView) -> String {
    format!("/api/asterisk-dids/{}", did.id)
}

fn change_of(args: &SetArgs, did: &DidView) -> Map<String, Value> {
    let mut change = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            change.insert(name.to_owned(), value);
        }
    };
    put("status", args.status.map(|status| json!(status)));
    put("maxUsage", args.max_usage.as_ref().map(|max| json!(max.0)));
    put("trunk", args.trunk.as_ref().map(|trunk| json!(trunk)));
    put("campaignId", args.campaign.as_ref().map(|campaign| json!(campaign.0)));
    put("areaCode", args.area_code.as_ref().map(|code| json!(code.0)));
    if !args.note.is_empty() {
        // The daemon takes metadata whole.
        let mut metadata = did.metadata.clone();
        for (name, value) in &args.note {
            match value.is_empty() {
                true => metadata.remove(name),
                false => metadata.insert(name.clone(), value.clone().into()),
            };
        }
        put("metadata", Some(metadata.into()));
    }
    change
}

fn note(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// A text as it is, all else as JSON.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

//! `rotary keys`: who may use the API over TCP.

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::client::{Ask, Client, escape};
use super::failure::Failure;
use super::output::{Output, or_dash, time};
use crate::http::view::{KeyView, NewKeyView, PageView};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a key; it is shown this once
    Create(CreateArgs),
    /// List keys, the revoked too: all, or those of --tenant
    List(ListArgs),
    /// Revoke a key at once
    Revoke {
        /// The key's id
        id: String,
    },
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
pub(super) struct CreateArgs {
    /// admin (all tenants), operator (all of one), journey (calls and picks) or viewer (reads)
    #[arg(long)]
    role: String,
    /// What it is for
    #[arg(long)]
    label: Option<String>,
}

/// Runs one of them.
pub(super) async fn run(
    command: Command,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Create(args) => create(args, client, output).await,
        Command::List(args) => list(args, client, output).await,
        Command::Revoke { id } => revoke(&id, client, output).await,
    }
}

async fn create(args: CreateArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let body = json!({"role": args.role, "label": args.label});
    let created: NewKeyView = client.send(Ask::post("/api/keys", &body)).await?;
    if output.is_json() {
        return Ok(output.json(&created)?);
    }
    output.line(created.key.expose_secret())?;
    let about = &created.about;
    let tenant =
        about.tenant_id.as_ref().map_or("all tenants".to_owned(), |t| format!("tenant {t}"));
    Ok(output
        .note(format!("{} of {tenant}, id {}; the key is not shown again", about.role, about.id))?)
}

async fn list(args: ListArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask = Ask::get("/api/keys").query("limit", Some(args.limit)).query("cursor", args.cursor);
    let page: PageView<KeyView> = client.send(ask).await?;
    Ok(output.page(&page, ["ROLE", "TENANT", "LABEL", "CREATED", "REVOKED", "ID"], row)?)
}

async fn revoke(id: &str, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let _no_content: Value = client.send(Ask::delete(format!("/api/keys/{}", escape(id)))).await?;
    if output.is_json() {
        return Ok(output.json(&json!({"revoked": id}))?);
    }
    Ok(output.line(format!("revoked {id}"))?)
}

fn row(key: &KeyView) -> [String; 6] {
    [
        key.role.clone(),
        key.tenant_id.as_ref().map_or("all".to_owned(), ToString::to_string),
        or_dash(key.label.as_ref()),
        time(key.created_at),
        or_dash(key.revoked_at.map(time)),
        key.id.to_string(),
    ]
}

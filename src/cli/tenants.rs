//! `rotary tenants`: who owns numbers and places calls.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Ask, Client, escape};
use super::failure::Failure;
use super::output::{Output, or_dash, time};
use crate::domain::tenant::TenantId;
use crate::http::tenant_view::TenantView;
use crate::http::view::PageView;

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a tenant
    Add(AddArgs),
    /// List tenants
    List(ListArgs),
    /// Show a tenant
    Show(ShowArgs),
    /// Give a tenant another webhook secret and print it
    RotateSecret(RotateArgs),
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Its id: 1 to 64 of A-Z a-z 0-9 _ - . :
    id: TenantId,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
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
pub(super) struct ShowArgs {
    /// Its id
    id: TenantId,
    /// Show the secret that signs its callbacks
    #[arg(long)]
    secret: bool,
}

#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// Its id
    id: TenantId,
}

/// Runs one of them.
pub(super) async fn run(
    command: Command,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Add(args) => {
            let body = json!({"id": args.id, "name": args.name});
            let tenant = client.send(Ask::post("/api/tenants", &body)).await?;
            print(without_secret(tenant), output)
        }
        Command::List(args) => list(args, client, output).await,
        Command::Show(args) => {
            let tenant = client.send(Ask::get(path_of(&args.id))).await?;
            print(if args.secret { tenant } else { without_secret(tenant) }, output)
        }
        Command::RotateSecret(args) => {
            let path = format!("{}/webhook-secret", path_of(&args.id));
            print(client.send(Ask::post(path, &json!({}))).await?, output)
        }
    }
}

async fn list(args: ListArgs, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let ask =
        Ask::get("/api/tenants").query("limit", Some(args.limit)).query("cursor", args.cursor);
    let mut page: PageView<TenantView> = client.send(ask).await?;
    page.data = page.data.into_iter().map(without_secret).collect();
    Ok(output.page(&page, ["TENANT", "NAME", "CREATED"], |tenant| {
        [tenant.id.to_string(), or_dash(tenant.name.as_ref()), time(tenant.created_at)]
    })?)
}

/// A terminal's history should hold a secret only when it was asked for.
fn without_secret(tenant: TenantView) -> TenantView {
    TenantView { webhook_secret: None, ..tenant }
}

fn path_of(id: &TenantId) -> String {
    format!("/api/tenants/{}", escape(id.as_str()))
}

fn print(tenant: TenantView, output: &mut Output<'_>) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(output.json(&tenant)?);
    }
    Ok(output.pairs([
        ("tenant", tenant.id.to_string()),
        ("name", or_dash(tenant.name.as_ref())),
        ("secret", tenant.webhook_secret.unwrap_or_default()),
        ("created", time(tenant.created_at)),
        ("changed", time(tenant.updated_at)),
    ])?)
}

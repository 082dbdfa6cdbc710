//! `rotary audit-log`: who did what.

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::Value;

use super::change_dids::id_of;
use super::client::{Ask, Client};
use super::failure::Failure;
use super::output::{Output, or_dash, time};
use crate::http::audit_view::AuditView;
use crate::http::view::PageView;

#[derive(Debug, Args)]
pub(super) struct AuditLogArgs {
    /// Only of this DID, by its number or its id; of one that is gone only the id is left
    #[arg(long, value_name = "NUMBER|ID")]
    did: Option<String>,
    /// Only what was done to such things: did, import, tenant, campaign or key
    #[arg(long, value_name = "KIND")]
    subject_type: Option<String>,
    /// Only what was done to this thing
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only this, such as did.updated
    #[arg(long)]
    action: Option<String>,
    /// Only from this time on, such as 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// At most this many, up to 1000
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Where the last list left off
    #[arg(long)]
    cursor: Option<String>,
}

/// Prints the newest lines first.
pub(super) async fn run(
    args: AuditLogArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let did = match &args.did {
        Some(named) => Some(id_of(named, client).await?),
        None => None,
    };
    let ask = Ask::get("/api/audit-log")
        .query("didId", did)
        .query("subjectType", args.subject_type)
        .query("subjectId", args.subject)
        .query("action", args.action)
        .query("since", args.since.map(|at| at.to_rfc3339()))
        .query("limit", Some(args.limit))
        .query("cursor", args.cursor);
    let page: PageView<AuditView> = client.send(ask).await?;
    let headings = ["TIME", "TENANT", "WHO", "WHAT", "SUBJECT", "BEFORE", "AFTER"];
    Ok(output.page(&page, headings, |line| {
        [
            time(line.at),
            or_dash(line.tenant_id.as_ref()),
            line.actor.clone(),
            line.action.clone(),
            line.subject_id.clone(),
            short(line.before.as_ref()),
            short(line.after.as_ref()),
        ]
    })?)
}

/// The longest that a cell shows of what changed; `--json` has it whole.
const SHOWN_MAX: usize = 60;

fn short(value: Option<&Value>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

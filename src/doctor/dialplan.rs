//! The dialplan: is the place there that answered calls go to?

use super::Findings;
use crate::ami::action::Message;
use crate::ami::{AmiError, Client};
use crate::app::CallDefaults;
use crate::domain::asterisk::AsteriskName;

/// Looks for the place of `[calls]`, and for an extension that would be run for calls that failed.
pub(super) async fn examine(
    name: &AsteriskName,
    calls: &CallDefaults,
    client: &Client,
    findings: &mut Findings,
) {
    let check = format!("{name} dialplan");
    let CallDefaults { context, exten, priority, .. } = calls;
    let place = format!("{exten}@{context}, priority {priority}");
    let mend = format!(
        "extensions.conf: [{context}] exten => {exten},{priority},Answer(), then `dialplan reload`; or rotary.toml: \
         [calls] context, exten and priority"
    );
    match steps(client, context, exten).await {
        Ok(steps) if steps.contains(priority) => findings.ok(check, format!("{place} is there")),
        Ok(_) => findings.fail(check, format!("{place} is not there: no such priority"), mend),
        Err(AmiError::Refused(why)) if why.starts_with("Did not find") => {
            findings.fail(check, format!("{place} is not there: {why}"), mend);
            return;
        }
        Err(AmiError::Refused(why)) => {
            let look = format!("asterisk -rx 'dialplan show {exten}@{context}' shows it");
            return findings.skip(check, format!("it cannot be asked about ({why}); {look}"));
        }
        Err(why) => return findings.skip(check, why.to_string()),
    }
    if let Ok(steps) = steps(client, context, "failed").await
        && !steps.is_empty()
    {
        findings.warn(
            format!("{name} dialplan for failed calls"),
            format!("[{context}] has an extension `failed`: it is run for every call that nobody answers"),
            format!("extensions.conf: take `failed`, or the pattern that matches it, out of [{context}]"),
        );
    }
}

/// The priorities of an extension, by patterns and included contexts too.
async fn steps(client: &Client, context: &str, exten: &str) -> Result<Vec<u32>, AmiError> {
    let asked = Message::new("Action", "ShowDialPlan")
        .header("Context", context)?
        .header("Extension", exten)?;
    let items = client.list(asked).await?;
    let number = |text: std::borrow::Cow<'_, str>| text.parse().ok();
    Ok(items.iter().filter_map(|item| item.text("Priority").and_then(number)).collect())
}

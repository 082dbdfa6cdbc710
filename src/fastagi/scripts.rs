//! What each script does, and what the dialplan then finds in its variables.

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;
use tracing::{debug, warn};

use super::request::Request;
use crate::app::pick_did::PickError;
use crate::app::take_pick::{Taken, WantedPick, take_pick};
use crate::app::whose_number::{Behind, whose_number};
use crate::app::{App, now, settle_pick};
use crate::domain::call::cause::Cause;
use crate::domain::number::E164;
use crate::domain::pick::{DialEnd, PickId, PickOutcome, PickRecord};
use crate::domain::tenant::{CampaignId, TenantId};
use crate::store::StoreError;
use crate::store::ledger::Released;
use crate::store::picks::PickEnded;

/// What the dialplan is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// How it went.
    pub(super) status: Word,
    /// Variables, in the order in which they are set.
    pub(super) variables: Vec<(&'static str, String)>,
    /// What of it shows a number: set after all of `variables`.
    pub(super) shown: Option<Shown>,
}

/// A number to show, and the pick that is given back if the dialplan never hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) number: E164,
    pub(super) tenant: TenantId,
    pub(super) pick: PickId,
}

/// The words of `ROTARY_STATUS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Ok,
    NoDid,
    Error,
}

/// What a pick sets, and what is emptied where there is none: an earlier one's values on the same
/// channel would be taken for this one's.
const OF_A_PICK: [&str; 5] =
    ["ROTARY_PICK_ID", "ROTARY_DID", "ROTARY_DID_ID", "ROTARY_TRUNK", "ROTARY_DIAL"];

const OF_A_CALLER: [&str; 5] = [
    "ROTARY_TENANT",
    "ROTARY_CAMPAIGN",
    "ROTARY_LAST_CALL",
    "ROTARY_LAST_JOURNEY",
    "ROTARY_LAST_CONTACT",
];

/// Does what is asked. What it waits for, it waits for as long as `patience`; what it has begun
/// goes on.
pub(super) async fn run(app: &App, request: Request, patience: Duration) -> Answer {
    match request {
        Request::CallerId(wanted) => caller_id(app, wanted, patience).await,
        Request::Release(pick) => {
            let operation = app.clone();
            in_time(app, patience, async move { release(&operation, pick).await }).await
        }
        Request::Outcome { pick, status, cause, talk } => {
            let operation = app.clone();
            let end = dial_end(&status, cause, talk);
            in_time(app, patience, async move { outcome(&operation, pick, end).await }).await
        }
        Request::Inbound { number, caller } => {
            let operation = app.clone();
            let found = in_time(app, patience, async move {
                inbound(whose_number(&operation, number, caller).await)
            });
            found.await.emptied(&OF_A_CALLER)
        }
    }
}

async fn caller_id(app: &App, wanted: WantedPick, patience: Duration) -> Answer {
    let tenant = wanted.tenant.clone();
    match take_pick(app, wanted, patience).await {
        Ok(Taken { pick, dial }) => Answer {
            status: Word::Ok,
            variables: OF_A_PICK
                .into_iter()
                .zip([
                    pick.id.to_string(),
                    pick.number.to_string(),
                    pick.did.to_string(),
                    pick.trunk.to_string(),
                    dial.unwrap_or_default(),
                ])
                .collect(),
            shown: Some(Shown { number: pick.number, tenant: pick.tenant, pick: pick.id }),
        },
        Err(PickError::NoneAvailable) => {
            debug!(%tenant, "a dialplan asked for a DID and there is none");
            Answer::of(Word::NoDid).emptied(&OF_A_PICK)
        }
        Err(error) => {
            warn!(%tenant, "a dialplan goes without a DID: {error}");
            Answer::of(Word::Error).emptied(&OF_A_PICK)
        }
    }
}

async fn release(app: &App, id: PickId) -> Answer {
    let released = async {
        let Some(record) = settle_pick::find(app, id).await? else { return Ok(Released::Unknown) };
        settle_pick::release(app, &record.taken.tenant, id).await
    };
    match released.await {
        Ok(Released::Now { .. } | Released::Before) => Answer::of(Word::Ok),
        Ok(Released::Settled(_)) => refused(id, "is to be released and its call is on record"),
        Ok(Released::Unknown) => refused(id, "is to be released and unknown"),
        Err(error) => failed(id, &error),
    }
}

async fn outcome(app: &App, id: PickId, end: Option<DialEnd>) -> Answer {
    let Some(end) = end else { return refused(id, "has a status that is no DIALSTATUS") };
    let ended = async {
        let Some(record) = settle_pick::find(app, id).await? else { return Ok(PickEnded::Unknown) };
        settle_pick::end(app, &record.taken.tenant, id, &end).await
    };
    match ended.await {
        Ok(PickEnded::Now(_)) => Answer::of(Word::Ok),
        Ok(PickEnded::Before(record)) if has_ended_as(&record, &end) => Answer::of(Word::Ok),
        Ok(PickEnded::Before(_)) => refused(id, "has another outcome on record, which stays"),
        Ok(PickEnded::Unknown) => refused(id, "has an outcome and is unknown"),
        Err(error) => failed(id, &error),
    }
}

fn inbound(found: Result<Option<Behind>, StoreError>) -> Answer {
    match found {
        Ok(Some(Behind { holder, last_call })) => {
            let reference = |name: &str| {
                let journey = last_call.as_ref().and_then(|call| call.journey.as_ref());
                journey.and_then(|journey| journey.get(name)).and_then(text).unwrap_or_default()
            };
            let variables = OF_A_CALLER.into_iter().zip([
                holder.tenant.to_string(),
                holder.campaign.as_ref().map(CampaignId::to_string).unwrap_or_default(),
                last_call.as_ref().map(|call| call.id.to_string()).unwrap_or_default(),
                reference("journeyId"),
                reference("contactId"),
            ]);
            Answer { status: Word::Ok, variables: variables.collect(), shown: None }
        }
        Ok(None) => Answer::of(Word::NoDid),
        Err(error) => {
            warn!("a dialplan does not learn whose number was rung: {error}");
            Answer::of(Word::Error)
        }
    }
}

/// Runs what must not be cut short, and waits for it as long as a dialplan can.
async fn in_time(
    app: &App,
    patience: Duration,
    work: impl Future<Output = Answer> + Send + 'static,
) -> Answer {
    match tokio::time::timeout(patience, app.begin(work)).await {
        Ok(answer) => answer,
        Err(_) => {
            warn!("a dialplan is not told how its request went: the store takes too long");
            Answer::of(Word::Error)
        }
    }
}

fn dial_end(status: &str, cause: Option<Cause>, talk: Option<u32>) -> Option<DialEnd> {
    let now = now();
    let end = DialEnd::of_dial(status, cause, now)?;
    let talk = talk.filter(|_| status == "ANSWER").map(|talk| TimeDelta::seconds(talk.into()));
    Some(DialEnd { answered_at: talk.map(|talk| now - talk), ..end })
}

fn has_ended_as(record: &PickRecord, end: &DialEnd) -> bool {
    let same = PickOutcome::Ended { status: end.status, cause: end.cause };
    record.settled.is_some_and(|settled| settled.outcome == same)
}

fn refused(pick: PickId, why: &str) -> Answer {
    warn!(%pick, "a pick {why}");
    Answer::of(Word::Error)
}

fn failed(pick: PickId, error: &StoreError) -> Answer {
    warn!(%pick, "what became of a pick is not on record: {error}");
    Answer::of(Word::Error)
}

/// A reference as the dialplan gets it: what cannot be said on one line is none.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let said = crate::agi::command::set_variable("ROTARY_LAST_JOURNEY", &text);
    said.is_ok().then_some(text)
}

impl Answer {
    /// One without variables.
    pub(super) fn of(status: Word) -> Self {
        Self { status, variables: Vec::new(), shown: None }
    }

    /// The same; where it sets nothing, these are emptied.
    fn emptied(mut self, names: &[&'static str]) -> Self {
        if self.variables.is_empty() {
            self.variables = names.iter().map(|name| (*name, String::new())).collect();
        }
        self
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::NoDid => "NO_DID",
            Self::Error => "ERROR",
        })
    }
}

//! `rotary events`: what happens to calls, as it happens.

use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::calls::cause;
use super::client::{Ask, Client, escape};
use super::failure::{Failure, PROBLEM, UNREACHABLE};
use super::output::{Output, or_dash, time};
use super::sse::{Frame, Frames};
use crate::domain::call::announcement::Announcement;

/// How long to wait before a daemon that is away is looked for again.
const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Only of this call, from its beginning to its end
    #[arg(long, value_name = "ID")]
    call: Option<String>,
}

/// What a stream tells.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Told {
    /// A change of a call.
    Change(Box<Announcement>),
    /// Changes that cannot be told any more.
    Gap {
        /// When that was found.
        timestamp: DateTime<Utc>,
        data: Missed,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct Missed {
    missed: Option<u64>,
}

/// Prints a line a change until the call has ended or Ctrl-C is pressed.
pub(super) async fn run(
    args: EventsArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let path = match &args.call {
        Some(id) => format!("/api/calls/{}/events", escape(id)),
        None => "/api/events".to_owned(),
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listening = listen(client, &path, args.call.is_some(), output, |told, raw, output| {
        print(told, raw, output)?;
        Ok(ControlFlow::Continue(()))
    });
    tokio::select! {
        done = listening => done,
        _ = interrupt.recv() => Ok(()),
    }
}

/// Hands over what a stream tells, each with its JSON, until `take` has enough or, where the stream
/// `ends` by itself, its end. A daemon that goes away is waited for, which standard error tells.
pub(super) async fn listen(
    client: &Client,
    path: &str,
    ends: bool,
    output: &mut Output<'_>,
    mut take: impl FnMut(&Told, &str, &mut Output<'_>) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let mut last: Option<String> = None;
    let (mut reached, mut away, mut enough) = (false, false, false);
    loop {
        let mut ask = Ask::get(path).patiently();
        if let Some(id) = &last {
            ask = ask.header("last-event-id", id);
        }
        let (mut frames, mut here) = (Frames::default(), false);
        let ended = client.download(ask, |bytes| {
            if std::mem::take(&mut away) {
                output.note("the daemon is back")?;
            } else if !reached && !ends {
                output.note("listening; Ctrl-C ends it")?;
            }
            (reached, here) = (true, true);
            for Frame { id, data } in frames.take_in(bytes) {
                if !data.is_empty() {
                    enough = take(&read(&data)?, &data, output)?.is_break();
                }
                last = id.or(last.take());
                if enough {
                    // Nothing more is read of this answer.
                    return Err(Failure::told());
                }
            }
            Ok(())
        });
        match ended.await {
            _ if enough => return Ok(()),
            // All was told before.
            Ok(()) if ends && !here => return Ok(()),
            Ok(()) => {}
            Err(failure) if failure.code == UNREACHABLE && reached => {}
            Err(failure) => return Err(failure),
        }
        // A stream that ends by itself is asked once more whether it is over, at once.
        if ends && here {
            continue;
        }
        if !std::mem::replace(&mut away, true) {
            output.note("the daemon went away; waiting for it")?;
        }
        sleep(RETRY).await;
    }
}

fn read(data: &str) -> Result<Told, Failure> {
    serde_json::from_str(data).map_err(|error| {
        Failure::new(PROBLEM, format!("an event cannot be read: {error}"))
            .hint("is the daemon of another version than this program?")
    })
}

fn print(told: &Told, raw: &str, output: &mut Output<'_>) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(output.line(raw)?);
    }
    match told {
        Told::Change(change) => Ok(output.line(line(change))?),
        Told::Gap { timestamp, data } => {
            let missed = data.missed.map(|missed| format!("{missed} changes"));
            let missed = missed.unwrap_or_else(|| "what happened meanwhile".to_owned());
            let at = time(*timestamp);
            Ok(output
                .note(format!("{at}  gap: {missed} cannot be told; see `rotary calls list`"))?)
        }
    }
}

fn line(change: &Announcement) -> String {
    let call = &change.data;
    format!(
        "{}  {}  {:<16}  {:<11}  {}",
        time(change.timestamp),
        call.id,
        call.to.to_string(),
        call.status.as_str(),
        or_dash(cause(call))
    )
}

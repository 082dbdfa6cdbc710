//! The handle the rest of Rotary holds. Cloning it is cheap.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;

use super::originate::{InvalidField, body_of};
use super::reconnect::Line;
use super::rest::Rest;
use super::{AriError, Settings};
use crate::domain::call::ChannelId;
use crate::domain::call::cause::Cause;
use crate::domain::call::originate::Originate;
use crate::line::counters::Counters as LineCounters;
use crate::line::reports::{self, Reports};
use crate::line::{Channel, DownReason, LineState};

/// Asks things of Asterisk.
#[derive(Clone)]
pub struct Client {
    pub(super) rest: Rest,
    states: watch::Receiver<LineState>,
    counters: Arc<Counters>,
}

/// What went over the line since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) events: AtomicU64,
    pub(super) unreadable: AtomicU64,
    /// What every line counts.
    pub line: LineCounters,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    name: String,
    state: String,
}

/// A line to Asterisk that is not connected yet: the handle, what is to be run, and the reports.
pub fn line(settings: Settings) -> (Client, Line, Reports) {
    let settings = Arc::new(settings);
    let counters = Arc::new(Counters::default());
    let (reporter, reports) = reports::channel();
    let first = LineState::Down { why: DownReason::Connecting };
    let (state, states) = watch::channel(first);
    let rest = Rest::new(settings.clone());
    let line = Line::new(settings, rest.clone(), reporter, state, counters.clone());
    (Client { rest, states, counters }, line, reports)
}

impl Client {
    /// Rings somebody. `Ok` only means that Asterisk has begun; the reports tell the rest.
    pub async fn originate(&self, asked: &Originate) -> Result<(), AriError> {
        let body = body_of(asked)?;
        self.line_is_up()?;
        let answer = self.rest.send(Method::POST, "/channels", Some(body)).await?;
        match answer.status {
            // The id is ours alone: what has it is this very call, asked for by a request that was
            // taken for lost.
            StatusCode::CONFLICT => Err(AriError::Unknown),
            // All that Asterisk says of an endpoint or a technology it has not.
            StatusCode::INTERNAL_SERVER_ERROR => {
                let text = answer.text();
                Err(AriError::Refused(format!(
                    "{text}; is there an endpoint for {}?",
                    asked.channel
                )))
            }
            _ => answer.done(),
        }
    }

    /// Whether this could be sent: the error that [`Client::originate`] would answer.
    pub fn can_say(asked: &Originate) -> Result<(), InvalidField> {
        body_of(asked).map(drop)
    }

    /// Hangs up the channel with this id, telling the far end why. If there is none, Asterisk refuses.
    pub async fn hang_up(&self, channel: ChannelId, cause: Cause) -> Result<(), AriError> {
        self.line_is_up()?;
        // Words that Asterisk 16 knows as well as 22.
        let reason = if cause == Cause::NO_ANSWER { "no_answer" } else { "normal" };
        let path = format!("/channels/{channel}?reason={reason}");
        let answer = self.rest.send(Method::DELETE, &path, None).await?;
        // Whoever hangs up knows a channel that is not there by AMI's words.
        if answer.status == StatusCode::NOT_FOUND {
            return Err(AriError::Refused("No such channel".to_owned()));
        }
        answer.done()
    }

    /// All channels Asterisk has, of anyone.
    pub async fn channels(&self) -> Result<Vec<Channel>, AriError> {
        self.line_is_up()?;
        let listed: Vec<Listed> = self.rest.get("/channels").await?.json()?;
        let channels = listed.into_iter().map(|Listed { id, name, state }| Channel {
            unique_id: id,
            channel: name,
            state: state_number(&state),
        });
        Ok(channels.collect())
    }

    /// How the line is now.
    pub fn state(&self) -> LineState {
        self.states.borrow().clone()
    }

    /// The line's states as they change.
    pub fn states(&self) -> watch::Receiver<LineState> {
        self.states.clone()
    }

    /// What went over the line.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn line_is_up(&self) -> Result<(), AriError> {
        match &*self.states.borrow() {
            LineState::Down { why } => Err(AriError::NotSent(why.to_string())),
            LineState::Up { .. } => Ok(()),
        }
    }
}

/// Asterisk's number for what it calls a state.
fn state_number(word: &str) -> u8 {
    match word {
        "Rsrvd" => 1,
        "OffHook" => 2,
        "Dialing" => 3,
        "Ring" => 4,
        "Ringing" => 5,
        "Up" => 6,
        "Busy" => 7,
        _ => 0,
    }
}

impl Counters {
    /// Events that came in.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Messages that were no events.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &*self.states.borrow()).finish_non_exhaustive()
    }
}

//! The handle the rest of Rotary holds. Cloning it is cheap.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::Histogram;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::action::{Message, message_of};
use super::frame::Frame;
use super::reconnect::Line;
use super::{AmiError, Channel, DownReason, LineState, Settings};
use crate::domain::call::cause::Cause;
use crate::domain::call::originate::Originate;
use crate::line::counters::Counters as LineCounters;
use crate::line::reports::{self, Reports};

/// How many actions may wait for the line to take them; further callers wait in turn.
const QUEUE: usize = 1024;

/// Asks things of Asterisk.
#[derive(Clone)]
pub struct Client {
    asked: mpsc::Sender<Asked>,
    states: watch::Receiver<LineState>,
    counters: Arc<Counters>,
    settings: Arc<Settings>,
}

/// An action on its way to the line.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) message: Message,
    pub(super) want: Want,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The frames of an answer: one, or a list's items.
pub(super) type Answer = Result<Vec<Frame>, AmiError>;

/// What answers an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// One response.
    Response,
    /// The events that follow it, without it and without the last, which only says how many.
    List,
}

/// What went over the line since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) frames: AtomicU64,
    pub(super) too_long: AtomicU64,
    pub(super) orphans: AtomicU64,
    /// What every line counts.
    pub line: LineCounters,
    pub(super) boots: AtomicU64,
    pending: AtomicU64,
    pings: OnceLock<Histogram>,
}

/// An action that somebody waits for, counted until it is answered or left.
struct Waits<'a>(&'a Counters);

/// A line to Asterisk that is not connected yet: the handle, what is to be run, and the reports.
pub fn line(settings: Settings) -> (Client, Line, Reports) {
    let settings = Arc::new(settings);
    let counters = Arc::new(Counters::default());
    let (asked, queue) = mpsc::channel(QUEUE);
    let (reporter, reports) = reports::channel();
    let first = LineState::Down { why: DownReason::Connecting };
    let (state, states) = watch::channel(first);
    let line = Line::new(settings.clone(), queue, reporter, state, counters.clone());
    (Client { asked, states, counters, settings }, line, reports)
}

impl Client {
    /// Rings somebody. `Ok` only means that Asterisk has queued it; the [`Reports`] tell the rest.
    pub async fn originate(&self, originate: &Originate) -> Result<(), AmiError> {
        self.ask(message_of(originate)?).await.map(drop)
    }

    /// Hangs up the channel with this unique id, with this cause. If there is none, Asterisk refuses.
    pub async fn hang_up(&self, channel_id: &str, cause: Cause) -> Result<(), AmiError> {
        // Asterisk looks for a channel of this name first, then of this id.
        let message = Message::new("Action", "Hangup");
        let message =
            message.header("Channel", channel_id)?.header("Cause", cause.0.to_string())?;
        self.ask(message).await.map(drop)
    }

    /// All channels Asterisk has, of anyone.
    pub async fn channels(&self) -> Result<Vec<Channel>, AmiError> {
        let items = self.list(Message::new("Action", "CoreShowChannels")).await?;
        let channels = items.iter().filter_map(|item| {
            let state = item.text("ChannelState").and_then(|state| state.parse().ok());
            Some(Channel {
                unique_id: item.text("Uniqueid")?.into_owned(),
                channel: item.text("Channel")?.into_owned(),
                state: state.unwrap_or(0),
            })
        });
        Ok(channels.collect())
    }

    /// Sends any action and waits for its response. An `ActionID` is added if it has none.
    pub async fn ask(&self, message: Message) -> Result<Frame, AmiError> {
        let frames = self.send(message, Want::Response).await?;
        frames.into_iter().next().ok_or(AmiError::Unknown)
    }

    /// Sends an action that is answered by a list, and waits for all of it: the events between
    /// the response and the one that says the list is complete.
    pub async fn list(&self, message: Message) -> Result<Vec<Frame>, AmiError> {
        self.send(message, Want::List).await
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

    async fn send(&self, message: Message, want: Want) -> Answer {
        if let LineState::Down { why } = &*self.states.borrow() {
            return Err(AmiError::NotSent(why.to_string()));
        }
        let _counted = Waits::new(&self.counters);
        let (answer, answered) = oneshot::channel();
        let Ok(place) = timeout(self.settings.action_deadline, self.asked.reserve()).await else {
            return Err(AmiError::NotSent("too many actions wait for Asterisk".to_owned()));
        };
        let place = place.map_err(|_| AmiError::NotSent(DownReason::Stopped.to_string()))?;
        place.send(Asked { message, want, answer });
        // The line ended with our action in its hands.
        answered.await.unwrap_or(Err(AmiError::Unknown))
    }
}

impl Counters {
    /// Messages that came in.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Messages over the bound.
    pub fn too_long(&self) -> u64 {
        self.too_long.load(Ordering::Relaxed)
    }

    /// Answers that belonged to no action, or came after its deadline.
    pub fn orphans(&self) -> u64 {
        self.orphans.load(Ordering::Relaxed)
    }

    /// How often Asterisk said that it is fully booted, which it also says after a login. None
    /// while the line is up: our user does not hear the class `system`.
    pub fn boots(&self) -> u64 {
        self.boots.load(Ordering::Relaxed)
    }

    /// Actions that somebody waits for now, those included that the line has not taken yet.
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Has the time from each ping to its answer recorded there, in seconds. The first counts.
    pub fn record_pings(&self, seconds: Histogram) {
        let _set_already = self.pings.set(seconds);
    }

    pub(super) fn pong(&self, after: Duration) {
        if let Some(pings) = self.pings.get() {
            pings.record(after);
        }
    }

    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl<'a> Waits<'a> {
    fn new(counters: &'a Counters) -> Self {
        Counters::add(&counters.pending);
        Self(counters)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &*self.states.borrow()).finish_non_exhaustive()
    }
}

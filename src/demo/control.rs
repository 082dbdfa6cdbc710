//! The strings by which tests and the demo pull the simulated Asterisk.

use std::sync::Arc;

use chrono::Utc;

use super::asterisk::Shared;
use super::misbehave::{Misbehaviour, Stop};
use super::observed::{Counts, SeenOriginate};

/// A handle to a running [`Simulated`](super::Simulated); cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Changes what is wrong, from now on.
    pub fn misbehave(&self, change: impl FnOnce(&mut Misbehaviour)) {
        self.shared.with(|exchange, _| {
            change(&mut exchange.misbehaviour);
            exchange.wake_all();
        });
    }

    /// Nothing is wrong any more.
    pub fn behave(&self) {
        self.misbehave(|misbehaviour| *misbehaviour = Misbehaviour::default());
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.with(|exchange, _| exchange.counts())
    }

    /// Waits until `happened` is true of the counts. Waits for ever if it never is.
    pub async fn wait_until(&self, mut happened: impl FnMut(Counts) -> bool) {
        self.shared.wait_until(|exchange| happened(exchange.counts())).await;
    }

    /// The last 10,000 Originates that were accepted, the oldest first.
    pub fn originates(&self) -> Vec<SeenOriginate> {
        self.shared.with(|exchange, _| exchange.seen())
    }

    /// Drops every line without a word. The calls go on.
    pub fn drop_lines(&self) {
        self.shared.with(|exchange, _| exchange.drop_lines());
    }

    /// Sends so many events of nobody's channels on every line, as fast as they are read.
    pub fn flood(&self, events: u64) {
        self.shared.with(|exchange, _| exchange.flood(events));
    }

    /// Goes away: forgets all calls, ends all lines and refuses connections.
    pub fn go_down(&self, how: Stop) {
        self.shared.set_up(false);
        self.shared.with(|exchange, _| exchange.stop(how));
    }

    /// Is there again after [`Control::go_down`], at the same address.
    pub fn come_up(&self) {
        self.shared.with(|exchange, now| exchange.boot(now, Utc::now()));
        self.shared.set_up(true);
    }
}

//! The Asterisks that calls leave by, each on a line of its own: which of them takes a call, and
//! who waits for one to be there. What happens to one line concerns no other.

mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::select_all;
use uuid::Uuid;

pub use self::wire::{
    LineError, LineState, Reports, States, Unsayable, Wire, WireLine, WireSettings,
};
use crate::domain::asterisk::AsteriskName;
use crate::domain::call::cause::Cause;
use crate::domain::call::originate::Originate;
use crate::domain::call::{ChannelId, Report};

/// One Asterisk as it is configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name, unlike all others'.
    pub name: AsteriskName,
    /// How it is reached.
    pub wire: WireSettings,
}

impl Settings {
    /// Hears this Asterisk's events as that daemon, which no other is.
    pub fn listen_as(&mut self, daemon: Uuid) {
        if let WireSettings::Ari(settings) = &mut self.wire {
            settings.application = format!("rotary-{daemon}");
        }
    }
}

/// The Asterisks, in the order of the configuration; at least one. Cloning it is cheap.
#[derive(Clone)]
pub struct Asterisks {
    all: Arc<[Asterisk]>,
}

/// One of them. Cloning it is cheap.
#[derive(Clone)]
pub struct Asterisk {
    /// Its name.
    pub name: AsteriskName,
    /// The line to it.
    pub wire: Wire,
    calls: Arc<AtomicUsize>,
}

/// What is to be run for one Asterisk.
pub struct Line {
    /// Which.
    pub asterisk: Asterisk,
    /// The task that keeps the line.
    pub wire: WireLine,
    /// What that task hears of our calls.
    pub reports: Reports,
}

/// An Asterisk chosen for a call, and the call's place there.
pub struct Way {
    /// Which.
    pub asterisk: Asterisk,
    /// Kept as long as the call is there.
    pub place: Place,
}

/// One call's share of an Asterisk's calls in progress, until it is dropped.
#[derive(Debug)]
pub struct Place {
    asterisk: AsteriskName,
    calls: Arc<AtomicUsize>,
}

/// Lines that are not connected yet: the handle, and what is to be run for each.
pub fn lines(settings: Vec<Settings>) -> (Asterisks, Vec<Line>) {
    let lines: Vec<Line> = settings
        .into_iter()
        .map(|Settings { name, wire }| {
            let (wire, task, reports) = wire::line(wire);
            let asterisk = Asterisk { name, wire, calls: Arc::default() };
            Line { asterisk, wire: task, reports }
        })
        .collect();
    let all = lines.iter().map(|line| line.asterisk.clone()).collect();
    (Asterisks { all }, lines)
}

impl Asterisks {
    /// All of them, in the order of the configuration.
    pub fn all(&self) -> &[Asterisk] {
        &self.all
    }

    /// The one with this name.
    pub fn named(&self, name: &AsteriskName) -> Option<&Asterisk> {
        self.all.iter().find(|asterisk| asterisk.name == *name)
    }

    /// The one that had the calls of the time when there was only one.
    pub fn first(&self) -> &Asterisk {
        self.all.first().expect("the configuration has at least one Asterisk")
    }

    /// Of those a call may leave by (all, where `may` names none) and that were not `tried` yet,
    /// the one that is up with the least calls in progress; among equals, the first. One that does
    /// not let us place calls is the last resort: it says why.
    ///
    /// None if all are down.
    pub fn choose(&self, may: &[AsteriskName], tried: &[AsteriskName]) -> Option<Way> {
        let untried = self.among(may).filter(|asterisk| !tried.contains(&asterisk.name));
        let up = untried.filter_map(|asterisk| match asterisk.state() {
            LineState::Up { may_originate, .. } => {
                Some((!may_originate, asterisk.calls(), asterisk))
            }
            LineState::Down { .. } => None,
        });
        let (_, _, asterisk) = up.min_by_key(|(unable, calls, _)| (*unable, *calls))?;
        Some(Way { asterisk: asterisk.clone(), place: asterisk.place() })
    }

    /// Whether one of those a call may leave by is up; else why not.
    ///
    /// # Errors
    /// What is wrong with each, and what to do.
    pub fn can_leave(&self, may: &[AsteriskName]) -> Result<(), String> {
        let mut why = Vec::new();
        for asterisk in self.among(may) {
            match asterisk.state() {
                LineState::Up { .. } => return Ok(()),
                LineState::Down { why: one } if self.all.len() == 1 => why.push(one),
                LineState::Down { why: one } => why.push(format!("{}: {one}", asterisk.name)),
            }
        }
        Err(why.join("; "))
    }

    /// Looks whether this can be said to every kind of Asterisk there is, so that it does not
    /// depend on which is up.
    ///
    /// # Errors
    /// The field that cannot be sent.
    pub fn check(&self, asked: &Originate) -> Result<(), Unsayable> {
        let kind = |asterisk: &Asterisk| std::mem::discriminant(&asterisk.wire);
        let mut checked = Vec::new();
        for asterisk in self.all.iter() {
            if !checked.contains(&kind(asterisk)) {
                checked.push(kind(asterisk));
                asterisk.wire.check(asked)?;
            }
        }
        Ok(())
    }

    /// Waits until one of them is up.
    pub async fn some_up(&self) {
        select_all(self.all.iter().map(|asterisk| Box::pin(asterisk.up()))).await;
    }

    /// Waits until each of them has been up.
    pub async fn all_up(&self) {
        for asterisk in self.all.iter() {
            asterisk.up().await;
        }
    }

    fn among<'a>(&'a self, may: &'a [AsteriskName]) -> impl Iterator<Item = &'a Asterisk> {
        self.all.iter().filter(|asterisk| may.is_empty() || may.contains(&asterisk.name))
    }
}

impl Asterisk {
    /// Rings somebody. `Ok` only means that Asterisk has taken it; its reports tell the rest.
    pub async fn originate(&self, asked: &Originate) -> Result<(), LineError> {
        self.wire.originate(asked).await
    }

    /// Hangs up the channel of a call's attempt, with this cause. If there is none, Asterisk refuses.
    pub async fn hang_up(&self, channel: ChannelId, cause: Cause) -> Result<(), LineError> {
        self.wire.hang_up(channel, cause).await
    }

    /// The channels of our calls that Asterisk has, each with what its channel's state says of it.
    pub async fn channels(&self) -> Result<Vec<(ChannelId, Option<Report>)>, LineError> {
        self.wire.channels().await
    }

    /// How its line is now.
    pub fn state(&self) -> LineState {
        self.wire.state()
    }

    /// The line's states as they change.
    pub fn states(&self) -> States {
        self.wire.states()
    }

    /// Whether its line is up.
    pub fn is_up(&self) -> bool {
        matches!(self.state(), LineState::Up { .. })
    }

    /// How many calls we follow there, those included that are on their way.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Takes a place for one more call.
    pub fn place(&self) -> Place {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Place { asterisk: self.name.clone(), calls: Arc::clone(&self.calls) }
    }

    /// Waits until its line is up. A line that has ended never is.
    pub async fn up(&self) {
        let mut states = self.states();
        while !self.is_up() {
            states.changed().await;
        }
    }
}

impl Place {
    /// Where it is.
    pub fn asterisk(&self) -> &AsteriskName {
        &self.asterisk
    }
}

#[cfg(test)]
impl Place {
    /// A place at an Asterisk of this name, which nobody counts.
    pub(super) fn at(asterisk: AsteriskName) -> Self {
        Self { asterisk, calls: Arc::new(AtomicUsize::new(1)) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

//! One order of picking: by usage, then by id.
//!
//! An entry is a place and the usage at which the order believes it to be. Uses counted through
//! other orders are not told here, so an entry may stand too early, never too late: it is looked at
//! when it comes to the front, and moved back or dropped. Entries of one DID at one usage come to
//! the front one after the other and become one.

use smallvec::SmallVec;

use super::late::{Entry, Late};
use super::pool::{Place, View};
use super::run::Run;

/// Up to here looking at every DID costs no more than keeping an order.
const FEW_MAX: usize = 32;

/// A new level gets a run of its own while there are fewer than this; beyond, only a level that
/// picks are about to reach does, and the rest wait in the heap.
const RUNS_EASY: usize = 8;
const RUNS_MAX: usize = 32;

/// The DIDs of a tenant, or those of one campaign, area code or both.
#[derive(Debug)]
pub(super) enum Order {
    /// In no order, none twice.
    Few(SmallVec<[Place; 4]>),
    /// In order.
    Many(Box<Levels>),
}

#[derive(Debug, Default)]
pub(super) struct Levels {
    /// None empty, the lowest level last.
    runs: Vec<Run>,
    late: Late,
    /// Entries in `runs` and `late`, those out of date included.
    entries: usize,
    /// Past this the entries out of date are cleared away.
    entries_max: usize,
}

impl Default for Order {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl Order {
    /// A DID is new here, or comes earlier than its entry says.
    pub(super) fn enter(&mut self, place: Place, view: View<'_>) {
        match self {
            Self::Few(places) if places.contains(&place) => {}
            Self::Few(places) if places.len() < FEW_MAX => places.push(place),
            Self::Few(places) => {
                let all = places.iter().copied().chain([place]).collect();
                *self = Self::Many(Box::new(Levels::of(all, view)));
            }
            Self::Many(levels) => levels.enter(place, view),
        }
    }

    /// A DID is gone from here. Says whether that leaves nothing.
    pub(super) fn leave(&mut self, place: Place, view: View<'_>) -> bool {
        match self {
            Self::Few(places) => {
                places.retain(|other| *other != place);
                places.is_empty()
            }
            Self::Many(_) => self.front(view).is_none(),
        }
    }

    /// The first that can be picked. None means that no entry is left.
    pub(super) fn front(&mut self, view: View<'_>) -> Option<Place> {
        match self {
            Self::Few(places) => {
                places.retain(|place| view.level(*place).is_some());
                places.iter().copied().min_by_key(|place| (view.level(*place), view.id(*place)))
            }
            Self::Many(levels) => levels.front(view).map(|entry| entry.place),
        }
    }

    /// The DID that [`Order::front`] has just found was used once more.
    pub(super) fn front_used(&mut self, view: View<'_>) {
        match self {
            Self::Few(_) => {}
            Self::Many(levels) => levels.front_used(view),
        }
    }
}

impl Levels {
    fn of(mut places: Vec<Place>, view: View<'_>) -> Self {
        places.sort_unstable();
        places.dedup();
        places.retain(|place| view.level(*place).is_some());
        places.sort_unstable_by_key(|place| (view.level(*place), view.id(*place)));
        let mut levels =
            Self { entries_max: 2 * places.len() + 64, ..Self::default() };
        for place in places {
            levels.enter(place, view);
        }
        levels
    }

    fn enter(&mut self, place: Place, view: View<'_>) {
        let Some(level) = view.level(place) else { return };
        if self.entries >= self.entries_max {
            self.clear_away(view);
        }
        self.put(Entry { level, place }, view);
    }

    fn front(&mut self, view: View<'_>) -> Option<Entry> {
        loop {
            let entry = self.first(view)?;
            match view.level(entry.place) {
                Some(level) if level == entry.level => return Some(entry),
                Some(level) => {
                    self.pop(entry, view);
                    self.put(Entry { level, ..entry }, view);
                }
                None => self.pop(entry, view),
            }
        }
    }

    fn front_used(&mut self, view: View<'_>) {
        let Some(used) = self.first(view) else { return };
        while self.first(view) == Some(used) {
            self.pop(used, view);
        }
        if let Some(level) = view.level(used.place) {
            self.put(Entry { level, ..used }, view);
        }
    }

    fn first(&self, view: View<'_>) -> Option<Entry> {
        let run = self.runs.last().and_then(|run| {
            run.front().map(|place| Entry { level: run.level, place })
        });
        match (run, self.late.first()) {
            (Some(run), Some(late)) if late.rank(view) < run.rank(view) => Some(late),
            (None, late) => late,
            (run, _) => run,
        }
    }

    fn pop(&mut self, first: Entry, view: View<'_>) {
        self.entries -= 1;
        if self.late.first() == Some(first) {
            return self.late.pop(view);
        }
        if let Some(run) = self.runs.last_mut() {
            run.pop();
            if run.front().is_none() {
                self.runs.pop();
            }
        }
    }

    fn put(&mut self, entry: Entry, view: View<'_>) {
        let above = self.runs.iter().rev().position(|run| run.level >= entry.level);
        let at = self.runs.len() - above.unwrap_or(self.runs.len());
        // `at` runs have a higher or the same level; the last of them is the candidate.
        if let Some(run) = at.checked_sub(1).map(|at| &mut self.runs[at])
            && run.level == entry.level
        {
            let back = run.back();
            if back == Some(entry.place) {
                return;
            }
            self.entries += 1;
            if back.is_some_and(|back| view.id(back) < view.id(entry.place)) {
                run.push(entry.place);
            } else {
                self.late.push(entry, view);
            }
            return;
        }
        self.entries += 1;
        if self.deserves_run(entry.level) {
            let mut run = Run::new(entry.level);
            run.push(entry.place);
            self.runs.insert(at, run);
        } else {
            self.late.push(entry, view);
        }
    }

    fn deserves_run(&self, level: u32) -> bool {
        let near = || {
            let lowest = self.runs.last().map(|run| run.level);
            let lowest = lowest.into_iter().chain(self.late.first().map(|entry| entry.level)).min();
            lowest.is_none_or(|lowest| level <= lowest.saturating_add(1))
        };
        self.runs.len() < RUNS_EASY || (self.runs.len() < RUNS_MAX && near())
    }

    /// Starts over with one entry per DID: picks given back for hours leave no more than this.
    fn clear_away(&mut self, view: View<'_>) {
        let in_runs = self.runs.iter().flat_map(Run::places);
        let places = in_runs.chain(self.late.entries().map(|entry| entry.place)).collect();
        *self = Self::of(places, view);
    }
}

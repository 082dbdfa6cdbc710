//! One order of picking: by usage, then by id.
//!
//! An entry is a place and the usage at which the order believes it to be. Uses counted through
//! other orders are not told here, so an entry may stand too early, never too late: it is looked at
//! when it comes to the front, and moved back or dropped. Entries of one DID at one usage come to
//! the front one after the other and become one.

use super::late::{Entry, Late};
use super::pool::{Place, View};
use super::run::Run;

/// Up to here a sorted list is as fast as runs, and smaller.
const FEW_MAX: usize = 128;

/// A run costs some 200 bytes: an order may have one per so many entries, and not more than
/// `RUNS_MAX`, for they are looked through one by one.
const ENTRIES_PER_RUN: usize = 64;
const RUNS_MAX: usize = 32;

/// The DIDs of a tenant, or those of one campaign, area code or both.
#[derive(Debug)]
pub(super) enum Order {
    /// One entry per DID, the first one last.
    Few(Vec<Entry>),
    /// Any number.
    Many(Box<Levels>),
}

#[derive(Debug, Default)]
pub(super) struct Levels {
    /// None empty, the lowest level last. A level may have several, each in the order of ids.
    runs: Vec<Run>,
    late: Late,
    /// Entries in `runs` and `late`, those out of date included.
    entries: usize,
    /// Past this the entries out of date are cleared away.
    entries_max: usize,
    /// What the last look found at the front.
    found: Option<Entry>,
}

impl Default for Order {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Order {
    /// A DID that was never here.
    pub(super) fn join(&mut self, place: Place, view: View<'_>) {
        let Some(level) = view.level(place) else { return };
        match self {
            Self::Few(entries) if entries.len() < FEW_MAX => {
                insert(entries, Entry { level, place }, view);
            }
            Self::Few(_) => self.enter(place, view),
            Self::Many(levels) => {
                levels.entries_max += 2;
                levels.put(Entry { level, place }, view);
            }
        }
    }

    /// A DID that may be here, and comes earlier than its entry says.
    pub(super) fn enter(&mut self, place: Place, view: View<'_>) {
        match self {
            Self::Few(entries) => {
                let Some(level) = view.level(place) else { return };
                entries.retain(|entry| entry.place != place);
                if entries.len() < FEW_MAX {
                    return insert(entries, Entry { level, place }, view);
                }
                let all = entries.iter().map(|entry| entry.place).chain([place]).collect();
                *self = Self::Many(Box::new(Levels::of(all, view)));
            }
            Self::Many(levels) => levels.enter(place, view),
        }
    }

    /// A DID is gone from here. Says whether that leaves nothing.
    pub(super) fn leave(&mut self, place: Place, view: View<'_>) -> bool {
        match self {
            Self::Few(entries) => {
                entries.retain(|entry| entry.place != place);
                entries.is_empty()
            }
            Self::Many(_) => self.front(view).is_none(),
        }
    }

    /// The first that can be picked. None means that no entry is left.
    pub(super) fn front(&mut self, view: View<'_>) -> Option<Place> {
        let entries = match self {
            Self::Few(entries) => entries,
            Self::Many(levels) => return levels.front(view).map(|entry| entry.place),
        };
        loop {
            let entry = *entries.last()?;
            match view.level(entry.place) {
                Some(level) if level == entry.level => return Some(entry.place),
                Some(level) => {
                    entries.pop();
                    insert(entries, Entry { level, ..entry }, view);
                }
                None => drop(entries.pop()),
            }
        }
    }

    /// The DID that [`Order::front`] has just found was used once more.
    pub(super) fn front_used(&mut self, view: View<'_>) {
        match self {
            // Its entry is out of date now, and the next look will see it.
            Self::Few(_) => {}
            Self::Many(levels) => levels.front_used(view),
        }
    }

    /// How many entries it holds, those out of date included.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        match self {
            Self::Few(entries) => entries.len(),
            Self::Many(levels) => levels.entries,
        }
    }
}

fn insert(entries: &mut Vec<Entry>, entry: Entry, view: View<'_>) {
    // Picks go to the far end mostly, which is the beginning; look there before searching.
    let is_last = entries.first().is_none_or(|last| last.before(entry, view));
    let at = if is_last { 0 } else { entries.partition_point(|other| entry.before(*other, view)) };
    if entries.len() == entries.capacity() {
        entries.reserve_exact((entries.len() / 4).max(2));
    }
    entries.insert(at, entry);
}

impl Levels {
    fn of(mut places: Vec<Place>, view: View<'_>) -> Self {
        places.sort_unstable();
        places.dedup();
        places.retain(|place| view.level(*place).is_some());
        places.sort_unstable_by_key(|place| (view.level(*place), view.id(*place)));
        let mut levels = Self { entries_max: 2 * places.len() + 64, ..Self::default() };
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
            self.fetch_ahead(view);
            match view.level(entry.place) {
                Some(level) if level == entry.level => {
                    self.found = Some(entry);
                    return Some(entry);
                }
                Some(level) => {
                    self.pop(entry, view);
                    self.put(Entry { level, ..entry }, view);
                }
                None => self.pop(entry, view),
            }
        }
    }

    fn front_used(&mut self, view: View<'_>) {
        let Some(used) = self.found.take() else { return };
        self.pop(used, view);
        while self.first(view) == Some(used) {
            self.pop(used, view);
        }
        if let Some(level) = view.level(used.place) {
            self.put(Entry { level, ..used }, view);
        }
    }

    /// Looks at the slots of the next few picks together. Those of a filtered order lie all over
    /// the table, so each is a wait for memory, which brings several in the time of one.
    fn fetch_ahead(&self, view: View<'_>) {
        for place in self.runs.last().map_or(&[][..], Run::coming) {
            view.fetch(*place);
        }
    }

    fn first(&self, view: View<'_>) -> Option<Entry> {
        let front = match self.runs.as_slice() {
            [.., above, last] if above.level == last.level => self.first_of_lowest(view),
            [.., last] => last.front().map(|place| Entry { level: last.level, place }),
            [] => None,
        };
        match (front, self.late.first()) {
            (Some(front), Some(late)) if late.before(front, view) => Some(late),
            (None, late) => late,
            (front, _) => front,
        }
    }

    /// The first of several runs of one level.
    fn first_of_lowest(&self, view: View<'_>) -> Option<Entry> {
        let lowest = self.runs.last().map(|run| run.level);
        let runs = self.runs.iter().rev().take_while(|run| Some(run.level) == lowest);
        let fronts =
            runs.filter_map(|run| run.front().map(|place| Entry { level: run.level, place }));
        fronts.reduce(|first, other| if other.before(first, view) { other } else { first })
    }

    fn pop(&mut self, first: Entry, view: View<'_>) {
        self.entries -= 1;
        if self.late.first() == Some(first) {
            return self.late.pop(view);
        }
        let found = self.runs.iter().rposition(|run| run.front() == Some(first.place));
        let at = found.expect("the first entry is at the front of a run, or of the heap");
        self.runs[at].pop();
        if self.runs[at].front().is_none() {
            self.runs.remove(at);
        }
    }

    fn put(&mut self, entry: Entry, view: View<'_>) {
        let above = self.runs.iter().rposition(|run| run.level >= entry.level);
        let at = above.map_or(0, |above| above + 1);
        let same = self.runs[..at].iter_mut().rev().take_while(|run| run.level == entry.level);
        for run in same {
            let Some(back) = run.back() else { continue };
            if back == entry.place {
                return;
            }
            if view.id(back) < view.id(entry.place) {
                run.push(entry.place);
                self.entries += 1;
                return;
            }
        }
        self.entries += 1;
        if self.runs.len() < RUNS_MAX.min(2 + self.entries / ENTRIES_PER_RUN) {
            let mut run = Run::new(entry.level);
            run.push(entry.place);
            self.runs.insert(at, run);
        } else {
            self.late.push(entry, view);
        }
    }

    /// Starts over with one entry per DID: picks given back for hours leave no more than this.
    fn clear_away(&mut self, view: View<'_>) {
        let in_runs = self.runs.iter().flat_map(Run::places);
        let places = in_runs.chain(self.late.entries().map(|entry| entry.place)).collect();
        *self = Self::of(places, view);
    }
}

//! A heap of the DIDs that fit at the end of no run: those that come late, or far ahead.
//!
//! Not `BinaryHeap`: an entry compares by the id of its slot, and holding ids here would make it
//! three times the size.

use std::cmp::Ordering;

use super::pool::{Place, View};

/// A place and the usage it was put down for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) level: u32,
    pub(super) place: Place,
}

/// A binary min-heap by (level, id).
#[derive(Debug, Default)]
pub(super) struct Late {
    heap: Vec<Entry>,
}

impl Entry {
    /// By usage, then by id; ids are looked up only for equal levels.
    pub(super) fn before(self, other: Self, view: View<'_>) -> bool {
        match self.level.cmp(&other.level) {
            Ordering::Less => true,
            Ordering::Equal => view.id(self.place) < view.id(other.place),
            Ordering::Greater => false,
        }
    }
}

impl Late {
    pub(super) fn first(&self) -> Option<Entry> {
        self.heap.first().copied()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.heap.iter().copied()
    }

    pub(super) fn push(&mut self, entry: Entry, view: View<'_>) {
        let mut hole = self.heap.len();
        self.heap.push(entry);
        while hole > 0 {
            let parent = (hole - 1) / 2;
            if !entry.before(self.heap[parent], view) {
                break;
            }
            self.heap[hole] = self.heap[parent];
            hole = parent;
        }
        self.heap[hole] = entry;
    }

    pub(super) fn pop(&mut self, view: View<'_>) {
        let Some(entry) = self.heap.pop() else { return };
        if self.heap.is_empty() {
            self.heap = Vec::new();
            return;
        }
        let mut hole = 0;
        while let Some(child) = self.lesser_child(hole, view) {
            if !self.heap[child].before(entry, view) {
                break;
            }
            self.heap[hole] = self.heap[child];
            hole = child;
        }
        self.heap[hole] = entry;
        if self.heap.len() * 4 < self.heap.capacity() {
            self.heap.shrink_to(self.heap.len() * 2);
        }
    }

    fn lesser_child(&self, parent: usize, view: View<'_>) -> Option<usize> {
        let left = 2 * parent + 1;
        let right = left + 1;
        match (self.heap.get(left), self.heap.get(right)) {
            (Some(one), Some(other)) if other.before(*one, view) => Some(right),
            (one, _) => one.map(|_| left),
        }
    }
}

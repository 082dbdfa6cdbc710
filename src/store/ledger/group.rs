//! A group of uses on its way into a database, and what can come in between.

use std::sync::Arc;

use uuid::Uuid;

use super::{Recorded, Use, WriterId};

/// Which group this is. A database takes a group in only if the writer's row says that its
/// predecessor was the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) writer: WriterId,
    /// One run of the daemon.
    pub(super) run: Uuid,
    /// This group's number, from 1.
    pub(super) sequence: i64,
}

/// What the database did with a group.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It took it in, with this outcome for each use.
    Now(Vec<Recorded>),
    /// It was not this group's turn: an earlier attempt took it in, or another run has begun.
    NotItsTurn,
}

/// What the writer's row says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WriterRow {
    pub(super) run: Uuid,
    pub(super) sequence: i64,
    /// The places of the uses that the last group did not count, from 0.
    pub(super) refused: Vec<i32>,
}

/// How many uses of the group so far fall on each DID is looked up by scanning; groups are small
/// enough that a map would cost more.
pub(super) type Uses = [Arc<Use>];

impl Use {
    /// The idempotency key, if it has one.
    pub(super) fn key(&self) -> Option<&str> {
        let key = self.call.as_ref()?.key.as_ref()?;
        Some(&key.key)
    }
}

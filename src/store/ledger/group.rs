//! A group of uses on its way into a database, and what can come in between.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Use, WriterId};
use crate::domain::did::DidId;
use crate::domain::tenant::TenantId;

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
    Now(Vec<Outcome>),
    /// It was not this group's turn: an earlier attempt took it in, or another run has begun.
    NotItsTurn,
}

/// What a database says of a use in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Counted.
    Counted {
        /// The DID's count, this use and those counted with it included.
        usage_count: u32,
    },
    /// Not counted; the DID's row, if there still is one, has to be asked why.
    Refused,
    /// Not counted: the tenant has a call under this idempotency key.
    Conflict,
}

/// What the writer's row says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WriterRow {
    pub(super) run: Uuid,
    pub(super) sequence: i64,
    /// The places of the uses that the last group did not count, from 0; or, of a group admitted
    /// [`Admit::Whole`], the places of their DIDs.
    pub(super) refused: Vec<i32>,
}

pub(super) type Uses = [Arc<Use>];

/// How the uses of one DID that stand in one group are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admit {
    /// All are counted or none. A use refused so may still have room.
    Whole,
    /// One after the other, up to the limit.
    Singly,
}

/// The group by DID, in the order of their ids.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    dids: Vec<TallyDid<'a>>,
    /// For each use the place of its DID.
    places: Vec<usize>,
}

/// What a group asks of one DID.
#[derive(Debug)]
pub(super) struct TallyDid<'a> {
    pub(super) id: DidId,
    pub(super) tenant: &'a TenantId,
    pub(super) uses: i64,
    /// The latest.
    pub(super) at: DateTime<Utc>,
}

impl<'a> Tally<'a> {
    pub(super) fn of(uses: &'a Uses) -> Self {
        let mut order: Vec<usize> = (0..uses.len()).collect();
        let key = |place: &usize| (uses[*place].did, &uses[*place].tenant);
        order.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        let mut dids: Vec<TallyDid<'a>> = Vec::with_capacity(uses.len());
        let mut places = vec![0; uses.len()];
        for place in order {
            let Use { did: id, tenant, at, .. } = &*uses[place];
            match dids.last_mut() {
                Some(last) if last.id == *id && last.tenant == tenant => {
                    last.uses += 1;
                    last.at = last.at.max(*at);
                }
                Some(_) | None => dids.push(TallyDid { id: *id, tenant, uses: 1, at: *at }),
            }
            places[place] = dids.len() - 1;
        }
        Self { dids, places }
    }

    pub(super) fn dids(&self) -> &[TallyDid<'a>] {
        &self.dids
    }

    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.places.iter().copied()
    }
}

impl Admit {
    /// The places of the uses that were not counted, from what the writer's row says of the group.
    pub(super) fn uncounted(self, uses: &Uses, refused: Vec<i32>) -> Vec<i32> {
        match self {
            Self::Singly => refused,
            Self::Whole => (0..)
                .zip(Tally::of(uses).places())
                .filter(|(_, did)| refused.iter().any(|refused| *refused as usize == *did))
                .map(|(place, _)| place)
                .collect(),
        }
    }
}

impl Use {
    /// The idempotency key, if it has one.
    pub(super) fn key(&self) -> Option<&str> {
        let key = self.call.as_ref()?.key.as_ref()?;
        Some(&key.key)
    }
}

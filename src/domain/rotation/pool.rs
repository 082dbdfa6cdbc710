//! One tenant's DIDs: a table of slots, and the orders over it.
//!
//! Only the order that a pick asks for is touched by the pick; the others notice when the DID comes
//! to their front (`order.rs`). What makes a DID come *earlier* than an order believes — a use given
//! back, a limit raised, a status set to active — is told to all its orders at once.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::num::NonZeroU32;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::order::Order;
use super::{NotPickable, Summary};
use crate::domain::did::{DidId, DidStatus};
use crate::domain::number::{AreaCode, E164};

/// Where a slot is in its pool's table. Ids would do too, at four times the size.
pub(super) type Place = u32;

/// Up to here a pool keeps no orders by area code and campaign: looking at all its slots is as fast,
/// and ten thousand small tenants would pay more for the orders than for their DIDs.
const SMALL: usize = 128;

/// A limit that no count reaches.
pub(super) const NO_LIMIT: u32 = u32::MAX;

/// Deleted slots a pool may carry however small it is.
const DEAD_MAX: usize = 64;

/// A name of the index's tables, held as its position + 1 so that `Option` costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NameKey(NonZeroU32);

/// What an order holds: the pickable DIDs that match every part named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct OrderKey {
    pub(super) campaign: Option<NameKey>,
    pub(super) area_code: Option<AreaCode>,
}

/// What picking needs to know of a DID.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) id: DidId,
    pub(super) number: E164,
    pub(super) area_code: Option<AreaCode>,
    pub(super) campaign: Option<NameKey>,
    /// Uses the store has counted.
    pub(super) counted: u32,
    /// Picks whose fate in the store is not known yet.
    pub(super) pending: u32,
    /// [`NO_LIMIT`] where there is none.
    pub(super) max_usage: u32,
    /// The trunk and the status, which is none once the DID is deleted: the slot stays until the
    /// table is rebuilt.
    pub(super) way: Way,
}

/// A trunk's name and a status in four bytes, which brings a slot to 48.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way(u32);

/// One tenant's DIDs.
#[derive(Debug, Default)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    by_id: HashTable<Place>,
    hasher: DefaultHashBuilder,
    all: Order,
    /// Every order but `all`; none of them empty of entries. Only in a pool that is not small.
    filtered: HashMap<OrderKey, Order>,
    summary: Summary,
    /// How often the slots have been given new places.
    pub(super) rebuilds: u32,
}

/// The slots as one order sees them.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    slots: &'a [Slot],
    key: OrderKey,
}

impl NameKey {
    pub(super) fn new(place: usize) -> Self {
        let place = u32::try_from(place).expect("names fit in memory, so their count fits");
        Self(NonZeroU32::MIN.saturating_add(place))
    }

    pub(super) fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Way {
    const STATUSES: [Option<DidStatus>; 5] = [
        None,
        Some(DidStatus::Active),
        Some(DidStatus::Available),
        Some(DidStatus::Inactive),
        Some(DidStatus::Suspended),
    ];

    pub(super) fn new(trunk: NameKey, status: Option<DidStatus>) -> Self {
        let status = Self::STATUSES.iter().position(|other| *other == status);
        let status = status.expect("every status is in the table") as u32;
        assert!(trunk.0.get() < 1 << 29, "half a billion names of trunks do not fit in memory");
        Self(trunk.0.get() << 3 | status)
    }

    pub(super) fn trunk(self) -> NameKey {
        NameKey(NonZeroU32::new(self.0 >> 3).expect("made of a key, which is not zero"))
    }

    pub(super) fn status(self) -> Option<DidStatus> {
        Self::STATUSES[(self.0 & 7) as usize]
    }

    fn is_active(self) -> bool {
        self.0 & 7 == 1
    }

    fn deleted(self) -> Self {
        Self(self.0 & !7)
    }
}

impl OrderKey {
    const ALL: Self = Self { campaign: None, area_code: None };

    /// The orders besides [`OrderKey::ALL`] that a slot belongs to.
    fn filters_of(slot: &Slot) -> impl Iterator<Item = Self> + use<> {
        let (campaign, area_code) = (slot.campaign, slot.area_code);
        let by_area = area_code.map(|_| Self { campaign: None, area_code });
        let by_campaign = campaign.map(|_| Self { campaign, area_code: None });
        let by_both = by_area.and(by_campaign).map(|_| Self { campaign, area_code });
        [by_area, by_campaign, by_both].into_iter().flatten()
    }

    fn covers(self, slot: &Slot) -> bool {
        (self.campaign.is_none() || self.campaign == slot.campaign)
            && (self.area_code.is_none() || self.area_code == slot.area_code)
    }
}

impl Slot {
    /// What order and limit go by.
    pub(super) fn usage(&self) -> u32 {
        self.counted.saturating_add(self.pending)
    }

    fn is_active(&self) -> bool {
        self.way.is_active()
    }

    fn is_spent(&self) -> bool {
        self.max_usage != NO_LIMIT && self.usage() >= self.max_usage
    }

    fn is_pickable(&self) -> bool {
        self.is_active() && !self.is_spent()
    }
}

impl View<'_> {
    pub(super) fn id(self, place: Place) -> DidId {
        self.slots[place as usize].id
    }

    /// Brings a slot into the cache, at both its ends, for it may lie across two lines. Nothing
    /// but speed depends on it.
    pub(super) fn fetch(self, place: Place) {
        let slot = &self.slots[place as usize];
        black_box((slot.id.0.as_bytes()[0], slot.way.0));
    }

    /// How often the DID was used; none if this order must not give it out.
    pub(super) fn level(self, place: Place) -> Option<u32> {
        let slot = &self.slots[place as usize];
        (slot.is_pickable() && self.key.covers(slot)).then(|| slot.usage())
    }
}

impl Pool {
    pub(super) fn upsert(&mut self, new: Slot) {
        let Some(place) = self.find(new.id) else { return self.insert(new) };
        let before = self.slots[place as usize].clone();
        self.change_at(place, |slot| *slot = Slot { pending: slot.pending, ..new });
        let slot = &self.slots[place as usize];
        if (before.campaign, before.area_code) != (slot.campaign, slot.area_code) {
            self.leave(place, &before);
            self.enter(place);
        }
    }

    pub(super) fn remove(&mut self, id: DidId) {
        let Some(place) = self.find(id) else { return };
        let hash = self.hasher.hash_one(id);
        if let Ok(found) = self.by_id.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        let before = self.slots[place as usize].clone();
        self.change_at(place, |slot| slot.way = slot.way.deleted());
        self.leave(place, &before);
        let dead = self.slots.len() - self.summary.total;
        if dead > DEAD_MAX && dead > self.summary.total {
            self.rebuild();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.summary.total == 0
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary
    }

    /// The entries of all its orders.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.all.entries() + self.filtered.values().map(Order::entries).sum::<usize>()
    }

    pub(super) fn slot(&self, place: Place) -> &Slot {
        &self.slots[place as usize]
    }

    /// All slots, those of deleted DIDs included.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The DID that comes first in an order.
    pub(super) fn front(&mut self, key: OrderKey) -> Option<Place> {
        let view = View { slots: &self.slots, key };
        if key == OrderKey::ALL {
            return self.all.front(view);
        }
        if self.is_small() {
            let places = (0..).zip(&self.slots).map(|(place, _)| place);
            let pickable = places.filter_map(|place| Some((view.level(place)?, place)));
            let first = pickable.min_by_key(|(level, place)| (*level, view.id(*place)));
            return first.map(|(_, place)| place);
        }
        let order = self.filtered.get_mut(&key)?;
        let front = order.front(view);
        if front.is_none() {
            // Nothing in it is pickable, so `front` has emptied it.
            self.filtered.remove(&key);
        }
        front
    }

    /// Counts a use of the DID that [`Pool::front`] has just found in this order.
    pub(super) fn take(&mut self, key: OrderKey, front: Place) -> &Slot {
        self.count(front);
        let view = View { slots: &self.slots, key };
        if key == OrderKey::ALL {
            self.all.front_used(view);
        } else if let Some(order) = self.filtered.get_mut(&key) {
            order.front_used(view);
        }
        self.slot(front)
    }

    pub(super) fn pick_named(&mut self, id: DidId) -> Result<&Slot, NotPickable> {
        let place = self.find(id).ok_or(NotPickable::Unknown)?;
        let slot = self.slot(place);
        match slot.way.status() {
            None => return Err(NotPickable::Unknown),
            Some(DidStatus::Active) => {}
            Some(status) => return Err(NotPickable::NotActive(status)),
        }
        if slot.is_spent() {
            return Err(NotPickable::Spent { max: slot.max_usage });
        }
        self.count(place);
        Ok(self.slot(place))
    }

    /// Changes counts of a DID, if it is still there.
    pub(super) fn change(&mut self, id: DidId, change: impl FnOnce(&mut Slot)) {
        if let Some(place) = self.find(id) {
            self.change_at(place, change);
        }
    }

    fn find(&self, id: DidId) -> Option<Place> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |place| self.slot(*place).id == id).copied()
    }

    fn insert(&mut self, slot: Slot) {
        // Grown by an eighth, not doubled: a million slots would waste fifty megabytes.
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact((self.slots.len() / 8).max(4));
        }
        let place = Place::try_from(self.slots.len()).expect("4 billion slots do not fit");
        let hash = self.hasher.hash_one(slot.id);
        self.tally(&slot, Tally::In);
        self.slots.push(slot);
        let Self { slots, by_id, hasher, .. } = self;
        by_id.insert_unique(hash, place, |other| hasher.hash_one(slots[*other as usize].id));
        if self.slots.len() == SMALL + 1 {
            (0..place).for_each(|earlier| self.enter(earlier));
        }
        self.tell(place, Order::join);
    }

    fn is_small(&self) -> bool {
        self.slots.len() <= SMALL
    }

    /// A use more: the DID moves back in every order, which each will notice by itself.
    fn count(&mut self, place: Place) {
        let slot = &mut self.slots[place as usize];
        slot.pending = slot.pending.saturating_add(1);
        if slot.is_spent() {
            self.summary.spent += 1;
        }
    }

    fn change_at(&mut self, place: Place, change: impl FnOnce(&mut Slot)) {
        let slot = &mut self.slots[place as usize];
        let before = slot.clone();
        change(slot);
        let after = slot.clone();
        self.tally(&before, Tally::Out);
        self.tally(&after, Tally::In);
        let earlier = !before.is_pickable() || after.usage() < before.usage();
        if earlier {
            self.enter(place);
        }
    }

    /// Tells every order of a DID that it may come earlier than they know.
    fn enter(&mut self, place: Place) {
        self.tell(place, Order::enter);
    }

    fn tell(&mut self, place: Place, what: fn(&mut Order, Place, View<'_>)) {
        let slot = &self.slots[place as usize];
        if !slot.is_pickable() {
            return;
        }
        let small = self.is_small();
        for key in OrderKey::filters_of(slot).filter(|_| !small) {
            let order = self.filtered.entry(key).or_default();
            what(order, place, View { slots: &self.slots, key });
        }
        what(&mut self.all, place, View { slots: &self.slots, key: OrderKey::ALL });
    }

    /// Takes a DID out of the small orders it was in, and drops those it leaves empty; a large
    /// order drops it when it comes to the front.
    fn leave(&mut self, place: Place, before: &Slot) {
        for key in OrderKey::filters_of(before) {
            let view = View { slots: &self.slots, key };
            if self.filtered.get_mut(&key).is_some_and(|order| order.leave(place, view)) {
                self.filtered.remove(&key);
            }
        }
    }

    fn tally(&mut self, slot: &Slot, way: Tally) {
        let step = |count: &mut usize, holds: bool| match way {
            Tally::In => *count += usize::from(holds),
            Tally::Out => *count -= usize::from(holds),
        };
        step(&mut self.summary.total, slot.way.status().is_some());
        step(&mut self.summary.active, slot.is_active());
        step(&mut self.summary.spent, slot.is_active() && slot.is_spent());
    }

    /// Reclaims deleted slots by starting over with the living, in the order of ids.
    fn rebuild(&mut self) {
        let mut living = std::mem::take(&mut self.slots);
        living.retain(|slot| slot.way.status().is_some());
        living.sort_unstable_by_key(|slot| slot.id);
        *self = Self { rebuilds: self.rebuilds.wrapping_add(1), ..Self::default() };
        for slot in living {
            self.insert(slot);
        }
    }
}

#[derive(Clone, Copy)]
enum Tally {
    In,
    Out,
}

//! One tenant's DIDs: a table of slots, and the orders over it.
//!
//! Only the order that a pick asks for is touched by the pick; the others notice when the DID comes
//! to their front (`order.rs`). What makes a DID come *earlier* than an order believes — a use given
//! back, a limit raised, a status set to active — is told to all its orders at once.

use std::hash::BuildHasher;
use std::hint::black_box;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::order::Order;
use super::slot::{NameKey, OrderKey, Slot};
use super::{NotPickable, Summary};
use crate::domain::did::{DidId, DidStatus};

/// Where a slot is in its pool's table. Ids would do too, at four times the size.
pub(super) type Place = u32;

/// Up to here a pool keeps no orders by area code and campaign: looking at all its slots is as fast,
/// and ten thousand small tenants would pay more for the orders than for their DIDs.
const SMALL: usize = 128;

/// Deleted slots a pool may carry however small it is.
const DEAD_MAX: usize = 64;

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
    /// The same for each campaign. Only in a pool that is not small.
    by_campaign: HashMap<NameKey, Summary>,
    /// How often the slots have been given new places.
    pub(super) rebuilds: u32,
}

/// The slots as one order sees them.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    slots: &'a [Slot],
    key: OrderKey,
}

impl View<'_> {
    pub(super) fn id(self, place: Place) -> DidId {
        self.slots[place as usize].id
    }

    /// Brings a slot into the cache, at both its ends, for it may lie across two lines. Nothing
    /// but speed depends on it.
    pub(super) fn fetch(self, place: Place) {
        let slot = &self.slots[place as usize];
        black_box((slot.id.0.as_bytes()[0], slot.way));
    }

    /// Where the DID stands in the order; none if this order must not give it out.
    pub(super) fn level(self, place: Place) -> Option<u32> {
        let slot = &self.slots[place as usize];
        (slot.is_pickable() && self.key.covers(slot)).then(|| slot.level())
    }
}

impl Pool {
    pub(super) fn upsert(&mut self, new: Slot) {
        let Some(place) = self.find(new.id) else { return self.insert(new) };
        let before = self.slots[place as usize].clone();
        self.change_at(place, |slot| *slot = new.pending_as(slot));
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

    pub(super) fn summary_of(&self, campaign: NameKey) -> Summary {
        if !self.is_small() {
            return self.by_campaign.get(&campaign).copied().unwrap_or_default();
        }
        let mut summary = Summary::default();
        let own = self.slots.iter().filter(|slot| slot.campaign == Some(campaign));
        own.for_each(|slot| step(&mut summary, slot, Tally::In));
        summary
    }

    /// The entries of all its orders.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.all.entries() + self.filtered.values().map(Order::entries).sum::<usize>()
    }

    pub(super) fn slot(&self, place: Place) -> &Slot {
        &self.slots[place as usize]
    }

    pub(super) fn is_pickable(&self, id: DidId) -> bool {
        self.find(id).is_some_and(|place| self.slot(place).is_pickable())
    }

    pub(super) fn has(&self, id: DidId) -> bool {
        self.find(id).is_some()
    }

    /// All slots, those of deleted DIDs included.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn held(&self, place: usize, most: usize) -> Option<Vec<DidId>> {
        let slots = self.slots.get(place..).filter(|slots| !slots.is_empty())?;
        let living = slots.iter().take(most).filter(|slot| slot.way.status().is_some());
        Some(living.map(|slot| slot.id).collect())
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
            return Err(NotPickable::Spent { max: slot.max_usage() });
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
            for each in 0..self.slots.len() {
                self.tally_campaign(&self.slots[each].clone(), Tally::In);
            }
        }
        self.tell(place, Order::join);
    }

    fn is_small(&self) -> bool {
        self.slots.len() <= SMALL
    }

    /// A use more: the DID moves back in every order, which each will notice by itself.
    fn count(&mut self, place: Place) {
        let slot = &mut self.slots[place as usize];
        slot.begin_use();
        if slot.is_spent() {
            self.summary.spent += 1;
            let of_campaign = slot.campaign.and_then(|key| self.by_campaign.get_mut(&key));
            of_campaign.into_iter().for_each(|summary| summary.spent += 1);
        }
    }

    fn change_at(&mut self, place: Place, change: impl FnOnce(&mut Slot)) {
        let slot = &mut self.slots[place as usize];
        let before = slot.clone();
        change(slot);
        let after = slot.clone();
        let tallied = |slot: &Slot| (slot.way, slot.campaign, slot.is_spent());
        if tallied(&before) != tallied(&after) {
            self.tally(&before, Tally::Out);
            self.tally(&after, Tally::In);
        }
        let earlier = !before.is_pickable() || after.level() < before.level();
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
        step(&mut self.summary, slot, way);
        if !self.is_small() {
            self.tally_campaign(slot, way);
        }
    }

    fn tally_campaign(&mut self, slot: &Slot, way: Tally) {
        let Some(campaign) = slot.campaign.filter(|_| slot.way.status().is_some()) else { return };
        let summary = self.by_campaign.entry(campaign).or_default();
        step(summary, slot, way);
        if *summary == Summary::default() {
            self.by_campaign.remove(&campaign);
        }
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

fn step(summary: &mut Summary, slot: &Slot, way: Tally) {
    let step = |count: &mut usize, holds: bool| match way {
        Tally::In => *count += usize::from(holds),
        Tally::Out => *count -= usize::from(holds),
    };
    step(&mut summary.total, slot.way.status().is_some());
    step(&mut summary.active, slot.is_active());
    step(&mut summary.spent, slot.is_active() && slot.is_spent());
}

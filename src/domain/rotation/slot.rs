//! What the index keeps of one DID, in 48 bytes.

use std::num::NonZeroU32;

use crate::domain::did::{DidId, DidState, DidStatus};
use crate::domain::number::{AreaCode, E164};

/// A limit that no count reaches.
const NO_LIMIT: u32 = u32::MAX;

/// How many bits a number leaves free: 15 digits take 50.
const PENDING_BITS: u32 = 14;

/// The most uses of one DID whose fate may be open; the ledger lets half as many wait in all.
const PENDING_MAX: u64 = (1 << PENDING_BITS) - 1;

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
    pub(super) area_code: Option<AreaCode>,
    pub(super) campaign: Option<NameKey>,
    /// Uses the store has counted.
    pub(super) counted: u32,
    /// How many uses it stands behind its own when compared with others.
    head_start: u32,
    /// [`NO_LIMIT`] where there is none.
    max_usage: u32,
    /// The trunk and the status, which is none once the DID is deleted: the slot stays until the
    /// table is rebuilt.
    pub(super) way: Way,
    shown: Shown,
}

/// A number and, in the bits it leaves free, the picks whose fate in the store is not known yet.
#[derive(Debug, Clone, Copy)]
struct Shown(u64);

/// A trunk's name and a status in four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way(u32);

impl Slot {
    /// The slot of a DID as the store has it, no use of it pending.
    pub(super) fn new(state: &DidState, campaign: Option<NameKey>, trunk: NameKey) -> Self {
        Self {
            id: state.id,
            area_code: state.area_code,
            campaign,
            counted: state.usage_count,
            head_start: state.head_start,
            max_usage: state.max_usage.unwrap_or(NO_LIMIT),
            way: Way::new(trunk, Some(state.status)),
            shown: Shown(state.number.digits() << PENDING_BITS),
        }
    }

    /// The same with as many uses pending as that one has.
    pub(super) fn pending_as(self, other: &Self) -> Self {
        let number = self.shown.0 & !PENDING_MAX;
        Self { shown: Shown(number | other.shown.0 & PENDING_MAX), ..self }
    }

    pub(super) fn number(&self) -> E164 {
        let number = E164::from_digits(self.shown.0 >> PENDING_BITS);
        number.expect("made of a number, of which no bit is lost")
    }

    /// What the limit goes by.
    pub(super) fn usage(&self) -> u32 {
        self.counted.saturating_add((self.shown.0 & PENDING_MAX) as u32)
    }

    /// What the order goes by.
    pub(super) fn level(&self) -> u32 {
        self.usage().saturating_add(self.head_start)
    }

    pub(super) fn begin_use(&mut self) {
        self.shown.0 += u64::from(self.shown.0 & PENDING_MAX < PENDING_MAX);
    }

    pub(super) fn end_use(&mut self) {
        self.shown.0 -= u64::from(self.shown.0 & PENDING_MAX > 0);
    }

    pub(super) fn is_active(&self) -> bool {
        self.way.is_active()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.max_usage != NO_LIMIT && self.usage() >= self.max_usage
    }

    pub(super) fn is_pickable(&self) -> bool {
        self.is_active() && !self.is_spent()
    }

    pub(super) fn max_usage(&self) -> u32 {
        self.max_usage
    }
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

    fn new(trunk: NameKey, status: Option<DidStatus>) -> Self {
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

    pub(super) fn deleted(self) -> Self {
        Self(self.0 & !7)
    }
}

impl OrderKey {
    pub(super) const ALL: Self = Self { campaign: None, area_code: None };

    /// The orders besides [`OrderKey::ALL`] that a slot belongs to.
    pub(super) fn filters_of(slot: &Slot) -> impl Iterator<Item = Self> + use<> {
        let (campaign, area_code) = (slot.campaign, slot.area_code);
        let by_area = area_code.map(|_| Self { campaign: None, area_code });
        let by_campaign = campaign.map(|_| Self { campaign, area_code: None });
        let by_both = by_area.and(by_campaign).map(|_| Self { campaign, area_code });
        [by_area, by_campaign, by_both].into_iter().flatten()
    }

    pub(super) fn covers(self, slot: &Slot) -> bool {
        (self.campaign.is_none() || self.campaign == slot.campaign)
            && (self.area_code.is_none() || self.area_code == slot.area_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::did::TrunkName;
    use crate::domain::tenant::TenantId;

    #[test]
    fn a_slot_is_small() {
        assert_eq!(size_of::<Slot>(), 48);
    }

    #[test]
    fn the_largest_number_keeps_its_digits_beside_the_most_pending_uses() {
        let mut slot = slot("+999999999999999");

        (0..=PENDING_MAX).for_each(|_| slot.begin_use());

        assert_eq!(slot.number().to_string(), "+999999999999999");
        assert_eq!(u64::from(slot.usage()), PENDING_MAX);
    }

    #[test]
    fn a_use_that_never_began_does_not_end() {
        let mut slot = slot("+1000000");

        slot.end_use();

        assert_eq!((slot.usage(), slot.number().digits()), (0, 1_000_000));
    }

    fn slot(number: &str) -> Slot {
        let state = DidState {
            id: DidId(uuid::Uuid::nil()),
            tenant: TenantId::default_tenant(),
            number: number.parse().unwrap(),
            area_code: None,
            trunk: TrunkName::pjsip(),
            status: DidStatus::Active,
            usage_count: 0,
            max_usage: None,
            campaign: None,
            head_start: 0,
        };
        Slot::new(&state, None, NameKey::new(0))
    }
}

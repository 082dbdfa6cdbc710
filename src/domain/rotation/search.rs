//! Looking through all of a tenant's DIDs for the first few that match, in some order.
//!
//! No order is kept for this: every slot is looked at, which takes a million of them some
//! milliseconds. So that picks need not wait for that, a search goes on slice by slice, and between
//! two slices whoever shares the index lets the lock go.

use std::ops::RangeInclusive;

use uuid::Uuid;

use super::RotationIndex;
use super::slot::{Slot, Way};
use crate::domain::did::{DidId, DidStatus, TrunkName};
use crate::domain::number::{AreaCode, E164};
use crate::domain::tenant::{CampaignId, TenantId};

/// Found DIDs that are kept beyond those wanted before the last of them are dropped.
const SPARE: usize = 1_024;

/// What the DIDs must be; what is none does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// In this state.
    pub status: Option<DidStatus>,
    /// Of this area code.
    pub area_code: Option<AreaCode>,
    /// Leaving by this trunk.
    pub trunk: Option<TrunkName>,
    /// Of this pool.
    pub campaign: Option<CampaignId>,
    /// With these digits somewhere in the number.
    pub digits: Option<Digits>,
}

/// One to fifteen digits to look for in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    /// Four bits a digit, the last digit lowest.
    packed: u64,
    count: u32,
}

/// By what the DIDs are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// The number, as text.
    Number,
    /// Uses the store has counted, then the id.
    Usage,
    /// The id.
    Id,
}

/// A DID found, with all that orders go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: DidId,
    /// Its number.
    pub number: E164,
    /// Uses the store has counted.
    pub usage_count: u32,
}

/// A search under way; see [`RotationIndex::search`].
#[derive(Debug)]
pub struct Search {
    tenant: TenantId,
    wanted: Wanted,
    rank: Rank,
    /// Only DIDs behind this place.
    after: Option<Key>,
    /// How many are wanted.
    count: usize,
    found: Vec<(Key, Found)>,
    /// Those at this place or behind are too late to be among the wanted.
    too_late: Option<Key>,
    /// Numbers that need no second look, by rank: before `after`, or behind `too_late`.
    not_wanted: [RangeInclusive<u64>; 2],
    next: usize,
    matched: usize,
    /// The table's slots have their places since this many rebuilds.
    rebuilds: u32,
}

/// A place in an order: the rank by number or usage, then the id where that decides.
type Key = (u64, Uuid);

impl Digits {
    /// The digits in a text, whatever else stands there; none if it has no digits.
    ///
    /// More than fifteen are the error: no number has as many.
    pub fn read(text: &str) -> Result<Option<Self>, TooManyDigits> {
        let mut digits = Self { packed: 0, count: 0 };
        for digit in text.chars().filter_map(|c| c.to_digit(10)) {
            if digits.count == 15 {
                return Err(TooManyDigits);
            }
            digits.packed = digits.packed << 4 | u64::from(digit);
            digits.count += 1;
        }
        Ok((digits.count > 0).then_some(digits))
    }

    /// Whether the number has these digits, one after the other.
    pub fn are_in(self, number: E164) -> bool {
        let (number, length) = packed(number.digits());
        let mask = (1_u64 << (4 * self.count)) - 1;
        (0..(length + 1).saturating_sub(self.count))
            .any(|place| (number >> (4 * place)) & mask == self.packed)
    }
}

/// More digits than any number has: nothing can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyDigits;

impl Rank {
    fn key_of(self, found: &Found) -> Key {
        match self {
            Self::Number => (text_rank(found.number), Uuid::nil()),
            Self::Usage => (u64::from(found.usage_count), found.id.0),
            Self::Id => (0, found.id.0),
        }
    }
}

impl Search {
    /// For the first `count` of the tenant's DIDs that match, in this order, behind `after`: a DID
    /// as it stood when it was found (of which only what the order goes by counts).
    pub fn new(
        tenant: TenantId,
        wanted: Wanted,
        rank: Rank,
        count: usize,
        after: Option<Found>,
    ) -> Self {
        let before = match (rank, &after) {
            (Rank::Number, Some(after)) => numbers_before(after.number.digits()),
            (Rank::Number | Rank::Usage | Rank::Id, _) => NO_NUMBERS,
        };
        let after = after.map(|after| rank.key_of(&after));
        Self {
            tenant,
            wanted,
            rank,
            after,
            count,
            found: Vec::new(),
            too_late: None,
            not_wanted: [before, NO_NUMBERS],
            next: 0,
            matched: 0,
            rebuilds: 0,
        }
    }

    /// What was found, in order.
    pub fn found(mut self) -> Vec<Found> {
        self.found.sort_unstable_by_key(|(key, _)| *key);
        self.found.truncate(self.count);
        self.found.into_iter().map(|(_, found)| found).collect()
    }

    /// Of the DIDs looked at so far how many match, wherever in the order they stand.
    pub fn matched(&self) -> usize {
        self.matched
    }

    fn look_at(&mut self, slot: &Slot) {
        self.matched += 1;
        if self.not_wanted.iter().any(|numbers| numbers.contains(&slot.digits())) {
            return;
        }
        let found = Found { id: slot.id, number: slot.number(), usage_count: slot.counted };
        let key = self.rank.key_of(&found);
        if self.after.is_some_and(|after| key <= after)
            || self.too_late.is_some_and(|too_late| key >= too_late)
        {
            return;
        }
        self.found.push((key, found));
        if self.found.len() >= 2 * self.count + SPARE {
            let (_, first_spare, _) =
                self.found.select_nth_unstable_by_key(self.count, |(key, _)| *key);
            self.too_late = Some(first_spare.0);
            if self.rank == Rank::Number {
                self.not_wanted[1] = numbers_from(first_spare.1.number.digits());
            }
            self.found.truncate(self.count);
        }
    }
}

impl RotationIndex {
    /// Looks at up to `most` more slots, some nanoseconds each. Says whether that was the last.
    ///
    /// DIDs that come, change or go meanwhile may or may not be found; all others are.
    pub fn search(&self, search: &mut Search, most: usize) -> bool {
        let Some(pool) = self.pools.get(&search.tenant) else { return true };
        let wanted = search.wanted.clone();
        let trunk = wanted.trunk.as_ref().map(|name| self.trunks.find(name));
        let campaign = wanted.campaign.as_ref().map(|name| self.campaigns.find(name));
        // A name that was never heard is nobody's.
        if trunk == Some(None) || campaign == Some(None) {
            return true;
        }
        if search.rebuilds != pool.rebuilds {
            (search.rebuilds, search.next, search.matched) = (pool.rebuilds, 0, 0);
            (search.too_late, search.not_wanted[1]) = (None, NO_NUMBERS);
            search.found.clear();
        }
        let way = Way::sieve(wanted.status, trunk.flatten());
        let matches = |slot: &Slot| {
            way(slot.way)
                && (wanted.area_code.is_none() || wanted.area_code == slot.area_code)
                && campaign.is_none_or(|campaign| campaign == slot.campaign)
                && wanted.digits.is_none_or(|digits| digits.are_in(slot.number()))
        };
        let slots = pool.slots();
        let end = slots.len().min(search.next.saturating_add(most));
        for slot in slots.get(search.next..end).unwrap_or_default() {
            if matches(slot) {
                search.look_at(slot);
            }
        }
        search.next = end;
        end == slots.len()
    }
}

/// No number is 0.
const NO_NUMBERS: RangeInclusive<u64> = 0..=0;

/// Among numbers with as many digits the order of texts is that of values: those up to this one.
fn numbers_before(number: u64) -> RangeInclusive<u64> {
    10_u64.pow(number.ilog10())..=number
}

/// The same from this one on.
fn numbers_from(number: u64) -> RangeInclusive<u64> {
    number..=10_u64.pow(number.ilog10() + 1) - 1
}

/// The digits of a number, four bits each, and how many they are. `number` has at most 15.
fn packed(mut number: u64) -> (u64, u32) {
    let (mut packed, mut places) = (0, 0);
    while number > 0 {
        packed |= u64::from(FOUR_DIGITS[(number % 10_000) as usize]) << (16 * places);
        number /= 10_000;
        places += 1;
    }
    (packed, (67 - packed.leading_zeros()) / 4)
}

/// What 0 to 9,999 look like in decimal, four bits a digit.
static FOUR_DIGITS: [u16; 10_000] = {
    let mut table = [0; 10_000];
    let mut number = 0_u16;
    while number < 10_000 {
        table[number as usize] = (number / 1_000) << 12
            | (number / 100 % 10) << 8
            | (number / 10 % 10) << 4
            | (number % 10);
        number += 1;
    }
    table
};

/// Ranks numbers as their texts are ranked: by digits from the left, then the shorter first.
fn text_rank(number: E164) -> u64 {
    let (packed, length) = packed(number.digits());
    packed << (4 * (15 - length)) << 4 | u64::from(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::did::DidState;

    proptest! {
        #[test]
        fn a_search_finds_what_looking_at_each_and_sorting_would(
            dids in proptest::collection::vec((100_u64..3_000_000, 0_u32..4, 0_u8..3, 0_u8..3), 0..300),
            wanted in (0_u8..4, 0_u8..4, 0_u32..130),
            (count, slice, rank) in (1_usize..60, 1_usize..90, 0_usize..3),
        ) {
            let mut index = RotationIndex::new();
            let states: Vec<DidState> = dids
                .iter()
                .enumerate()
                .map(|(n, did)| state(n, did.0 * 10_000 + n as u64, did.1, did.2, did.3))
                .collect();
            states.iter().for_each(|state| index.upsert(state));
            let rank = [Rank::Number, Rank::Usage, Rank::Id][rank];
            let wanted = Wanted {
                status: (wanted.0 == 0).then_some(DidStatus::Active),
                campaign: (wanted.1 < 3).then(|| campaign(wanted.1)),
                digits: (wanted.2 < 100).then(|| Digits::read(&wanted.2.to_string()).unwrap().unwrap()),
                ..Wanted::default()
            };

            let mut pages = Vec::new();
            loop {
                let mut search =
                    Search::new(tenant(), wanted.clone(), rank, count, pages.last().copied());
                while !index.search(&mut search, slice) {}
                let page = search.found();
                pages.extend(&page);
                if page.len() < count {
                    break;
                }
            }

            let mut all: Vec<Found> = states
                .iter()
                .filter(|did| wanted.status.is_none_or(|status| status == did.status))
                .filter(|did| wanted.campaign.is_none() || wanted.campaign == did.campaign)
                .filter(|did| wanted.digits.is_none_or(|digits| is_in(digits, did.number)))
                .map(|did| Found { id: did.id, number: did.number, usage_count: did.usage_count })
                .collect();
            match rank {
                Rank::Number => all.sort_by_key(|did| did.number.to_string()),
                Rank::Usage => all.sort_by_key(|did| (did.usage_count, did.id)),
                Rank::Id => all.sort_by_key(|did| did.id),
            }
            prop_assert_eq!(pages, all);
        }
    }

    #[test]
    fn digits_are_found_anywhere_and_a_zero_counts() {
        let number = "+14045550070".parse().unwrap();
        for (digits, found) in [
            ("1404-555-0070", true),
            ("0070", true),
            ("00070", false),
            ("0", true),
            ("140", true),
            ("014", false),
            ("8", false),
            ("140455500701", false),
        ] {
            assert_eq!(Digits::read(digits).unwrap().unwrap().are_in(number), found, "{digits}");
        }
        assert_eq!(Digits::read("+- "), Ok(None));
        assert_eq!(Digits::read("1234567890123456"), Err(TooManyDigits));
    }

    #[test]
    fn a_search_starts_over_when_the_table_was_rebuilt_under_it() {
        let mut index = RotationIndex::new();
        let states: Vec<_> =
            (0..400).map(|n| state(n, 14_045_550_000 + n as u64, 0, 0, 0)).collect();
        states.iter().for_each(|state| index.upsert(state));
        let mut search = Search::new(tenant(), Wanted::default(), Rank::Id, 400, None);
        assert!(!index.search(&mut search, 300));

        states[..250].iter().for_each(|state| index.remove(&tenant(), state.id));
        while !index.search(&mut search, 300) {}

        let found: Vec<_> = search.found().iter().map(|found| found.id).collect();
        assert_eq!(found, states[250..].iter().map(|state| state.id).collect::<Vec<_>>());
    }

    fn is_in(digits: Digits, number: E164) -> bool {
        let text = format!("{:01$x}", digits.packed, digits.count as usize);
        number.digits().to_string().contains(&text)
    }

    fn state(n: usize, number: u64, usage_count: u32, status: u8, pool: u8) -> DidState {
        DidState {
            id: DidId(Uuid::from_u128(n as u128)),
            tenant: tenant(),
            number: E164::from_digits(number).unwrap(),
            area_code: None,
            trunk: TrunkName::pjsip(),
            status: [DidStatus::Active, DidStatus::Available, DidStatus::Suspended]
                [usize::from(status)],
            usage_count,
            head_start: 0,
            max_usage: None,
            campaign: Some(campaign(pool)),
        }
    }

    fn campaign(n: u8) -> CampaignId {
        format!("c_{n}").parse().unwrap()
    }

    fn tenant() -> TenantId {
        "t_1".parse().unwrap()
    }
}

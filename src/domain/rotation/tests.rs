//! The rules of rotation as stories, then any mix of operations against a scan over all DIDs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

mod head_start;

#[test]
fn the_least_used_comes_first_then_the_lowest_id() {
    let mut index = index(&[did(2), did(1), did(3)]);

    assert_eq!(shown(&mut index, &all(), 4), [1, 2, 3, 1]);
}

#[test]
fn a_did_shows_as_often_as_its_limit_and_no_more() {
    let mut index = index(&[DidState { max_usage: Some(2), ..did(1) }]);

    assert_eq!(shown(&mut index, &all(), 3), [1, 1]);
    assert_eq!(index.summary(&tenant()), Summary { active: 1, spent: 1, total: 1 });
    assert_eq!(index.pick_named(&tenant(), id(1)), Err(NotPickable::Spent { max: 2 }));
}

#[test]
fn only_active_dids_are_picked() {
    let mut index = index(&[
        DidState { status: DidStatus::Available, ..did(1) },
        DidState { status: DidStatus::Suspended, ..did(2) },
    ]);

    assert_eq!(index.pick(&all()), None);
    assert_eq!(
        index.pick_named(&tenant(), id(2)),
        Err(NotPickable::NotActive(DidStatus::Suspended))
    );
    assert_eq!(index.pick_named(&tenant(), id(9)), Err(NotPickable::Unknown));
}

#[test]
fn a_change_is_in_force_with_the_next_pick() {
    let mut index = index(&[did(1), did(2)]);

    index.upsert(&DidState { status: DidStatus::Inactive, ..did(1) });
    assert_eq!(shown(&mut index, &all(), 2), [2, 2]);

    index.upsert(&did(1));
    assert_eq!(shown(&mut index, &all(), 3), [1, 1, 1]);

    index.upsert(&DidState { max_usage: Some(2), ..did(1) });
    index.remove(&tenant(), id(2));
    assert_eq!(shown(&mut index, &all(), 1), [0; 0]);
}

#[test]
fn a_refused_pick_teaches_the_count_and_says_whether_that_explains_it() {
    let limited = DidState { max_usage: Some(5), ..did(1) };
    let mut index = index(&[limited.clone(), did(2)]);
    let (one, other) = (index.pick(&all()).unwrap(), index.pick(&all()).unwrap());
    assert_eq!((one.did, other.did), (id(1), id(2)));

    assert!(!index.refuse(&one, Some(5)), "it is at its limit");
    assert!(index.refuse(&other, Some(3)), "it has no limit");
    assert_eq!(shown(&mut index, &all(), 2), [2, 2]);

    index.upsert(&DidState { usage_count: 4, status: DidStatus::Suspended, ..limited });
    assert!(!index.refuse(&one, Some(2)), "it has been suspended since");
    index.upsert(&DidState { usage_count: 0, ..did(2) });
    index.remove(&tenant(), id(2));
    assert!(!index.refuse(&other, None), "it is gone");
}

#[test]
fn a_pick_given_back_leaves_no_trace() {
    let mut index = index(&[DidState { max_usage: Some(1), ..did(1) }]);

    let pick = index.pick(&all()).unwrap();
    assert_eq!(index.next(&all()), None);
    index.give_back(&pick);

    assert_eq!(index.next(&all()), Some((id(1), Reason::LeastUsed)));
}

#[test]
fn uses_counted_together_may_be_settled_in_any_order() {
    let mut index = index(&[did(1), DidState { usage_count: 2, ..did(2) }]);
    let picks = [index.pick(&all()).unwrap(), index.pick(&all()).unwrap()];

    index.settle(&picks[1], 2);
    index.settle(&picks[0], 1);

    // Both stand at two uses now, so that the lower id comes first and then the other.
    assert_eq!(shown(&mut index, &all(), 2), [1, 2]);
}

#[test]
fn a_wanted_area_code_comes_first_and_the_rest_after_it() {
    let local =
        DidState { area_code: Some(area(404)), max_usage: Some(1), usage_count: 0, ..did(2) };
    let mut index = index(&[did(1), local]);
    let want = Want { area_code: Some(area(404)), ..all() };

    assert_eq!(index.pick(&want).unwrap().reason, Reason::AreaCode);
    let second = index.pick(&want).unwrap();

    assert_eq!((second.did, second.reason), (id(1), Reason::AreaCodeSpent));
}

#[test]
fn a_campaign_picks_only_its_own_and_the_tenant_picks_all() {
    let own = DidState { campaign: Some(campaign(7)), ..did(2) };
    let mut index = index(&[did(1), own]);
    let want = Want { campaign: Some(campaign(7)), ..all() };

    assert_eq!(shown(&mut index, &want, 2), [2, 2]);
    assert_eq!(shown(&mut index, &all(), 3), [1, 1, 1]);
    assert_eq!(index.pick(&Want { campaign: Some(campaign(8)), ..all() }), None);
}

#[test]
fn a_tenant_never_picks_from_another() {
    let mut index = index(&[did(1)]);
    let other: TenantId = "other".parse().unwrap();

    assert_eq!(index.pick(&Want { tenant: other.clone(), ..all() }), None);
    assert_eq!(index.pick_named(&other, id(1)), Err(NotPickable::Unknown));
}

#[test]
fn a_deleted_tenant_leaves_nothing_behind() {
    let mut index = index(&(1..=200).map(did).collect::<Vec<_>>());

    for n in 1..=200 {
        index.remove(&tenant(), id(n));
    }

    assert!(index.is_empty());
    assert_eq!((index.len(), index.tenants()), (0, 0));
}

#[test]
fn picks_given_back_for_hours_leave_no_heap_of_entries() {
    let dids = (0..200).map(|n| DidState { area_code: Some(area(200)), ..did(n) });
    let mut index = index(&dids.collect::<Vec<_>>());
    let (local, any) = (Want { area_code: Some(area(200)), ..all() }, all());

    for n in 0..20_000 {
        let pick = index.pick(if n % 3 == 0 { &local } else { &any }).unwrap();
        index.give_back(&pick);
    }

    // Two orders of 200 DIDs.
    let entries = index.pools[&tenant()].entries();
    assert!(entries <= 2 * (2 * 200 + 64), "{entries} entries");
}

/// What a person might expect, written the slow way.
#[derive(Default)]
struct Model {
    dids: BTreeMap<DidId, (DidState, u32)>,
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(DidState),
    Remove(u8),
    Pick(Want),
    Next(Want),
    Named(u8),
    /// Settles one of the open picks, off from the expected count by this.
    Settle(usize, i8),
    GiveBack(usize),
    Learn(u8, u32),
}

impl Model {
    fn front(&self, want: &Want) -> Option<(DidId, Reason)> {
        let of = |area_code: Option<AreaCode>| {
            let pickable = self.dids.values().filter(|(did, pending)| {
                did.status == DidStatus::Active
                    && did.max_usage.is_none_or(|max| did.usage_count + pending < max)
                    && (want.campaign.is_none() || did.campaign == want.campaign)
                    && (area_code.is_none() || did.area_code == area_code)
            });
            pickable
                .map(|(did, pending)| (did.usage_count + pending + did.head_start, did.id))
                .min()
        };
        match want.area_code {
            None => of(None).map(|(_, id)| (id, Reason::LeastUsed)),
            code => match of(code) {
                Some((_, id)) => Some((id, Reason::AreaCode)),
                None => of(None).map(|(_, id)| (id, Reason::AreaCodeSpent)),
            },
        }
    }

    fn lowest_level(&self, campaign: CampaignId) -> Option<u32> {
        let (id, _) = self.front(&Want { campaign: Some(campaign), ..all() })?;
        let (did, pending) = &self.dids[&id];
        Some(did.usage_count + pending + did.head_start)
    }

    /// Of one campaign, or of all DIDs.
    fn summary(&self, campaign: Option<CampaignId>) -> Summary {
        let own = self.dids.values();
        let own = own.filter(|(did, _)| campaign.is_none() || did.campaign == campaign);
        let active = own.clone().filter(|(did, _)| did.status == DidStatus::Active);
        let spent = active.clone().filter(|(did, pending)| {
            did.max_usage.is_some_and(|max| did.usage_count + pending >= max)
        });
        Summary { active: active.count(), spent: spent.count(), total: own.count() }
    }
}

/// Plays the steps on both and compares every answer.
fn play(dids: u8, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut index = RotationIndex::new();
    let mut model = Model::default();
    let mut open: Vec<Pick> = Vec::new();
    let take = |model: &mut Model, open: &mut Vec<Pick>, pick: Pick| {
        model.dids.get_mut(&pick.did).unwrap().1 += 1;
        open.push(pick);
    };
    for n in 1..=dids {
        let area_code = Some(area(u32::from(n % 3) + 200));
        let state = DidState { area_code, campaign: (n % 2 == 0).then(|| campaign(0)), ..did(n) };
        index.upsert(&state);
        model.dids.insert(state.id, (state, 0));
    }
    for step in steps {
        let mut joined = None;
        match step {
            Step::Upsert(state) => {
                joined = state.campaign.clone();
                index.upsert(&state);
                let pending = model.dids.get(&state.id).map_or(0, |(_, pending)| *pending);
                model.dids.insert(state.id, (state, pending));
            }
            Step::Remove(n) => {
                index.remove(&tenant(), id(n));
                model.dids.remove(&id(n));
                open.retain(|pick| pick.did != id(n));
            }
            Step::Pick(want) => {
                let pick = index.pick(&want);
                prop_assert_eq!(pick.as_ref().map(|p| (p.did, p.reason)), model.front(&want));
                pick.into_iter().for_each(|pick| take(&mut model, &mut open, pick));
            }
            Step::Next(want) => prop_assert_eq!(index.next(&want), model.front(&want)),
            Step::Named(n) => {
                let pick = index.pick_named(&tenant(), id(n));
                let expected = model.dids.get(&id(n)).is_some_and(|(did, pending)| {
                    did.status == DidStatus::Active
                        && did.max_usage.is_none_or(|max| did.usage_count + pending < max)
                });
                prop_assert_eq!(pick.is_ok(), expected);
                pick.into_iter().for_each(|pick| take(&mut model, &mut open, pick));
            }
            Step::Settle(which, off) if !open.is_empty() => {
                let pick = open.swap_remove(which % open.len());
                let (did, pending) = model.dids.get_mut(&pick.did).unwrap();
                let stored = (did.usage_count + 1).saturating_add_signed(off.into());
                did.usage_count = did.usage_count.max(stored);
                *pending -= 1;
                index.settle(&pick, stored);
            }
            Step::GiveBack(which) if !open.is_empty() => {
                let pick = open.swap_remove(which % open.len());
                model.dids.get_mut(&pick.did).unwrap().1 -= 1;
                index.give_back(&pick);
            }
            Step::Settle(..) | Step::GiveBack(_) => {}
            Step::Learn(n, count) => {
                index.learn(&tenant(), id(n), count);
                if let Some((did, _)) = model.dids.get_mut(&id(n)) {
                    did.usage_count = count;
                }
            }
        }
        prop_assert_eq!(index.summary(&tenant()), model.summary(None));
        if let Some(own) = joined {
            let summary = index.campaign_summary(&tenant(), &own);
            prop_assert_eq!(summary, model.summary(Some(own.clone())));
            prop_assert_eq!(index.lowest_level(&tenant(), &own), model.lowest_level(own));
        }
    }
    Ok(())
}

fn steps(dids: u8, count: usize) -> impl Strategy<Value = Vec<Step>> {
    let which = 1..=dids;
    let upsert = (
        which.clone(),
        proptest::option::weighted(0.8, 200..203_u32),
        proptest::option::of(0..2_u8),
        prop_oneof![4 => Just(DidStatus::Active), 1 => Just(DidStatus::Inactive)],
        0..6_u32,
        proptest::option::of(0..12_u32),
        prop_oneof![2 => Just(0), 1 => 0..9_u32],
    );
    let upsert =
        upsert.prop_map(|(n, code, pool, status, usage_count, max_usage, head_start)| DidState {
            area_code: code.map(area),
            campaign: pool.map(campaign),
            status,
            usage_count,
            max_usage,
            head_start,
            ..did(n)
        });
    let want = (proptest::option::of(0..2_u8), proptest::option::of(200..204_u32));
    let want = want.prop_map(|(pool, code)| Want {
        campaign: pool.map(campaign),
        area_code: code.map(area),
        ..all()
    });
    let off = prop_oneof![6 => Just(0_i8), 1 => -3..4_i8];
    let step = prop_oneof![
        3 => upsert.prop_map(Step::Upsert),
        1 => which.clone().prop_map(Step::Remove),
        12 => want.clone().prop_map(Step::Pick),
        2 => want.prop_map(Step::Next),
        2 => which.clone().prop_map(Step::Named),
        6 => (any::<usize>(), off).prop_map(|(which, off)| Step::Settle(which, off)),
        4 => any::<usize>().prop_map(Step::GiveBack),
        1 => (which, 0..9_u32).prop_map(|(n, count)| Step::Learn(n, count)),
    ];
    proptest::collection::vec(step, 1..count)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pick_is_the_one_a_scan_would_take(steps in steps(6, 300)) {
        play(6, steps)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    // More DIDs than a sorted list holds, so that runs and heap are at work.
    #[test]
    fn the_same_with_orders_too_large_for_a_list(steps in steps(250, 3000)) {
        play(250, steps)?;
    }
}

fn shown(index: &mut RotationIndex, want: &Want, picks: usize) -> Vec<u128> {
    (0..picks).filter_map(|_| index.pick(want)).map(|pick| pick.did.0.as_u128()).collect()
}

fn index(dids: &[DidState]) -> RotationIndex {
    let mut index = RotationIndex::new();
    dids.iter().for_each(|did| index.upsert(did));
    index
}

fn did(n: u8) -> DidState {
    DidState {
        id: id(n),
        tenant: tenant(),
        number: E164::from_digits(12_125_550_100 + u64::from(n)).unwrap(),
        area_code: None,
        trunk: TrunkName::pjsip(),
        status: DidStatus::Active,
        usage_count: 0,
        max_usage: None,
        campaign: None,
        head_start: 0,
    }
}

fn id(n: u8) -> DidId {
    DidId(Uuid::from_u128(n.into()))
}

fn all() -> Want {
    Want { tenant: tenant(), campaign: None, area_code: None }
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn campaign(n: u8) -> CampaignId {
    format!("c_{n}").parse().unwrap()
}

fn area(code: u32) -> AreaCode {
    code.to_string().parse().unwrap()
}

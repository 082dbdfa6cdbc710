//! A head start moves a DID back in the order and leaves its limit alone.

use super::*;

#[test]
fn a_newcomer_that_starts_level_takes_its_turn_and_no_more() {
    let old = |n| DidState { usage_count: 100, campaign: Some(campaign(7)), ..did(n) };
    let mut index = index(&[old(1), old(2), old(3)]);
    let want = Want { campaign: Some(campaign(7)), ..all() };

    let head_start = index.lowest_level(&tenant(), &campaign(7)).unwrap();
    index.upsert(&DidState { campaign: Some(campaign(7)), head_start, ..did(4) });

    assert_eq!(shown(&mut index, &want, 8), [1, 2, 3, 4, 1, 2, 3, 4]);
}

#[test]
fn a_head_start_takes_nothing_from_the_limit() {
    let newcomer = DidState { head_start: 100, max_usage: Some(2), ..did(1) };
    let mut index = index(&[newcomer]);

    assert_eq!(shown(&mut index, &all(), 3), [1, 1]);
    assert_eq!(index.pick_named(&tenant(), id(1)), Err(NotPickable::Spent { max: 2 }));
}

#[test]
fn the_highest_head_start_comes_last_and_overflows_nothing() {
    let last = DidState { head_start: u32::MAX, usage_count: 9, ..did(1) };
    let mut index = index(&[last, did(2)]);

    assert_eq!(shown(&mut index, &all(), 3), [2, 2, 2]);
    index.remove(&tenant(), id(2));
    assert_eq!(shown(&mut index, &all(), 2), [1, 1]);
}

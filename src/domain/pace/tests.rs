//! Stories of calls that find a place, wait for one, or find none.

mod any_order;

use uuid::Uuid;

use super::*;
use crate::domain::pace::verdict::CauseMap;

#[test]
fn no_more_calls_begin_within_any_second_than_may() {
    let (mut pace, at) = pace(trunk(2, 0, WhenFull::Refuse));
    assert_eq!(pace.ask(ask(1), at(0)), Answer::Now);
    assert_eq!(pace.ask(ask(2), at(900)), Answer::Now);

    let refused = refusal(pace.ask(ask(3), at(950)));
    let too_soon = refusal(pace.ask(ask(3), at(999)));
    let in_time = pace.ask(ask(3), at(1000));
    let next = refusal(pace.ask(ask(4), at(1001)));

    assert_eq!((refused.limit, refused.current, refused.max), (Limit::TrunkRate, 2, 2));
    assert_eq!(refused.retry_after, Duration::from_millis(50));
    assert_eq!(too_soon.retry_after, Duration::from_millis(1));
    assert_eq!(in_time, Answer::Now);
    assert_eq!(next.retry_after, Duration::from_millis(899), "the call of 900 ms still counts");
}

#[test]
fn a_full_trunk_says_how_long_calls_last_there() {
    let (mut pace, at) = pace(trunk(0, 2, WhenFull::Refuse));
    begin(&mut pace, 1..3, at(0));
    let unknown = refusal(pace.ask(ask(3), at(0)));
    pace.ended(id(1), Verdict::Other, true, at(8_000));
    begin(&mut pace, 3..4, at(8_000));

    let known = refusal(pace.ask(ask(4), at(8_000)));

    assert_eq!((unknown.limit, unknown.current, unknown.max), (Limit::TrunkChannels, 2, 2));
    assert_eq!(
        unknown.retry_after,
        Duration::from_secs(15),
        "half of what a call is taken to last"
    );
    assert_eq!(known.retry_after, Duration::from_secs(4), "two calls of eight seconds");
}

#[test]
fn what_waits_begins_in_its_order_as_places_come() {
    let (mut pace, at) = pace(trunk(0, 1, WhenFull::Queue));
    begin(&mut pace, 1..2, at(0));
    wait(&mut pace, 2..5, at(0));
    assert_eq!(pace.poll(|_| true, at(1)).begin, []);

    pace.ended(id(1), Verdict::Other, true, at(2));
    let second = pace.poll(|_| true, at(2)).begin;
    pace.ended(id(2), Verdict::Other, true, at(3));
    let third = pace.poll(|_| true, at(3)).begin;

    assert_eq!((second, third), (vec![id(2)], vec![id(3)]));
    assert_eq!(pace.in_progress(), 1);
}

#[test]
fn time_alone_lets_calls_begin_that_wait_for_a_rate() {
    let (mut pace, at) = pace(trunk(2, 0, WhenFull::Queue));
    begin(&mut pace, 1..3, at(0));
    wait(&mut pace, 3..6, at(100));
    assert_eq!(pace.poll(|_| true, at(100)).begin, []);

    let due = pace.next_timeout().unwrap();
    let first = pace.poll(|_| true, due).begin;

    assert_eq!(due, at(1000));
    assert_eq!(first, [id(3), id(4)]);
    assert_eq!(pace.next_timeout(), Some(at(2000)));
}

#[test]
fn tenants_take_turns_however_many_calls_one_of_them_has() {
    let (mut pace, at) = pace(trunk(0, 1, WhenFull::Queue));
    begin(&mut pace, 1..2, at(0));
    let many = (10..20).map(|n| Ask { tenant: tenant("many"), ..ask(n) });
    let few = (20..22).map(|n| Ask { tenant: tenant("few"), ..ask(n) });
    for ask in many.chain(few) {
        enqueue(&mut pace, ask, at(0));
    }

    let mut order = Vec::new();
    let mut last = id(1);
    for second in 1..6 {
        pace.ended(last, Verdict::Other, true, at(second));
        last = pace.poll(|_| true, at(second)).begin[0];
        order.push(last);
    }

    assert_eq!(order, [id(10), id(20), id(11), id(21), id(12)]);
}

#[test]
fn a_tenant_at_its_own_limit_keeps_nobody_else_waiting() {
    let (mut pace, at) = pace(Rules { tenant: Limits::of(0, 1), ..trunk(0, 3, WhenFull::Queue) });
    begin(&mut pace, 1..2, at(0));
    wait(&mut pace, 2..4, at(0));

    let other = pace.ask(Ask { tenant: tenant("other"), ..ask(9) }, at(1));

    assert_eq!(other, Answer::Now);
    assert_eq!(pace.poll(|_| true, at(1)).begin, []);
    pace.ended(id(1), Verdict::Other, true, at(2));
    assert_eq!(pace.poll(|_| true, at(2)).begin, [id(2)]);
}

#[test]
fn a_did_has_limits_of_its_own_and_another_did_of_the_tenant_goes_first() {
    let (mut pace, at) = pace(Rules { did: Limits::of(0, 1), ..trunk(0, 1, WhenFull::Queue) });
    let on = |n, did| Ask { did: DidId(Uuid::from_u128(did)), ..ask(n) };
    assert_eq!(pace.ask(on(1, 7), at(0)), Answer::Now);
    enqueue(&mut pace, on(2, 8), at(0));
    enqueue(&mut pace, on(3, 8), at(0));
    enqueue(&mut pace, on(4, 9), at(0));
    pace.ended(id(1), Verdict::Other, true, at(1));
    assert_eq!(pace.poll(|_| true, at(1)).begin, [id(2)]);

    let shown_already = pace.met(&on(5, 8), &TrunkRules::default(), at(1)).unwrap();

    assert_eq!((shown_already.limit, shown_already.max), (Limit::DidChannels, 1));
}

#[test]
fn a_queue_has_an_end_and_says_so() {
    let mut rules = trunk(0, 1, WhenFull::Queue);
    rules.trunks.values_mut().for_each(|trunk| trunk.queue_max = 2);
    let (mut pace, at) = pace(rules);
    begin(&mut pace, 1..2, at(0));
    wait(&mut pace, 2..3, at(0));
    assert_eq!(pace.ask(ask(3), at(0)), Answer::Queued, "a promise counts");

    let refused = refusal(pace.ask(ask(4), at(0)));
    pace.give_back(id(3));

    assert_eq!((refused.limit, refused.current, refused.max), (Limit::TrunkQueue, 2, 2));
    assert_eq!(pace.ask(ask(4), at(0)), Answer::Queued);
}

#[test]
fn who_waits_too_long_waits_no_more() {
    let (mut pace, at) = pace(trunk(0, 1, WhenFull::Queue));
    begin(&mut pace, 1..2, at(0));
    wait(&mut pace, 2..3, at(0));

    assert_eq!(pace.next_timeout(), Some(at(60_000)));
    assert_eq!(pace.poll(|_| true, at(59_999)).expired, []);
    assert_eq!(pace.poll(|_| true, at(60_000)).expired, [id(2)]);

    assert!(!pace.remove(id(2)));
    assert_eq!(pace.next_timeout(), None);
}

#[test]
fn while_a_trunk_is_not_open_its_calls_wait_and_nobody_is_woken_in_vain() {
    let (mut pace, at) = pace(trunk(1, 0, WhenFull::Queue));
    begin(&mut pace, 1..2, at(0));
    wait(&mut pace, 2..3, at(0));

    let closed = pace.poll(|_| false, at(1_500));

    assert_eq!(closed, Polled::default());
    assert_eq!(pace.next_timeout(), Some(at(60_000)), "only its patience ends");
    assert_eq!(pace.poll(|_| true, at(1_500)).begin, [id(2)]);
}

#[test]
fn a_call_taken_out_of_the_queue_never_begins() {
    let (mut pace, at) = pace(trunk(0, 1, WhenFull::Queue));
    begin(&mut pace, 1..2, at(0));
    wait(&mut pace, 2..4, at(0));

    let removed = (pace.remove(id(2)), pace.remove(id(2)), pace.remove(id(1)));
    pace.ended(id(1), Verdict::Other, true, at(1));

    assert_eq!(removed, (true, false, false));
    assert_eq!(pace.poll(|_| true, at(1)).begin, [id(3)]);
}

#[test]
fn a_call_that_never_went_out_is_as_if_it_had_not_asked() {
    let (mut pace, at) = pace(Rules {
        tenant: Limits::of(1, 1),
        did: Limits::of(1, 1),
        ..trunk(1, 1, WhenFull::Refuse)
    });
    begin(&mut pace, 1..2, at(0));

    pace.give_back(id(1));
    pace.give_back(id(1));

    assert_eq!(pace.ask(ask(2), at(1)), Answer::Now);
    assert_eq!(pace.in_progress(), 1);
}

#[test]
fn calls_of_an_earlier_run_hold_their_places() {
    let (mut pace, at) = pace(trunk(0, 2, WhenFull::Refuse));
    for n in 1..4 {
        pace.resume(ask(n));
    }
    assert_eq!(refusal(pace.ask(ask(9), at(0))).current, 3);

    pace.ended(id(1), Verdict::Other, true, at(1));
    assert!(matches!(pace.ask(ask(9), at(1)), Answer::Refused(_)));
    pace.ended(id(2), Verdict::Other, true, at(1));

    assert_eq!(pace.ask(ask(9), at(1)), Answer::Now);
}

#[test]
fn congestion_moves_a_call_to_the_next_trunk_with_room_and_busy_does_not() {
    let (mut pace, at) = pace(chain());
    begin(&mut pace, 1..3, at(0));
    pace.ask(Ask { trunk: name("B"), ..ask(3) }, at(0)).begins();

    let busy = pace.ended(id(1), Verdict::Busy, true, at(1));
    let full = pace.ended(id(2), Verdict::Full, true, at(1));
    let told_twice = pace.ended(id(1), Verdict::Full, true, at(1));
    let places =
        |pace: &Pace| pace.trunks(at(1)).iter().map(|trunk| trunk.channels).collect::<Vec<_>>();

    assert_eq!((busy.next, told_twice.next), (None, None));
    assert_eq!(full.next, Some(name("C")), "B has no room");
    assert_eq!(places(&pace), [0, 1, 1]);
    assert_eq!(pace.ended(id(2), Verdict::Full, true, at(2)).next, None, "C is the last");
    assert_eq!(places(&pace), [0, 1, 0]);
}

#[test]
fn a_call_that_must_not_go_out_again_does_not() {
    let (mut pace, at) = pace(chain());
    begin(&mut pace, 1..2, at(0));

    assert_eq!(pace.ended(id(1), Verdict::Full, false, at(1)).next, None);
    assert_eq!(pace.in_progress(), 0);
}

#[test]
fn a_carrier_that_throttles_gets_half_the_calls() {
    let (mut pace, at) = pace(trunk(4, 0, WhenFull::Refuse));
    begin(&mut pace, 1..2, at(0));

    let ended = pace.ended(id(1), Verdict::Throttled, true, at(500));
    begin(&mut pace, 2..3, at(600));
    let third = refusal(pace.ask(ask(3), at(700)));

    assert_eq!(ended.slower, Some((name("A"), 2.0)));
    assert_eq!((third.limit, third.current, third.max), (Limit::TrunkRate, 2, 2));
    let shown = &pace.trunks(at(700))[0];
    assert_eq!((shown.calls_per_second, shown.slowed_down), (Some(2.0), true));
    assert_eq!(pace.next_timeout(), Some(at(35_500)));
    assert_eq!(pace.poll(|_| true, at(35_500)).recovered, [name("A")]);
    assert!(!pace.trunks(at(35_500))[0].slowed_down);
}

#[test]
fn a_trunk_without_a_limit_is_slowed_down_from_what_it_carries() {
    let (mut pace, at) = pace(Rules::default());
    begin(&mut pace, 1..11, at(0));

    let ended = pace.ended(id(1), Verdict::Throttled, true, at(100));

    assert_eq!(ended.slower, Some((name("A"), 5.0)));
    assert_eq!(pace.ask(ask(11), at(100)), Answer::Queued);
}

#[test]
fn trunks_that_lead_round_are_found() {
    let mut rules = chain();
    assert_eq!(rules.in_a_loop(), None);

    rules.trunks.get_mut(&name("C")).unwrap().next = Some(name("B"));

    assert_eq!(rules.in_a_loop(), Some(&name("B")));
    assert_eq!(rules.after(&name("A")).count(), 3, "it ends nevertheless");
}

/// Trunk `A` with these limits, and a clock in milliseconds.
fn pace(rules: Rules) -> (Pace, impl Fn(u64) -> Instant + Copy) {
    let start = Instant::now();
    (Pace::new(rules), move |millisecond| start + Duration::from_millis(millisecond))
}

fn trunk(calls_per_second: u32, channels_max: u32, when_full: WhenFull) -> Rules {
    let limits = Limits::of(calls_per_second, channels_max);
    let trunk = TrunkRules { limits, when_full, ..TrunkRules::default() };
    Rules { trunks: [(name("A"), trunk)].into(), ..Rules::default() }
}

/// `A` leads to `B`, which leads to `C`; `B` has one channel.
fn chain() -> Rules {
    let link = |channels_max, next: Option<&str>| TrunkRules {
        limits: Limits::of(0, channels_max),
        causes: CauseMap::default(),
        next: next.map(name),
        ..TrunkRules::default()
    };
    let trunks = [
        (name("A"), link(0, Some("B"))),
        (name("B"), link(1, Some("C"))),
        (name("C"), link(0, None)),
    ];
    Rules { trunks: trunks.into(), ..Rules::default() }
}

fn begin(pace: &mut Pace, calls: std::ops::Range<u128>, now: Instant) {
    for call in calls {
        pace.ask(ask(call), now).begins();
    }
}

fn wait(pace: &mut Pace, calls: std::ops::Range<u128>, now: Instant) {
    for call in calls {
        enqueue(pace, ask(call), now);
    }
}

fn enqueue(pace: &mut Pace, ask: Ask, now: Instant) {
    let call = ask.call;
    assert_eq!(pace.ask(ask, now), Answer::Queued);
    pace.enqueue(call, now + Duration::from_secs(60));
}

fn refusal(answer: Answer) -> Refused {
    match answer {
        Answer::Refused(refused) => refused,
        Answer::Now | Answer::Queued => panic!("{answer:?}"),
    }
}

impl Answer {
    fn begins(self) {
        assert_eq!(self, Answer::Now);
    }
}

fn ask(call: u128) -> Ask {
    Ask { call: id(call), tenant: tenant("t"), did: DidId(Uuid::nil()), trunk: name("A") }
}

fn id(call: u128) -> CallId {
    CallId(Uuid::from_u128(call))
}

fn tenant(text: &str) -> TenantId {
    text.parse().unwrap()
}

fn name(text: &str) -> TrunkName {
    text.parse().unwrap()
}

//! Whatever calls do, in whatever order: no limit is passed, no place is lost, nobody starves.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const TRUNKS: [&str; 3] = ["A", "B", "C"];
const TENANTS: [&str; 3] = ["t", "u", "v"];

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A call of this tenant asks, by this DID and trunk.
    Ask { tenant: usize, did: u128, trunk: usize },
    /// One of the calls in progress ends, like this.
    End { which: usize, verdict: Verdict },
    /// One of the calls in progress never went out.
    GiveBack { which: usize },
    /// One of those that wait goes.
    Remove { which: usize },
    /// So many milliseconds go by.
    Wait { milliseconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = prop_oneof![
        5 => Just(Verdict::Other),
        2 => Just(Verdict::Full),
        1 => Just(Verdict::Throttled),
        1 => Just(Verdict::Busy)
    ];
    prop_oneof![
        6 => (0..3_usize, 0..3_u128, 0..3_usize)
            .prop_map(|(tenant, did, trunk)| Act::Ask { tenant, did, trunk }),
        3 => (any::<usize>(), verdict).prop_map(|(which, verdict)| Act::End { which, verdict }),
        1 => any::<usize>().prop_map(|which| Act::GiveBack { which }),
        1 => any::<usize>().prop_map(|which| Act::Remove { which }),
        3 => (0..700_u64).prop_map(|milliseconds| Act::Wait { milliseconds }),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let limits = || (0..5_u32, 0..5_u32).prop_map(|(rate, channels)| Limits::of(rate, channels));
    let trunk = (limits(), any::<bool>(), 0..4_usize).prop_map(|(limits, queues, queue_max)| {
        let when_full = if queues { WhenFull::Queue } else { WhenFull::Refuse };
        TrunkRules { limits, when_full, queue_max, ..TrunkRules::default() }
    });
    (limits(), limits(), [trunk.clone(), trunk.clone(), trunk]).prop_map(|(tenant, did, trunks)| {
        let mut trunks: BTreeMap<_, _> = TRUNKS.map(name).into_iter().zip(trunks).collect();
        trunks.get_mut(&name("A")).unwrap().next = Some(name("B"));
        trunks.get_mut(&name("B")).unwrap().next = Some(name("C"));
        Rules { trunks, tenant, did, ..Rules::default() }
    })
}

/// What we know ourselves of who is where.
#[derive(Default)]
struct Known {
    in_progress: BTreeMap<CallId, Ask>,
    waiting: BTreeSet<CallId>,
    asked: BTreeMap<CallId, Ask>,
    /// When calls began, by trunk; calls that never went out left out.
    begun: Vec<(Instant, CallId, TrunkName)>,
}

impl Known {
    fn begins(&mut self, call: CallId, now: Instant) {
        let ask = self.asked[&call].clone();
        self.begun.push((now, call, ask.trunk.clone()));
        self.in_progress.insert(call, ask);
    }

    fn nth(&self, which: usize) -> Option<CallId> {
        let count = self.in_progress.len();
        (count > 0).then(|| *self.in_progress.keys().nth(which % count).unwrap())
    }

    fn check(&self, pace: &Pace, now: Instant) {
        assert_eq!(pace.in_progress(), self.in_progress.len());
        let used = |of: &dyn Fn(&Ask) -> bool| {
            self.in_progress.values().filter(|ask| of(ask)).count() as u32
        };
        let within = |max: Option<u32>, count: u32| assert!(max.is_none_or(|max| count <= max));
        for state in pace.trunks(now) {
            let rules = pace.rules().trunk(&state.name);
            let channels = used(&|ask| ask.trunk == state.name);
            assert_eq!(state.channels, channels, "places in use are calls in progress");
            within(rules.limits.channels_max.map(u32::from), channels);
            let last = self.begun.iter().filter(|(at, _, trunk)| {
                *trunk == state.name && *at + Duration::from_secs(1) > now
            });
            within(rules.limits.calls_per_second.map(u32::from), last.count() as u32);
            assert!(state.queued <= rules.queue_max);
        }
        for tenant in TENANTS.map(tenant) {
            let max = pace.rules().tenant.channels_max.map(u32::from);
            within(max, used(&|ask| ask.tenant == tenant));
        }
        for did in (0..3).map(|did| DidId(Uuid::from_u128(did))) {
            within(pace.rules().did.channels_max.map(u32::from), used(&|ask| ask.did == did));
        }
    }
}

proptest! {
    #[test]
    fn no_limit_is_passed_and_no_place_is_lost(
        rules in rules(),
        acts in proptest::collection::vec(act(), 1..80),
    ) {
        let (mut pace, at) = pace(rules);
        let mut now = at(0);
        let mut known = Known::default();
        let mut retry: Option<(Instant, Ask, Limit)> = None;
        for (number, act) in (1_u128..).zip(acts) {
            let mut nothing_else = false;
            match act {
                Act::Ask { tenant: of, did, trunk } => {
                    let ask = Ask {
                        call: id(number),
                        tenant: tenant(TENANTS[of]),
                        did: DidId(Uuid::from_u128(did)),
                        trunk: name(TRUNKS[trunk]),
                    };
                    known.asked.insert(id(number), ask.clone());
                    match pace.ask(ask.clone(), now) {
                        Answer::Now => known.begins(id(number), now),
                        Answer::Queued => {
                            pace.enqueue(id(number), now + Duration::from_secs(3));
                            known.waiting.insert(id(number));
                        }
                        Answer::Refused(refused) => {
                            retry = Some((now + refused.retry_after, ask, refused.limit));
                            nothing_else = true;
                        }
                    }
                }
                Act::End { which, verdict } => if let Some(call) = known.nth(which) {
                    let ended = pace.ended(call, verdict, true, now);
                    let mut ask = known.in_progress.remove(&call).unwrap();
                    if let Some(next) = ended.next {
                        prop_assert!(verdict.is_congestion() && next != ask.trunk);
                        known.begun.push((now, call, next.clone()));
                        ask.trunk = next;
                        known.in_progress.insert(call, ask);
                    }
                },
                Act::GiveBack { which } => if let Some(call) = known.nth(which) {
                    pace.give_back(call);
                    let ask = known.in_progress.remove(&call).unwrap();
                    let last = known.begun.iter().rposition(|(_, other, trunk)| {
                        *other == call && *trunk == ask.trunk
                    });
                    known.begun.remove(last.unwrap());
                },
                Act::Remove { which } => {
                    let count = known.waiting.len();
                    if count > 0 {
                        let call = *known.waiting.iter().nth(which % count).unwrap();
                        prop_assert!(pace.remove(call));
                        known.waiting.remove(&call);
                    }
                }
                Act::Wait { milliseconds } => now += Duration::from_millis(milliseconds),
            }
            let polled = pace.poll(|_| true, now);
            for call in polled.begin {
                prop_assert!(known.waiting.remove(&call), "it did not wait");
                known.begins(call, now);
            }
            for call in polled.expired {
                prop_assert!(known.waiting.remove(&call), "it did not wait");
            }
            known.check(&pace, now);
            if let (true, Some((at, ask, limit))) = (nothing_else, retry.take()) {
                // Whoever comes back when a rate allows it, and finds all else as it was, is let in.
                let is_rate = |limit| {
                    matches!(limit, Limit::TrunkRate | Limit::TenantRate | Limit::DidRate)
                };
                if is_rate(limit) {
                    let rules = pace.rules.trunk(&ask.trunk).clone();
                    let early = at.checked_sub(Duration::from_nanos(1)).unwrap();
                    // A trunk that is slowed down may be faster by then than it was when it said so.
                    let slow = pace.trunks(now).iter().any(|state| state.slowed_down);
                    prop_assert!(slow || pace.met(&ask, &rules, early).is_some());
                    // What is left can only be a channel that nobody has left meanwhile.
                    let met = pace.met(&ask, &rules, at);
                    prop_assert!(met.is_none_or(|met| !is_rate(met.limit)));
                }
            }
        }
        // Nobody starves: once all goes its way, whatever waits begins or has waited too long.
        for _ in 0..2_000 {
            if known.waiting.is_empty() {
                break;
            }
            if let Some(call) = known.nth(0) {
                pace.ended(call, Verdict::Other, true, now);
                known.in_progress.remove(&call);
            }
            now = pace.next_timeout().map_or(now, |due| due.max(now));
            let polled = pace.poll(|_| true, now);
            for call in polled.begin {
                known.waiting.remove(&call);
                known.begins(call, now);
            }
            for call in polled.expired {
                known.waiting.remove(&call);
            }
        }
        prop_assert!(known.waiting.is_empty(), "somebody waits for ever");
    }
}

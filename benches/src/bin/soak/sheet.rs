//! The balance sheet: what clients, the database, Asterisk and the receivers say, side by side.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::callers::Told;
use crate::daemon::Memory;
use crate::receiver::Heard;
use crate::store::{Call, Records};
use crate::weather::Seen;

/// All that is compared.
pub struct Sheet {
    pub answers: Told,
    pub records: Records,
    /// Calls that waited and certainly never left.
    pub given_back: HashSet<Uuid>,
    pub told: Heard,
    pub weather: Seen,
    pub status: Value,
    /// After the start and at the end.
    pub memory: (Memory, Memory),
    /// How long it took to come to rest, and whether it did.
    pub rest: Duration,
    pub at_rest: bool,
}

/// Prints lines, and remembers whether one of them was wrong.
struct Page {
    adds_up: bool,
}

impl Page {
    fn head(&self, name: &str) {
        println!("\n{name}");
    }

    fn say(&self, name: &str, value: impl std::fmt::Display) {
        println!("  {name:<62} {value:>9}");
    }

    /// A line that must be so.
    fn must(&mut self, name: &str, is: u64, should_be: u64) {
        let right = is == should_be;
        self.adds_up &= right;
        let verdict = if right { "ok".to_owned() } else { format!("WRONG: not {should_be}") };
        println!("  {name:<62} {is:>9}  {verdict}");
    }
}

impl Sheet {
    /// Prints it; says whether every line adds up.
    pub fn print(&self) -> bool {
        let mut page = Page { adds_up: true };
        self.misfortunes(&page);
        self.requests(&mut page);
        self.calls(&mut page);
        self.uses(&mut page);
        self.asterisk(&mut page);
        self.callbacks(&mut page);
        self.daemon(&mut page);
        println!("\n{}", if page.adds_up { "It adds up." } else { "It does NOT add up." });
        page.adds_up
    }

    fn misfortunes(&self, page: &Page) {
        let Seen { counts, crashes, dropped, late, stalled, .. } = &self.weather;
        page.head("What went wrong on purpose");
        page.say("the daemon was killed", crashes);
        page.say("lines were dropped", dropped);
        page.say("answers came late for a while", late);
        page.say("lines stalled for a while", stalled);
        page.say("events were lost", counts.lost_events);
        page.say("logins", counts.logins);
        page.say("clients asked again, out of patience or cut off", self.answers.asked_again);
        let share = 100.0 * self.told.failed as f64 / self.told.requests.max(1) as f64;
        page.say("callback requests that failed", format!("{share:.1} %"));
    }

    fn requests(&self, page: &mut Page) {
        let Told { requests, placed, replayed, refused, unanswered, hung_up, .. } = &self.answers;
        page.head("Requests, by what clients were told");
        page.say("requests", requests);
        page.say("a call (202)", placed.len());
        page.say("  of them heard of by asking again", replayed);
        page.say("  of them hung up again by the client", hung_up);
        for (code, count) in refused {
            page.say(code, count);
        }
        page.must("never answered", *unanswered, 0);
        let sum = placed.len() as u64 + refused.values().sum::<u64>() + unanswered;
        page.must("calls + refusals = requests", sum, *requests);
    }

    fn calls(&self, page: &mut Page) {
        let calls = &self.records.calls;
        page.head("Calls on record");
        page.say("calls", calls.len());
        let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
        for call in calls.iter().filter(|call| !call.undone) {
            *outcomes.entry(&call.status).or_default() += 1;
        }
        for (status, count) in outcomes {
            page.say(&format!("  {status}"), count);
        }
        page.say("  undone: Asterisk certainly did not get it, the client was told", self.undone());
        page.must("still open", count(calls, |call| !call.ended), 0);
        let known: HashSet<Uuid> = calls.iter().map(|call| call.id).collect();
        let promised: HashSet<Uuid> = self.answers.placed.values().copied().collect();
        page.must(
            "calls promised and not on record",
            promised.difference(&known).count() as u64,
            0,
        );
        let distinct = promised.len() as u64;
        page.must("one call for each key", distinct, self.answers.placed.len() as u64);
        let unknown = |call: &Call| !call.undone && !promised.contains(&call.id);
        page.must("calls on record that no client was told of", count(calls, unknown), 0);
    }

    fn uses(&self, page: &mut Page) {
        let calls = &self.records.calls;
        page.head("Uses");
        let in_queue = count(calls, |call| !call.undone && call.never_begun);
        let not_sent = count(calls, |call| !call.undone && self.never_sent(call));
        page.say("calls that ended while they waited: given back", in_queue);
        page.say("calls that waited and found no line: given back", not_sent);
        let may = calls.len() as u64 - self.undone() - in_queue - not_sent;
        let counted: u64 = self.records.dids.values().map(|did| did.uses).sum();
        page.must("uses counted = calls that may have been placed", counted, may);
        let mut by_did: HashMap<Uuid, u64> = HashMap::new();
        for call in calls.iter().filter(|call| self.may_have_been_placed(call)) {
            *by_did.entry(call.did).or_default() += 1;
        }
        let dids = &self.records.dids;
        let differ =
            dids.iter().filter(|(id, did)| did.uses != by_did.get(id).copied().unwrap_or(0));
        page.must("DIDs whose own count differs from its calls", differ.count() as u64, 0);
        let over = dids.values().filter(|did| did.most.is_some_and(|most| did.uses > most)).count();
        let spent = dids.values().filter(|did| did.most == Some(did.uses)).count();
        page.say("DIDs at their limit", spent);
        page.must("DIDs over their limit", over as u64, 0);
    }

    fn asterisk(&self, page: &mut Page) {
        let Seen { originates, counts, .. } = &self.weather;
        page.head("Asterisk");
        page.must(
            "Originates it took = channel ids it saw (none twice)",
            counts.originates,
            originates.len() as u64,
        );
        let by_id: HashMap<String, &Call> =
            self.records.calls.iter().map(|call| (call.id.to_string(), call)).collect();
        let strange = originates.keys().filter(|id| !by_id.contains_key(*id)).count();
        page.must("Originates without a call on record", strange as u64, 0);
        let uncounted = originates
            .keys()
            .filter(|id| by_id.get(*id).is_some_and(|call| !self.may_have_been_placed(call)));
        page.must("Originates of calls whose use was given back", uncounted.count() as u64, 0);
        let shown = originates
            .iter()
            .filter(|(id, number)| by_id.get(*id).is_some_and(|call| call.from != **number));
        page.must("Originates that showed another number", shown.count() as u64, 0);
        let lost = count(&self.records.calls, |call| {
            self.may_have_been_placed(call) && !originates.contains_key(&call.id.to_string())
        });
        page.say("counted calls that never reached it (they were sent, or nearly)", lost);
        page.must("calls that still go on", counts.in_progress as u64, 0);
    }

    fn callbacks(&self, page: &mut Page) {
        let Records { calls, callbacks, .. } = &self.records;
        let expected: u64 = calls.iter().filter(|call| !call.undone).map(|call| call.steps).sum();
        page.head("Callbacks");
        page.say("expected: one for each state of each call", expected);
        page.must("on record", callbacks.values().map(|one| one.rows).sum(), expected);
        page.must(
            "delivered by the record",
            callbacks.values().map(|one| one.delivered).sum(),
            expected,
        );
        page.must("given up", callbacks.values().map(|one| one.dead).sum(), 0);
        let gaps = calls.iter().filter(|call| {
            let (rows, last) = callbacks.get(&call.id).map_or((0, 0), |one| (one.rows, one.last));
            let steps = if call.undone { 0 } else { call.steps };
            (rows, last) != (steps, steps)
        });
        page.must("calls with a callback missing or too many", gaps.count() as u64, 0);
        let heard = &self.told;
        let taken: u64 = heard.taken.values().map(|ids| ids.len() as u64).sum();
        page.must("taken by the receivers, each once and in order", taken, expected);
        page.must("came out of order", heard.out_of_order, 0);
        page.must("came under another id", heard.other_ids, 0);
        page.must("had a bad signature", heard.bad_signatures, 0);
        page.say("came again after they were taken, under the same id", heard.repeated);
    }

    fn daemon(&self, page: &mut Page) {
        page.head("The daemon");
        let trunks = self.status["trunks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let sum = |key: &str| trunks.iter().filter_map(|one| one[key].as_u64()).sum::<u64>();
        page.must("places in use on trunks", sum("channels"), 0);
        page.must("calls that wait for a trunk", sum("queued"), 0);
        page.must("it came to rest", u64::from(self.at_rest), 1);
        page.say("seconds that took", self.rest.as_secs());
        let (fresh, now) = self.memory;
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / f64::from(1 << 20));
        page.say("memory after the first start", megabytes(fresh.now));
        page.say("memory at the end", megabytes(now.now));
        page.say("the most in any of its runs", megabytes(now.most));
    }

    fn undone(&self) -> u64 {
        count(&self.records.calls, |call| call.undone)
    }

    fn never_sent(&self, call: &Call) -> bool {
        !call.never_begun && self.given_back.contains(&call.id)
    }

    fn may_have_been_placed(&self, call: &Call) -> bool {
        !call.undone && !call.never_begun && !self.never_sent(call)
    }
}

fn count(calls: &[Call], which: impl Fn(&Call) -> bool) -> u64 {
    calls.iter().filter(|call| which(call)).count() as u64
}

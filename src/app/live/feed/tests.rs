//! Stories of the ring: what a reader hears who keeps up, comes back, or does not keep up.

use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use super::*;
use crate::domain::call::{CallRequest, Destination, PlacedBy, Report};
use crate::domain::did::{DidId, TrunkName};

#[tokio::test]
async fn a_reader_hears_what_is_told_from_now_on_in_order() {
    let feed = Feed::default();
    tell(&feed, "acme", 1, 0..1);
    let mut reader = read(&feed, None);
    assert_eq!(reader.next().now_or_never(), None);

    tell(&feed, "acme", 1, 1..2);
    tell(&feed, "acme", 2, 0..2);

    let heard = [reader.next().await, reader.next().await, reader.next().await];
    assert_eq!(
        heard.map(|one| said(&one)),
        ["1 call.ringing", "2 call.initiated", "2 call.ringing"]
    );
    assert_eq!(reader.next().now_or_never(), None);
}

#[tokio::test]
async fn a_reader_that_waits_is_woken() {
    let feed = Feed::default();
    let mut reader = read(&feed, None);

    let (heard, ()) = tokio::join!(reader.next(), async { tell(&feed, "acme", 1, 0..1) });

    assert_eq!(said(&heard), "1 call.initiated");
}

#[test]
fn who_comes_back_hears_what_it_missed_and_nothing_twice() {
    let feed = Feed::default();
    let mut reader = read(&feed, None);
    (1..=3).for_each(|id| tell(&feed, "acme", id, 0..1));
    let first = reader.look().unwrap();
    drop(reader);

    let again = all(&mut read(&feed, Some(id_of(&first))));

    assert_eq!(again, ["2 call.initiated", "3 call.initiated"]);
}

#[test]
fn who_comes_back_too_late_learns_how_many_it_missed_and_hears_the_rest() {
    let feed = Feed::bounded(3, usize::MAX);
    let begin = read(&feed, None).id().unwrap();
    (1..=5).for_each(|id| tell(&feed, "acme", id, 0..1));

    let mut reader = read(&feed, Some(&begin));
    let gap = reader.look().unwrap();

    assert!(matches!(gap, Heard::Gap { missed: Some(2), .. }), "{gap:?}");
    assert_eq!(all(&mut read(&feed, Some(id_of(&gap)))), all(&mut reader), "the gap is told once");
    assert_eq!(reader.id().unwrap(), format!("{}-5", feed.0.run));
}

#[test]
fn who_reads_too_slowly_is_told_so_and_goes_on() {
    let feed = Feed::bounded(2, usize::MAX);
    let mut reader = read(&feed, None);

    tell(&feed, "acme", 1, 0..1);
    assert_eq!(said(&reader.look().unwrap()), "1 call.initiated");
    (2..=5).for_each(|id| tell(&feed, "acme", id, 0..1));

    assert_eq!(all(&mut reader), ["gap Some(2)", "4 call.initiated", "5 call.initiated"]);
}

#[test]
fn what_others_push_out_is_a_gap_and_their_numbers_do_not_show() {
    let feed = Feed::bounded(2, usize::MAX);
    let mut reader = read(&feed, None);
    let begin = reader.id().unwrap();
    tell(&feed, "acme", 1, 0..1);

    (2..=9).for_each(|id| tell(&feed, "other", id, 0..1));

    assert_eq!(all(&mut reader), ["gap Some(1)"]);
    assert_eq!(reader.id().unwrap(), format!("{}-1", feed.0.run));
    tell(&feed, "acme", 10, 0..1);
    assert_eq!(all(&mut reader), ["10 call.initiated"]);
    assert_eq!(all(&mut read(&feed, Some(&begin))), ["gap Some(1)", "10 call.initiated"]);
}

#[test]
fn an_id_of_another_run_or_of_nobody_is_one_gap() {
    let (feed, earlier) = (Feed::default(), Feed::default());
    tell(&earlier, "acme", 1, 0..1);
    tell(&feed, "acme", 1, 0..2);
    let other_run = read(&earlier, None).id().unwrap();
    let of_the_future = format!("{}-3", feed.0.run);

    for id in [&other_run, &of_the_future, "", "3", "ü-1"] {
        let mut reader = read(&feed, Some(id));
        assert_eq!(reader.id(), None, "who leaves before the gap is told must be told again");
        assert_eq!(all(&mut reader), ["gap None"], "{id}");
        assert_eq!(reader.id().unwrap(), format!("{}-2", feed.0.run));
    }
}

#[test]
fn a_filter_leaves_out_and_the_place_goes_on() {
    let feed = Feed::default();
    let call = Filter { call: Some(CallId(Uuid::from_u128(2))), status: None };
    let status = Filter { call: None, status: Some(CallStatus::Ringing) };
    let [mut of_call, mut of_status] =
        [call, status].map(|filter| feed.read(&tenant("acme"), None, filter));

    (1..=2).for_each(|id| tell(&feed, "acme", id, 0..2));
    tell(&feed, "acme", 3, 0..1);

    assert_eq!(all(&mut of_call), ["2 call.initiated", "2 call.ringing"]);
    assert_eq!(all(&mut of_status), ["1 call.ringing", "2 call.ringing"]);
    assert_eq!(of_call.id().unwrap(), format!("{}-5", feed.0.run));
}

#[test]
fn the_ring_is_bounded_by_what_its_calls_weigh() {
    let feed = Feed::bounded(1000, 300_000);
    for id in 1..=50 {
        let mut call = call("acme", id);
        call.request.variables = vec![("V".to_owned(), "v".repeat(40_000))];
        call.request.journey = Some(serde_json::json!({"a": ["j".repeat(16_000)]}));
        feed.begin().tell([News { call: Arc::new(call), steps: 0..1 }]);
    }

    let ring = feed.ring();
    assert_eq!(ring.events.len(), 5);
    assert!(ring.bytes <= 300_000, "{}", ring.bytes);
    assert_eq!(ring.gone, 45);
}

/// All that a reader can hear now.
fn all(reader: &mut Reader) -> Vec<String> {
    std::iter::from_fn(|| reader.look()).map(|heard| said(&heard)).collect()
}

fn said(heard: &Heard) -> String {
    match heard {
        Heard::Change { change, .. } => {
            format!("{} {}", change.data.id.0.as_u128(), change.kind)
        }
        Heard::Gap { missed, .. } => format!("gap {missed:?}"),
    }
}

fn id_of(heard: &Heard) -> &str {
    match heard {
        Heard::Change { id, .. } | Heard::Gap { id, .. } => id,
    }
}

fn read(feed: &Feed, after: Option<&str>) -> Reader {
    feed.read(&tenant("acme"), after, Filter::default())
}

fn tell(feed: &Feed, tenant: &str, id: u128, steps: Range<u32>) {
    feed.begin().tell([News { call: Arc::new(call(tenant, id)), steps }]);
}

fn tenant(id: &str) -> TenantId {
    id.parse().unwrap()
}

/// A call that rings.
fn call(of: &str, id: u128) -> Call {
    let request = CallRequest {
        id: CallId(Uuid::from_u128(id)),
        tenant: tenant(of),
        to: "+14155550123".parse().unwrap(),
        did: DidId(Uuid::nil()),
        from: "+14045556789".parse().unwrap(),
        trunk: TrunkName::pjsip(),
        campaign: None,
        destination: Destination::Application { application: "Echo".into(), data: String::new() },
        variables: Vec::new(),
        caller_name: None,
        ring_timeout_seconds: 30,
        callback_url: None,
        journey: None,
        reason: None,
        time_limit_seconds: None,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        placed_by: PlacedBy::Rotary,
    };
    let mut call = Call::initiated(request, DateTime::<Utc>::UNIX_EPOCH);
    call.handle_report(Report::Ringing, DateTime::<Utc>::UNIX_EPOCH);
    call
}

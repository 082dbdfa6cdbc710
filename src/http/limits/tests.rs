//! Limits under a clock of the test's own.

use super::*;

#[test]
fn a_key_may_ask_two_seconds_worth_at_once_and_then_evenly() {
    let start = Instant::now();
    let mut buckets = Buckets::new(4, Duration::from_secs(1), BURST_SECONDS);
    let mut at = |milliseconds| buckets.take('a', start + Duration::from_millis(milliseconds));

    for _ in 0..8 {
        assert_eq!(at(0), Ok(()));
    }

    assert_eq!(at(0), Err(Duration::from_millis(250)));
    assert_eq!(at(100), Err(Duration::from_millis(150)));
    assert_eq!(at(250), Ok(()));
    assert_eq!(at(250), Err(Duration::from_millis(250)));
    assert_eq!((0..9).filter(|_| at(10_000).is_ok()).count(), 8);
}

#[test]
fn a_request_of_many_leaves_half_a_burst_to_others_and_then_goes_on_evenly() {
    let start = Instant::now();
    let mut buckets = Buckets::new(4, Duration::from_secs(1), BURST_SECONDS);

    for _ in 0..4 {
        assert_eq!(buckets.take_half('a', start), Ok(()));
    }
    assert_eq!(buckets.take_half('a', start), Err(Duration::from_millis(250)));
    for _ in 0..4 {
        assert_eq!(buckets.take('a', start), Ok(()));
    }
    assert!(buckets.take('a', start).is_err());

    let later = start + Duration::from_millis(1250);
    assert_eq!(buckets.take_half('a', later), Ok(()));
    assert_eq!(buckets.take_half('a', later), Err(Duration::from_millis(250)));
}

#[test]
fn each_has_a_bucket_of_its_own_and_zero_is_no_limit() {
    let now = Instant::now();
    let mut buckets = Buckets::new(1, Duration::from_secs(60), 1);
    let mut endless = Buckets::new(0, Duration::from_secs(60), 1);

    assert_eq!(buckets.take('a', now), Ok(()));
    assert_eq!(buckets.take('a', now), Err(Duration::from_secs(60)));
    assert_eq!(buckets.take('b', now), Ok(()));
    assert!((0..100_000).all(|_| endless.take('a', now).is_ok()));
    assert_eq!(endless.full_at.len(), 0);
}

#[test]
fn memory_is_bounded_and_the_oldest_is_forgotten() {
    let now = Instant::now();
    let mut buckets = Buckets::new(1, Duration::from_secs(60), 1);

    for n in 0..=REMEMBERED_MAX {
        buckets.take(n, now).unwrap();
    }

    assert_eq!(buckets.full_at.len(), REMEMBERED_MAX);
    assert_eq!(buckets.wait(&0, now), None);
    assert!(buckets.wait(&1, now).is_some());
}

#[test]
fn who_has_been_quiet_is_forgotten() {
    let now = Instant::now();
    let mut buckets = Buckets::new(1, Duration::from_secs(60), 1);
    for n in 0..100 {
        buckets.take(n, now).unwrap();
    }

    buckets.take(100, now + Duration::from_secs(61)).unwrap();

    assert_eq!(buckets.full_at.len(), 1);
}

#[test]
fn ipv6_counts_by_its_first_64_bits_and_mapped_ipv4_as_itself() {
    let of = |text: &str| network(text.parse().unwrap());

    assert_eq!(of("2001:db8:1:2:aaaa::1"), of("2001:db8:1:2:bbbb::2"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
}

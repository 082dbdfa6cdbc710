//! What is kept of reports that nobody reads yet.

use uuid::Uuid;

use super::*;
use crate::domain::call::CallId;

const OURS: ChannelId = ChannelId::first(CallId(Uuid::from_u128(7)));

#[tokio::test]
async fn unread_reports_keep_their_order_and_come_once() {
    let (reporter, mut reports) = channel();
    let other = ChannelId::first(CallId(Uuid::from_u128(8)));
    let end = Report::HungUp { cause: 16, sip_code: None };
    for _ in 0..3 {
        reporter.put(OURS, Report::Ringing);
        reporter.put(other, Report::Ringing);
        reporter.put(OURS, end);
    }

    let read = reports.next().await.unwrap();
    assert_eq!(read, [(OURS, Report::Ringing), (other, Report::Ringing), (OURS, end)]);

    reporter.put(OURS, Report::Ringing);
    drop(reporter);
    assert_eq!(reports.next().await.unwrap(), [(OURS, Report::Ringing)]);
    assert_eq!(reports.next().await, None);
}

#[test]
fn reports_of_too_many_calls_are_dropped_and_those_kept_go_on() {
    let (reporter, _reports) = channel();
    for call in 0..MAX_CALLS {
        assert!(
            reporter.put(ChannelId::first(CallId(Uuid::from_u128(call as u128))), Report::Ringing)
        );
    }

    assert!(
        !reporter
            .put(ChannelId::first(CallId(Uuid::from_u128(MAX_CALLS as u128))), Report::Ringing)
    );
    assert!(reporter.put(OURS, Report::Answered));
}

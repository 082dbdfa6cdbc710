//! Calls that are hung up while they wait for their trunk.

use rotary::domain::audit::Origin;
use rotary::domain::call::CallId;
use rotary::domain::tenant::TenantId;

use super::*;

#[tokio::test]
async fn a_call_that_waits_is_canceled_at_once_and_its_use_given_back() {
    let (house, asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Queue)).await;
    let rings = place(&house, RINGS).await;
    let waits = place(&house, ANSWERS).await;

    let canceled = house.ask(Ask::delete(&format!("{CALLS}/{waits}"))).await;
    let again = house.ask(Ask::delete(&format!("{CALLS}/{waits}"))).await;
    hang_up(&house, &rings).await;

    assert_eq!((canceled.status.as_u16(), canceled.text("status")), (200, "canceled"));
    assert_eq!(steps(&canceled.body), ["queued", "canceled"]);
    assert_eq!(again.body, canceled.body);
    assert_eq!(uses(&house).await, 1);
    call_is(&house, &rings, "failed").await;
    assert_eq!(asterisk.counts().originates, 1);
}

#[tokio::test]
async fn a_wish_for_a_call_that_waits_is_found_in_the_store() {
    let (house, _asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Queue)).await;
    place(&house, RINGS).await;
    let waits = place(&house, ANSWERS).await;

    let (store, at) = (&house.running.app.store, rotary::app::now());
    let (tenant, id) = (TenantId::default_tenant(), CallId(waits.parse().unwrap()));
    assert!(store.ask_hang_up(&tenant, id, &Origin::rotary(), at).await.unwrap());

    call_is(&house, &waits, "canceled").await;
    assert_eq!(uses(&house).await, 1);
}

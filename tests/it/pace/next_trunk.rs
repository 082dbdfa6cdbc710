//! Calls that go out again by the next trunk.

use rotary::domain::pace::verdict::{CauseMap, Verdict};

use super::*;

const CONGESTED: &str = "PJSIP/{to}@carrier-503";

#[tokio::test]
async fn a_call_that_its_trunk_cannot_carry_goes_out_by_the_next() {
    let (house, asterisk) = house_of_two(CONGESTED, |_| {}).await;

    let over = house.ask(Ask::post("/api/calls?wait=end", &json!({"to": ANSWERS}))).await;

    let id = over.text("id");
    assert_eq!((over.text("status"), over.text("trunk")), ("completed", "B"));
    assert_eq!((&over.body["attempts"], &over.body["did"]["trunk"]), (&json!(2), &json!("B")));
    let seen = asterisk.originates();
    let channels: Vec<_> = seen.iter().map(|seen| seen.channel_id.as_str()).collect();
    assert_eq!(channels, [id, &format!("{id}-2")]);
    let dialled: Vec<_> = seen.iter().map(|seen| seen.dial_string.as_str()).collect();
    assert_eq!(dialled, [format!("PJSIP/{ANSWERS}@carrier-503"), format!("PJSIP/{ANSWERS}@B")]);
    let kept = look(&house, id).await;
    assert_eq!(steps(&kept), ["initiated", "ringing", "in-progress", "completed"]);
    assert_eq!((&kept["trunk"], &kept["attempts"]), (&json!("B"), &json!(2)), "so it is on record");
    assert_eq!(uses(&house).await, 1, "one use for all attempts");
    for trunk in ["A", "B"] {
        assert_eq!(state_of(&house, trunk).await["channels"], 0);
    }
}

#[tokio::test]
async fn a_busy_callee_is_not_called_again() {
    let (house, asterisk) = house_of_two("PJSIP/{to}@fine", |_| {}).await;

    let busy = house.ask(Ask::post("/api/calls?wait=end", &json!({"to": "+14155550486"}))).await;

    assert_eq!((busy.text("status"), busy.text("trunk")), ("busy", "A"));
    assert_eq!((&busy.body["attempts"], asterisk.counts().originates), (&json!(1), 1));
}

#[tokio::test]
async fn where_no_trunk_can_carry_the_call_it_fails_with_the_last_ones_cause() {
    let (house, asterisk) = house_of_two("PJSIP/{to}@fine", |_| {}).await;

    let over = house.ask(Ask::post("/api/calls?wait=end", &json!({"to": "+14155550503"}))).await;

    assert_eq!((over.text("status"), &over.body["cause"]["code"]), ("failed", &json!(34)));
    assert_eq!((&over.body["attempts"], asterisk.counts().originates), (&json!(2), 2));
    assert_eq!(uses(&house).await, 1);
}

#[tokio::test]
async fn a_carrier_that_says_busy_when_it_throttles_is_understood() {
    let (house, _asterisk) = house_of_two("PJSIP/{to}@carrier-486", |config| {
        let trunk = config.app.trunks.get_mut(&"A".parse().unwrap()).unwrap();
        trunk.rules.causes = CauseMap::new([("486", Verdict::Throttled)]).unwrap();
    })
    .await;

    let over = house.ask(Ask::post("/api/calls?wait=end", &json!({"to": ANSWERS}))).await;

    assert_eq!((over.text("status"), over.text("trunk")), ("completed", "B"));
    assert_eq!(state_of(&house, "A").await["slowedDown"], true);
}

#[tokio::test]
async fn a_next_trunk_without_room_is_not_waited_for() {
    let (house, asterisk) = house_of_two(CONGESTED, |config| {
        let trunk = config.app.trunks.get_mut(&"B".parse().unwrap()).unwrap();
        trunk.rules.limits = Limits::of(0, 1);
    })
    .await;
    add_did(&house, "+14045550002", "B", "default").await;
    let by_b = json!({"to": RINGS, "from": "+14045550002"});
    let rings = house.ask(Ask::post(CALLS, &by_b)).await.text("id").to_owned();

    let by_a = json!({"to": ANSWERS, "from": "+14045550001"});
    let over = house.ask(Ask::post("/api/calls?wait=end", &by_a)).await;

    assert_eq!((over.text("status"), &over.body["attempts"]), ("failed", &json!(1)));
    assert_eq!(asterisk.counts().originates, 2);
    assert_eq!(state_of(&house, "B").await["channels"], 1);
    hang_up(&house, &rings).await;
}

#[tokio::test]
async fn where_asterisk_will_not_have_the_second_attempt_the_first_one_tells_why() {
    let (house, asterisk) = house_of_two(CONGESTED, |config| {
        // An endpoint without a name is no dial string.
        let trunk = config.app.trunks.get_mut(&"B".parse().unwrap()).unwrap();
        trunk.dial = "nonsense".into();
    })
    .await;

    let over = house.ask(Ask::post("/api/calls?wait=end", &json!({"to": ANSWERS}))).await;

    assert_eq!((over.text("status"), &over.body["cause"]["code"]), ("failed", &json!(34)));
    assert_eq!((&over.body["sipCode"], &over.body["attempts"]), (&json!(503), &json!(2)));
    assert_eq!((uses(&house).await, asterisk.counts().originates), (1, 1));
    assert_eq!(state_of(&house, "B").await["channels"], 0);
}

/// Trunk `A`, which dials like this, leads to `B`; a DID is on `A`.
async fn house_of_two(dial: &str, change: impl FnOnce(&mut Config)) -> (House, Control) {
    let (house, asterisk) = house(|config| {
        let mut first = trunk(Limits::default(), WhenFull::Queue);
        (first.dial, first.rules.next) = (dial.to_owned(), Some("B".parse().unwrap()));
        with_trunk(config, "A", first);
        with_trunk(config, "B", Trunk::default());
        change(config);
    })
    .await;
    add_did(&house, "+14045550001", "A", "default").await;
    (house, asterisk)
}

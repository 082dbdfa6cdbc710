//! Calls for which there is no place, and what the caller is told.

use super::*;

#[tokio::test]
async fn a_trunk_without_a_free_channel_refuses_and_says_how_many_there_are() {
    let (house, asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Refuse)).await;
    let first = place(&house, RINGS).await;

    let refused = call(&house, ANSWERS).await;

    assert_eq!(refused.problem(), (429, "trunk_channels"));
    let (limit, current, max) =
        (&refused.body["limit"], &refused.body["current"], &refused.body["max"]);
    assert_eq!((limit, current, max), (&json!("channels_max"), &json!(1), &json!(1)));
    assert_eq!(refused.headers["retry-after"], "30");
    assert_eq!((uses(&house).await, calls(&house).await), (1, 1), "nothing is counted or kept");
    assert_eq!(asterisk.counts().originates, 1);

    hang_up(&house, &first).await;
    call_is(&house, &first, "failed").await;
    place(&house, ANSWERS).await;
}

#[tokio::test]
async fn more_calls_a_second_than_a_trunk_takes_are_refused() {
    let (house, _asterisk) = house_with(trunk(Limits::of(2, 0), WhenFull::Refuse)).await;
    place(&house, ANSWERS).await;
    place(&house, ANSWERS).await;

    let refused = call(&house, ANSWERS).await;

    assert_eq!(refused.problem(), (429, "trunk_cps"));
    assert_eq!((&refused.body["current"], &refused.body["max"]), (&json!(2), &json!(2)));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(uses(&house).await, 2);
}

#[tokio::test]
async fn a_tenant_and_a_did_have_limits_of_their_own() {
    for (key, code) in [("tenant", "tenant_channels"), ("did", "did_channels")] {
        let (house, _asterisk) = house(|config| {
            with_trunk(config, "PJSIP", trunk(Limits::default(), WhenFull::Refuse));
            with_calls(config, |calls| match key {
                "tenant" => calls.tenant_channels_max = 1,
                _ => calls.did_channels_max = 1,
            });
        })
        .await;
        for tenant in ["default", "other"] {
            add_did(&house, "+14045550001", "PJSIP", tenant).await;
        }
        place(&house, RINGS).await;

        let refused = call(&house, ANSWERS).await;
        let other = Ask::post(CALLS, &json!({"to": ANSWERS})).header("x-tenant-id", "other");

        assert_eq!(refused.problem(), (429, code));
        assert_eq!(house.ask(other).await.status, 202, "another tenant's DID is another");
    }
}

#[tokio::test]
async fn a_call_that_asterisk_refuses_gives_its_place_back() {
    let (house, asterisk) = house_with(trunk(Limits::of(1, 1), WhenFull::Refuse)).await;
    asterisk.misbehave(|wrong| wrong.refuse_originates = Some("No".into()));

    let refused = [call(&house, ANSWERS).await, call(&house, ANSWERS).await];
    asterisk.behave();
    let placed = call(&house, ANSWERS).await;

    for refused in refused {
        assert_eq!(refused.problem(), (502, "originate_refused"));
    }
    assert_eq!(placed.status, 202);
}

#[tokio::test]
async fn a_repeated_request_takes_no_second_place() {
    let (house, _asterisk) = house_with(trunk(Limits::of(0, 2), WhenFull::Refuse)).await;
    let ask = || Ask::post(CALLS, &json!({"to": RINGS})).header("idempotency-key", "k-1");

    let (one, other) = tokio::join!(house.ask(ask()), house.ask(ask()));
    let again = house.ask(ask()).await;

    let placed = [&one, &other].into_iter().filter(|answer| answer.status == 202).count();
    assert!(placed >= 1, "{one:?} {other:?}");
    assert_eq!(
        (again.status.as_u16(), &again.headers["idempotent-replayed"]),
        (202, &"true".parse().unwrap())
    );
    assert_eq!(state_of(&house, "PJSIP").await["channels"], 1);
}

#[tokio::test]
async fn a_carrier_that_throttles_gets_fewer_calls_and_a_person_sees_it() {
    let (house, _asterisk) = house_with(trunk(Limits::of(8, 0), WhenFull::Refuse)).await;

    let throttled =
        house.ask(Ask::post("/api/calls?wait=end", &json!({"to": "+14155550429"}))).await;
    let state = state_of(&house, "PJSIP").await;
    let mine = crate::command_line::rotary(&house.running.socket, &["status"]).await;

    assert_eq!(throttled.text("status"), "failed");
    assert_eq!((&state["slowedDown"], state["channels"].as_u64()), (&json!(true), Some(0)));
    assert!(state["callsPerSecond"].as_f64().unwrap() < 8.0, "{state}");
    assert!(mine.out.contains("slowed down"), "{}", mine.out);
}

#[tokio::test]
async fn busy_callees_slow_no_trunk() {
    let (house, _asterisk) = house_with(trunk(Limits::of(8, 0), WhenFull::Refuse)).await;

    for _ in 0..3 {
        let busy =
            house.ask(Ask::post("/api/calls?wait=end", &json!({"to": "+14155550486"}))).await;
        assert_eq!(busy.text("status"), "busy");
    }

    assert_eq!(state_of(&house, "PJSIP").await["slowedDown"], false);
}

#[tokio::test]
async fn what_others_do_on_a_trunk_is_told_to_administrators_only() {
    let (house, _asterisk) = house_with(trunk(Limits::of(0, 1), WhenFull::Refuse)).await;
    let key = Ask::post("/api/keys", &json!({"role": "viewer", "tenantId": "default"}));
    let key = house.ask(key).await.text("key").to_owned();

    let seen = house.ask_on_tcp(Ask::get("/api/status").key(&key)).await;

    assert_eq!((seen.status.as_u16(), &seen.body["trunks"]), (200, &Value::Null));
}

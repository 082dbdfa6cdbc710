//! Either side stops, crashes or hangs in the middle of calls, and no call and no use is lost.

use std::pin::pin;

use futures_util::{StreamExt, stream};
use serde_json::json;

use super::scene::{Scene, steps};
use crate::real_asterisk::Version;
use crate::rotary::Via;
use crate::wait::until;

stories!(on_22 = V22:
    asterisk_crashes_in_the_middle_of_a_call
    rotary_crashes_and_follows_the_living_call_to_its_end
    rotary_crashes_and_settles_the_call_that_ended_meanwhile
    rotary_learns_of_an_answer_that_came_while_it_was_down
    rotary_crashes_while_the_phone_rings
    rotary_killed_under_load_loses_no_call_and_no_use
    asterisk_that_hangs_leaves_a_call_open_until_it_is_known_what_became_of_it
    asterisk_restarts_in_the_middle_of_a_call);
stories!(on_16 = V16: asterisk_restarts_in_the_middle_of_a_call);

async fn asterisk_crashes_in_the_middle_of_a_call(version: Version, via: Via) {
    let mut scene = Scene::new(version, via).await;
    let call = scene.call_that_lasts("+14155550120").await;

    scene.asterisk.kill9().await;
    let unready = scene.rotary.unready().await;
    scene.asterisk.start_again().await;
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(unready["checks"]["store"]["status"], "up");
    assert_eq!(over["cause"]["code"], 0, "nobody told how it ended: {over}");
    scene.rotary.ready().await;
    scene.a_call_completes("+14155550121").await;
    assert_eq!(scene.uses().await, 2);
}

async fn rotary_crashes_and_follows_the_living_call_to_its_end(version: Version, via: Via) {
    let mut scene = Scene::new(version, via).await;
    let call = scene.call_that_lasts("+14155550120").await;

    scene.rotary.kill9().await;
    scene.rotary.start_again().await;
    scene.rotary.ready().await;
    let resumed = scene.rotary.json(&["calls", "show", &call]).await;
    let hang_up = [("Action", "Hangup"), ("Channel", call.as_str()), ("Cause", "16")];
    scene.manager().await.send(&hang_up).await.unwrap();
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(resumed["status"], "in-progress");
    assert_eq!(over["cause"]["code"], 16);
    assert_eq!(steps(&over), ["initiated", "ringing", "in-progress", "completed"]);
    assert_eq!(scene.uses().await, 1);
}

async fn rotary_crashes_and_settles_the_call_that_ended_meanwhile(version: Version, via: Via) {
    let mut scene = Scene::new(version, via).await;
    let call = scene.call_that_lasts("+14155550120").await;

    scene.rotary.kill9().await;
    scene.hang_up_all().await;
    scene.rotary.start_again().await;
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(over["cause"]["code"], 0, "nobody told how it ended: {over}");
    assert_eq!(scene.uses().await, 1);
    scene.rotary.ready().await;
    scene.a_call_completes("+14155550121").await;
    assert_eq!(scene.uses().await, 2);
}

async fn rotary_learns_of_an_answer_that_came_while_it_was_down(version: Version, via: Via) {
    let mut scene = Scene::new(version, via).await;
    let to = "+14155550120";
    let request = json!({"to": to, "variables": {"HOLD_SECONDS": 600}});

    scene.asterisk.freeze().await;
    let call = scene.place_unheard(&request).await;
    scene.rotary.kill9().await;
    scene.asterisk.thaw().await;
    scene.carrier.wait_for_invite(to).await;
    scene.one_channel_is_up().await;
    scene.rotary.start_again().await;
    scene.rotary.call_is(&call, "in-progress").await;
    scene.hang_up_all().await;
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(steps(&over), ["initiated", "in-progress", "completed"]);
    assert_eq!(scene.uses().await, 1);
}

async fn rotary_crashes_while_the_phone_rings(version: Version, via: Via) {
    let mut scene = Scene::new(version, via).await;
    let ringing = json!({"to": "+14155550180", "ringTimeoutSeconds": 60});
    let call = scene.place(&ringing).await;
    scene.rotary.call_is(&call, "ringing").await;

    scene.rotary.kill9().await;
    scene.hang_up_all().await;
    scene.rotary.start_again().await;
    let over = scene.rotary.call_is(&call, "failed").await;

    assert_eq!(steps(&over), ["initiated", "ringing", "failed"]);
    assert_eq!(scene.uses().await, 1, "it may have rung");
}

async fn rotary_killed_under_load_loses_no_call_and_no_use(version: Version, via: Via) {
    let mut scene = Scene::new(version, via).await;
    let socket = scene.rotary.socket();
    // So many that the last are not even begun when it is killed, however fast it is.
    let requests = (0..200).map(|n| json!({"to": format!("+1415{:03}0120", 200 + n)}));
    let answers = requests.map(|request| socket.try_post("/api/calls", request));
    let mut answers = pin!(stream::iter(answers).buffer_unordered(40));
    let mut acknowledged: Vec<String> = Vec::new();

    while acknowledged.len() < 20 {
        let answer = answers.next().await.unwrap().expect("it is not killed yet");
        acknowledged.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    scene.rotary.kill9().await;
    while let Some(answer) = answers.next().await {
        acknowledged.extend(answer.map(|call| call.json()["id"].as_str().unwrap().to_owned()));
    }
    scene.rotary.start_again().await;
    let calls = until("every call to end", async || {
        let page = scene.rotary.get("/api/calls?limit=1000").await.json();
        let calls = page["data"].as_array().unwrap().clone();
        calls.iter().all(|call| call["endedAt"].is_string()).then_some(calls)
    })
    .await;

    assert!(acknowledged.len() < 200, "nothing was under way when it was killed");
    for id in &acknowledged {
        assert!(calls.iter().any(|call| call["id"] == id.as_str()), "{id} is lost");
    }
    assert_eq!(scene.uses().await, calls.len() as u64, "a use for each call, a call for each use");
    for (number, uses) in scene.rotary.usage().await {
        let invites = scene.carrier.invites();
        let shown = invites.iter().filter(|invite| invite.from_user == number).count() as u64;
        assert!(shown <= uses, "{number} was shown {shown} times and counted {uses} times");
    }
}

async fn asterisk_that_hangs_leaves_a_call_open_until_it_is_known_what_became_of_it(
    version: Version,
    via: Via,
) {
    let scene = Scene::new(version, via).await;

    let request = json!({"to": "+14155550120", "variables": {"HOLD_SECONDS": 600}});
    scene.asterisk.freeze().await;
    let placed = scene.rotary.post("/api/calls", &request).await;
    scene.rotary.unready().await;
    let uses = scene.uses().await;
    scene.asterisk.thaw().await;
    // The thawed Asterisk finds the Originate in its socket and places the call. Whatever it reports
    // before Rotary is back, nobody hears.
    scene.rotary.ready().await;
    let call = placed.json();
    let id = call["id"].as_str().unwrap();
    scene.rotary.call_is(id, "in-progress").await;
    scene.hang_up_all().await;
    scene.rotary.call_is(id, "completed").await;

    assert_eq!((placed.status, &call["status"]), (202, &json!("initiated")), "{call}");
    assert_eq!(uses, 1);
    assert_eq!(scene.uses().await, 1, "an unknown outcome is never refunded");
}

async fn asterisk_restarts_in_the_middle_of_a_call(version: Version, via: Via) {
    let mut scene = Scene::new(version, via).await;
    let call = scene.call_that_lasts("+14155550120").await;

    scene.asterisk.stop().await;
    let unready = scene.rotary.unready().await;
    let status = scene.rotary.cli(&["status"]).await;
    let refused = scene.rotary.post("/api/calls", &json!({"to": "+14155550121"})).await;
    scene.asterisk.start_again().await;
    scene.rotary.ready().await;
    let over = scene.rotary.call_is(&call, "completed").await;

    assert_eq!(unready["checks"]["asterisk"]["status"], "down", "{unready}");
    assert_eq!(unready["checks"]["store"]["status"], "up", "{unready}");
    assert!(status.stdout.contains("Asterisk"), "{status:?}");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("asterisk_unavailable")));
    assert_eq!(steps(&over), ["initiated", "ringing", "in-progress", "completed"]);
    scene.a_call_completes("+14155550122").await;
    assert_eq!(scene.uses().await, 2, "the refused call has used nothing");
}

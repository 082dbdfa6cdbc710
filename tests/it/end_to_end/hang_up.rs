//! Calls that Rotary ends, as the carrier hears it.

use serde_json::json;

use super::scene::{Scene, ending, steps};
use crate::real_asterisk::Version;
use crate::rotary::Via;
use crate::wait::until;

pub(super) async fn a_carrier_hears_a_ringing_call_canceled_and_an_answered_one_ended(
    version: Version,
    via: Via,
) {
    let scene = Scene::new(version, via).await;
    let (rings, answers, limited) = ("+14155550180", "+14155550123", "+14155550124");
    let ringing = scene.place(&json!({"to": rings, "ringTimeoutSeconds": 60})).await;
    scene.rotary.call_is(&ringing, "ringing").await;
    let answered = scene.call_that_lasts(answers).await;

    scene.rotary.json(&["calls", "hangup", &ringing, &answered]).await;
    let canceled = scene.rotary.call_is(&ringing, "canceled").await;
    let completed = scene.rotary.call_is(&answered, "completed").await;
    let over = scene
        .finished(json!({"to": limited, "timeLimitSeconds": 1, "variables": {"HOLD_SECONDS": 600}}))
        .await;

    assert_eq!(ending(&canceled), ("canceled", 16), "{canceled}");
    assert_eq!(steps(&canceled), ["initiated", "ringing", "canceled"]);
    assert_eq!(ending(&completed), ("completed", 16), "{completed}");
    assert_eq!(ending(&over), ("completed", 16), "{over}");
    the_carrier_hears(&scene, rings, "CANCEL").await;
    the_carrier_hears(&scene, answers, "BYE").await;
    the_carrier_hears(&scene, limited, "BYE").await;
}

async fn the_carrier_hears(scene: &Scene, to: &str, request: &str) {
    until(&format!("the carrier to hear {request} for {to}"), async || {
        scene.carrier.requests(to).iter().any(|heard| heard == request).then_some(())
    })
    .await;
}

//! A carrier without a circuit, and the trunk after it.

use serde_json::json;

use super::FIRST;
use crate::real_asterisk::{Asterisk, Carrier, Version};
use crate::rotary::{Rotary, Via};

pub(super) async fn a_congested_trunk_hands_its_call_to_the_next(version: Version, via: Via) {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(version, carrier.address()).await;
    // The carrier answers 503 to whatever ends so, and is as good as another behind `carrier`.
    let rotary = Rotary::over(via, &asterisk)
        .set("ROTARY_TRUNKS__PJSIP__DIAL", "PJSIP/{to}0503@PJSIP")
        .set("ROTARY_TRUNKS__carrier__QUEUE_MAX", "10")
        .set("ROTARY_TRUNKS__PJSIP__NEXT", "carrier")
        .start_ready()
        .await;
    rotary.json(&["dids", "add", FIRST, "--status", "active"]).await;

    let placed = rotary.post("/api/calls?wait=end", &json!({"to": "+14155550123"})).await;
    let by_hand = json!({"to": "+14155550486", "trunk": "carrier"});
    let busy = rotary.post("/api/calls?wait=end", &by_hand).await.json();

    let over = placed.json();
    assert_eq!(
        (&over["status"], &over["trunk"]),
        (&json!("completed"), &json!("carrier")),
        "{over}"
    );
    assert_eq!((&over["attempts"], &over["cause"]["code"]), (&json!(2), &json!(16)), "{over}");
    assert_eq!((&busy["status"], &busy["attempts"]), (&json!("busy"), &json!(1)), "{busy}");
    let called: Vec<_> = carrier.invites().into_iter().map(|invite| invite.to_user).collect();
    assert_eq!(called, ["+141555501230503", "+14155550123", "+14155550486"]);
    let uses: u64 = rotary.usage().await.iter().map(|(_, uses)| uses).sum();
    assert_eq!(uses, 2, "one use for both attempts");
}

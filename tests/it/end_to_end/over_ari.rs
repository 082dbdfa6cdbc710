//! What is said of ARI alone, to the operator and to who asks for a call.

use serde_json::{Value, json};

use super::scene::Scene;
use crate::real_asterisk::{Asterisk, Carrier, Version};
use crate::rotary::{Rotary, Via};
use crate::wait::until;

#[tokio::test]
async fn a_wrong_password_says_whose_and_where_to_look() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let rotary = Rotary::over(Via::Ari, &asterisk).set("ROTARY_ASTERISK__SECRET", "wrong");
    let rotary = rotary.start().await;

    let detail = until("the login to be refused", async || {
        let detail = told(&rotary.unready().await);
        detail.contains("refused the login").then_some(detail)
    })
    .await;

    assert!(detail.contains("\"rotary\": Authentication required"), "{detail}");
    assert!(detail.contains("ari.conf"), "{detail}");
    assert!(!rotary.log().contains("wrong"), "the secret is in the log: {}", rotary.log());
}

#[tokio::test]
async fn an_endpoint_that_asterisk_has_not_is_named_and_the_others_serve() {
    let carrier = Carrier::start().await;
    for version in [Version::V22, Version::V16] {
        let asterisk = Asterisk::start(version, carrier.address()).await;
        let rotary = Rotary::over(Via::Ari, &asterisk)
            .set("ROTARY_TRUNKS__carrier__DIAL", "PJSIP/{to}@carrier")
            .set("ROTARY_TRUNKS__elsewhere__DIAL", "PJSIP/{to}@nowhere");
        let rotary = rotary.start_ready().await;

        let ready = rotary.get("/readyz").await;
        let status = rotary.cli(&["status"]).await;

        assert_eq!(ready.status, 200);
        let detail = told(&ready.json());
        assert!(
            detail.contains("cannot reach the endpoint nowhere (is not in pjsip.conf);"),
            "{detail}"
        );
        assert!(status.stdout.contains("the endpoint nowhere"), "{status:?}");
    }
}

#[tokio::test]
async fn an_application_cannot_be_said_over_ari_and_uses_nothing() {
    let scene = Scene::new(Version::V22, Via::Ari).await;

    let echo = json!({"to": "+14155550123", "application": "Echo"});
    let refused = scene.rotary.post("/api/calls", &echo).await;

    let problem = refused.json();
    assert_eq!((refused.status, &problem["code"]), (422, &json!("invalid_field")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("name a context"), "{problem}");
    assert_eq!(scene.uses().await, 0);
}

fn told(readiness: &Value) -> String {
    readiness["checks"]["asterisk"]["detail"].as_str().unwrap_or_default().to_owned()
}

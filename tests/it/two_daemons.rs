//! Two daemons on one PostgreSQL, each with a state directory of its own.

use futures_util::future::join_all;
use serde_json::json;

use crate::postgres::{Fsync, Postgres};
use crate::real_asterisk::{Asterisk, Carrier, Version};
use crate::rotary::Rotary;

const DIDS: usize = 5;
const MAX_USAGE: usize = 4;

#[tokio::test]
async fn two_daemons_never_show_a_did_beyond_its_limit() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let postgres = Postgres::new(Fsync::Off);
    let daemon = || Rotary::beside(&asterisk).set("DATABASE_URL", &postgres.url()).start_ready();
    let first = daemon().await;
    for n in 0..DIDS {
        let number = format!("+1404555670{n}");
        let did = json!({"number": number, "status": "active", "maxUsage": MAX_USAGE});
        assert_eq!(first.post("/api/asterisk-dids", &did).await.status, 201);
    }
    let second = daemon().await;

    let calls = (0..60).map(|n| {
        let rotary = if n % 2 == 0 { &first } else { &second };
        async move {
            let request = json!({"to": format!("+14155{n:02}0486")});
            rotary.post("/api/calls?wait=end", &request).await
        }
    });
    let answers = join_all(calls).await;

    let placed = answers.iter().filter(|answer| answer.status == 202).count();
    let refused = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((placed, refused), (DIDS * MAX_USAGE, 60 - DIDS * MAX_USAGE), "{answers:#?}");
    let invites = carrier.invites();
    assert_eq!(invites.len(), placed);
    for (number, uses) in first.usage().await {
        let shown = invites.iter().filter(|invite| invite.from_user == number).count();
        assert_eq!((uses, shown), (MAX_USAGE as u64, MAX_USAGE), "{number}");
    }
    let last = second.post("/api/calls", &json!({"to": "+14155550123"})).await;
    assert_eq!(last.json()["code"], "no_available_did", "{last:?}");
}

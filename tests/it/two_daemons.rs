//! Two daemons on one PostgreSQL, each with a state directory of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use rotary::domain::rotation::NotPickable;
use rotary::domain::tenant::TenantId;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::house::{Ask, House};
use crate::postgres::{Fsync, Postgres};
use crate::real_asterisk::{Asterisk, Carrier, Version};
use crate::rotary::{Rotary, Via};
use crate::wait;

const DIDS: usize = 5;
const MAX_USAGE: usize = 4;

#[tokio::test]
async fn two_daemons_never_show_a_did_beyond_its_limit_over_ami() {
    two_daemons_never_show_a_did_beyond_its_limit(Via::Ami).await;
}

#[tokio::test]
async fn two_daemons_never_show_a_did_beyond_its_limit_over_ari() {
    two_daemons_never_show_a_did_beyond_its_limit(Via::Ari).await;
}

async fn two_daemons_never_show_a_did_beyond_its_limit(via: Via) {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let postgres = Postgres::new(Fsync::Off);
    let daemon = || Rotary::over(via, &asterisk).set("DATABASE_URL", &postgres.url()).start_ready();
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

/// Several callers ask `house` for calls until `stop`; `placed` counts those that got one.
async fn call_until(stop: &CancellationToken, house: &House, placed: &AtomicU64) {
    join_all((0..8).map(|_| async move {
        while !stop.is_cancelled() {
            let call = Ask::post("/api/calls", &json!({"to": "+14155550123"}));
            let answer = house.ask(call).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            placed.fetch_add(1, Ordering::SeqCst);
        }
    }))
    .await;
}

#[tokio::test]
async fn a_did_suspended_through_one_daemon_is_never_picked_again_by_the_other() {
    let postgres = Postgres::new(Fsync::Off);
    let (first, second) = (House::open_on(&postgres).await, House::open_on(&postgres).await);
    let dids = "number,status\n+14045550100,active\n+14045550101,active\n+14045550102,active\n";
    first.ask(Ask::post_as("/api/asterisk-dids/import", "text/csv", dids)).await;
    let tenant = TenantId::default_tenant();
    let number = "+14045550101".parse().unwrap();
    let store = &first.running.app.store;
    let row = async || store.did_by_number(&tenant, number).await.unwrap().unwrap();
    let did = row().await.id;
    let index = &second.running.app.index;
    let all_active = async || (index.lock().summary(&tenant).active == 3).then_some(());
    wait::until("the other daemon has the DIDs", all_active).await;
    let (stop, placed) = (CancellationToken::new(), AtomicU64::new(0));
    let placed_until = async |what: &str, calls: u64| {
        let enough = async || (placed.load(Ordering::SeqCst) >= calls).then_some(());
        wait::until(what, enough).await;
    };

    let story = async {
        placed_until("calls are placed", 100).await;
        let suspend = json!({"status": "suspended"});
        let answer = first.ask(Ask::put(&format!("/api/asterisk-dids/{did}"), &suspend)).await;
        assert_eq!(answer.text("status"), "suspended", "{answer:?}");
        let used = row().await.usage_count;
        let so_far = placed.load(Ordering::SeqCst);

        let out = async || (index.lock().summary(&tenant).active == 2).then_some(());
        wait::until("the other daemon knows", out).await;
        placed_until("more calls are placed", so_far + 200).await;
        stop.cancel();
        used
    };
    let (used, ()) = tokio::join!(story, call_until(&stop, &second, &placed));

    assert!(used >= 30, "it was in rotation: {used}");
    assert_eq!(row().await.usage_count, used, "it was picked after the answer");
    let named = index.lock().pick_named(&tenant, did);
    assert!(matches!(named, Err(NotPickable::NotActive(_))), "{named:?}");
    let next = second.ask(Ask::get("/api/asterisk-dids/next-available")).await;
    assert_ne!(next.text("number"), "+14045550101");
}

#[tokio::test]
async fn an_import_through_one_daemon_can_be_picked_through_the_other() {
    const DIDS: usize = 10_000;
    let postgres = Postgres::new(Fsync::Off);
    let (first, second) = (House::open_on(&postgres).await, House::open_on(&postgres).await);
    let rows = (0..DIDS).map(|n| format!("+1404555{n:04},active\n"));
    let csv = format!("number,status\n{}", rows.collect::<String>());

    let answer = first.ask(Ask::post_as("/api/asterisk-dids/import", "text/csv", csv)).await;

    assert_eq!(answer.body["imported"], DIDS, "{answer:?}");
    let tenant = TenantId::default_tenant();
    let active = || second.running.app.index.lock().summary(&tenant).active;
    wait::until("all can be picked", async || (active() == DIDS).then_some(())).await;
    let call = second.ask(Ask::post("/api/calls", &json!({"to": "+14155550123"}))).await;
    assert_eq!(call.status, 202, "{call:?}");
}

#[tokio::test]
async fn a_campaign_changed_through_one_daemon_is_picked_from_by_its_rules_on_the_other() {
    let postgres = Postgres::new(Fsync::Off);
    let (first, second) = (House::open_on(&postgres).await, House::open_on(&postgres).await);
    let rules = || {
        let campaign = "c_abc".parse().unwrap();
        second.running.app.campaigns.rules(&TenantId::default_tenant(), &campaign)
    };
    assert!(!rules().local_presence);

    let campaign = Ask::post("/api/campaigns", &json!({"id": "c_abc", "localPresence": true}));
    assert_eq!(first.ask(campaign).await.status, 201);

    wait::until("the campaign's rules on the other daemon", async || {
        rules().local_presence.then_some(())
    })
    .await;
}

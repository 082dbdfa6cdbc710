//! Campaigns and head starts, on both databases.

use std::collections::BTreeMap;

use rotary::domain::audit::Origin;
use rotary::domain::campaign::{Campaign, CampaignChange, Join, Rules};
use rotary::domain::did::{Did, DidState, DidStatus, NewDid};
use rotary::domain::did_csv::{DidRow, Given};
use rotary::domain::rotation::{RotationIndex, Want};
use rotary::domain::tenant::CampaignId;
use rotary::store::Store;
use rotary::store::audit_log::AuditFilter;
use rotary::store::campaigns::InsertCampaignError;
use rotary::store::dids::OnDuplicate;
use rotary::store::ledger::Recorded;
use sqlx::postgres::PgListener;

use super::{
    call_from, importer, insert, new_did, now, number, on_both, on_postgres, run_ledger, tenant,
    use_of, use_with_call, writer,
};
use crate::postgres::Fsync;

on_both!(
    a_campaign_comes_back_as_it_was_stored_and_only_once,
    a_change_that_changes_nothing_leaves_no_trace,
    a_head_start_is_stored_and_takes_nothing_from_the_limit,
    the_order_goes_by_uses_and_head_start,
    an_import_gives_newcomers_the_level_of_their_campaign,
    an_import_gives_those_that_come_in_what_they_are_behind,
);

async fn a_campaign_comes_back_as_it_was_stored_and_only_once(store: &Store) {
    let stored = campaign("c_1:a.b");
    let origin = Origin::rotary();

    store.insert_campaign(&stored, &origin).await.unwrap();
    let again = store.insert_campaign(&campaign("c_1:a.b"), &origin).await;

    assert!(matches!(again, Err(InsertCampaignError::Exists)));
    assert_eq!(store.campaign(&tenant(), &stored.id).await.unwrap().as_ref(), Some(&stored));
    assert_eq!(store.campaign(&"other".parse().unwrap(), &stored.id).await.unwrap(), None);
    assert_eq!(store.load_campaigns().await.unwrap(), [stored]);
    let log = store.list_audit_log(&AuditFilter::default(), 9, None).await.unwrap();
    assert_eq!(log.items.len(), 1, "what was refused is not told: {log:?}");
}

async fn a_change_that_changes_nothing_leaves_no_trace(store: &Store) {
    let stored = campaign("c_1");
    let origin = Origin::rotary();
    store.insert_campaign(&stored, &origin).await.unwrap();
    let later = now() + chrono::TimeDelta::hours(1);
    let change = |change: CampaignChange| {
        let (origin, id) = (origin.clone(), stored.id.clone());
        async move { store.change_campaign(&tenant(), &id, &change, &origin, later).await.unwrap() }
    };

    let same = change(CampaignChange { join: Some(Join::Lowest), ..Default::default() }).await;
    let other = change(CampaignChange { join: Some(Join::Count), ..Default::default() }).await;
    let elsewhere = store
        .change_campaign(&tenant(), &"c_9".parse().unwrap(), &Default::default(), &origin, later)
        .await;

    assert_eq!(same.unwrap(), stored);
    let rules = Rules { join: Join::Count, ..stored.rules };
    assert_eq!(other.unwrap(), Campaign { rules, updated_at: later, ..stored.clone() });
    assert_eq!(elsewhere.unwrap(), None);
    let log = store.list_audit_log(&AuditFilter::default(), 9, None).await.unwrap();
    let actions: Vec<&str> = log.items.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["campaign.updated", "campaign.created"]);
}

async fn a_head_start_is_stored_and_takes_nothing_from_the_limit(store: &Store) {
    let new = NewDid { head_start: 100, ..new_did(1, Some(2)) };
    let did = store.insert_did(&tenant(), &new, &Origin::rotary(), now()).await.unwrap();
    let running = run_ledger(store, writer());
    let mut call = call_from(&did);

    let first = running.ledger.record(use_with_call(&did, call.clone())).await.unwrap();
    let (second, third) =
        tokio::join!(running.ledger.record(use_of(&did)), running.ledger.record(use_of(&did)));
    call.fail(now());
    let back = running.ledger.take_back(&tenant(), did.id, Some(&call)).await.unwrap();

    assert_eq!(first, Recorded::Counted { usage_count: 1 });
    let spent = DidState { usage_count: 2, ..DidState::from(&did) };
    let mut answers = [second.unwrap(), third.unwrap()];
    answers.sort_by_key(|answer| matches!(answer, Recorded::Refused(_)));
    assert_eq!(answers, [Recorded::Counted { usage_count: 2 }, Recorded::Refused(spent)]);
    assert_eq!(back, Some(1));
    let row = store.did(&tenant(), did.id).await.unwrap().unwrap();
    assert_eq!((row.usage_count, row.head_start), (1, 100));
    running.stop().await.unwrap();
}

async fn the_order_goes_by_uses_and_head_start(store: &Store) {
    let old = insert(store, 2, None).await;
    let running = run_ledger(store, writer());
    for did in old.iter().chain(&old) {
        running.ledger.record(use_of(did)).await.unwrap();
    }
    running.stop().await.unwrap();
    let level = NewDid { head_start: 2, ..new_did(7, None) };
    let level = store.insert_did(&tenant(), &level, &Origin::rotary(), now()).await.unwrap();

    let index = std::sync::Arc::new(std::sync::Mutex::new(RotationIndex::new()));
    let loaded = index.clone();
    store.load_dids(move |state| loaded.lock().unwrap().upsert(&state)).await.unwrap();

    let want = Want { tenant: tenant(), campaign: None, area_code: None };
    let picks = (0..4).map(|_| index.lock().unwrap().pick(&want).unwrap().did);
    let (first, second) = (old[0].id, old[1].id);
    assert_eq!(Vec::from_iter(picks), [first, second, level.id, first]);
}

async fn an_import_gives_newcomers_the_level_of_their_campaign(store: &Store) {
    let in_campaign = |n, id: Option<&str>, status| NewDid {
        campaign: id.map(|id| id.parse().unwrap()),
        status,
        ..new_did(n, None)
    };
    let rows = vec![
        in_campaign(1, Some("c.1:x"), DidStatus::Active),
        in_campaign(2, Some("123"), DidStatus::Active),
        in_campaign(3, Some("c_count"), DidStatus::Active),
        in_campaign(4, Some("c.1:x"), DidStatus::Available),
        in_campaign(5, None, DidStatus::Active),
    ];
    let rows = rows.into_iter().map(|did| DidRow { did, given: Given::ALL }).collect();
    let levels = levels(&[("c.1:x", 40), ("123", u32::MAX)]);

    let imported =
        store.import_dids(&tenant(), rows, OnDuplicate::Skip, &levels, &importer(), now()).await;

    let imported = imported.unwrap();
    let mut starts = Vec::new();
    for n in 1..=5 {
        let did = did(store, n).await;
        assert!(imported.states.contains(&DidState::from(&did)), "{did:?}");
        starts.push(did.head_start);
    }
    assert_eq!(starts, [40, u32::MAX, 0, 0, 0]);
}

async fn an_import_gives_those_that_come_in_what_they_are_behind(store: &Store) {
    let there = |n, status, campaign: &str, head_start| NewDid {
        status,
        campaign: Some(campaign.parse().unwrap()),
        head_start,
        ..new_did(n, None)
    };
    for new in [
        there(1, DidStatus::Active, "c_1", 0),
        there(2, DidStatus::Active, "c_1", 5),
        there(3, DidStatus::Active, "c_2", 1),
        there(4, DidStatus::Active, "c_1", 7),
        there(5, DidStatus::Active, "c_1", 7),
    ] {
        use_three_times(
            store,
            &store.insert_did(&tenant(), &new, &Origin::rotary(), now()).await.unwrap(),
        )
        .await;
    }
    let row =
        |n, status, campaign: &str, given| DidRow { did: there(n, status, campaign, 0), given };
    let status = Given { status: true, ..NOTHING };
    let campaign = Given { campaign: true, ..NOTHING };
    update(store, vec![row(1, DidStatus::Inactive, "c_9", status)], &[]).await;

    let rows = vec![
        row(1, DidStatus::Active, "c_9", status),
        row(2, DidStatus::Active, "c_9", status),
        row(3, DidStatus::Inactive, "c_1", campaign),
        row(4, DidStatus::Active, "c_count", campaign),
        row(5, DidStatus::Inactive, "c_9", status),
    ];
    update(store, rows, &[("c_1", 10), ("c_9", 99)]).await;

    let mut starts = Vec::new();
    for n in 1..=5 {
        let did = did(store, n).await;
        assert_eq!(did.usage_count, 3);
        starts.push(did.head_start);
    }
    // Active again: 10 − 3; active as before; moved; moved to where the count decides; taken out.
    assert_eq!(starts, [7, 5, 7, 0, 0]);
}

#[tokio::test]
async fn postgres_tells_other_daemons_which_campaign_changed() {
    let own = on_postgres(Fsync::Off).await;
    let mut listener = PgListener::connect(&own.place.url()).await.unwrap();
    listener.listen("rotary_campaigns").await.unwrap();
    let (stored, origin) = (campaign("c_1"), Origin::rotary());
    let change = CampaignChange { name: Some(None), ..CampaignChange::default() };

    own.insert_campaign(&stored, &origin).await.unwrap();
    let created = listener.recv().await.unwrap();
    own.change_campaign(&tenant(), &stored.id, &change, &origin, now()).await.unwrap();
    let changed = listener.recv().await.unwrap();

    assert_eq!([created.channel(), changed.channel()], ["rotary_campaigns"; 2]);
}

const NOTHING: Given =
    Given { area_code: false, trunk: false, status: false, max_usage: false, campaign: false };

async fn update(store: &Store, rows: Vec<DidRow>, at: &[(&str, u32)]) {
    let count = rows.len() as u64;
    let imported = store
        .import_dids(&tenant(), rows, OnDuplicate::Update, &levels(at), &importer(), now())
        .await
        .unwrap();
    assert_eq!(imported.updated, count);
}

async fn use_three_times(store: &Store, did: &Did) {
    let running = run_ledger(store, writer());
    for _ in 0..3 {
        running.ledger.record(use_of(did)).await.unwrap();
    }
    running.stop().await.unwrap();
}

async fn did(store: &Store, n: u64) -> Did {
    store.did_by_number(&tenant(), number(n)).await.unwrap().unwrap()
}

fn levels(levels: &[(&str, u32)]) -> BTreeMap<CampaignId, u32> {
    levels.iter().map(|(id, level)| (id.parse().unwrap(), *level)).collect()
}

fn campaign(id: &str) -> Campaign {
    Campaign {
        tenant: tenant(),
        id: id.parse().unwrap(),
        name: Some("Spring, \"quoted\"".into()),
        rules: Rules { join: Join::Lowest, local_presence: true },
        created_at: now(),
        updated_at: now(),
    }
}

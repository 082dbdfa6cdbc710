//! What a store on PostgreSQL is told.

use std::collections::BTreeMap;

use rotary::domain::audit::Origin;
use rotary::domain::did::DidId;
use rotary::domain::did_csv::{DidRow, Given};
use rotary::store::changes::{Changes, Heard};
use rotary::store::dids::OnDuplicate;
use rotary::store::{Settings, Store};

use super::{
    importer, insert, new_did, now, on_postgres, on_sqlite, run_ledger, tenant, use_of, writer,
};
use crate::postgres::Fsync;
use crate::wait::PATIENCE;

#[tokio::test]
async fn on_sqlite_nothing_is_told() {
    let own = on_sqlite().await;

    assert!(own.changes().await.is_none());
}

#[tokio::test]
async fn a_large_import_is_told_as_a_range_and_not_to_who_made_it() {
    let own = on_postgres(Fsync::Off).await;
    let other = Store::open(&Settings::new(own.place.url())).await.unwrap();
    let (mut mine, mut theirs) = (own.changes().await.unwrap(), other.changes().await.unwrap());
    let rows: Vec<DidRow> =
        (1..=2_500).map(|n| DidRow { did: new_did(n, None), given: Given::ALL }).collect();
    let range = rows[0].did.id..=rows[2_499].did.id;

    own.import_dids(&tenant(), rows, OnDuplicate::Skip, &BTreeMap::new(), &importer(), now())
        .await
        .unwrap();
    let mark =
        own.insert_did(&tenant(), &new_did(9_999, None), &Origin::rotary(), now()).await.unwrap();

    let (mine, theirs) = (told(&mut mine).await, told(&mut theirs).await);
    let dids = [(tenant(), mark.id)].into();
    assert_eq!(mine, Heard { dids, ..Heard::default() });
    assert_eq!(theirs.added, [range]);
}

#[tokio::test]
async fn a_use_is_not_told_and_one_taken_back_is() {
    let own = on_postgres(Fsync::Off).await;
    let dids = insert(&own, 2, None).await;
    let mut changes = own.changes().await.unwrap();
    let running = run_ledger(&own, writer());

    running.ledger.record(use_of(&dids[0])).await.unwrap();
    running.ledger.record(use_of(&dids[1])).await.unwrap();
    running.ledger.take_back(&tenant(), dids[1].id, None).await.unwrap();

    let heard = told(&mut changes).await;
    assert_eq!(heard, Heard { dids: [(tenant(), dids[1].id)].into(), ..Heard::default() });
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_stretch_is_read_to_its_end_in_pieces() {
    let own = on_postgres(Fsync::Off).await;
    let dids = insert(&own, 5, None).await;
    let changes = own.changes().await.unwrap();
    let ids: Vec<DidId> = dids.iter().map(|did| did.id).collect();

    let mut left = Some(ids[1]..=ids[4]);
    let mut pieces = Vec::new();
    while let Some(range) = left {
        let stretch = changes.dids_between(&range, 2).await.unwrap();
        pieces.push(stretch.states.iter().map(|state| state.id).collect::<Vec<_>>());
        left = stretch.rest;
    }

    assert_eq!(pieces.concat(), ids[1..]);
    assert_eq!(pieces[0].len(), 2);
}

async fn told(changes: &mut Changes) -> Heard {
    tokio::time::timeout(PATIENCE, changes.next()).await.expect("something is told")
}

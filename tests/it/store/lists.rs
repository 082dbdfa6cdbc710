//! Lists of DIDs that the index answers are those that the store would give.

use rotary::app::list_dids::list_dids;
use rotary::domain::audit::Origin;
use rotary::domain::did::{Did, DidId, DidStatus};
use rotary::store::dids::{DidFilter, DidSort};
use rotary::store::{ListError, Store};

use super::csv::app;
use super::{new_did, now, number, on_both, run_ledger, tenant, use_of, writer};

on_both!(
    a_list_from_the_index_is_the_one_from_the_store,
    a_list_goes_on_while_dids_come_and_go,
    a_did_that_the_store_has_changed_is_not_listed_for_what_it_was,
    a_cursor_of_another_list_is_refused,
);

async fn a_list_from_the_index_is_the_one_from_the_store(store: &Store) {
    fill(store).await;
    let app = app(store);
    store.load_dids(|state| app.index.lock().upsert(&state)).await.unwrap();
    for sort in [DidSort::Number, DidSort::Usage, DidSort::Created] {
        let any = || DidFilter { sort, ..DidFilter::default() };
        for filter in [
            any(),
            DidFilter { status: Some(DidStatus::Suspended), ..any() },
            DidFilter { area_code: Some("020".parse().unwrap()), ..any() },
            DidFilter { trunk: Some("carrier-1".parse().unwrap()), ..any() },
            DidFilter { campaign: Some("c_9".parse().unwrap()), ..any() },
            DidFilter { campaign: Some("c_none".parse().unwrap()), ..any() },
            DidFilter { q: Some("(0)2".into()), ..any() },
            DidFilter { q: Some("1234567890123456".into()), ..any() },
            DidFilter { q: Some("1".into()), status: Some(DidStatus::Active), ..any() },
        ] {
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let cursor_text: Option<String> = cursor;
                let page =
                    list_dids(&app, &tenant(), &filter, 4, cursor_text.as_deref()).await.unwrap();
                assert!(page.items.len() <= 4);
                seen.extend(page.items);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }

            let all = store.list_dids(&tenant(), &filter, 1_000, None).await.unwrap().items;
            assert_eq!(seen, all, "{filter:?}");
        }
    }
}

async fn a_list_goes_on_while_dids_come_and_go(store: &Store) {
    let dids = fill(store).await;
    let app = app(store);
    store.load_dids(|state| app.index.lock().upsert(&state)).await.unwrap();
    let filter = DidFilter { sort: DidSort::Created, ..DidFilter::default() };

    let first = list_dids(&app, &tenant(), &filter, 10, None).await.unwrap();
    app.index.lock().remove(&tenant(), dids[9].id);
    let newest =
        store.insert_did(&tenant(), &new_did(900, None), &Origin::rotary(), now()).await.unwrap();
    app.index.lock().upsert(&(&newest).into());
    let rest = list_dids(&app, &tenant(), &filter, 100, first.next.as_deref()).await.unwrap();

    let seen: Vec<DidId> = first.items.iter().chain(&rest.items).map(|did| did.id).collect();
    assert_eq!(seen, dids.iter().chain([&newest]).map(|did| did.id).collect::<Vec<_>>());
}

async fn a_did_that_the_store_has_changed_is_not_listed_for_what_it_was(store: &Store) {
    let dids = fill(store).await;
    let app = app(store);
    for did in &dids {
        let mut older = rotary::domain::did::DidState::from(did);
        older.status = DidStatus::Inactive;
        app.index.lock().upsert(&older);
    }

    let filter = DidFilter { status: Some(DidStatus::Inactive), ..DidFilter::default() };
    let page = list_dids(&app, &tenant(), &filter, 3, None).await.unwrap();

    assert_eq!(page.items, []);
    assert!(page.next.is_some(), "there may be more behind");
}

async fn a_cursor_of_another_list_is_refused(store: &Store) {
    let filter = DidFilter { sort: DidSort::Usage, ..DidFilter::default() };

    let page = list_dids(&app(store), &tenant(), &filter, 3, Some("n14045550001")).await;

    assert!(matches!(page, Err(ListError::Cursor(_))));
}

/// Thirty DIDs, one in five unlike the rest, some of them used.
async fn fill(store: &Store) -> Vec<Did> {
    let mut dids = Vec::new();
    for n in 0..30 {
        let mut new = new_did(n * 7 % 31, None);
        if n % 5 == 0 {
            new.number = format!("+44207946{:04}", n).parse().unwrap();
            new.status = DidStatus::Suspended;
            new.area_code = Some("020".parse().unwrap());
            new.trunk = "carrier-1".parse().unwrap();
            new.campaign = Some("c_9".parse().unwrap());
        }
        dids.push(store.insert_did(&tenant(), &new, &Origin::rotary(), now()).await.unwrap());
    }
    let running = run_ledger(store, writer());
    for n in [3, 3, 4, 9, 9, 9, 28] {
        running.ledger.record(use_of(&dids[n])).await.unwrap();
    }
    running.stop().await.unwrap();
    let mut counted = Vec::new();
    for did in dids {
        counted.push(store.did(&tenant(), did.id).await.unwrap().unwrap());
    }
    assert_ne!(counted[0].number, number(0));
    counted
}

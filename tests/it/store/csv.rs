//! A file that changes DIDs which are there, through the whole import: file, store and index.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use rotary::ami;
use rotary::app::asterisks::{Settings, WireSettings, lines};
use rotary::app::call_book::CallBook;
use rotary::app::import_dids::{ImportReport, ImportSettings, import_dids};
use rotary::app::meters::Meters;
use rotary::app::pace::SharedPace;
use rotary::app::{App, SharedIndex};
use rotary::domain::asterisk::AsteriskName;
use rotary::domain::audit::Origin;
use rotary::domain::did::{Did, DidStatus};
use rotary::domain::number::Region;
use rotary::domain::rotation::Want;
use rotary::store::Store;
use rotary::store::dids::OnDuplicate;
use rotary::store::ledger::{LedgerSettings, ledger};

use super::{new_did, now, number, on_both, tenant, writer};

on_both!(
    a_file_of_limits_changes_limits_alone,
    the_first_of_two_rows_counts_however_far_apart_they_stand,
);

async fn a_file_of_limits_changes_limits_alone(store: &Store) {
    let mut there = new_did(1, Some(5));
    there.trunk = "carrier".parse().unwrap();
    there.campaign = Some("c_1".parse().unwrap());
    there.metadata.insert("notes".into(), "main".into());
    let there = store.insert_did(&tenant(), &there, &Origin::rotary(), now()).await.unwrap();
    let app = app(store);
    let file = format!("number,maxUsage,status,region\n{},50,,US-East\n", number(1));

    let report = update(&app, file).await;

    assert_eq!((report.imported, report.updated, report.duplicates), (0, 1, 0));
    let now_there = store.did(&tenant(), there.id).await.unwrap().unwrap();
    let mut metadata = there.metadata.clone();
    metadata.insert("region".into(), "US-East".into());
    let updated_at = now_there.updated_at;
    assert_eq!(now_there, Did { max_usage: Some(50), metadata, updated_at, ..there });
    assert_eq!(now_there.status, DidStatus::Active);
    let want = Want { tenant: tenant(), campaign: now_there.campaign.clone(), area_code: None };
    let pick = app.index.lock().pick(&want).expect("it is in rotation and in its campaign");
    assert_eq!((pick.did, pick.trunk), (now_there.id, now_there.trunk));
}

async fn the_first_of_two_rows_counts_however_far_apart_they_stand(store: &Store) {
    let there =
        store.insert_did(&tenant(), &new_did(1, Some(5)), &Origin::rotary(), now()).await.unwrap();
    let app = app(store);
    let others: String = (2..6_000).map(|n| format!("{},\n", number(n))).collect();
    let file = format!("number,maxUsage\n{0},50\n{others}{0},60\n", number(1));

    let report = update(&app, file).await;

    assert_eq!((report.imported, report.updated, report.duplicates), (5_998, 1, 1));
    let now_there = store.did(&tenant(), there.id).await.unwrap().unwrap();
    assert_eq!(now_there.max_usage, Some(50));
}

async fn update(app: &App, file: String) -> ImportReport {
    let settings = ImportSettings { default_region: Region::US, dry_run: false };
    let file = stream::iter([Ok(Bytes::from(file))]);
    import_dids(app, &tenant(), file, settings, OnDuplicate::Update, &Origin::rotary())
        .await
        .unwrap()
}

pub(super) fn app(store: &Store) -> App {
    let wire = WireSettings::Ami(ami::Settings::default());
    App {
        store: store.clone(),
        ledger: ledger(store.clone(), writer(), LedgerSettings::default()).0,
        asterisks: lines(vec![Settings { name: AsteriskName::lone(), wire }]).0,
        index: SharedIndex::default(),
        campaigns: Default::default(),
        changes: Arc::default(),
        calls: CallBook::default(),
        pace: SharedPace::new(Default::default()),
        outbox: Arc::default(),
        imports: Default::default(),
        audience: Default::default(),
        meters: Meters::default(),
        settings: Arc::default(),
        tasks: Default::default(),
        started_at: now(),
    }
}

//! The store, from outside: the same stories on both databases, and what happens when one dies.

mod audit_log;
mod callbacks;
mod campaigns;
mod changes;
mod chaos;
mod conformance;
mod csv;
mod did_changes;
mod hang_up;
mod import;
mod import_told;
mod ledger;
mod lists;
mod lost_answer;
mod open;
mod picks;
mod queued;

use std::ops::Deref;

use chrono::{DateTime, Utc};
use rotary::domain::audit::Origin;
use rotary::domain::call::{Call, CallId, CallRequest, Destination};
use rotary::domain::did::{Did, DidId, DidStatus, NewDid, TrunkName};
use rotary::domain::number::E164;
use rotary::domain::rotation::Reason;
use rotary::domain::tenant::TenantId;
use rotary::store::dids::Importer;
use rotary::store::ledger::{Ledger, LedgerSettings, NewCall, Use, WriterId, ledger};
use rotary::store::{Settings, Store};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::postgres::{Fsync, Postgres};

/// A store in a place of its own, which goes away with it.
pub(super) struct Own<Place> {
    pub(super) store: Store,
    pub(super) place: Place,
}

impl<Place> Deref for Own<Place> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

pub(super) async fn on_sqlite() -> Own<TempDir> {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::new(sqlite_url(&place))).await.unwrap();
    Own { store, place }
}

pub(super) fn sqlite_url(place: &TempDir) -> String {
    format!("sqlite:{}", place.path().join("rotary.db").display())
}

pub(super) async fn on_postgres(fsync: Fsync) -> Own<Postgres> {
    let place = Postgres::new(fsync);
    let store = Store::open(&Settings::new(place.url())).await.unwrap();
    Own { store, place }
}

/// Runs each story once on every database.
macro_rules! on_both {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $story() {
                let own = crate::store::on_sqlite().await;
                super::$story(&own.store).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $story() {
                let own = crate::store::on_postgres(crate::postgres::Fsync::Off).await;
                super::$story(&own.store).await;
            })*
        }
    };
}
pub(super) use on_both;

/// A ledger at work.
pub(super) struct Running {
    pub(super) ledger: Ledger,
    stop: CancellationToken,
    writer: JoinHandle<anyhow::Result<()>>,
}

pub(super) fn run_ledger(store: &Store, writer: WriterId) -> Running {
    run_ledger_with(store, writer, LedgerSettings::default())
}

#[expect(clippy::disallowed_methods, reason = "a test stands in for the lifecycle")]
pub(super) fn run_ledger_with(
    store: &Store,
    writer: WriterId,
    settings: LedgerSettings,
) -> Running {
    let (ledger, task) = ledger(store.clone(), writer, settings);
    let stop = CancellationToken::new();
    let writer = tokio::spawn(task.run(stop.clone()));
    Running { ledger, stop, writer }
}

impl Running {
    /// Stops it and says how it ended.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.writer.await.unwrap()
    }
}

pub(super) fn tenant() -> TenantId {
    "t_1".parse().unwrap()
}

pub(super) fn writer() -> WriterId {
    WriterId(Uuid::now_v7())
}

pub(super) fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00.123456Z".parse().unwrap()
}

/// The n-th number.
pub(super) fn number(n: u64) -> E164 {
    E164::from_digits(14_045_550_000 + n).unwrap()
}

/// An active DID with the n-th number.
pub(super) fn new_did(n: u64, max_usage: Option<u32>) -> NewDid {
    NewDid {
        id: DidId(Uuid::now_v7()),
        number: number(n),
        area_code: Some("404".parse().unwrap()),
        trunk: TrunkName::pjsip(),
        status: DidStatus::Active,
        max_usage,
        campaign: None,
        head_start: 0,
        metadata: serde_json::Map::new(),
    }
}

/// Somebody who imports.
pub(super) fn importer() -> Importer {
    Importer { import: Uuid::now_v7(), origin: Origin::user(7, "r_1") }
}

pub(super) async fn insert(store: &Store, count: u64, max_usage: Option<u32>) -> Vec<Did> {
    let mut dids = Vec::new();
    for n in 0..count {
        dids.push(
            store
                .insert_did(&tenant(), &new_did(n, max_usage), &Origin::rotary(), now())
                .await
                .unwrap(),
        );
    }
    dids
}

pub(super) fn call_from(did: &Did) -> Call {
    let request = CallRequest {
        id: CallId(Uuid::now_v7()),
        tenant: did.tenant.clone(),
        to: "+14155550123".parse().unwrap(),
        did: did.id,
        from: did.number,
        reason: Some(Reason::AreaCode),
        trunk: did.trunk.clone(),
        campaign: Some("c_1".parse().unwrap()),
        destination: Destination::Dialplan {
            context: "DynamicIVR".into(),
            exten: "s".into(),
            priority: 1,
        },
        variables: vec![("JOURNEY".into(), "j_1, \"quoted\"".into())],
        caller_name: Some("Acmé".into()),
        ring_timeout_seconds: 30,
        time_limit_seconds: Some(3600),
        callback_url: Some("https://example.com/hook".into()),
        journey: Some(serde_json::json!({"journeyId": "j_1", "nodeId": "n_4"})),
        created_at: now(),
        placed_by: Default::default(),
    };
    let mut call = Call::initiated(request, now());
    call.sent_to("pbx-1".parse().unwrap());
    call
}

pub(super) fn use_of(did: &Did) -> Use {
    Use { tenant: did.tenant.clone(), did: did.id, at: now(), call: None, pick: None }
}

pub(super) fn use_with_call(did: &Did, call: Call) -> Use {
    Use { call: Some(Box::new(NewCall { call, key: None })), ..use_of(did) }
}

pub(super) async fn usage(store: &Store, did: &Did) -> u32 {
    store.did(&did.tenant, did.id).await.unwrap().unwrap().usage_count
}

//! Durable picks on PostgreSQL and SQLite, beside the two designs that Rotary does without, on the
//! same database; then the import and the load of a million DIDs, and lists of them.
//!
//! Rows on stdout: `name | value | baseline | ratio`. All of it, or the part named by the argument:
//! `sqlite`, `postgres`, `bulk` or `list`.

mod baseline;
mod bulk;
mod list;
mod measure;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../../../tests/it/postgres.rs"]
mod postgres;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::Utc;
use rotary::domain::audit::Origin;
use rotary::domain::call::{Call, CallId, CallRequest, Destination};
use rotary::domain::did::{DidId, DidState, DidStatus, NewDid, TrunkName};
use rotary::domain::did_csv::{DidRow, Given};
use rotary::domain::number::E164;
use rotary::domain::tenant::TenantId;
use rotary::store::dids::{Importer, OnDuplicate};
use rotary::store::ledger::{LedgerSettings, NewCall, Recorded, Use, WriterId, ledger};
use rotary::store::{Settings, Store};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::measure::{Measured, measure, row};
use self::postgres::{Fsync, Postgres};

const DIDS: u64 = 100_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some(bulk::AS_DAEMON), Some(url)) = (arguments.next().as_deref(), arguments.next()) {
        return bulk::start_with(&url).await;
    }
    let only = std::env::args().nth(1);
    let wanted = |part| only.as_deref().is_none_or(|only| only == part);
    if wanted("sqlite") {
        on_sqlite().await;
    }
    if wanted("postgres") {
        on_postgres().await;
    }
    if wanted("bulk") {
        bulk::run().await;
    }
    if wanted("list") {
        list::run().await;
    }
}

async fn on_sqlite() {
    let place = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", place.path().join("rotary.db").display());
    let store = Store::open(&Settings::new(url.clone())).await.expect("a store");
    let dids = fill(&store, DIDS).await;
    let ours = all_ledgers("sqlite", &store, &dids).await;
    let source = baseline::source_design_sqlite(&url, 16).await;
    compare("sqlite", "source design, 10,000 DIDs, 16 callers", &ours, &source);
}

async fn on_postgres() {
    let server = Postgres::new(Fsync::On);
    let store = Store::open(&Settings::new(server.url())).await.expect("a store");
    let dids = fill(&store, DIDS).await;
    let ours = all_ledgers("postgres", &store, &dids).await;
    for callers in [16, 64] {
        let single = baseline::single_statement(&server.url(), callers).await;
        compare("postgres", &format!("single statement, {callers} callers"), &ours, &single);
    }
    for callers in [16, 64] {
        let source = baseline::source_design(&server.url(), callers).await;
        let name = format!("source design, 10,000 DIDs, {callers} callers");
        compare("postgres", &name, &ours, &source);
    }
}

/// The others store no calls; like beside like is the row without.
fn compare(database: &str, name: &str, ours: &[Measured; 2], theirs: &Measured) {
    for (ours, calls) in ours.iter().zip(["without calls", "with calls"]) {
        row(
            &format!("{database}: ledger, 64 callers, {calls}, beside {name} (picks/s)"),
            ours.per_second,
            theirs.per_second,
        );
    }
}

/// The ledger with 1, 16 and 64 callers, with a call per use and without; those with 64 are
/// returned, without calls first.
async fn all_ledgers(database: &str, store: &Store, dids: &Arc<Vec<DidState>>) -> [Measured; 2] {
    let mut of_64 = Vec::new();
    for with_calls in [false, true] {
        for callers in [1, 16, 64] {
            let measured = run_ledger(store, dids, callers, with_calls).await;
            let calls = if with_calls { "with calls" } else { "without calls" };
            println!(
                "{database}: ledger, {callers} callers, {calls} | {:.0} picks/s, p50 {:.2} ms, p99 {:.2} ms | - | -",
                measured.per_second, measured.p50_ms, measured.p99_ms
            );
            if callers == 64 {
                of_64.push(measured);
            }
        }
    }
    of_64.try_into().unwrap_or_else(|_| unreachable!("64 callers were measured twice"))
}

async fn run_ledger(
    store: &Store,
    dids: &Arc<Vec<DidState>>,
    callers: usize,
    with_calls: bool,
) -> Measured {
    let (handle, task) = ledger(store.clone(), WriterId(Uuid::now_v7()), LedgerSettings::default());
    let stop = CancellationToken::new();
    let writer = tokio::spawn(task.run(stop.clone()));
    let next = Arc::new(AtomicUsize::new(0));
    let measured = measure(callers, || {
        let (handle, dids, next) = (handle.clone(), Arc::clone(dids), Arc::clone(&next));
        move || {
            let (handle, dids, next) = (handle.clone(), Arc::clone(&dids), Arc::clone(&next));
            async move {
                let did = &dids[next.fetch_add(1, Ordering::Relaxed) % dids.len()];
                let answer = handle.record(use_of(did, with_calls)).await.expect("a record");
                assert!(matches!(answer, Recorded::Counted { .. }), "{answer:?}");
            }
        }
    })
    .await;
    stop.cancel();
    writer.await.expect("the writer").expect("a good end");
    measured
}

fn use_of(did: &DidState, with_call: bool) -> Use {
    let now = Utc::now();
    let call = with_call.then(|| {
        let request = CallRequest {
            id: CallId(Uuid::now_v7()),
            tenant: did.tenant.clone(),
            to: "+14155550123".parse().expect("a number"),
            did: did.id,
            from: did.number,
            reason: None,
            trunk: did.trunk.clone(),
            campaign: None,
            destination: Destination::Dialplan {
                context: "DynamicIVR".into(),
                exten: "s".into(),
                priority: 1,
            },
            variables: vec![("JOURNEY".into(), "j_1".into())],
            caller_name: None,
            ring_timeout_seconds: 30,
            time_limit_seconds: None,
            callback_url: None,
            journey: None,
            created_at: now,
            placed_by: Default::default(),
        };
        Box::new(NewCall { call: Call::initiated(request, now), key: None })
    });
    Use { tenant: did.tenant.clone(), did: did.id, at: now, call }
}

async fn fill(store: &Store, count: u64) -> Arc<Vec<DidState>> {
    let importer = Importer { import: Uuid::now_v7(), origin: Origin::rotary() };
    let mut states = Vec::new();
    for chunk in 0..count / 5_000 {
        let rows = (chunk * 5_000..(chunk + 1) * 5_000).map(new_did).collect();
        let imported = store
            .import_dids(
                &tenant(),
                rows,
                OnDuplicate::Skip,
                &BTreeMap::new(),
                &importer,
                Utc::now(),
            )
            .await
            .expect("an import");
        states.extend(imported.states);
    }
    Arc::new(states)
}

fn tenant() -> TenantId {
    "t_1".parse().expect("a tenant")
}

fn new_did(n: u64) -> DidRow {
    let did = NewDid {
        id: DidId(Uuid::now_v7()),
        number: E164::from_digits(12_120_000_000 + n).expect("a number"),
        area_code: Some("212".parse().expect("an area code")),
        trunk: TrunkName::pjsip(),
        status: DidStatus::Active,
        max_usage: None,
        campaign: None,
        head_start: 0,
        metadata: serde_json::Map::new(),
    };
    DidRow { did, given: Given::ALL }
}

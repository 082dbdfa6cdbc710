//! What dies under full load: the daemon, the database, and either while a second daemon counts.
//!
//! Nothing acknowledged may be lost, and no DID may be used beyond its limit.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rotary::domain::call::CallId;
use rotary::domain::did::Did;
use rotary::store::calls::CallFilter;
use rotary::store::dids::DidFilter;
use rotary::store::ledger::{Ledger, Recorded};
use rotary::store::{Settings, Store};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    call_from, insert, on_postgres, on_sqlite, run_ledger, sqlite_url, tenant, use_with_call,
    writer,
};
use crate::postgres::Fsync;

const CALLERS: usize = 64;

/// Set to the store's address in the process that [`the_daemon_that_is_killed`] is to be.
const CHILD: &str = "ROTARY_TEST_DAEMON_URL";

/// The acknowledged calls of each DID.
type Acknowledged = HashMap<Uuid, Vec<CallId>>;

/// The body of the child process, which counts until it is killed or every DID is spent. Run as
/// a test it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_that_is_killed() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let store = Store::open(&Settings::new(url)).await.unwrap();
    let dids = store.list_dids(&tenant(), &DidFilter::default(), 1000, None).await.unwrap().items;
    let running = run_ledger(&store, writer());
    let dids = Arc::new(dids);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call_until_spent(running.ledger.clone(), Arc::clone(&dids), |did, call| {
            // One write a line, so that a kill cuts between lines.
            let line = format!("ack {} {}\n", did.id, call);
            std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        }));
    }
    callers.join_all().await;
}

/// Places calls from DIDs at random until each was refused.
async fn call_until_spent(
    ledger: Ledger,
    dids: Arc<Vec<Did>>,
    acknowledge: impl Fn(&Did, CallId),
) -> Acknowledged {
    let mut open: Vec<&Did> = dids.iter().collect();
    let mut acknowledged = Acknowledged::new();
    while !open.is_empty() {
        let place = fastrand::usize(..open.len());
        let did = open[place];
        let call = call_from(did);
        let id = call.id();
        match ledger.record(use_with_call(did, call)).await.unwrap() {
            Recorded::Counted { .. } => {
                acknowledge(did, id);
                acknowledged.entry(did.id.0).or_default().push(id);
            }
            Recorded::Refused(_) | Recorded::Gone => {
                open.swap_remove(place);
            }
            Recorded::Conflict => panic!("no call has a key"),
        }
    }
    acknowledged
}

#[tokio::test]
async fn killing_the_daemon_loses_nothing_on_sqlite() {
    let own = on_sqlite().await;
    let url = sqlite_url(&own.place);
    killing_the_daemon_loses_nothing(&own, &url).await;
}

#[tokio::test]
async fn killing_the_daemon_loses_nothing_on_postgres() {
    let own = on_postgres(Fsync::On).await;
    let url = own.place.url();
    killing_the_daemon_loses_nothing(&own, &url).await;
}

async fn killing_the_daemon_loses_nothing(store: &Store, url: &str) {
    const LIMIT: u32 = 1_000;
    const KILLS: u64 = 6;
    let dids = insert(store, 12, Some(LIMIT)).await;
    let mut acknowledged = Acknowledged::new();

    for _ in 0..KILLS {
        let (mut child, mut lines) = spawn_daemon(url);
        let until = fastrand::usize(1..1_500);
        let mut seen = read_acknowledged(&mut lines, until, &mut acknowledged);
        child.kill().unwrap();
        seen += read_acknowledged(&mut lines, usize::MAX, &mut acknowledged);
        child.wait().unwrap();
        assert!(seen >= until.min(500), "the daemon was busy when it was killed");
    }
    let before = count(&acknowledged);
    let (mut child, mut lines) = spawn_daemon(url);
    read_acknowledged(&mut lines, usize::MAX, &mut acknowledged);
    assert!(child.wait().unwrap().success());

    let unacknowledged = verify(store, &dids, LIMIT, &acknowledged).await;
    assert!(before > 0 && unacknowledged <= KILLS * CALLERS as u64, "{unacknowledged}");
    let spent: u64 = LIMIT as u64 * dids.len() as u64;
    assert_eq!(count(&acknowledged) + unacknowledged, spent);
}

/// This test binary once more, as a daemon that can be killed.
fn spawn_daemon(url: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::chaos::the_daemon_that_is_killed", "--nocapture"])
        .env(CHILD, url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

fn read_acknowledged(
    lines: &mut BufReader<ChildStdout>,
    most: usize,
    acknowledged: &mut Acknowledged,
) -> usize {
    let mut seen = 0;
    let mut line = String::new();
    while seen < most && lines.read_line(&mut line).unwrap() > 0 {
        // The test runner's own words may stand before the first one, on its line.
        if let Some((_, ack)) = line.split_once("ack ")
            && let Some((did, call)) = ack.trim_end().split_once(' ')
            && let (Ok(did), Ok(call)) = (did.parse(), call.parse())
        {
            acknowledged.entry(did).or_default().push(CallId(call));
            seen += 1;
        }
        line.clear();
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_postgres_leaves_no_caller_in_doubt() {
    const LIMIT: u32 = 900;
    let mut own = on_postgres(Fsync::On).await;
    let dids = Arc::new(insert(&own, 12, Some(LIMIT)).await);
    let running = run_ledger(&own.store, writer());
    let progress = Arc::new(Progress::default());
    let callers = spawn_callers(&running.ledger, &dids, &progress);

    for crash in 1..=3 {
        progress.reach(crash * 2_000).await;
        own.place.stop_immediate();
        own.place.start();
    }
    let acknowledged = gather(callers).await;

    let unacknowledged = verify(&own, &dids, LIMIT, &acknowledged).await;
    assert_eq!(unacknowledged, 0, "whoever counted was told so");
    assert_eq!(count(&acknowledged), u64::from(LIMIT) * dids.len() as u64);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_on_one_postgres_keep_the_limit_through_its_crash() {
    const LIMIT: u32 = 700;
    let mut own = on_postgres(Fsync::On).await;
    let dids = Arc::new(insert(&own, 10, Some(LIMIT)).await);
    let other_store = Store::open(&Settings::new(own.place.url())).await.unwrap();
    let one = run_ledger(&own.store, writer());
    let other = run_ledger(&other_store, writer());
    let progress = Arc::new(Progress::default());
    let mut callers = spawn_callers(&one.ledger, &dids, &progress);
    let mut others = spawn_callers(&other.ledger, &dids, &progress);

    progress.reach(3_000).await;
    own.place.stop_immediate();
    own.place.start();
    let mut acknowledged = Acknowledged::new();
    while let Some(done) = callers.join_next().await {
        merge(&mut acknowledged, done.unwrap());
    }
    let of_one = count(&acknowledged);
    while let Some(done) = others.join_next().await {
        merge(&mut acknowledged, done.unwrap());
    }

    let unacknowledged = verify(&own, &dids, LIMIT, &acknowledged).await;
    assert_eq!(unacknowledged, 0);
    assert_eq!(count(&acknowledged), u64::from(LIMIT) * dids.len() as u64);
    assert!(of_one > 0 && of_one < count(&acknowledged), "both counted");
    one.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_while_postgres_is_down_ends_in_bounded_time() {
    let mut own = on_postgres(Fsync::Off).await;
    let did = insert(&own, 1, None).await.remove(0);
    let settings = rotary::store::ledger::LedgerSettings {
        stop_patience: std::time::Duration::from_millis(50),
        ..Default::default()
    };
    let running = super::run_ledger_with(&own.store, writer(), settings);
    running.ledger.record(use_with_call(&did, call_from(&did))).await.unwrap();
    own.place.stop_immediate();
    let ledger = running.ledger.clone();
    let mut asker = JoinSet::new();
    let sent = Arc::new(AtomicBool::new(false));
    let is_sent = Arc::clone(&sent);
    asker.spawn(async move {
        is_sent.store(true, Ordering::SeqCst);
        ledger.record(use_with_call(&did, call_from(&did))).await
    });
    while !sent.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }

    let ended = running.stop().await;

    let answer = asker.join_next().await.unwrap().unwrap();
    assert!(matches!(answer, Err(rotary::store::StoreError::Unavailable { .. })), "{answer:?}");
    // The asker may have come too late to be waited for; then the ledger ended in peace.
    if let Err(error) = ended {
        assert!(error.to_string().contains("before the database came back"), "{error}");
    }
}

/// How many uses were acknowledged so far, for those who wait for the load to be full.
#[derive(Default)]
struct Progress {
    acknowledged: AtomicU64,
    moved: Notify,
}

impl Progress {
    fn step(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        self.moved.notify_one();
    }

    async fn reach(&self, goal: u64) {
        while self.acknowledged.load(Ordering::SeqCst) < goal {
            self.moved.notified().await;
        }
    }
}

fn spawn_callers(
    ledger: &Ledger,
    dids: &Arc<Vec<Did>>,
    progress: &Arc<Progress>,
) -> JoinSet<Acknowledged> {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let progress = Arc::clone(progress);
        callers.spawn(call_until_spent(ledger.clone(), Arc::clone(dids), move |_, _| {
            progress.step();
        }));
    }
    callers
}

async fn gather(mut callers: JoinSet<Acknowledged>) -> Acknowledged {
    let mut all = Acknowledged::new();
    while let Some(done) = callers.join_next().await {
        merge(&mut all, done.unwrap());
    }
    all
}

fn merge(all: &mut Acknowledged, more: Acknowledged) {
    for (did, calls) in more {
        all.entry(did).or_default().extend(calls);
    }
}

fn count(acknowledged: &Acknowledged) -> u64 {
    acknowledged.values().map(|calls| calls.len() as u64).sum()
}

/// Compares the store with what was acknowledged; says how many uses it has beyond that.
async fn verify(store: &Store, dids: &[Did], limit: u32, acknowledged: &Acknowledged) -> u64 {
    let mut unacknowledged = 0;
    for did in dids {
        let used = super::usage(store, did).await;
        let stored = calls_of(store, did).await;
        let acked = acknowledged.get(&did.id.0).map_or(&[][..], Vec::as_slice);

        assert!(used <= limit, "{} was used {used} times of {limit}", did.number);
        assert_eq!(stored.len(), used as usize, "a use and its call are stored together");
        assert!(acked.iter().all(|call| stored.contains(call)), "an acknowledged call is lost");
        unacknowledged += u64::from(used) - acked.len() as u64;
    }
    unacknowledged
}

async fn calls_of(store: &Store, did: &Did) -> HashSet<CallId> {
    let filter = CallFilter { did: Some(did.id), ..CallFilter::default() };
    let page = store.list_calls(&tenant(), &filter, 1_000_000, None).await.unwrap();
    page.items.into_iter().map(|call| call.id()).collect()
}

//! A group that PostgreSQL committed and whose answer never came.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rotary::domain::audit::Origin;
use rotary::store::ledger::Recorded;
use rotary::store::{Settings, Store};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::picks::{pick_of, use_for};
use super::{
    call_from, insert, on_postgres, run_ledger, tenant, usage, use_of, use_with_call, writer,
};
use crate::postgres::Fsync;

#[tokio::test]
async fn a_lost_answer_counts_nothing_twice_and_leaves_no_caller_in_doubt() {
    let own = on_postgres(Fsync::Off).await;
    let dids = insert(&own, 2, Some(2)).await;
    let line = CutLine::new(own.place.socket());
    let cut_store = Store::open(&Settings::new(line.url())).await.unwrap();
    let running = run_ledger(&cut_store, writer());
    running.ledger.record(use_of(&dids[0])).await.unwrap();
    let spent = &dids[1];
    running.ledger.record(use_of(spent)).await.unwrap();
    running.ledger.record(use_of(spent)).await.unwrap();
    let call = call_from(&dids[0]);

    line.cut_next_answer.store(true, Ordering::SeqCst);
    let (counted, refused) = tokio::join!(
        running.ledger.record(use_with_call(&dids[0], call.clone())),
        running.ledger.record(use_of(spent)),
    );

    assert!(!line.cut_next_answer.load(Ordering::SeqCst), "the answer was lost");
    assert_eq!(counted.unwrap(), Recorded::Counted { usage_count: 2 });
    assert!(matches!(refused.unwrap(), Recorded::Refused(_)));
    assert_eq!([usage(&own, &dids[0]).await, usage(&own, spent).await], [2, 2]);
    assert!(own.call(&tenant(), call.id()).await.unwrap().is_some());

    // Without a call no unique key stands in the way of counting twice.
    let other = insert_another(&own).await;
    line.cut_next_answer.store(true, Ordering::SeqCst);
    let counted = running.ledger.record(use_of(&other)).await.unwrap();

    assert_eq!(counted, Recorded::Counted { usage_count: 1 });
    assert_eq!(usage(&own, &other).await, 1);

    let pick = pick_of(&other);
    line.cut_next_answer.store(true, Ordering::SeqCst);
    let counted = running.ledger.record(use_for(&other, &pick)).await.unwrap();

    assert!(!line.cut_next_answer.load(Ordering::SeqCst), "the answer was lost");
    assert_eq!(counted, Recorded::Counted { usage_count: 2 });
    assert!(own.pick(&tenant(), pick.id).await.unwrap().is_some());
    running.stop().await.unwrap();
}

async fn insert_another(store: &Store) -> rotary::domain::did::Did {
    store
        .insert_did(&tenant(), &super::new_did(9, None), &Origin::rotary(), super::now())
        .await
        .unwrap()
}

/// A line to PostgreSQL that breaks when it is told to: after the server has answered, before the
/// client hears of it.
struct CutLine {
    directory: TempDir,
    cut_next_answer: Arc<AtomicBool>,
    /// Ends with this value.
    _lines: JoinSet<()>,
}

impl CutLine {
    fn new(server: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let cut_next_answer = Arc::new(AtomicBool::new(false));
        let (server, cut) = (server.join(".s.PGSQL.5432"), Arc::clone(&cut_next_answer));
        let mut lines = JoinSet::new();
        lines.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(&server).await.unwrap();
                open.spawn(carry(client, server, Arc::clone(&cut)));
            }
        });
        Self { directory, cut_next_answer, _lines: lines }
    }

    fn url(&self) -> String {
        format!("postgres://rotary@localhost/postgres?host={}", self.directory.path().display())
    }
}

async fn carry(client: UnixStream, server: UnixStream, cut: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let questions = async { copy(&mut from_client, &mut to_server).await.map(drop) };
    let answers = async {
        let mut bytes = vec![0; 65_536];
        loop {
            let length = from_server.read(&mut bytes).await?;
            // A small answer is sent as one, when its transaction is over.
            if length == 0 || cut.swap(false, Ordering::SeqCst) {
                return Ok(());
            }
            to_client.write_all(&bytes[..length]).await?;
        }
    };
    let ended: std::io::Result<()> = tokio::select! {
        ended = questions => ended,
        ended = answers => ended,
    };
    drop(ended);
}

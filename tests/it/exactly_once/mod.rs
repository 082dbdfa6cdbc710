//! `kill -9` at every step between a request and its answer. The client then asks again with the
//! same key: Asterisk has been asked for one call at most, the call on record ends, and there is
//! one use for it.
//!
//! The steps are found from outside, by what goes over the lines to the client, to the store and to
//! Asterisk, so that no release has a switch that kills it.

mod gate;

use std::path::PathBuf;
use std::time::Duration;

use rotary::demo::callee::Pace;
use rotary::demo::{self, Control, Simulated};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::gate::{Gate, Halt};
use crate::postgres::{Fsync, Postgres};
use crate::rotary::{Http, Rotary};
use crate::wait::until;

const CALLS: &str = "/api/calls";

/// When Rotary is killed.
#[derive(Debug, Clone)]
enum Moment {
    /// When the line to the client halts.
    Client(Halt),
    /// When the line to PostgreSQL halts.
    Store(Halt),
    /// When the line to Asterisk halts.
    Asterisk(Halt),
    /// When a DID is picked, and SQLite cannot be written to.
    Locked,
    /// When SQLite's file was written to.
    Written,
    /// When the client has its answer.
    Answered,
}

/// What the first run left, by which the second is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Nothing: asking again places the call.
    Nothing,
    /// The record alone: Asterisk has heard nothing, and nobody can know that.
    Record,
    /// A call.
    Call,
    /// Any of the three: the moment is not that exact.
    Any,
}

struct Scene {
    rotary: Rotary,
    asterisk: Control,
    to_client: Gate,
    to_asterisk: Gate,
    to_store: Option<Gate>,
    _postgres: Option<Postgres>,
    folder: TempDir,
}

#[tokio::test]
async fn a_kill_at_any_step_places_one_call_at_most_on_postgres() {
    let mut scene = Scene::on_postgres().await;
    let mut steps = steps();
    let store = |halt: fn(String, usize) -> Halt, n| {
        move |key: &str| Moment::Store(halt(key.to_owned(), n))
    };
    steps.push(("before the key is looked up", Box::new(store(Halt::Before, 1)), Left::Nothing));
    steps.push(("before the pick", Box::new(store(Halt::AnswerTo, 1)), Left::Nothing));
    steps.push(("before the record", Box::new(store(Halt::Before, 2)), Left::Nothing));
    steps.push(("before the commit is heard", Box::new(store(Halt::AnswerTo, 2)), Left::Record));
    let end = |_: &str| Moment::Store(Halt::Before("completed".to_owned(), 1));
    steps.push(("before the end is stored", Box::new(end), Left::Call));

    scene.killed_at(steps).await;
}

#[tokio::test]
async fn a_kill_at_any_step_places_one_call_at_most_on_sqlite() {
    let mut scene = Scene::on_sqlite().await;
    let mut steps = steps();
    steps.push(("before the record", Box::new(|_| Moment::Locked), Left::Nothing));
    for _ in 0..5 {
        steps.push(("while it is recorded", Box::new(|_| Moment::Written), Left::Any));
    }

    scene.killed_at(steps).await;
}

/// A step: what it is, the moment by the key of its request, and what is left then.
type Step = (&'static str, Box<dyn Fn(&str) -> Moment>, Left);

/// The steps that can be seen whatever the store is.
fn steps() -> Vec<Step> {
    let client = |halt: Halt| move |_: &str| Moment::Client(halt.clone());
    let asterisk = |halt: Halt| move |_: &str| Moment::Asterisk(halt.clone());
    let originate = || "Action: Originate".to_owned();
    let queued = || Halt::Answer("successfully queued".to_owned());
    let answer = || Halt::Answer("HTTP/1.1 202".to_owned());
    vec![
        (
            "before the request",
            Box::new(client(Halt::Before("POST ".to_owned(), 1))),
            Left::Nothing,
        ),
        ("before the Originate", Box::new(asterisk(Halt::Before(originate(), 1))), Left::Record),
        ("in the Originate", Box::new(asterisk(Halt::Half(originate()))), Left::Record),
        ("before Asterisk's answer", Box::new(asterisk(queued())), Left::Call),
        ("before our answer", Box::new(client(answer())), Left::Call),
        ("after our answer", Box::new(|_| Moment::Answered), Left::Call),
    ]
}

impl Scene {
    async fn on_postgres() -> Self {
        let postgres = Postgres::new(Fsync::Off);
        let folder = tempfile::tempdir().unwrap();
        let server = postgres.socket().join(".s.PGSQL.5432");
        let gate = Gate::on_unix(&folder.path().join(".s.PGSQL.5432"), server);
        let host = folder.path().display();
        let url = format!("postgres://rotary@localhost/postgres?host={host}");
        Self::open(Rotary::new().set("DATABASE_URL", &url), folder, Some((postgres, gate))).await
    }

    async fn on_sqlite() -> Self {
        Self::open(Rotary::new(), tempfile::tempdir().unwrap(), None).await
    }

    async fn open(rotary: Rotary, folder: TempDir, store: Option<(Postgres, Gate)>) -> Self {
        let settings = demo::Settings { pace: PACE, ..demo::Settings::default() };
        let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
        let (to_asterisk, address) = Gate::on_tcp(asterisk.address()).await;
        let control = asterisk.control();
        let tasks = TaskTracker::new();
        tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
        let rotary = rotary
            .set("ROTARY_ASTERISK__ADDRESS", &address.to_string())
            .set("ROTARY_ASTERISK__SECRET", "s3cret")
            .start_ready()
            .await;
        // Two, so that a pick shows in which of them is next.
        for number in ["+14045550001", "+14045550002"] {
            let did = json!({"number": number, "status": "active"});
            assert_eq!(rotary.post("/api/asterisk-dids", &did).await.status, 201);
        }
        let to_client = Gate::on_unix(&folder.path().join("client"), rotary.socket_path());
        let (postgres, to_store) = store.unzip();
        Self {
            rotary,
            asterisk: control,
            to_client,
            to_asterisk,
            to_store,
            _postgres: postgres,
            folder,
        }
    }

    /// Kills it at each of these steps, one after the other, and sees what comes of it.
    async fn killed_at(&mut self, steps: Vec<Step>) {
        let mut settled = Vec::new();
        for (n, (name, moment, left)) in steps.into_iter().enumerate() {
            let key = format!("step-{n}-of-many");
            let to = format!("+1415555{:04}", 1000 + n);
            let request = json!({"to": to, "idempotencyKey": key});
            let placed_before = self.asterisk.originates().len();

            self.kill_at(moment(&key), &request).await;
            self.rotary.start_again().await;
            self.rotary.ready().await;
            let first = self.client().post(CALLS, &request).await;
            let again = self.client().post(CALLS, &request).await;

            let at = format!("killed {name}");
            assert_eq!((first.status, again.status), (202, 202), "{at}: {first:?} {again:?}");
            let id = first.json()["id"].as_str().unwrap().to_owned();
            assert_eq!(again.json()["id"], id.as_str(), "{at}");
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{at}");
            let replayed = first.header("idempotent-replayed") == Some("true");
            let placed = self.asterisk.originates().split_off(placed_before);
            assert!(placed.len() <= 1, "{at}: {placed:?}");
            assert!(placed.iter().all(|one| one.channel_id == id), "{at}: {placed:?} is not {id}");
            match left {
                Left::Nothing => assert_eq!((replayed, placed.len()), (false, 1), "{at}"),
                Left::Record => assert_eq!((replayed, placed.len()), (true, 0), "{at}"),
                Left::Call => assert_eq!((replayed, placed.len()), (true, 1), "{at}"),
                Left::Any => assert!(replayed || placed.len() == 1, "{at}"),
            }
            settled.push((at, id, placed.len()));
        }
        self.all_ends_well(settled).await;
    }

    /// Every call ends, those that Asterisk never had as failed, and each has one use.
    async fn all_ends_well(&self, calls: Vec<(String, String, usize)>) {
        for (at, id, placed) in &calls {
            let ended = until(&format!("the call to end: {at}"), async || {
                let call = self.rotary.get(&format!("{CALLS}/{id}")).await.json();
                call["endedAt"].is_string().then_some(call)
            })
            .await;
            if *placed == 0 {
                assert_eq!(
                    (ended["status"].as_str(), &ended["cause"]["code"]),
                    (Some("failed"), &json!(0)),
                    "{at}"
                );
            }
        }
        let page = self.rotary.get("/api/calls?limit=1000").await.json();
        let uses: u64 = self.rotary.usage().await.iter().map(|(_, uses)| uses).sum();
        assert_eq!(page["data"].as_array().unwrap().len(), calls.len(), "a call for each key");
        assert_eq!(uses, calls.len() as u64, "a use for each call");
    }

    /// Asks for a call and kills Rotary at that moment.
    async fn kill_at(&mut self, moment: Moment, request: &Value) {
        let mut locked = None;
        if let Moment::Locked = moment {
            locked = Some(self.lock_the_database().await);
        }
        self.ask_until(&moment, request).await;
        self.rotary.kill9().await;
        for gate in [&self.to_client, &self.to_asterisk].into_iter().chain(&self.to_store) {
            gate.open();
        }
        if let Some(mut locked) = locked {
            locked.execute("rollback").await.unwrap();
        }
    }

    /// Asks for a call and leaves it at that once the moment has come.
    async fn ask_until(&self, moment: &Moment, request: &Value) {
        let next = self.next().await;
        let come = async {
            match moment {
                Moment::Client(halt) => halted(&self.to_client, halt).await,
                Moment::Asterisk(halt) => halted(&self.to_asterisk, halt).await,
                Moment::Store(halt) => halted(self.to_store.as_ref().unwrap(), halt).await,
                Moment::Locked => self.next_is_not(&next).await,
                Moment::Written => self.database_is_written().await,
                Moment::Answered => std::future::pending().await,
            }
        };
        let client = self.client();
        let asking = client.try_post(CALLS, request.clone());
        tokio::pin!(come, asking);
        // The gate must know where to halt before the request is on its way: `come` begins.
        let answer = tokio::select! {
            biased;
            () = &mut come => return,
            answer = &mut asking => answer.expect("Rotary answers"),
        };
        assert_eq!(answer.status, 202, "{moment:?}: {answer:?}");
        match moment {
            Moment::Store(_) => come.await,
            Moment::Answered | Moment::Written => {}
            Moment::Client(_) | Moment::Asterisk(_) | Moment::Locked => {
                panic!("answered before {moment:?}: {answer:?}")
            }
        }
    }

    /// Speaks with Rotary through the gate.
    fn client(&self) -> Http {
        Http::socket(self.folder.path().join("client"))
    }

    fn database(&self) -> PathBuf {
        self.rotary.state().join("rotary.db")
    }

    /// Holds the database so that nobody can write.
    async fn lock_the_database(&self) -> SqliteConnection {
        let url = format!("sqlite:{}", self.database().display());
        let mut other = SqliteConnection::connect(&url).await.unwrap();
        other.execute("begin immediate").await.unwrap();
        other
    }

    /// The number of the DID that the next pick would take.
    async fn next(&self) -> String {
        let next = self.rotary.get("/api/asterisk-dids/next-available").await.json();
        next["number"].as_str().unwrap().to_owned()
    }

    /// Waits until this is no longer the next: it is picked.
    async fn next_is_not(&self, number: &str) {
        until("a DID to be picked", async || (self.next().await != number).then_some(())).await;
    }

    /// Waits until the log of the database is other than now.
    async fn database_is_written(&self) {
        let log = self.database().with_extension("db-wal");
        let look = || {
            let log = std::fs::metadata(&log).ok()?;
            Some((log.len(), log.modified().ok()?))
        };
        let before = look();
        while look() == before {
            tokio::task::yield_now().await;
        }
    }
}

async fn halted(gate: &Gate, halt: &Halt) {
    gate.halt(halt.clone());
    gate.halted().await;
}

/// Short enough that most calls are over when Rotary is back.
const PACE: Pace = Pace {
    ring_after: Duration::from_millis(5),
    answer_after: Duration::from_millis(5),
    talk: Duration::from_millis(200),
    refuse_after: Duration::from_millis(5),
};

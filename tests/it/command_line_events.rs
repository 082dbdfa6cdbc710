//! `rotary events`, and `rotary call --wait` on a terminal.

use std::path::Path;
use std::process::Stdio;

use rotary::demo::callee::Pace;
use rotary::demo::{self, Simulated};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command_line::rotary;
use crate::house::{Ask, House};
use crate::rotary::Rotary;
use crate::wait::PATIENCE;

#[tokio::test]
async fn events_are_printed_as_they_happen_until_ctrl_c() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    let socket = &house.running.socket;
    add(&house).await;
    let mut text = Listener::start(socket, &["events"]).await;
    let mut json = Listener::start(socket, &["events", "--json"]).await;

    let busy = Ask::post("/api/calls?wait=end", &json!({"to": "+14155550486"}));
    let id = house.ask(busy).await.text("id").to_owned();

    let lines = [text.line().await, text.line().await];
    assert!(lines[0].contains(&format!("{id}  +14155550486      initiated    -")), "{lines:?}");
    assert!(lines[1].ends_with("busy         User busy (17, SIP 486)"), "{lines:?}");
    let first: Value = serde_json::from_str(&json.line().await).unwrap();
    assert_eq!((&first["type"], &first["data"]["id"]), (&json!("call.initiated"), &json!(id)));
    assert_eq!(text.interrupted().await, 0);
    assert_eq!(json.interrupted().await, 0);
}

#[tokio::test]
async fn the_events_of_one_call_end_with_it() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    let socket = &house.running.socket;
    add(&house).await;
    let call = json!({"to": "+14155550180", "ringTimeoutSeconds": 1});
    let id = house.ask(Ask::post("/api/calls", &call)).await.text("id").to_owned();

    let told = rotary(socket, &["events", "--call", &id, "--json"]).await;
    let again = rotary(socket, &["events", "--call", &id]).await;
    let unknown = rotary(socket, &["events", "--call", "nobody"]).await;

    let kinds = told.out.lines().map(|line| {
        let change: Value = serde_json::from_str(line).unwrap();
        change["type"].as_str().unwrap().to_owned()
    });
    let kinds: Vec<String> = kinds.collect();
    assert_eq!(kinds, ["call.initiated", "call.ringing", "call.no-answer"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    assert_eq!((again.code, again.out.lines().count()), (0, 3));
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("Call not found"), "{}", unknown.err);
}

#[tokio::test]
async fn a_daemon_that_is_started_anew_is_waited_for_and_the_gap_is_told() {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let address = asterisk.address().to_string();
    let tasks = TaskTracker::new();
    tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
    let mut daemon = Rotary::new()
        .set("ROTARY_ASTERISK__ADDRESS", &address)
        .set("ROTARY_ASTERISK__SECRET", "s3cret")
        .start_ready()
        .await;
    let did = json!({"number": "+14045550001", "status": "active"});
    daemon.post("/api/asterisk-dids", &did).await;
    let busy = json!({"to": "+14155550486"});
    let mut listener = Listener::start(&daemon.socket_path(), &["events"]).await;
    daemon.post("/api/calls", &busy).await;
    assert!(listener.line().await.contains("initiated"));
    assert!(listener.line().await.contains("busy"));

    for graceful in [true, false] {
        match graceful {
            true => assert!(daemon.terminate().await.success()),
            false => daemon.kill9().await,
        }
        assert_eq!(listener.note().await, "the daemon went away; waiting for it");
        daemon.start_again().await;
        daemon.ready().await;
        assert_eq!(listener.note().await, "the daemon is back");
        let gap = listener.note().await;
        assert!(gap.contains("gap: what happened meanwhile cannot be told"), "{gap}");
        daemon.post("/api/calls", &busy).await;
        assert!(listener.line().await.contains("initiated"));
        assert!(listener.line().await.contains("busy"));
    }
    assert_eq!(listener.interrupted().await, 0);
}

#[tokio::test]
async fn without_a_daemon_there_is_nothing_to_listen_to() {
    let folder = tempfile::tempdir().unwrap();

    let ran = rotary(&folder.path().join("none.sock"), &["events"]).await;

    assert_eq!(ran.code, 69);
}

#[tokio::test]
async fn a_call_that_is_waited_for_shows_on_a_terminal_how_it_comes_along() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    let socket = house.running.socket.display();
    add(&house).await;
    let call = |to: &str, wait: &str| {
        let binary = env!("CARGO_BIN_EXE_rotary");
        format!("{binary} call {to} --wait {wait} --ring-timeout 1 --socket {socket}")
    };

    let (unanswered, shown) = on_a_terminal(&call("+14155550180", "end")).await;
    let (answered, briefly) = on_a_terminal(&call("+14155550123", "answer")).await;
    let (_, json) = on_a_terminal(&format!("{} --json", call("+14155550123", "end"))).await;

    let states: Vec<&str> = shown.lines().filter_map(|line| line.split("Z  ").nth(1)).collect();
    assert_eq!(states, ["initiated", "ringing", "no-answer"], "{shown}");
    assert!(shown.contains("status  no-answer"), "{shown}");
    assert_eq!((unanswered, answered), (1, 0));
    assert!(briefly.contains("status  in-progress") && !briefly.contains("completed"), "{briefly}");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["status"], "completed");
}

async fn add(house: &House) {
    let did = json!({"number": "+14045550001", "status": "active"});
    house.ask(Ask::post("/api/asterisk-dids", &did)).await;
}

/// Runs a command whose output and errors go to a terminal. Its exit code, and what it showed.
async fn on_a_terminal(command: &str) -> (i32, String) {
    let ran = Command::new("script")
        .args(["--quiet", "--return", "--command", command, "/dev/null"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = timeout(PATIENCE, ran).await.expect("the command ends").unwrap();
    (ran.status.code().unwrap(), String::from_utf8_lossy(&ran.stdout).replace('\r', ""))
}

/// A command that listens.
struct Listener {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Listener {
    /// Starts it, and waits until it listens.
    async fn start(socket: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rotary"))
            .env_clear()
            .args(args)
            .arg("--socket")
            .arg(socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut listener = Self { child, out, err };
        assert_eq!(listener.note().await, "listening; Ctrl-C ends it");
        listener
    }

    /// The next line it prints.
    async fn line(&mut self) -> String {
        next(&mut self.out).await
    }

    /// The next line of its standard error.
    async fn note(&mut self) -> String {
        next(&mut self.err).await
    }

    /// Presses Ctrl-C. The exit code.
    async fn interrupted(mut self) -> i32 {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        ended.code().expect("it ends by itself")
    }
}

async fn next<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>) -> String {
    let line = timeout(PATIENCE, lines.next_line()).await.expect("it says something").unwrap();
    line.expect("it still says something")
}

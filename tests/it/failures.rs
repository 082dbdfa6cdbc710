//! What a person reads when something is wrong, and that Rotary comes back once it is right.

use std::convert::Infallible;
use std::net::TcpListener;

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::postgres::{Fsync, Postgres};
use crate::real_asterisk::{Asterisk, Carrier, Manager, Version};
use crate::rotary::{Output, Rotary};
use crate::wait::until;

const CALLEE: &str = "+14155550123";

#[tokio::test]
async fn asterisk_that_is_not_there_is_named_with_its_address() {
    let rotary = Rotary::new().start().await;
    add_did(&rotary).await;

    let unready = until("the first attempt to fail", async || {
        let unready = rotary.unready().await;
        asterisk(&unready).contains("unreachable").then_some(unready)
    })
    .await;
    let status = rotary.cli(&["status"]).await;
    let call = rotary.cli(&["call", CALLEE]).await;

    let address = format!("127.0.0.1:{}", rotary.tcp_address().port() + 1);
    let words = format!("Asterisk is unreachable at {address}: Connection refused");
    says(&asterisk(&unready), &[&words, "check that it runs", "manager.conf"]);
    assert_eq!(status.code, 1);
    says(&status.stdout, &[&words]);
    assert_eq!(call.code, 1);
    says(&call.stderr, &["error: ", &words, "hint: ", "rotary status"]);
    assert_eq!(uses(&rotary).await, 0);
}

#[tokio::test]
async fn a_wrong_secret_says_whose_and_where_to_look() {
    let carrier = Carrier::start().await;
    let server = Asterisk::start(Version::V22, carrier.address()).await;
    let rotary = Rotary::beside(&server).set("ROTARY_ASTERISK__SECRET", "wrong").start().await;
    add_did(&rotary).await;

    until("the login to be refused", async || {
        let unready = rotary.unready().await;
        asterisk(&unready).contains("refused the login").then_some(())
    })
    .await;
    let status = rotary.cli(&["status"]).await;
    let call = rotary.cli(&["call", CALLEE]).await;

    let words = "Asterisk refused the login of \"rotary\": Authentication failed";
    says(&status.stdout, &[words, "compare the secret with manager.conf", "permit and deny"]);
    assert_eq!((status.code, call.code), (1, 1));
    says(&call.stderr, &[words]);
    assert!(!rotary.log().contains("wrong"), "the secret is in the log: {}", rotary.log());
    assert_eq!(uses(&rotary).await, 0);
}

#[tokio::test]
async fn a_missing_originate_privilege_is_named() {
    let carrier = Carrier::start().await;
    let server =
        Asterisk::start_with_privileges("call,reporting", Version::V22, carrier.address()).await;
    let rotary = Rotary::beside(&server).start().await;
    add_did(&rotary).await;

    let status = until("the line to be up", async || {
        let status = rotary.cli(&["status"]).await;
        status.stdout.contains("connected to Asterisk").then_some(status)
    })
    .await;
    let call = rotary.cli(&["call", CALLEE]).await;
    let refused = rotary.post("/api/calls", &json!({"to": CALLEE})).await;

    says(&status.stdout, &["may not run Originate", "write= line of manager.conf"]);
    assert_eq!(call.code, 1);
    says(&call.stderr, &["Permission denied", "write = originate"]);
    assert_eq!((refused.status, &refused.json()["code"]), (502, &json!("originate_refused")));
    assert_eq!(uses(&rotary).await, 0);
}

#[tokio::test]
async fn a_database_that_goes_away_is_named_and_found_again() {
    let carrier = Carrier::start().await;
    let server = Asterisk::start(Version::V22, carrier.address()).await;
    let mut postgres = Postgres::new(Fsync::Off);
    let rotary = Rotary::beside(&server).set("DATABASE_URL", &postgres.url()).start_ready().await;
    add_did(&rotary).await;

    postgres.stop_immediate();
    let unready = rotary.unready().await;
    let refused = rotary.post("/api/calls", &json!({"to": CALLEE})).await;
    let call = rotary.cli(&["call", CALLEE]).await;
    let list = rotary.cli(&["dids", "list"]).await;
    let status = rotary.cli(&["status"]).await;
    let alive = rotary.get("/healthz").await;
    postgres.start();
    rotary.ready().await;
    let placed = rotary.post("/api/calls?wait=end", &json!({"to": CALLEE})).await;

    assert_eq!(unready["checks"]["store"]["status"], "down", "{unready}");
    assert_eq!(unready["checks"]["asterisk"]["status"], "up", "{unready}");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("store_unavailable")));
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!((call.code, list.code, status.code), (1, 1, 1));
    for output in [&call, &list] {
        says(
            &output.stderr,
            &["The store cannot be reached", "Try again", "hint: ", "[store] url"],
        );
    }
    says(&status.stdout, &["store", "does not answer", "check that the database runs"]);
    assert_eq!(alive.status, 200);
    assert_eq!(placed.json()["status"], "completed", "{placed:?}\n{}", rotary.log());
    assert_eq!(uses(&rotary).await, 1, "what failed has used nothing");
    assert_eq!(carrier.invites().len(), 1);
}

#[tokio::test]
async fn a_call_that_ends_while_the_database_is_away_is_stored_when_it_is_back() {
    let carrier = Carrier::start().await;
    let server = Asterisk::start(Version::V22, carrier.address()).await;
    let mut postgres = Postgres::new(Fsync::Off);
    let rotary = Rotary::beside(&server).set("DATABASE_URL", &postgres.url()).start_ready().await;
    add_did(&rotary).await;
    let request = json!({"to": CALLEE, "variables": {"HOLD_SECONDS": 600}});
    let call = rotary.post("/api/calls?wait=answer", &request).await.json();
    let id = call["id"].as_str().unwrap();

    postgres.stop_immediate();
    let hang_up = [("Action", "Hangup"), ("Channel", id), ("Cause", "16")];
    let manager = Manager::connect(server.ami_address(), server.username(), server.secret());
    manager.await.unwrap().send(&hang_up).await.unwrap();
    until("Rotary to be unable to store it", async || {
        rotary.log().contains("store the progress of calls").then_some(())
    })
    .await;
    postgres.start();
    let over = rotary.call_is(id, "completed").await;

    assert_eq!(over["cause"]["code"], 16, "{over}");
}

#[tokio::test]
async fn a_database_that_is_not_there_at_the_start_is_told() {
    let mut postgres = Postgres::new(Fsync::Off);
    postgres.stop_immediate();
    let rotary = Rotary::new().set("DATABASE_URL", &postgres.url());

    let failed = rotary.fail_to_start(&[]).await;

    assert_eq!(failed.code, 1, "{failed:?}");
    says(&failed.stderr, &["error: open the store"]);
}

#[tokio::test]
async fn a_bad_row_is_told_by_its_line_and_the_rest_go_in() {
    let rotary = Rotary::new().start().await;
    let csv =
        "number,status\n+14045556701,active\n404555,active\n+14045556702,busy\n+14045556703,\n";
    let file = rotary.file("dids.csv", csv);

    let imported = rotary.cli(&["dids", "import", &file]).await;

    assert_eq!(imported.code, 1);
    says(&imported.stdout, &["imported 2", "failed 2", "Invalid phone number: 404555"]);
    for (line, number) in [("3", "404555"), ("4", "+14045556702")] {
        let told = imported.stdout.lines().any(|row| {
            let mut words = row.split_whitespace();
            words.next() == Some(line) && words.next() == Some(number)
        });
        assert!(told, "line {line} is not told:\n{}", imported.stdout);
    }
}

#[tokio::test]
async fn a_bad_configuration_names_key_and_line() {
    let rotary = Rotary::new();
    let file = rotary.file("bad.toml", "[asterisk]\nusername = \"rotary\"\nsecrett = \"x\"\n");

    let unknown = rotary.fail_to_start(&["--config", &file]).await;
    let shown = rotary.cli(&["config", "--config", &file]).await;
    let absent = rotary.fail_to_start(&["--config", "no-such.toml"]).await;
    let variable = Rotary::new().set("ROTARY_ASTERISK__SECRETT", "x").fail_to_start(&[]).await;
    let value = Rotary::new().set("ROTARY_HTTP__LISTEN", "5000").fail_to_start(&[]).await;

    for output in [&unknown, &shown] {
        assert_eq!(output.code, 78, "{output:?}");
        says(&output.stderr, &["bad.toml", "line 3", "secrett"]);
    }
    says(&absent.stderr, &["no-such.toml", "No such file"]);
    says(&variable.stderr, &["ROTARY_ASTERISK__SECRETT", "secrett"]);
    says(&value.stderr, &["ROTARY_HTTP__LISTEN"]);
    assert_eq!((absent.code, variable.code, value.code), (78, 78, 78));
}

#[tokio::test]
async fn without_a_daemon_a_command_says_how_to_start_one() {
    let rotary = Rotary::new();

    for command in [vec!["status"], vec!["dids", "list"], vec!["call", CALLEE]] {
        let output = rotary.cli(&command).await;

        assert_eq!(output.code, 69, "{output:?}");
        says(&output.stderr, &["no daemon answers on ", "control.sock", "rotary serve"]);
    }
}

#[tokio::test]
async fn what_another_daemon_holds_is_not_taken_from_it() {
    let first = Rotary::new().start().await;
    let (state, socket) = (first.state(), first.socket_path());
    let (state, socket) = (state.to_str().unwrap(), socket.to_str().unwrap());

    let same_state = Rotary::new().set("STATE_DIRECTORY", state).fail_to_start(&[]).await;
    let same_socket = Rotary::new().set("ROTARY_CONTROL__SOCKET", socket).fail_to_start(&[]).await;
    let port = first.tcp_address().to_string();
    let same_port = Rotary::new().set("ROTARY_HTTP__LISTEN", &port).fail_to_start(&[]).await;

    fails(&same_state, &["another daemon uses the state directory", state, "daemon.state"]);
    fails(&same_socket, &["another daemon answers", socket, "control.socket"]);
    fails(&same_port, &["http.listen", &port, "Address already in use"]);
    assert_eq!(first.cli(&["dids", "list"]).await.code, 0, "the first goes on");
}

#[tokio::test]
async fn a_port_in_use_by_another_program_is_named() {
    let rotary = Rotary::new();
    let _other = TcpListener::bind(rotary.tcp_address()).unwrap();

    let failed = rotary.fail_to_start(&[]).await;

    fails(&failed, &["http.listen", &rotary.tcp_address().to_string(), "Address already in use"]);
}

#[tokio::test]
async fn the_socket_of_a_dead_daemon_is_replaced() {
    let mut rotary = Rotary::new().start().await;
    rotary.kill9().await;
    assert!(rotary.socket_path().exists());

    let nobody = rotary.cli(&["dids", "list"]).await;
    rotary.start_again().await;

    assert_eq!(nobody.code, 69, "{nobody:?}");
    assert_eq!(rotary.cli(&["dids", "list"]).await.code, 0);
}

#[tokio::test]
async fn sigterm_finishes_the_request_it_comes_into() {
    let mut rotary = Rotary::new().start().await;
    let (rows, body) = mpsc::channel::<Bytes>(1);
    let body = futures_util::stream::unfold(body, async |mut body| {
        let chunk = body.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(chunk)), body))
    });
    let http = rotary.socket().with("content-type", "text/csv");
    let import = http.send("POST", "/api/asterisk-dids/import", StreamBody::new(Box::pin(body)));

    let story = async {
        rows.send(csv(0..20_000)).await.unwrap();
        until("rows to be stored", async || {
            let page = rotary.get("/api/asterisk-dids?limit=1").await.json();
            (!page["data"].as_array()?.is_empty()).then_some(())
        })
        .await;
        rotary.ask_to_end().await;
        until("the doors to close", async || {
            rotary.tcp().try_get("/healthz").await.is_none().then_some(())
        })
        .await;
        rows.send(csv(20_000..20_100)).await.unwrap();
        drop(rows);
    };
    let (answer, ()) = tokio::join!(import, story);
    let status = rotary.gone().await;

    let answer = answer.unwrap();
    assert_eq!((answer.status, &answer.json()["imported"]), (200, &json!(20_100)), "{answer:?}");
    assert_eq!(status.code(), Some(0));
    assert!(!rotary.socket_path().exists(), "its socket is left behind");
}

#[tokio::test]
async fn sigterm_ends_an_idle_daemon_and_one_with_a_call() {
    let carrier = Carrier::start().await;
    let server = Asterisk::start(Version::V22, carrier.address()).await;
    let mut rotary = Rotary::beside(&server).start_ready().await;
    add_did(&rotary).await;
    let request = json!({"to": CALLEE, "variables": {"HOLD_SECONDS": 600}});
    let call = rotary.post("/api/calls?wait=answer", &request).await.json();
    assert_eq!(call["status"], "in-progress", "{call}");

    let with_a_call = rotary.terminate().await;
    rotary.start_again().await;
    let resumed = rotary.json(&["calls", "show", call["id"].as_str().unwrap()]).await;
    server.cli("channel request hangup all").await;
    rotary.call_is(call["id"].as_str().unwrap(), "completed").await;
    let idle = rotary.terminate().await;

    assert_eq!((with_a_call.code(), idle.code()), (Some(0), Some(0)));
    assert_eq!(resumed["status"], "in-progress", "a restart of Rotary ends no call");
}

async fn add_did(rotary: &Rotary) {
    rotary.json(&["dids", "add", "+14045556701", "--status", "active"]).await;
}

async fn uses(rotary: &Rotary) -> u64 {
    rotary.usage().await.iter().map(|(_, uses)| uses).sum()
}

/// What readiness says of Asterisk.
fn asterisk(unready: &Value) -> String {
    unready["checks"]["asterisk"]["detail"].as_str().unwrap_or_default().to_owned()
}

fn csv(rows: std::ops::Range<u32>) -> Bytes {
    let header = if rows.start == 0 { "number\n" } else { "" };
    let numbers = rows.map(|n| format!("+1404{}\n", 5_550_000 + n));
    Bytes::from(format!("{header}{}", numbers.collect::<String>()))
}

fn fails(output: &Output, words: &[&str]) {
    assert_eq!(output.code, 1, "{output:?}");
    says(&output.stderr, &["error: "]);
    says(&output.stderr, words);
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not said:\n{text}");
    }
}

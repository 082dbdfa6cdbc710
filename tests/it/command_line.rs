//! The command line against a daemon, and against what is none.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::process::Command;

use crate::house::House;

#[tokio::test]
async fn without_a_daemon_the_command_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();

    let ran = rotary(&folder.path().join("none.sock"), &["status"]).await;

    assert_eq!(ran.code, 69);
    assert!(ran.err.contains("no daemon answers on"), "{}", ran.err);
    assert!(ran.err.contains("rotary serve"), "{}", ran.err);
}

#[tokio::test]
async fn a_daemon_that_breaks_off_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();

    let breaks_off = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
    };
    let (ran, ()) = tokio::join!(rotary(&socket, &["status"]), breaks_off);

    assert_eq!(ran.code, 69);
    assert!(ran.err.contains("broke the connection off"), "{}", ran.err);
}

#[tokio::test]
async fn an_answer_that_is_no_daemons_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();

    let answers = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        stream
    };
    let (ran, _stream) = tokio::join!(rotary(&socket, &["status"]), answers);

    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cannot be read"), "{}", ran.err);
}

#[tokio::test]
async fn wrong_usage_and_a_bad_configuration_have_their_own_codes() {
    let house = House::open().await;
    let file = house.file("rotary.toml", "[asterisk]\nadress = \"127.0.0.1:5038\"\n");
    let socket = &house.running.socket;

    assert_eq!(rotary(socket, &["dids", "frobnicate"]).await.code, 2);
    assert_eq!(rotary(socket, &["call", "4155550123"]).await.code, 2);
    let bad = rotary(socket, &["config", "--config", &file]).await;
    assert_eq!(bad.code, 78);
    assert!(bad.err.contains("adress"), "{}", bad.err);
}

#[tokio::test]
async fn the_configuration_is_printed_without_its_secrets() {
    let house = House::open().await;
    let file = house.file("rotary.toml", "[asterisk]\nsecret = \"s3cret\"\n");
    let config = ["config", "--config", &file];

    let text = rotary(&house.running.socket, &config).await;
    let json = rotary(&house.running.socket, &[&config[..], &["--json"]].concat()).await;

    assert!(text.out.contains("secret = \"***\""), "{}", text.out);
    assert_eq!(json.json()["asterisk"]["secret"], "***");
    assert_eq!(json.json()["calls"]["ring_timeout_seconds"], 30);
}

#[tokio::test]
async fn numbers_are_added_listed_and_shown_next() {
    let house = House::open().await;
    let socket = &house.running.socket;

    let available = rotary(socket, &["dids", "add", "(404) 555-6789"]).await;
    let active = ["dids", "add", "+12125550002", "--status", "active", "--max-usage", "3"];
    let added = rotary(socket, &active).await;
    let list = rotary(socket, &["dids", "list", "--status", "active"]).await;
    let next = rotary(socket, &["dids", "next", "--json"]).await;

    assert_eq!((available.code, added.code), (0, 0));
    assert!(available.err.contains("'available'"), "{}", available.err);
    assert_eq!(added.err, "");
    let lines: Vec<_> = list.out.lines().collect();
    assert!(lines[0].starts_with("NUMBER"), "{}", list.out);
    assert!(lines[1].starts_with("+12125550002  active  0 of 3  212   PJSIP"), "{}", list.out);
    assert_eq!(lines.len(), 2);
    assert_eq!(next.json()["number"], "+12125550002");
    assert_eq!(rotary(socket, &["dids", "add", "4045556789"]).await.code, 1);
}

#[tokio::test]
async fn a_tenant_is_named_for_every_command() {
    let house = House::open().await;
    let socket = &house.running.socket;

    let added = rotary(socket, &["dids", "add", "4045556789", "--tenant", "acme", "--json"]).await;
    let ours = rotary(socket, &["dids", "list", "--json"]).await;
    let theirs = rotary(socket, &["--tenant", "acme", "dids", "list", "--json"]).await;

    assert_eq!(added.json()["tenantId"], "acme");
    assert_eq!(ours.json()["data"].as_array().unwrap().len(), 0);
    assert_eq!(theirs.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_import_tells_the_lines_that_failed() {
    let house = House::open().await;
    let socket = &house.running.socket;
    let good = house.file("good.csv", "number,status\n+14045550001,active\n");
    let bad = house.file("bad.csv", "number\n+14045550001\n404555\n+14045550002\n");

    let clean = rotary(socket, &["dids", "import", &good]).await;
    let mixed = rotary(socket, &["dids", "import", &bad]).await;
    let report = rotary(socket, &["dids", "import", &bad, "--json"]).await;

    assert_eq!(
        (clean.code, clean.out.as_str()),
        (0, "imported 1, updated 0, duplicates 0, failed 0\n")
    );
    assert_eq!(mixed.code, 1);
    assert!(
        mixed.out.starts_with("imported 1, updated 0, duplicates 1, failed 1\n"),
        "{}",
        mixed.out
    );
    assert!(
        mixed.out.contains("3     404555  number  Invalid phone number: 404555"),
        "{}",
        mixed.out
    );
    assert_eq!(report.code, 1);
    assert_eq!(report.json()["duplicates"], 2);
}

#[tokio::test]
async fn a_long_file_is_streamed_and_a_wrong_one_refused_whole() {
    let house = House::open().await;
    let socket = &house.running.socket;
    let rows: String = (0..40_000).map(|n| format!("+1404555{n:04},note {n}\n")).collect();
    let headless = house.file("headless.csv", &format!("name,notes\n{rows}"));
    let long = house.file("long.csv", &format!("number,notes\n{rows}"));

    let refused = rotary(socket, &["dids", "import", &headless]).await;
    let missing = rotary(socket, &["dids", "import", "/nowhere.csv"]).await;
    let imported = rotary(socket, &["dids", "import", &long, "--json"]).await;

    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("no column is named \"number\""), "{}", refused.err);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("/nowhere.csv: No such file"), "{}", missing.err);
    assert_eq!(imported.json()["imported"], 10_000);
}

#[tokio::test]
async fn without_asterisk_a_call_fails_and_status_shows_why() {
    let house = House::open().await;
    let socket = &house.running.socket;

    let call = rotary(socket, &["call", "+14155550123"]).await;
    let status = rotary(socket, &["status"]).await;

    assert_eq!(call.code, 1);
    assert!(call.err.starts_with("error: Asterisk cannot be reached"), "{}", call.err);
    assert!(call.err.contains("hint: "), "{}", call.err);
    assert_eq!(status.code, 1);
    assert!(status.out.contains("asterisk  down: "), "{}", status.out);
}

#[tokio::test]
async fn a_key_is_printed_alone_and_can_be_revoked() {
    let house = House::open().await;
    let socket = &house.running.socket;

    let made = rotary(socket, &["keys", "create", "--role", "viewer", "--label", "wall"]).await;
    let list = rotary(socket, &["keys", "list", "--json"]).await;
    let id = list.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let revoked = rotary(socket, &["keys", "revoke", &id]).await;

    assert!(made.out.starts_with("rk_"), "{}", made.out);
    assert_eq!(made.out.lines().count(), 1);
    assert_eq!((revoked.code, revoked.out), (0, format!("revoked {id}\n")));
    assert_eq!(rotary(socket, &["keys", "revoke", &id]).await.code, 1);
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{} {}", self.out, self.err))
    }
}

pub(crate) async fn rotary(socket: &Path, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_rotary"))
        .env_clear()
        .args(args)
        .arg("--socket")
        .arg(socket)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

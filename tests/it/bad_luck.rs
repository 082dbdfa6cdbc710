//! A daemon of its own process among things that go wrong around it.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::command_line::rotary;

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_costs_the_log_only() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let mut daemon = serve(folder.path());

    // As `rotary serve 2>&1 | head -2` does.
    let mut log = BufReader::new(daemon.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready: ") {
        line.clear();
        assert_ne!(log.read_line(&mut line).await.unwrap(), 0, "it ended");
    }
    drop(log);
    for _ in 0..5 {
        assert_eq!(rotary(&socket, &["dids", "list"]).await.code, 0);
    }

    assert!(daemon.try_wait().unwrap().is_none());
    daemon.kill().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_none_is_a_bad_configuration() {
    let folder = tempfile::tempdir().unwrap();

    let ended = command(folder.path()).env("DATABASE_URL", "postgre://u:p4ss@h/db").output().await;

    let (ended, said) = (ended.as_ref().unwrap(), &ended.as_ref().unwrap().stderr);
    assert_eq!(ended.status.code(), Some(78));
    assert!(!String::from_utf8_lossy(said).contains("p4ss"));
}

fn serve(folder: &Path) -> Child {
    command(folder).spawn().unwrap()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotary"));
    command
        .env_clear()
        .env("STATE_DIRECTORY", folder)
        .env("RUNTIME_DIRECTORY", folder)
        .env("ROTARY_HTTP__LISTEN", "127.0.0.1:0")
        .env("ROTARY_AGI__LISTEN", "127.0.0.1:0")
        .env("ROTARY_ASTERISK__ADDRESS", "127.0.0.1:1")
        .env("ROTARY_LOG__LEVEL", "debug")
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

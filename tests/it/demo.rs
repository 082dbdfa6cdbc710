//! `rotary demo`, as somebody runs it who has just built Rotary.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

#[tokio::test]
async fn the_demo_shows_every_ending_and_leaves_nothing_behind() {
    // Whoever has the usual port, the demo finds another.
    let _taken = TcpListener::bind("127.0.0.1:5000");
    let place = TempDir::new().unwrap();

    let output = demo(place.path()).arg("--once").output().await.unwrap();

    let shown = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{shown}{complaints}");
    for words in [
        "Imported 10 numbers",
        "shows +14045550142 to somebody who answers",
        "Normal Clearing (cause 16)",
        "User busy (cause 17)",
        "User alerting, no answer (cause 19)",
        "Circuit/channel congestion (cause 34)",
        "1 of 1        at its limit, out of rotation",
    ] {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }
    assert_eq!(complaints, "");
    assert_eq!(left_in(place.path()), 0);
}

#[tokio::test]
async fn a_demo_that_stays_offers_commands_that_work_and_ends_by_a_signal() {
    let place = TempDir::new().unwrap();
    let (mut child, mut lines) = started(place.path());

    let call = line_with(&mut lines, " call +14155550199 --wait end").await;
    let placed = Command::new("sh").arg("-c").arg(&call).output().await.unwrap();
    interrupt(&child).await;
    let status = child.wait().await.unwrap();

    assert!(placed.status.success(), "{call}: {placed:?}");
    assert!(String::from_utf8_lossy(&placed.stdout).contains("completed"), "{placed:?}");
    assert!(status.success());
    assert_eq!(left_in(place.path()), 0);
}

#[tokio::test]
async fn a_demo_that_is_interrupted_in_the_middle_leaves_nothing_behind() {
    let place = TempDir::new().unwrap();
    let (mut child, mut lines) = started(place.path());
    line_with(&mut lines, "ringing").await;
    let directory = fs::read_dir(place.path()).unwrap().next().unwrap().unwrap();
    let mode = directory.metadata().unwrap().permissions().mode();

    interrupt(&child).await;
    let status = child.wait().await.unwrap();

    assert_eq!(mode & 0o777, 0o700);
    assert!(status.success());
    assert_eq!(left_in(place.path()), 0);
}

fn demo(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotary"));
    command.arg("demo").env("TMPDIR", temporary).kill_on_drop(true);
    command
}

fn started(temporary: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = demo(temporary).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The next line that has these words.
async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, words: &str) -> String {
    loop {
        let line = lines.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("the demo ended without {words:?}"));
        if line.contains(words) {
            return line;
        }
    }
}

async fn interrupt(child: &Child) {
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().await.unwrap();
    assert!(sent.success());
}

fn left_in(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

//! Schemathesis asks the daemon all that its OpenAPI document allows, and much that it does not, and
//! must find nothing. `tests/prepare.sh` installs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rotary::demo::callee::Pace;
use rotary::demo::{self, Simulated};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::postgres::{Fsync, Postgres};
use crate::rotary::Rotary;

/// The same questions in every run.
const SEED: &str = "20261121";

/// Asks each operation by itself, for random tenants, at most so often in each phase. Two warnings are left out: ids that
/// are made up lead nowhere, and names are soon taken.
const AT_RANDOM: &[&str] = &[
    "--phases",
    "examples,coverage,fuzzing",
    "--max-examples",
    "20",
    "--warnings",
    "missing_auth,validation_mismatch,missing_deserializer,unsupported_regex,method_not_allowed,rate_limited",
];

/// Follows what it created, for one tenant, on so many walks.
const FROM_THING_TO_THING: &[&str] =
    &["--phases", "stateful", "--max-examples", "50", "--header", "X-Tenant-Id: default"];

#[tokio::test]
async fn schemathesis_finds_nothing_on_sqlite() {
    finds_nothing(Rotary::new()).await;
}

#[tokio::test]
async fn schemathesis_finds_nothing_on_postgresql() {
    let server = Postgres::new(Fsync::Off);

    finds_nothing(Rotary::new().set("DATABASE_URL", &server.url())).await;
}

async fn finds_nothing(rotary: Rotary) {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let asterisk = Simulated::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let address = asterisk.address().to_string();
    let tasks = TaskTracker::new();
    tasks.spawn(asterisk.run(tasks.clone(), CancellationToken::new()));
    let rotary = rotary
        .set("ROTARY_ASTERISK__ADDRESS", &address)
        .set("ROTARY_ASTERISK__SECRET", "s3cret")
        .set("ROTARY_WEBHOOKS__ALLOW_PRIVATE_TARGETS", "true")
        // It asks as fast as it can, and often with a key that is none.
        .set("ROTARY_LIMITS__REQUESTS_PER_SECOND", "0")
        .set("ROTARY_LIMITS__FAILED_ATTEMPTS_PER_MINUTE", "0")
        .start_ready()
        .await;
    // Without numbers every call would be refused for want of one. The last row is rejected.
    let rows = "number,status\n+14045556789,active\n+14045556790,active\n404555,active\n";
    let file = rotary.file("dids.csv", rows);
    let import = rotary.cli(&["dids", "import", &file, "--json"]).await;
    let import: Value = serde_json::from_str(&import.stdout).unwrap();
    let import = import["importId"].as_str().unwrap();
    let key = rotary.post("/api/keys", &json!({"role": "admin"})).await.json();

    ask(&rotary, &key, import, AT_RANDOM).await;
    ask(&rotary, &key, import, FROM_THING_TO_THING).await;
}

async fn ask(rotary: &Rotary, key: &Value, import: &str, arguments: &[&str]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    // It leaves a database of what it asked.
    let place = TempDir::new().unwrap();
    let output = Command::new(program(&here))
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .args(["run", &format!("http://{}/openapi.json", rotary.tcp_address())])
        .args(["--checks", "all", "--seed", SEED])
        .args(arguments)
        .env("SCHEMATHESIS_HOOKS", here.join("hooks.py"))
        .env("ROTARY_KEY", key["key"].as_str().unwrap())
        .env("ROTARY_KEY_ID", key["id"].as_str().unwrap())
        .env("ROTARY_IMPORT_ID", import)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_COLOR", "1")
        .current_dir(place.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();

    let report = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "schemathesis {arguments:?}:\n{report}{complaints}");
    assert!(report.contains("No issues found"), "{report}");
}

fn program(here: &Path) -> PathBuf {
    let program = here.join(".cache/venv/bin/schemathesis");
    assert!(program.exists(), "schemathesis is not installed; run tests/prepare.sh");
    program
}

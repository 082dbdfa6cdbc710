//! The examples, as somebody runs them who copied them.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::command_line::rotary;
use crate::house::{Ask, House};

#[tokio::test]
async fn a_step_of_a_journey_calls_over_the_socket_and_only_once() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add_did(&house).await;
    let socket = house.running.socket.to_str().unwrap();

    let first = place(&[("ROTARY_SOCKET", socket)], "+14155550486", "j_1/n_4").await;
    let again = place(&[("ROTARY_SOCKET", socket)], "+14155550486", "j_1/n_4").await;

    let call = json(&first);
    assert_eq!((&call["status"], &call["journey"]["step"]), (&"busy".into(), &"j_1/n_4".into()));
    assert_eq!(json(&again)["id"], call["id"]);
    let originates = asterisk.originates();
    assert_eq!(originates.len(), 1);
    assert_eq!(originates[0].variables, [("JOURNEY".to_owned(), "j_1/n_4".to_owned())]);
}

#[tokio::test]
async fn a_step_of_a_journey_calls_over_tcp_with_a_key_and_not_without() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    add_did(&house).await;
    let url = format!("http://{}", house.running.http);
    let made = rotary(&house.running.socket, &["keys", "create", "--role", "journey"]).await;
    let tcp = |key| [("ROTARY_URL", url.as_str()), ("ROTARY_KEY", key)];

    let placed = place(&tcp(made.out.trim()), "+14155550123", "j_1/n_4").await;
    let refused = place(&tcp("rk_0"), "+14155550123", "j_1/n_5").await;

    assert_eq!(json(&placed)["status"], "completed");
    assert_eq!(refused.status.code(), Some(22));
    assert_eq!(json(&refused)["code"], "unauthorized");
}

#[tokio::test]
async fn a_receiver_believes_what_rotary_signed_and_nobody_else() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    add_did(&house).await;
    let tenant = house.ask(Ask::get("/api/tenants/default")).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/receive-callbacks.py");
    let mut receiver = Command::new(script)
        .arg("0")
        .env("ROTARY_WEBHOOK_SECRET", tenant.text("webhookSecret"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(receiver.stderr.take().unwrap()).lines();
    let mut printed = BufReader::new(receiver.stdout.take().unwrap()).lines();
    let first = said.next_line().await.unwrap().unwrap();
    let url = first.strip_prefix("listening on ").unwrap();

    let forge = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"];
    let headers = ["--header", "webhook-id: 1", "--header", "webhook-signature: v1,AAAA"];
    let mut forge_one = Command::new("curl");
    forge_one.args(forge).args(headers).args(["--data", "{}", url]);
    let forged = forge_one.output().await.unwrap();
    let body = serde_json::json!({"to": "+14155550123", "callbackUrl": url});
    house.ask(Ask::post("/api/calls", &body)).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        let line = printed.next_line().await.unwrap().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        told.push(line["type"].as_str().unwrap().to_owned());
    }

    assert_eq!(forged.stdout, b"401");
    assert_eq!(told, ["call.initiated", "call.ringing", "call.in-progress", "call.completed"]);
}

async fn add_did(house: &House) {
    let add = ["dids", "add", "+14045556789", "--status", "active"];
    assert_eq!(rotary(&house.running.socket, &add).await.code, 0);
}

async fn place(environment: &[(&str, &str)], to: &str, step: &str) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/place-a-call.sh");
    let mut command = Command::new(script);
    command.args([to, step]).env_remove("ROTARY_KEY").kill_on_drop(true);
    command.envs(environment.iter().copied()).output().await.unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

//! What an import leaves behind: the rows it rejected, and what it stored before something died.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::mpsc;

use crate::house::{Ask, House};
use crate::rotary::Rotary;
use crate::wait::until;

const IMPORT: &str = "/api/asterisk-dids/import";

#[tokio::test]
async fn rejected_rows_can_be_had_mended_and_imported_again_by_their_tenant_alone() {
    let house = House::open().await;
    let csv =
        "Notes;phone;status\n\"a;b\";404555;active\nfine;+14045550001;active\n=x;4045550002;on\n";

    let report = house.ask(Ask::post_as(IMPORT, "text/csv", csv)).await.body;
    let path = report["rejected"].as_str().unwrap();
    let (headers, rejected) = house.fetch(Ask::get(path)).await;
    let other = house.ask(Ask::get(path).header("x-tenant-id", "acme")).await;
    let unknown = house.ask(Ask::get("/api/asterisk-dids/imports/..%2Fx/rejected")).await;
    let text = String::from_utf8(rejected).unwrap();
    let mended = text.replace("404555;active", "4045550003;active").replace(";on", ";active");
    let again = house.ask(Ask::post_as(IMPORT, "text/csv", mended)).await.body;

    assert!(path.contains(report["importId"].as_str().unwrap()));
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(
        text,
        "rotaryRow;rotaryError;Notes;phone;status\r\n\
         2;Invalid phone number: 404555;\"a;b\";404555;active\r\n\
         4;\"\"\"on\"\" is no status (active, available, inactive and suspended are)\";=x;4045550002;on\r\n"
    );
    assert_eq!(other.problem(), (404, "import_not_found"));
    assert_eq!(unknown.problem(), (404, "import_not_found"));
    assert_eq!((&again["imported"], &again["failed"]), (&json!(2), &json!(0)), "{again}");
    assert!(again.get("rejected").is_none());
    let list = house.ask(Ask::get("/api/asterisk-dids")).await.body;
    assert_eq!(list["data"][1]["metadata"], json!({"notes": "=x"}));
}

#[tokio::test]
async fn rows_that_cannot_be_kept_do_not_stop_an_import() {
    let house = House::open().await;
    house.file("imports", "a file where the directory should be");

    let report = house.ask(Ask::post_as(IMPORT, "text/csv", "number\n404555\n4045550001\n")).await;

    assert_eq!((&report.body["imported"], &report.body["failed"]), (&json!(1), &json!(1)));
    assert!(report.body.get("rejected").is_none());
    assert!(report.text("notice").contains("could not be kept"), "{report:?}");
}

#[tokio::test]
async fn one_import_too_many_is_told_how_many_there_may_be() {
    let house = House::open_changed(|config| config.app.imports.at_once = 1).await;
    let (rows, body) = pieces();
    let long = house.ask(Ask::post_as(IMPORT, "text/csv", Body::new(body)));

    let story = async {
        // A piece is taken when the import has begun.
        rows.send(Bytes::from("number\n")).await.unwrap();
        rows.send(Bytes::from("+14045550001\n")).await.unwrap();
        let refused = house
            .ask(Ask::post_as(&format!("{IMPORT}?dryRun=true"), "text/csv", "number\n4045550002\n"))
            .await;
        drop(rows);
        refused
    };
    let (done, refused) = tokio::join!(long, story);
    let after = house.ask(Ask::post_as(IMPORT, "text/csv", "number\n4045550002\n")).await;

    assert_eq!(refused.problem(), (429, "too_many_imports"));
    assert_eq!(refused.body["limit"], "imports_at_once");
    assert_eq!((&refused.body["current"], &refused.body["max"]), (&json!(1), &json!(1)));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!((&done.body["imported"], &after.body["imported"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_killed_import_is_there_as_far_as_it_got_and_the_file_does_no_harm_again() {
    let mut rotary = Rotary::new().start().await;
    let (rows, body) = pieces();
    let http = rotary.socket().with("content-type", "text/csv");
    let import = http.send("POST", IMPORT, body);

    let killed = async {
        rows.send(csv(0..7_500)).await.unwrap();
        until("a chunk to be stored", async || {
            let page = rotary.get("/api/asterisk-dids?limit=1").await.json();
            (!page["data"].as_array()?.is_empty()).then_some(())
        })
        .await;
        rotary.kill9().await;
        drop(rows);
    };
    let (answer, ()) = tokio::join!(import, killed);
    rotary.start_again().await;
    let stored = numbers(&rotary).await;
    let file = rotary.file("all.csv", std::str::from_utf8(&csv(0..7_500)).unwrap());
    let again = rotary.json(&["dids", "import", &file]).await;

    assert!(answer.is_err(), "an answer came from a killed daemon: {answer:?}");
    assert_eq!(stored, 5_000, "chunks are stored whole");
    assert_eq!((&again["imported"], &again["duplicates"]), (&json!(2_500), &json!(5_000)));
    assert_eq!(numbers(&rotary).await, 7_500);
}

#[tokio::test]
async fn a_broken_upload_keeps_the_chunks_before_and_the_file_does_no_harm_again() {
    let house = House::open().await;
    let broken = [Ok(csv(0..7_500)), Err(std::io::Error::other("gone"))];

    let body = Body::from_stream(futures_util::stream::iter(broken));
    let refused = house.ask(Ask::post_as(IMPORT, "text/csv", body)).await;
    let again = house.ask(Ask::post_as(IMPORT, "text/csv", csv(0..7_500))).await.body;

    assert_eq!(refused.problem(), (400, "invalid_body"));
    assert_eq!((&again["imported"], &again["duplicates"]), (&json!(2_500), &json!(5_000)));
}

#[tokio::test]
async fn the_command_line_brings_rejected_rows_back_and_writes_exports() {
    let rotary = Rotary::new().start().await;
    let bad = rotary.file("bad.csv", "number\n+14045550001\n404555\n");
    rotary.file("bad.csv.rejected.csv", "mine");

    let first = rotary.cli(&["dids", "import", &bad]).await;
    let named = rotary.cli(&["dids", "import", &bad, "--rejected", "out.csv"]).await;
    let nowhere = rotary.cli(&["dids", "import", &bad, "--rejected", "/nowhere/out.csv"]).await;
    let shown = rotary.cli(&["dids", "export"]).await;
    let written =
        rotary.cli(&["dids", "export", "--out", "export.csv", "--status", "active"]).await;

    let read = |name: &str| {
        let path = std::path::Path::new(&bad).with_file_name(name);
        std::fs::read_to_string(path).unwrap()
    };
    assert_eq!((first.code, named.code, nowhere.code), (1, 1, 1));
    assert!(first.stderr.contains("bad.csv.rejected-2.csv"), "{first:?}");
    assert_eq!(read("bad.csv.rejected.csv"), "mine");
    let rejected = "rotaryRow,rotaryError,number\r\n3,Invalid phone number: 404555,404555\r\n";
    assert_eq!(read("bad.csv.rejected-2.csv"), rejected);
    assert_eq!(read("out.csv"), rejected);
    assert!(nowhere.stderr.contains("the daemon has them at /api/"), "{nowhere:?}");
    assert!(shown.stdout.contains("\r\n'+14045550001,404,PJSIP,available,"), "{shown:?}");
    assert_eq!((written.code, read("export.csv").lines().count()), (0, 1));
}

async fn numbers(rotary: &Rotary) -> usize {
    let export = rotary.cli(&["dids", "export"]).await;
    assert_eq!(export.code, 0, "{export:?}");
    export.stdout.lines().count() - 1
}

fn csv(numbers: std::ops::Range<u32>) -> Bytes {
    let rows: String = numbers.map(|n| format!("+1404{:07}\n", 2_000_000 + n)).collect();
    format!("number\n{rows}").into()
}

type Pieces = StreamBody<
    std::pin::Pin<
        Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync>,
    >,
>;

/// A body that goes on while its sender lives.
fn pieces() -> (mpsc::Sender<Bytes>, Pieces) {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let body = futures_util::stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((Ok(Frame::data(piece)), receiver))
    });
    (sender, StreamBody::new(Box::pin(body)))
}

//! `/metrics`: what is told after a story that is known, how much of it there can be, and to whom.

mod documented;
mod logged;
mod text;

use std::collections::BTreeSet;
use std::time::Duration;

use rotary::app::Trunk;
use rotary::app::asterisks::WireSettings;
use rotary::app::meters::table::{Kind, TABLE};
use rotary::demo;
use rotary::demo::callee::Pace;
use rotary::demo::misbehave::Line;
use serde_json::json;

use self::text::Scrape;
use crate::house::{Ask, House};
use crate::receiver::Receiver;
use crate::wait::until;

const DIDS: &str = "/api/asterisk-dids";
const CALLS: &str = "/api/calls?wait=end";
const ASTERISK: (&str, &str) = ("asterisk", "asterisk");

#[tokio::test]
async fn a_known_story_is_told_in_numbers() {
    let (house, asterisk) = House::open_with_asterisk().await;
    add_did(&house, "+14045550001").await;
    let receiver = Receiver::open().await;
    for (to, status) in
        [("+14155550123", "completed"), ("+14155550486", "busy"), ("+14155550503", "failed")]
    {
        let call = json!({"to": to, "callbackUrl": receiver.url});
        assert_eq!(house.ask(Ask::post(CALLS, &call)).await.text("status"), status);
    }
    asterisk.misbehave(|m| m.refuse_originates = Some("Not today".to_owned()));
    house.ask(Ask::post(CALLS, &json!({"to": "+14155550123"}))).await.problem();
    let csv = "number,trunk\n+14045550002,odd\n+14045550001,\nnot a number,\n";
    house.ask(Ask::post_as("/api/asterisk-dids/import", "text/csv", csv)).await;
    house.ask(Ask::get("/no/such/path")).await;
    receiver.until(|seen| seen.len() == 8).await;

    let seen = until("the callbacks to be settled", async || {
        let seen = Scrape::of(&house).await;
        let delivered = seen.value("rotary_callback_attempts_total", &[("outcome", "delivered")]);
        (delivered == 8.0).then_some(seen)
    })
    .await;

    let ended = |outcome| {
        seen.value("rotary_calls_ended_total", &[("trunk", "PJSIP"), ("outcome", outcome)])
    };
    assert_eq!(seen.value("rotary_calls_started_total", &[("trunk", "PJSIP")]), 4.0);
    assert_eq!((ended("completed"), ended("busy"), ended("failed")), (1.0, 1.0, 2.0));
    assert_eq!(seen.value("rotary_calls_in_progress", &[]), 0.0);
    let outcome = |name, outcome| seen.value(name, &[("outcome", outcome)]);
    assert_eq!(outcome("rotary_call_requests_total", "placed"), 3.0);
    assert_eq!(outcome("rotary_call_requests_total", "refused"), 1.0);
    assert_eq!(outcome("rotary_originates_total", "queued"), 3.0);
    assert_eq!(outcome("rotary_originates_total", "refused"), 1.0);
    assert_eq!(outcome("rotary_picks_total", "counted"), 4.0);
    assert_eq!(outcome("rotary_import_rows_total", "imported"), 1.0);
    assert_eq!(outcome("rotary_import_rows_total", "duplicate"), 1.0);
    assert_eq!(outcome("rotary_import_rows_total", "failed"), 1.0);
    assert_eq!(seen.value("rotary_call_setup_seconds_count", &[]), 3.0);
    assert_eq!(seen.value("rotary_originate_seconds_count", &[]), 4.0);
    assert_eq!(seen.value("rotary_pick_seconds_count", &[]), 4.0);
    assert_eq!(seen.value("rotary_ledger_group_uses_sum", &[]), 4.0);
    let groups = seen.value("rotary_ledger_group_seconds_count", &[]);
    assert!((1.0..=4.0).contains(&groups), "{groups}");
    assert_eq!(seen.value("rotary_callback_attempt_seconds_count", &[]), 8.0);
    assert_eq!(seen.value("rotary_dids", &[("state", "pickable")]), 1.0);
    assert_eq!(seen.value("rotary_dids", &[("state", "resting")]), 1.0);
    assert_eq!(seen.value("rotary_asterisk_up", &[ASTERISK]), 1.0);
    assert_eq!(seen.value("rotary_asterisk_connects_total", &[ASTERISK]), 1.0);
    assert!(seen.value("rotary_asterisk_frames_total", &[ASTERISK]) > 20.0);
    assert!(seen.value("rotary_asterisk_reports_total", &[ASTERISK]) >= 6.0);
    assert_eq!(seen.value("rotary_asterisk_actions_pending", &[ASTERISK]), 0.0);
    assert_eq!(seen.value("rotary_http_problems_total", &[("code", "originate_refused")]), 1.0);
    let requests = |route, method, status| {
        let labels = [("route", route), ("method", method), ("status", status)];
        seen.value("rotary_http_requests_total", &labels)
    };
    assert_eq!(requests("/api/calls", "POST", "2xx"), 3.0);
    assert_eq!(requests("/api/calls", "POST", "5xx"), 1.0);
    assert_eq!(requests("unmatched", "GET", "4xx"), 1.0);
    assert_eq!(seen.value("process_open_fds", &[]).fract(), 0.0);
}

#[tokio::test]
async fn every_metric_is_in_the_table_and_named_with_its_unit() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    house.ask(Ask::get("/no/such/path")).await;
    until("a comparison and a problem", async || {
        Scrape::of(&house).await.find("rotary_calls_in_asterisk", &[ASTERISK])
    })
    .await;

    let seen = Scrape::of(&house).await;

    for metric in TABLE {
        let name = metric.name;
        let family = seen.families.get(name).unwrap_or_else(|| panic!("{name} is not exported"));
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert_eq!((&*family.kind, &*family.help), (kind, metric.help), "{name}");
        assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        if let Kind::Histogram(_) = metric.kind {
            assert!(["_seconds", "_uses"].iter().any(|unit| name.ends_with(unit)), "{name}");
        }
        for sample in &family.samples {
            let labels: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
            let mut told: BTreeSet<&str> = metric.labels.iter().copied().collect();
            if sample.name.ends_with("_bucket") {
                told.insert("le");
            }
            assert_eq!(labels, told, "{name}");
        }
    }
    let table: BTreeSet<&str> = TABLE.iter().map(|metric| metric.name).collect();
    let exported: BTreeSet<&str> = seen.families.keys().map(String::as_str).collect();
    assert_eq!(exported, table);
}

#[tokio::test]
async fn what_people_invent_adds_no_series() {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let (house, _asterisk) = House::open_with(settings, |config| {
        config.app.trunks.insert("carrier-a".parse().unwrap(), Trunk::default());
    })
    .await;
    let rows = (0..10_000).map(|n| format!("+1404{:07},trunk-{n},active,t-{n}\n", 2_000_000 + n));
    let csv = format!("number,trunk,status,notes\n{}", rows.collect::<String>());
    let imported = house.ask(Ask::post_as("/api/asterisk-dids/import", "text/csv", csv)).await;
    assert_eq!(imported.body["imported"], 10_000);
    house.ask(Ask::post(CALLS, &json!({"to": "+14155550123", "trunk": "carrier-a"}))).await;
    let before = until("a first comparison", async || {
        let seen = Scrape::of(&house).await;
        seen.find("rotary_calls_in_asterisk", &[ASTERISK]).map(|_| seen)
    })
    .await;

    for n in 0..100 {
        let call = json!({"to": "+14155550123", "trunk": format!("invented-{n}")});
        house.ask(Ask::post(CALLS, &call)).await;
        house.ask(Ask::post(CALLS, &json!({"to": "+14155550123"}))).await;
        house.ask(Ask::get(&format!("/invented/{n}"))).await;
        let method = axum::http::Method::from_bytes(format!("INVENTED{n}").as_bytes()).unwrap();
        house.ask(Ask::new(method, DIDS, "", axum::body::Body::empty())).await;
    }

    let after = Scrape::of(&house).await;
    assert_eq!(after.values_of("trunk"), BTreeSet::from(["PJSIP", "carrier-a", "other"]));
    assert_eq!(after.value("rotary_calls_started_total", &[("trunk", "other")]), 200.0);
    assert_eq!(after.value("rotary_calls_started_total", &[("trunk", "carrier-a")]), 1.0);
    let added = after.lines - before.lines;
    // Three routes and methods more, with their buckets, and two codes.
    assert!(added < 70, "{added} lines more");
    assert!(after.lines < 1_000, "{} lines", after.lines);
}

#[tokio::test]
async fn after_a_resync_calls_in_progress_are_those_asterisk_has() {
    let pace = Pace { talk: Duration::from_secs(3600), ..Pace::INSTANT };
    let settings = demo::Settings { pace, ..demo::Settings::default() };
    let (house, asterisk) = House::open_with(settings, |_| {}).await;
    add_did(&house, "+14045550001").await;
    // Five calls end and nobody hears of it.
    let unheard = ["Hangup", "HangupRequest", "OriginateResponse", "DialEnd"];
    asterisk.misbehave(|m| m.lose = unheard.map(str::to_owned).to_vec());
    for n in 0..17 {
        let to = if n < 5 { "+14155550486" } else { "+14155550123" };
        let made = house.ask(Ask::post("/api/calls", &json!({"to": to}))).await;
        assert_eq!(made.status, 202);
    }
    asterisk.wait_until(|counts| counts.in_progress == 12).await;
    asterisk.behave();
    assert_eq!(Scrape::of(&house).await.value("rotary_calls_in_progress", &[]), 17.0);

    asterisk.drop_lines();

    let seen = until("the calls to be compared", async || {
        let seen = Scrape::of(&house).await;
        (seen.value("rotary_calls_in_progress", &[]) == 12.0).then_some(seen)
    })
    .await;
    assert_eq!(seen.value("rotary_calls_in_asterisk", &[ASTERISK]), 12.0);
    assert_eq!(seen.value("rotary_calls_unknown_in_asterisk", &[ASTERISK]), 0.0);
    assert_eq!(asterisk.counts().in_progress, 12);
    assert_eq!(seen.value("rotary_calls_missing_total", &[]), 5.0);
    assert_eq!(failures(&seen, "closed"), 1.0);
    assert_eq!(seen.value("rotary_asterisk_connects_total", &[ASTERISK]), 2.0);
}

#[tokio::test]
async fn a_line_that_falls_silent_is_told_from_one_that_is_closed() {
    let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
    let (house, asterisk) = House::open_with(settings, |config| {
        for asterisk in &mut config.asterisks {
            let WireSettings::Ami(ami) = &mut asterisk.wire else { panic!("not over AMI") };
            ami.ping_interval = Duration::from_millis(20);
        }
    })
    .await;
    until("some pings", async || {
        let seen = Scrape::of(&house).await;
        (seen.value("rotary_asterisk_ping_seconds_count", &[ASTERISK]) > 2.0).then_some(())
    })
    .await;

    asterisk.misbehave(|m| m.line = Line::HalfOpen);

    let seen = until("the line to be given up", async || {
        let seen = Scrape::of(&house).await;
        (failures(&seen, "silent") > 0.0).then_some(seen)
    })
    .await;
    assert_eq!(failures(&seen, "closed"), 0.0);
    assert_eq!(seen.value("rotary_asterisk_up", &[ASTERISK]), 0.0);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_and_holds_up_nothing() {
    let house = House::open().await;
    house.running.app.store.close().await;

    let seen = Scrape::of(&house).await;

    assert_eq!(seen.value("rotary_store_up", &[]), 0.0);
    assert!(seen.value("rotary_callbacks_backlog_calls", &[]).is_nan());
    assert!(seen.value("rotary_callbacks_oldest_seconds", &[]).is_nan());
    assert_eq!(seen.value("rotary_calls_in_progress", &[]), 0.0);
}

#[tokio::test]
async fn on_tcp_an_administrator_may_look_and_anybody_where_that_is_said() {
    let house = House::open().await;
    let open = House::open_changed(|config| config.app.metrics.public = true).await;
    let admin = key(&house, "admin").await;
    let viewer = key(&house, "viewer").await;

    let metrics = || Ask::get("/metrics");
    assert_eq!(house.ask_on_tcp(metrics()).await.problem(), (401, "unauthorized"));
    assert_eq!(house.ask_on_tcp(metrics().key(&viewer)).await.problem(), (403, "forbidden"));
    assert_eq!(house.ask_on_tcp(metrics().key(&admin)).await.status, 200);
    assert_eq!(open.ask_on_tcp(metrics()).await.status, 200);
    assert_eq!(open.ask_on_tcp(Ask::get("/api/status")).await.problem(), (401, "unauthorized"));
}

#[tokio::test]
async fn two_daemons_in_one_process_count_for_themselves() {
    let (first, second) = (House::open().await, House::open().await);
    add_did(&first, "+14045550001").await;

    let (first, second) = (Scrape::of(&first).await, Scrape::of(&second).await);

    let made = [("route", DIDS), ("method", "POST"), ("status", "2xx")];
    assert_eq!(first.value("rotary_http_requests_total", &made), 1.0);
    assert_eq!(second.find("rotary_http_requests_total", &made), None);
}

fn failures(seen: &Scrape, cause: &str) -> f64 {
    seen.value("rotary_asterisk_failures_total", &[ASTERISK, ("cause", cause)])
}

async fn add_did(house: &House, number: &str) {
    let made = house.ask(Ask::post(DIDS, &json!({"number": number, "status": "active"}))).await;
    assert_eq!(made.status, 201);
}

async fn key(house: &House, role: &str) -> String {
    let mut wanted = json!({"role": role});
    if role != "admin" {
        wanted["tenantId"] = json!("default");
    }
    house.ask(Ask::post("/api/keys", &wanted)).await.text("key").to_owned()
}

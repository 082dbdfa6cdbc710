//! A tenant sees only its own: every route, asked by every role of another tenant.

mod record;
mod routes;

use rotary::demo;
use rotary::demo::callee::Pace;
use rotary::store::Settings;
use serde_json::{Value, json};

use self::record::Record;
use self::routes::{Expected, ROUTES, Route};
use crate::house::{Answer, Ask, House};
use crate::postgres::Postgres;
use crate::receiver::{Mood, Receiver};
use crate::wait::until;

/// A daemon with two tenants that do not know of each other.
struct Town {
    house: House,
    acme: Acme,
    record: Record,
}

/// What the first tenant has, as the second would name it.
pub(crate) struct Acme {
    pub(crate) did: String,
    pub(crate) number: String,
    pub(crate) call: String,
    pub(crate) key: String,
    /// An import of which a row was rejected.
    pub(crate) import: String,
    /// One of four that were given up.
    pub(crate) callback: String,
    /// One that is not settled.
    pub(crate) pick: String,
    pub(crate) dids_cursor: String,
    pub(crate) picks_cursor: String,
    pub(crate) calls_cursor: String,
    pub(crate) callbacks_cursor: String,
    /// What the ids of the daemon's events begin with.
    pub(crate) run: String,
    /// Every word of it that must not reach another tenant; not `number`, which the other tenant
    /// brings in as its own too.
    words: Vec<String>,
}

const ROLES: [&str; 3] = ["operator", "journey", "viewer"];

macro_rules! on_both {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $story() {
                super::$story(&super::Town::on_sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $story() {
                let postgres = crate::postgres::Postgres::new(crate::postgres::Fsync::Off);
                super::$story(&super::Town::on_postgres(&postgres).await).await;
            })*
        }
    };
}

on_both!(
    no_route_shows_or_changes_what_is_anothers,
    a_cursor_of_anothers_list_goes_on_in_ones_own,
    an_idempotency_key_means_each_tenants_own_call,
    an_administrator_sees_the_keys_of_the_tenant_it_names,
);

#[test]
fn every_route_is_asked() {
    let mut served = routes::in_the_document();
    let mut asked: Vec<_> =
        ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();

    served.sort();
    asked.sort();
    asked.dedup();
    assert!(served.len() > 10, "the routes were not found in the document: {served:?}");
    assert_eq!(asked, served, "a new route needs its line in tests/it/isolation/routes.rs");
}

async fn no_route_shows_or_changes_what_is_anothers(town: &Town) {
    for role in ROLES {
        let key = town.key_of_other(role).await;
        for route in ROUTES {
            for ask in (route.asks)(&town.acme) {
                town.is_kept_from(route, role, ask.key(&key)).await;
            }
            if !matches!(route.expected, Expected::Open | Expected::Constant) {
                let named = (route.asks)(&town.acme).swap_remove(0).key(&key);
                let answer = town.house.ask_on_tcp(named.header("x-tenant-id", "acme")).await;
                assert_eq!(answer.problem(), (403, "forbidden"), "{route:?} by {role}");
            }
        }
    }
}

async fn a_cursor_of_anothers_list_goes_on_in_ones_own(town: &Town) {
    let key = town.key_of_other("viewer").await;
    for (list, cursor) in [
        ("/api/asterisk-dids", &town.acme.dids_cursor),
        ("/api/calls", &town.acme.calls_cursor),
        ("/api/callbacks", &town.acme.callbacks_cursor),
        ("/api/picks", &town.acme.picks_cursor),
    ] {
        let ask = Ask::get(&format!("{list}?cursor={cursor}&limit=1000")).key(&key);

        let answer = town.house.ask_on_tcp(ask).await;

        town.acme.is_not_in(&answer, "", list);
        assert!(answer.status == 200 || answer.status == 422, "{list}: {answer:?}");
        let strangers = answer.body["data"].as_array().into_iter().flatten();
        assert_eq!(strangers.filter(|item| item["tenantId"] != "other").count(), 0, "{list}");
    }
}

async fn an_idempotency_key_means_each_tenants_own_call(town: &Town) {
    let key = town.key_of_other("journey").await;
    let call = |to: &str| {
        let ask = Ask::post("/api/calls", &json!({"to": to})).key(&key);
        ask.header("idempotency-key", "step-1")
    };
    let before = town.record.of("acme").await;

    let made = town.house.ask_on_tcp(call("+14155550777")).await;
    let again = town.house.ask_on_tcp(call("+14155550777")).await;

    assert_eq!(made.status, 202, "{made:?}");
    assert!(!made.headers.contains_key("idempotent-replayed"));
    assert_eq!(made.body["tenantId"], "other");
    town.acme.is_not_in(&made, "", "the call");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.body["id"], made.body["id"]);
    assert_eq!(town.record.of("acme").await, before);
}

async fn an_administrator_sees_the_keys_of_the_tenant_it_names(town: &Town) {
    town.key_of_other("viewer").await;
    let ids = async |ask: Ask| {
        let keys = town.house.ask(ask).await.body["data"].clone();
        let tenants = keys.as_array().unwrap().iter().map(|key| key["tenantId"].clone());
        tenants.collect::<Vec<Value>>()
    };

    let by_header = ids(Ask::get("/api/keys").header("x-tenant-id", "acme")).await;
    let by_query = ids(Ask::get("/api/keys?tenantId=other")).await;
    let all = ids(Ask::get("/api/keys")).await;
    let torn = Ask::get("/api/keys?tenantId=other").header("x-tenant-id", "acme");

    assert_eq!(by_header, ["acme"]);
    assert_eq!(by_query, ["other"]);
    assert_eq!(all, ["acme", "other"]);
    assert_eq!(town.house.ask(torn).await.problem(), (422, "invalid_field"));
}

impl Town {
    async fn on_sqlite() -> Self {
        let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
        let (house, _) = House::open_with(settings, |_| {}).await;
        let record = Record::in_file(&house.path("rotary.db")).await;
        Self::settle(house, record).await
    }

    async fn on_postgres(postgres: &Postgres) -> Self {
        let settings = demo::Settings { pace: Pace::INSTANT, ..demo::Settings::default() };
        let url = postgres.url();
        let (house, _) =
            House::open_with(settings, |config| config.store = Settings::new(url)).await;
        let record = Record::on_server(&postgres.url()).await;
        Self::settle(house, record).await
    }

    async fn settle(house: House, record: Record) -> Self {
        let own = "number,status,campaignId,notes\n+12125550001,active,c_acme,acme-note\n\
                   +12125550002,active,c_acme,acme-note\n";
        let others = "number,status\n+13105550001,active\n+13105550002,active\n";
        for (tenant, csv) in [("acme", own), ("other", others)] {
            let import = Ask::post_as("/api/asterisk-dids/import", "text/csv", csv);
            let report = house.ask(import.header("x-tenant-id", tenant)).await;
            assert_eq!(report.body["imported"], 2, "{report:?}");
        }
        let acme = Acme::described_by(&house).await;
        Self { house, acme, record }
    }

    async fn key_of_other(&self, role: &str) -> String {
        let body = json!({"role": role, "tenantId": "other"});
        self.house.ask(Ask::post("/api/keys", &body)).await.text("key").to_owned()
    }

    /// Asks, and sees that the answer holds nothing of the first tenant that was not in the
    /// question, and that nothing of the first tenant is changed.
    async fn is_kept_from(&self, route: &Route, role: &str, ask: Ask) {
        let (before, question) = (self.record.of("acme").await, ask.text());

        let answer = self.house.ask_on_tcp(ask).await;

        if matches!(route.expected, Expected::Constant) {
            // Its examples show the same numbers as these stories.
            assert_eq!(answer.status, 200, "{question} by {role}");
            return;
        }
        let story = format!("{question} by {role}: {answer:?}");
        self.acme.is_not_in(&answer, &question, &story);
        assert_eq!(self.record.of("acme").await, before, "{story}");
        let status = answer.status.as_u16();
        match &route.expected {
            Expected::Constant => unreachable!("told above"),
            Expected::Open => assert!(status == 200 || status == 503, "{story}"),
            _ if !route.roles.contains(&role) => {
                assert_eq!(answer.problem(), (403, "forbidden"), "{story}");
            }
            Expected::NotFound(code) => assert_eq!(answer.problem(), (404, *code), "{story}"),
            Expected::Own(own) => assert_eq!(status, *own, "{story}"),
        }
    }
}

impl Acme {
    /// Gives the tenant two calls, of which one has callbacks, and a key, and notes what it has.
    async fn described_by(house: &House) -> Self {
        let acme = |ask: Ask| async { house.ask(ask.header("x-tenant-id", "acme")).await };
        let receiver = Receiver::open().await;
        receiver.feel(&[], Mood::Says(410));
        let call = |to: &str, step: &str, url: Option<&str>| {
            let body = json!({
                "to": to, "callerName": "Acme-Inc", "variables": {"SECRET": "acme-variable"},
                "journey": {"journeyId": "acme-journey"},
                "callbackUrl": url,
            });
            Ask::post("/api/calls?wait=end", &body).header("idempotency-key", step)
        };
        let calls = [
            acme(call("+14155550123", "step-1", Some(&receiver.url))).await,
            acme(call("+14155550124", "step-2", None)).await,
        ];
        let pick = json!({"to": "+14155550123"});
        let picks = [
            acme(Ask::post("/api/picks", &pick)).await.text("pickId").to_owned(),
            acme(Ask::post("/api/picks", &pick)).await.text("pickId").to_owned(),
        ];
        let some_picks = acme(Ask::get("/api/picks?limit=1")).await;
        let body = json!({"role": "operator", "tenantId": "acme", "label": "acme-label"});
        let key = acme(Ask::post("/api/keys", &body)).await;
        for campaign in ["c_acme", "c_both"] {
            let body = json!({"id": campaign, "name": "acme-campaign"});
            assert_eq!(acme(Ask::post("/api/campaigns", &body)).await.status, 201);
        }
        let damaged = "number,notes\n404555,acme-note\n";
        let import = Ask::post_as("/api/asterisk-dids/import", "text/csv", damaged);
        let import = acme(import).await;
        let dids = acme(Ask::get("/api/asterisk-dids?limit=1")).await;
        let list = acme(Ask::get("/api/calls?limit=1")).await;
        let all = acme(Ask::get("/api/asterisk-dids")).await;
        let callbacks = until("four callbacks to be dead", async || {
            let dead = acme(Ask::get("/api/callbacks?status=dead")).await.body;
            let dead = dead["data"].as_array()?.clone();
            (dead.len() == 4).then_some(dead)
        });
        let callbacks = callbacks.await;
        let some = acme(Ask::get("/api/callbacks?limit=1")).await;
        let events = acme(Ask::get("/api/events?follow=false")).await.body;
        let (_, id) = events.as_str().unwrap().split_once("id: ").unwrap();
        assert!(id.trim().ends_with("-8"), "two calls, all told: {events}");
        let run = id.split('-').next().unwrap().to_owned();

        let mut words: Vec<String> = [
            "acme",
            "Acme-Inc",
            "c_acme",
            "acme-note",
            "acme-variable",
            "acme-journey",
            "acme-label",
            "4155550123",
            "4155550124",
        ]
        .map(str::to_owned)
        .into();
        words.extend(calls.iter().chain([&key]).map(|answer| answer.text("id").to_owned()));
        for did in all.body["data"].as_array().unwrap() {
            words.push(did["id"].as_str().unwrap().to_owned());
        }
        for callback in &callbacks {
            words.push(callback["id"].as_str().unwrap().to_owned());
        }
        words.extend(picks.clone());
        words.push(receiver.url.clone());
        words.push(routes::FREE[1..].to_owned());
        words.push(import.text("importId").to_owned());
        assert_eq!(words.len(), 9 + 3 + 4 + 7, "{words:?}");
        Self {
            did: all.body["data"][0]["id"].as_str().unwrap().to_owned(),
            number: all.body["data"][0]["number"].as_str().unwrap().to_owned(),
            call: calls[0].text("id").to_owned(),
            key: key.text("id").to_owned(),
            import: import.text("importId").to_owned(),
            dids_cursor: dids.text("nextCursor").to_owned(),
            pick: picks[0].clone(),
            picks_cursor: some_picks.text("nextCursor").to_owned(),
            callback: callbacks[0]["id"].as_str().unwrap().to_owned(),
            callbacks_cursor: some.text("nextCursor").to_owned(),
            run,
            calls_cursor: list.text("nextCursor").to_owned(),
            words,
        }
    }

    /// Fails where the answer holds a word of this tenant that the question did not.
    fn is_not_in(&self, answer: &Answer, question: &str, story: &str) {
        let said = format!("{:?} {}", answer.headers, answer.body);
        for word in self.words.iter().filter(|word| !question.contains(word.as_str())) {
            assert!(!said.contains(word.as_str()), "{word:?} got out: {story}");
        }
    }
}

//! Changes made in PostgreSQL behind the daemon's back, as a person with psql makes them.

use rotary::demo;
use rotary::domain::did::DidId;
use rotary::domain::rotation::{RotationIndex, Summary, Want};
use rotary::domain::tenant::TenantId;
use rotary::store::Settings;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::house::{Ask, House};
use crate::postgres::{Fsync, Postgres};
use crate::wait;

/// A daemon on PostgreSQL, and a connection that is none of its own.
struct Scene {
    house: House,
    psql: PgConnection,
    postgres: Postgres,
}

impl Scene {
    async fn open() -> Self {
        let postgres = Postgres::new(Fsync::Off);
        let house = House::open_on(&postgres).await;
        let psql = PgConnection::connect(&postgres.url()).await.unwrap();
        Self { house, psql, postgres }
    }

    async fn did(&self, number: u64, max_usage: Option<u32>) -> DidId {
        let did =
            json!({"number": format!("+1{number}"), "status": "active", "maxUsage": max_usage});
        let answer = self.house.ask(Ask::post("/api/asterisk-dids", &did)).await;
        DidId(answer.text("id").parse().unwrap())
    }

    async fn run(&mut self, sql: impl Into<String>) {
        sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut self.psql).await.unwrap();
    }

    /// Waits until the next pick would take this one.
    async fn next_becomes(&self, did: Option<DidId>) {
        let what = format!("the next pick is {did:?}");
        self.index_shows(&what, |index| next(index, "default") == did).await;
    }

    async fn index_shows(&self, what: &str, shows: impl Fn(&mut RotationIndex) -> bool) {
        wait::until(what, async || shows(&mut self.house.running.app.index.lock()).then_some(()))
            .await;
    }
}

fn next(index: &mut RotationIndex, tenant: &str) -> Option<DidId> {
    let tenant = tenant.parse().unwrap();
    index.next(&Want { tenant, campaign: None, area_code: None }).map(|(did, _)| did)
}

fn total(index: &RotationIndex) -> usize {
    index.summary(&TenantId::default_tenant()).total
}

/// Rows as `insert into asterisk_dids` takes them, with ids that rise.
fn many(count: u32) -> String {
    format!(
        "insert into asterisk_dids (id, tenant_id, number, status) \
         select lpad(to_hex(n), 32, '0')::uuid, 'default', '+1212' || (2000000 + n), 'active' \
         from generate_series(1, {count}) n"
    )
}

#[tokio::test]
async fn a_status_is_honoured_both_ways() {
    let mut scene = Scene::open().await;
    let (first, second) = (scene.did(4045550100, None).await, scene.did(4045550101, None).await);
    scene.next_becomes(Some(first)).await;

    scene.run(format!("update asterisk_dids set status = 'suspended' where id = '{first}'")).await;
    scene.next_becomes(Some(second)).await;

    scene.run(format!("update asterisk_dids set status = 'active' where id = '{first}'")).await;
    scene.next_becomes(Some(first)).await;
}

#[tokio::test]
async fn a_limit_is_honoured_both_ways() {
    let mut scene = Scene::open().await;
    let did = scene.did(4045550100, None).await;

    scene.run("update asterisk_dids set max_usage = 0").await;
    scene.next_becomes(None).await;

    scene.run("update asterisk_dids set max_usage = 5").await;
    scene.next_becomes(Some(did)).await;
}

#[tokio::test]
async fn a_count_that_is_set_back_counts_anew() {
    let mut scene = Scene::open().await;
    let did = scene.did(4045550100, Some(1)).await;
    let call = Ask::post("/api/calls", &json!({"to": "+14155550123"}));
    assert_eq!(scene.house.ask(call).await.status, 202);
    scene.next_becomes(None).await;

    scene.run("update asterisk_dids set usage_count = 0").await;

    scene.next_becomes(Some(did)).await;
}

#[tokio::test]
async fn what_is_inserted_can_be_picked_and_what_is_deleted_cannot() {
    let mut scene = Scene::open().await;

    scene.run(many(1)).await;
    scene.next_becomes(Some(DidId(Uuid::from_u128(1)))).await;

    scene.run("delete from asterisk_dids").await;
    scene.next_becomes(None).await;
    scene.index_shows("nothing is left", |index| total(index) == 0).await;
}

#[tokio::test]
async fn many_at_once_are_heard_as_well() {
    let mut scene = Scene::open().await;

    scene.run(many(12_345)).await;
    scene.index_shows("all are in", |index| total(index) == 12_345).await;

    scene.run("update asterisk_dids set status = 'inactive' where number <= '+12122012000'").await;
    let summary = Summary { active: 345, spent: 0, total: 12_345 };
    let shown = |index: &mut RotationIndex| index.summary(&TenantId::default_tenant()) == summary;
    scene.index_shows("most are out of rotation", shown).await;

    scene.run("delete from asterisk_dids where number <= '+12122012000'").await;
    scene.index_shows("most are gone", |index| total(index) == 345).await;

    scene.run("truncate asterisk_dids").await;
    scene.index_shows("all are gone", |index| total(index) == 0).await;
}

#[tokio::test]
async fn a_did_given_to_another_tenant_leaves_the_first() {
    let mut scene = Scene::open().await;
    let did = scene.did(4045550100, None).await;

    scene.run("update asterisk_dids set tenant_id = 't_2'").await;

    scene.next_becomes(None).await;
    scene.index_shows("the other has it", |index| next(index, "t_2") == Some(did)).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_not_picked() {
    let mut scene = Scene::open().await;
    let did = scene.did(4045550100, None).await;

    scene.run("update asterisk_dids set number = 'call me'").await;
    scene.next_becomes(None).await;

    scene.run("update asterisk_dids set number = '+14045550100'").await;
    scene.next_becomes(Some(did)).await;
}

#[tokio::test]
async fn what_was_changed_while_nobody_listened_is_seen_afterwards() {
    let mut scene = Scene::open().await;
    let deleted = scene.did(4045550100, None).await;
    let suspended = scene.did(4045550101, None).await;
    let new = DidId(Uuid::from_u128(1));
    scene.next_becomes(Some(deleted)).await;
    let place =
        format!("postgres://rotary@localhost/template1?host={}", scene.postgres.socket().display());
    let mut beside = PgConnection::connect(&place).await.unwrap();
    let shut = "alter database postgres allow_connections false";
    sqlx::raw_sql(shut).execute(&mut beside).await.unwrap();
    let listening = "from pg_stat_activity where query like 'LISTEN%'";

    scene.run(format!("select pg_terminate_backend(pid, 10000) {listening}")).await;
    let gone: bool = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) = 0 {listening}")))
        .fetch_one(&mut scene.psql)
        .await
        .unwrap();
    assert!(gone, "nobody listens");
    scene.run(many(1)).await;
    scene.run(format!("delete from asterisk_dids where id = '{deleted}'")).await;
    scene
        .run(format!("update asterisk_dids set status = 'suspended' where id = '{suspended}'"))
        .await;
    let open = "alter database postgres allow_connections true";
    sqlx::raw_sql(open).execute(&mut beside).await.unwrap();

    scene.next_becomes(Some(new)).await;
    let summary = Summary { active: 1, spent: 0, total: 2 };
    let shown = |index: &mut RotationIndex| index.summary(&TenantId::default_tenant()) == summary;
    scene.index_shows("one is new, one gone, one suspended", shown).await;
}

#[tokio::test]
async fn changes_are_heard_after_postgresql_was_restarted() {
    let mut scene = Scene::open().await;
    let did = scene.did(4045550100, None).await;

    scene.postgres.stop_immediate();
    scene.postgres.start();
    scene.psql = PgConnection::connect(&scene.postgres.url()).await.unwrap();
    scene.run("update asterisk_dids set status = 'suspended'").await;
    scene.next_becomes(None).await;

    scene.run("update asterisk_dids set status = 'active'").await;
    scene.next_becomes(Some(did)).await;
}

#[tokio::test]
async fn a_daemon_on_sqlite_learns_from_the_refusal_what_nobody_told_it() {
    let (house, _asterisk) = House::open_with(demo::Settings::default(), |_| {}).await;
    let did = json!({"number": "+14045550100", "status": "active"});
    house.ask(Ask::post("/api/asterisk-dids", &did)).await;
    let mut file = sqlx::SqliteConnection::connect(&house.path("rotary.db")).await.unwrap();
    let suspend = "update asterisk_dids set status = 'suspended'";
    sqlx::raw_sql(suspend).execute(&mut file).await.unwrap();

    let call = house.ask(Ask::post("/api/calls", &json!({"to": "+14155550123"}))).await;

    assert_eq!(call.problem(), (409, "no_available_did"));
    let summary = house.running.app.index.lock().summary(&TenantId::default_tenant());
    assert_eq!(summary, Summary { active: 0, spent: 0, total: 1 });
}

impl House {
    /// Starts it on this PostgreSQL, beside a simulated Asterisk.
    pub(crate) async fn open_on(postgres: &Postgres) -> Self {
        let settings = demo::Settings { pace: demo::callee::Pace::INSTANT, ..Default::default() };
        let url = postgres.url();
        Self::open_with(settings, |config| config.store = Settings::new(url)).await.0
    }
}

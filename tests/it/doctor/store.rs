//! A store that is broken on purpose.

use super::Examined;
use crate::postgres::{Fsync, Postgres};
use crate::rotary::Rotary;

#[tokio::test]
async fn a_postgres_that_can_lose_commits_and_has_no_number_to_pick_is_told() {
    let postgres = Postgres::new(Fsync::Off);
    let rotary = Rotary::new().set("DATABASE_URL", &postgres.url());

    let before = Examined::of(&rotary).await;
    let rotary = rotary.start().await;
    let empty = Examined::of(&rotary).await;
    rotary.json(&["dids", "add", "+14045556701", "--status", "active"]).await;
    let filled = Examined::of(&rotary).await;

    before.assert("store", "ok", &["PostgreSQL"]);
    before.assert("store tables", "ok", &["none yet"]);
    before.assert("active DIDs", "skipped", &[]);
    empty.assert("store tables", "ok", &["up to date"]);
    empty.assert("store durability", "failed", &["fsync is off", "postgresql.conf: fsync = on"]);
    empty.assert("active DIDs", "warning", &["no DID is active", "rotary dids import FILE"]);
    empty.assert("PostgreSQL's clock", "ok", &[]);
    filled.assert("active DIDs", "ok", &["1, on trunk PJSIP"]);
    assert_eq!(filled.code, 1);
}

#[tokio::test]
async fn a_postgres_that_is_not_there_or_lacks_the_database_is_told() {
    let mut postgres = Postgres::new(Fsync::On);
    let url = postgres.url();
    let stranger = Rotary::new().set("DATABASE_URL", &url.replace("/postgres?", "/nothere?"));
    let whole = Rotary::new().set("DATABASE_URL", &url);

    let no_database = Examined::of(&stranger).await;
    let durable = Examined::of(&whole).await;
    postgres.stop_immediate();
    let gone = Examined::of(&whole).await;

    no_database.assert("store", "failed", &["no database \"nothere\"", "createdb nothere"]);
    durable.assert("store durability", "ok", &[]);
    gone.assert("store", "failed", &["does not answer", "[store] url"]);
    gone.assert("store tables", "skipped", &["cannot be reached"]);
    gone.assert("active DIDs", "skipped", &["cannot be reached"]);
}

#[tokio::test]
async fn a_look_at_sqlite_makes_nothing_and_tells_what_is_no_database() {
    let rotary = Rotary::new();

    let none_yet = Examined::of(&rotary).await;
    let made_nothing = !rotary.state().exists();
    let file = rotary.file("other.db", "this is no database, and yet it is long enough to be one");
    let other = rotary.set("ROTARY_STORE__URL", &format!("sqlite:{file}"));
    let other = Examined::of(&other).await;

    none_yet.assert("store", "ok", &["rotary.db is not there yet"]);
    assert!(made_nothing, "the doctor made a state directory");
    other.assert("store", "failed", &["not a database"]);
}

//! Opening a store, and what an operator reads when it does not open.

use std::os::unix::fs::PermissionsExt;

use rotary::store::{OpenError, Settings, Store};
use sqlx::Connection;

use super::{on_sqlite, sqlite_url};
use crate::postgres::{Fsync, Postgres};

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again() {
    let own = on_sqlite().await;
    let dids = super::insert(&own, 2, None).await;
    own.store.close().await;

    let again = Store::open(&Settings::new(sqlite_url(&own.place))).await.unwrap();

    assert_eq!(again.did(&dids[0].tenant, dids[0].id).await.unwrap().as_ref(), Some(&dids[0]));
    assert_eq!(again.kind(), "sqlite");
    again.check().await.unwrap();
}

#[tokio::test]
async fn others_on_the_machine_cannot_read_who_was_called() {
    let place = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", place.path().join("rotary.db").display());
    let _store = Store::open(&Settings::new(url)).await.unwrap();

    for file in std::fs::read_dir(place.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{:?} has {mode:o}", file.file_name());
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let error = Store::open(&Settings::new("sqlite:/nowhere/rotary.db")).await.unwrap_err();

    assert!(matches!(error, OpenError::File { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/rotary.db"));
}

#[tokio::test]
async fn an_address_of_another_kind_is_refused_without_showing_it() {
    for url in ["mysql://u:geheim@h/d", "rotary.db", "sqlite:", "postgres://u:geheim@h:x/d"] {
        let error = Store::open(&Settings::new(url)).await.unwrap_err();

        assert!(matches!(error, OpenError::Address(_)), "{url}: {error}");
        assert!(!error.to_string().contains("geheim"));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let url = "postgres://rotary:geheim@127.0.0.1:1/rotary";

    let error = Store::open(&Settings::new(url)).await.unwrap_err();

    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"));
    assert!(!error.to_string().contains("geheim"));
}

#[tokio::test]
async fn a_missing_database_a_missing_user_and_a_newer_schema_are_told_apart() {
    let server = Postgres::new(Fsync::Off);
    let settings = |url: String| Settings::new(url);

    let other = server.url().replace("/postgres?", "/nowhere?");
    let error = Store::open(&settings(other)).await.unwrap_err();
    assert!(error.to_string().contains("createdb nowhere"), "{error}");

    let stranger = server.url().replace("rotary@", "stranger:geheim@");
    let error = Store::open(&settings(stranger)).await.unwrap_err();
    assert!(matches!(error, OpenError::Login { .. }), "{error}");
    assert!(!error.to_string().contains("geheim"));

    Store::open(&settings(server.url())).await.unwrap().close().await;
    let mut db = sqlx::PgConnection::connect(&server.url()).await.unwrap();
    let newer = "update _sqlx_migrations set version = 9999 \
         where version = (select max(version) from _sqlx_migrations)";
    sqlx::query(newer).execute(&mut db).await.unwrap();
    let error = Store::open(&settings(server.url())).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { schema: 9999 }), "{error}");
}

//! The conformance kit on the diesel store, with a private PostgreSQL.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use diesel::sql_query;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_store::DieselStore;
use keyfob::store::{StoreErrorKind, postgres::PostgresStore};
use keyfob::{Actor, Keyring, Name, NewToken, OwnerId, Pepper, Prefix, ProjectId, Tokens, conformance};
use port_support::{postgres, serves};

/// Returns a pool of this size in a new database with keyfob's schema, and the URL of the database.
async fn pool(server: &postgres::Server, size: usize) -> (Pool<AsyncPgConnection>, String) {
    let url = server.database();
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(&url);
    let pool = Pool::builder(manager).max_size(size).build().unwrap();
    for migration in PostgresStore::MIGRATIONS {
        pool.get().await.unwrap().batch_execute(migration.sql).await.unwrap();
    }
    (pool, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_every_law() {
    let Some(server) = postgres::shared() else { return };
    for size in [10, 1] {
        let store = DieselStore::new(pool(&server, size).await.0);
        conformance::token_store(&store).await.assert();
        conformance::maintenance(&store).await.assert();
        conformance::rules(&store).await.assert();
        serves(store).await;
    }
}

/// The laws hold in a database whose transactions are serializable by default, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_every_law_under_another_default_isolation() {
    let Some(server) = postgres::shared() else { return };
    let (pool, _) = pool(&server, 10).await;
    let sql = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', \
         current_database()); END $$";
    sql_query(sql).execute(&mut pool.get().await.unwrap()).await.unwrap();
    pool.retain(|_, _| false);
    let store = DieselStore::new(pool);
    conformance::token_store(&store).await.assert();
}

/// A process that freezes while it holds the turn of a project must not block the others forever.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_is_held_makes_the_project_unavailable_and_no_other() {
    let Some(server) = postgres::shared() else { return };
    let (pool, url) = pool(&server, 10).await;
    let mut frozen = AsyncPgConnection::establish(&url).await.unwrap();
    let turn = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('keyfob 145', 0))";
    frozen.batch_execute(turn).await.unwrap();
    let keyring = Keyring::new(Prefix::new("acme_pat").unwrap(), Pepper::generate().unwrap());
    let tokens = Tokens::new(keyring, DieselStore::new(pool));
    let issue = async |project: &str| {
        let (project, ada) = (ProjectId::new(project).unwrap(), OwnerId::new("ada").unwrap());
        tokens.issue(&Actor::from(&ada), NewToken::new(project, ada.clone(), Name::new("CI").unwrap())).await
    };
    let (held, free) = tokio::join!(issue("145"), issue("146"));
    free.unwrap();
    let error = held.unwrap_err();
    assert_eq!(error.store().unwrap().kind(), StoreErrorKind::Unavailable);
    drop(frozen);
    let freed = async { while issue("145").await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), freed).await.unwrap();
}

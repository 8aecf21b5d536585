//! SeaORM and keyfob use one pool.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use port_support::{postgres, serves};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

/// Returns the number of tokens that SeaORM sees.
async fn count(database: &DatabaseConnection) -> i64 {
    let sql = Statement::from_string(database.get_database_backend(), "SELECT count(*) AS tokens FROM keyfob_tokens");
    database.query_one_raw(sql).await.unwrap().unwrap().try_get("", "tokens").unwrap()
}

#[tokio::test]
async fn a_postgres_store_on_the_pool_of_seaorm() {
    let Some(server) = postgres::shared() else { return };
    let (database, store) = seaorm::on_postgres(&server.database()).await.unwrap();
    serves(&store).await;
    assert_eq!(count(&database).await, 1);
    database.close().await.unwrap();
    assert!(store.pool().is_closed());
}

#[tokio::test]
async fn a_sqlite_store_on_the_pool_of_seaorm() {
    let folder = tempfile::tempdir().unwrap();
    let (database, store) = seaorm::on_sqlite(&folder.path().join("host.db")).await.unwrap();
    serves(&store).await;
    assert_eq!(count(&database).await, 1);
}

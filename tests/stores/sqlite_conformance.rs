//! Checks that the SQLite store keeps every law, whether the kit gets the store by value, by
//! reference, in an `Arc`, in a `Box`, as a `DynStore`, or with a pool of one connection.

use std::sync::Arc;

use keyfob::store::{DynStore, sqlite::SqliteStore};
use sqlx::sqlite::SqlitePoolOptions;
use tempfile::TempDir;

use crate::support::kit::keeps_every_law;
#[cfg(feature = "serde")]
use crate::support::kit::serves_texts_of_an_earlier_rule;

async fn opened() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    (store, folder)
}

#[tokio::test]
async fn by_value() {
    let (store, _folder) = opened().await;
    keeps_every_law(store).await;
}

#[tokio::test]
async fn by_reference() {
    let (store, _folder) = opened().await;
    keeps_every_law(&store).await;
}

#[tokio::test]
async fn in_an_arc() {
    let (store, _folder) = opened().await;
    keeps_every_law(Arc::new(store)).await;
}

#[tokio::test]
async fn in_a_box() {
    let (store, _folder) = opened().await;
    keeps_every_law(Box::new(store)).await;
}

#[tokio::test]
async fn on_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteStore::connect_options(folder.path().join("tokens.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = SqliteStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    keeps_every_law(store).await;
}

#[tokio::test]
async fn erased() {
    let (store, _folder) = opened().await;
    keeps_every_law(DynStore::with_imports(store)).await;
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn texts_of_an_earlier_rule_are_served() {
    let (store, _folder) = opened().await;
    serves_texts_of_an_earlier_rule(store).await;
}

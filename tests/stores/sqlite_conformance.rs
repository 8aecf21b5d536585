//! Checks that the SQLite store keeps every law, whether the kit gets the store by value, as a
//! `DynStore`, with a pool of one connection, or as two handles on one file.

use keyfob::conformance::Handles;
use keyfob::store::{DynStore, sqlite::SqliteStore};
use sqlx::sqlite::SqlitePoolOptions;
use tempfile::TempDir;

#[cfg(feature = "serde")]
use crate::support::kit::serves_texts_of_an_earlier_rule;
use crate::support::kit::{World, keeps_every_law};

async fn opened() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    (store, folder)
}

mod by_value {
    use super::*;

    async fn world() -> Option<World<SqliteStore>> {
        let (store, folder) = opened().await;
        World::new(store, folder)
    }

    each_law!([token_store, maintenance, import, rules], SqliteStore, world().await);
}

#[tokio::test]
async fn erased() {
    let (store, _folder) = opened().await;
    keeps_every_law(DynStore::with_imports(store)).await;
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

mod with_two_handles {
    use super::*;

    async fn handles() -> Option<World<Handles<SqliteStore, SqliteStore>>> {
        let (first, folder) = opened().await;
        let second = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
        World::new(Handles::new(first, second), folder)
    }

    each_law!([shared, shared_maintenance, shared_import], Handles<SqliteStore, SqliteStore>, handles().await);
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn texts_of_an_earlier_rule_are_served() {
    let (store, _folder) = opened().await;
    serves_texts_of_an_earlier_rule(store).await;
}

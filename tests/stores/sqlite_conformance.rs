//! Checks that the SQLite store keeps every law, with a pool of several connections, with a pool of
//! one connection, and as two handles on one file.

use keyfob::conformance::Handles;
use keyfob::store::sqlite::SqliteStore;
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

mod on_a_pool {
    use super::*;

    async fn world() -> Option<World> {
        let (store, folder) = opened().await;
        World::new(store, folder)
    }

    each_law!([token_store, maintenance, import, rules], world().await);
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

    async fn handles() -> Option<World> {
        let (first, folder) = opened().await;
        let second = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
        World::new(Handles::new(first, second), folder)
    }

    each_law!([shared, shared_maintenance, shared_import], handles().await);
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn texts_of_an_earlier_rule_are_served() {
    let (store, _folder) = opened().await;
    serves_texts_of_an_earlier_rule(store).await;
}

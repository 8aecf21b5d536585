//! Checks that the SQLite store keeps every law, whether the kit gets the store by value, in an
//! `Arc`, in a `Box`, as a `DynStore`, with a pool of one connection, or as two handles on one
//! file.

use std::sync::Arc;

use keyfob::conformance::Handles;
use keyfob::store::{DynStore, sqlite::SqliteStore};
use sqlx::sqlite::SqlitePoolOptions;
use tempfile::TempDir;

use crate::support::kit::World;
#[cfg(feature = "serde")]
use crate::support::kit::serves_texts_of_an_earlier_rule;

async fn opened() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    (store, folder)
}

/// Returns a world with a store that `wrap` makes of a store in a new file.
async fn world<S>(wrap: impl FnOnce(SqliteStore) -> S) -> Option<World<S>> {
    let (store, folder) = opened().await;
    World::new(wrap(store), folder)
}

mod by_value {
    use super::*;

    each_law!([token_store, maintenance, import, rules], SqliteStore, world(|store| store).await);
}

mod in_an_arc {
    use super::*;

    each_law!([token_store, maintenance, import, rules], Arc<SqliteStore>, world(Arc::new).await);
}

mod in_a_box {
    use super::*;

    each_law!([token_store, maintenance, import, rules], Box<SqliteStore>, world(Box::new).await);
}

mod erased {
    use super::*;

    each_law!([token_store, maintenance, import, rules], DynStore, world(DynStore::with_imports).await);
}

mod on_one_connection {
    use super::*;

    async fn with_one_connection() -> Option<World<SqliteStore>> {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteStore::connect_options(folder.path().join("tokens.db")).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let store = SqliteStore::from_pool(pool).await.unwrap();
        store.migrate().await.unwrap();
        World::new(store, folder)
    }

    each_law!([token_store, maintenance, import, rules], SqliteStore, with_one_connection().await);
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

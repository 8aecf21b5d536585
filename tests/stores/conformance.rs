//! Checks that the store in memory keeps every law. The conformance kit gets the store by value, by
//! reference, in an `Arc`, in a `Box`, and as a `DynStore`. By value, each law is a test of its
//! own.

use std::sync::Arc;

use keyfob::{MemoryStore, conformance, store::DynStore};

use crate::support::kit::keeps_every_law;

mod memory_by_value {
    use super::*;

    conformance::for_each_law! {
        #[tokio::test]
        laws = [token_store, maintenance, import, rules],
        store = MemoryStore::new(),
    }
}

mod memory_with_two_handles {
    use super::*;

    async fn handles() -> conformance::Handles<Arc<MemoryStore>, Arc<MemoryStore>> {
        let store = Arc::new(MemoryStore::new());
        conformance::Handles::new(Arc::clone(&store), store)
    }

    conformance::for_each_law! {
        #[tokio::test]
        laws = [shared, shared_maintenance, shared_import],
        store = handles().await,
    }
}

#[tokio::test]
async fn memory_by_reference() {
    keeps_every_law(&MemoryStore::new()).await;
}

#[tokio::test]
async fn memory_in_an_arc() {
    keeps_every_law(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn memory_in_a_box() {
    keeps_every_law(Box::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn memory_erased() {
    keeps_every_law(DynStore::with_imports(MemoryStore::new())).await;
}

/// A host may spawn the conformance kit as a task, so its future must be `Send`.
#[tokio::test(flavor = "multi_thread")]
async fn memory_in_a_task_of_its_own() {
    tokio::spawn(async { keeps_every_law(MemoryStore::new()).await }).await.unwrap();
    let store = Arc::new(MemoryStore::new());
    tokio::spawn(async move {
        conformance::shared(&store, &store).await.assert();
        conformance::shared_maintenance(&store, &store).await.assert();
        conformance::shared_import(&store, &store).await.assert();
    })
    .await
    .unwrap();
}

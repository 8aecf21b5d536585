//! Checks that the store in memory keeps every law, by value and behind a reference, an `Arc`, a
//! `Box` and a `DynStore`. By value, each law is a test of its own.

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

/// A reference, an `Arc`, a `Box` and a `DynStore` forward every call to their store. A host may
/// spawn the conformance kit as a task, so its future must be `Send`.
#[tokio::test(flavor = "multi_thread")]
async fn memory_behind_each_pointer_in_a_task_of_its_own() {
    let store: &'static MemoryStore = Box::leak(Box::default());
    let store = DynStore::with_imports(Box::new(Arc::new(store)));
    tokio::spawn(async move {
        conformance::shared(&store, &store).await.assert();
        conformance::shared_maintenance(&store, &store).await.assert();
        conformance::shared_import(&store, &store).await.assert();
        keeps_every_law(store).await;
    })
    .await
    .unwrap();
}

//! Checks that the store in memory keeps every law. The conformance kit gets the store by value, by
//! reference, in an `Arc`, in a `Box`, and as a `DynStore`. Each law is a test of its own.

use keyfob::{MemoryStore, conformance};

use crate::support::kit::World;

mod memory_by_value {
    use super::*;

    conformance::for_each_law! {
        #[tokio::test]
        laws = [token_store, maintenance, import, rules],
        store = MemoryStore::new(),
    }
}

mod memory_by_reference {
    use super::*;

    conformance::for_each_law! {
        #[tokio::test]
        laws = [token_store, maintenance, import, rules],
        store = &MemoryStore::new(),
    }
}

mod memory_in_an_arc {
    use std::sync::Arc;

    use super::*;

    each_law!([token_store, maintenance, import, rules], Arc<MemoryStore>, World::new(Arc::default(), ()));
}

mod memory_in_a_box {
    use super::*;

    each_law!([token_store, maintenance, import, rules], Box<MemoryStore>, World::new(Box::default(), ()));
}

mod memory_erased {
    use keyfob::store::DynStore;

    use super::*;

    each_law!(
        [token_store, maintenance, import, rules],
        DynStore,
        World::new(DynStore::with_imports(MemoryStore::new()), ())
    );
}

mod memory_with_two_handles {
    use std::sync::Arc;

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

/// A host may spawn the conformance kit as a task, so its future must be `Send`.
#[tokio::test(flavor = "multi_thread")]
async fn memory_in_a_task_of_its_own() {
    tokio::spawn(async { crate::support::kit::keeps_every_law(MemoryStore::new()).await }).await.unwrap();
    let store = std::sync::Arc::new(MemoryStore::new());
    tokio::spawn(async move {
        conformance::shared(&store, &store).await.assert();
        conformance::shared_maintenance(&store, &store).await.assert();
        conformance::shared_import(&store, &store).await.assert();
    })
    .await
    .unwrap();
}

//! Checks that the store in memory keeps every law. The conformance kit gets the store by value, by
//! reference, in an `Arc`, in a `Box`, and as a `DynStore`.

use std::sync::Arc;

use keyfob::{MemoryStore, store::DynStore};

use crate::support::kit::keeps_every_law;

#[tokio::test]
async fn memory_by_value() {
    keeps_every_law(MemoryStore::new()).await;
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
}

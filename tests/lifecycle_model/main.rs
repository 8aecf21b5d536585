//! Random histories of all verbs with a moving clock, against a plain model of a token's life.
//!
//! A failing history shrinks, and is printed as the list of its steps.

mod model;
mod step;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyfob::{MemoryStore, SqliteStore, StoreMaintenance, TokenStore};
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};
use world::World;

/// What must have run on each store.
const STEPS: usize = 100_000;
const LENGTH: usize = 120;

/// Runs histories until there are enough steps, each on the store that `fresh` gives.
fn histories<S: TokenStore + StoreMaintenance + Clone>(fresh: impl AsyncFn() -> S) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let count = AtomicUsize::new(0);
    // A history has three quarters of the greatest length in the mean.
    let cases = (STEPS * 7 / 5 / LENGTH) as u32;
    let config = Config { cases, max_shrink_iters: 2000, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&vec(step::step(), LENGTH / 2..LENGTH), |steps| {
        count.fetch_add(steps.len(), Ordering::Relaxed);
        runtime.block_on(async {
            let mut world = World::new(fresh().await);
            for step in steps {
                world.take(step).await?;
            }
            world.compare_all().await
        })
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
    let count = count.into_inner();
    println!("{count} steps");
    assert!(count >= STEPS, "{count} steps only");
}

#[test]
fn on_memory() {
    histories(async || Arc::new(MemoryStore::new()));
}

#[test]
fn on_sqlite() {
    let shared = std::path::Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();
    let path = folder.path().join("tokens.db");
    let store = tokio::sync::OnceCell::new();
    histories(async || {
        let store: &SqliteStore = store.get_or_init(async || SqliteStore::open(&path).await.unwrap()).await;
        // One file for all histories: opening one takes longer than living in it.
        sqlx::query("DELETE FROM keyfob_tokens").execute(store.pool()).await.unwrap();
        store.clone()
    });
}

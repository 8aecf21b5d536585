//! Random histories of all verbs of `Tokens`, against a model that tells the same laws in plain words: each verb must give what
//! the model says, and leave every token as the model has it. A history that does not is shrunk to the few acts that matter.
//!
//! `KEYFOB_SEED=<number>` runs the histories of an earlier run once more.

mod act;
mod model;
mod service;

use std::cell::Cell;
use std::env;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keyfob::{MemoryStore, SqliteStore, StoreMaintenance, TokenStore};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use act::{Act, DAY, Step};
use model::{Lives, Model, Rules};
use service::Service;

const HISTORIES: u32 = 1_400;
const STEPS: u64 = 100_000;
/// 2026-11-23T12:00:00Z. Any time will do.
const BEGIN: i64 = 1_795_435_200_000;

/// Goes through one history, and gives how many acts it had. The error tells all of them, up to the one that went wrong.
async fn live<S>(store: S, steps: &[Step]) -> Result<u64, String>
where
    S: TokenStore + StoreMaintenance + Clone,
{
    let lives = Lives { min: 0, max: 366 * DAY, default: 30 * DAY, never: true };
    let rules = Rules { human: lives, service: lives, most_live: None, max_unused: None };
    let mut model = Model::new(BEGIN, rules);
    let mut service = Service::new(store, BEGIN, &rules);
    let mut history = String::new();
    let mut count = 0;
    for step in steps {
        let Some(act) = Act::of(*step, &model) else { continue };
        count += 1;
        let expected = model.act(&act);
        if let Act::SetPolicy(rules) = &act {
            service = service.with_policy(rules);
        }
        let outcome = service.act(&act).await;
        history += &format!("{act:?}: {outcome}\n");
        if outcome != expected {
            return Err(format!("{history}but the model says {expected}"));
        }
        let (made, id) = service.newest();
        if made != model.tokens.len() {
            return Err(format!("{history}but there are {made} tokens, not {}", model.tokens.len()));
        }
        if let Some(newest) = model.tokens.last_mut() {
            newest.id = id;
        }
        for (place, (row, verified)) in service.shown().await.into_iter().enumerate() {
            let expected = model.kept[place].then(|| model.tokens[place].clone());
            if row != expected {
                return Err(format!("{history}token {place} is\n{row:?}\nbut in the model\n{expected:?}"));
            }
            let alive = model.alive(place).err().unwrap_or("done");
            if verified != alive {
                return Err(format!("{history}token {place} is {verified}, but in the model {alive}"));
            }
        }
    }
    Ok(count)
}

/// Runs all histories, each on a store that is empty.
fn run(mut history: impl FnMut(&[Step]) -> Result<u64, String>) {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = env::var("KEYFOB_SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
    println!("KEYFOB_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: HISTORIES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let count = Cell::new(0);
    let history = std::cell::RefCell::new(&mut history);
    let outcome = runner.run(&vec((0..100u8, any::<[u8; 6]>()), 60..=110), |steps| {
        let lived = (history.borrow_mut())(&steps).map_err(TestCaseError::fail)?;
        count.set(count.get() + lived);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, _)) => panic!("KEYFOB_SEED={seed}\n{why}"),
        Err(other) => panic!("KEYFOB_SEED={seed}\n{other}"),
    }
    println!("{} steps", count.get());
    assert!(count.get() >= STEPS, "{} steps", count.get());
}

#[test]
fn histories_in_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    run(|steps| runtime.block_on(live(Arc::new(MemoryStore::new()), steps)));
}

#[test]
fn histories_on_sqlite() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Where a sync costs nothing, if there is such a place.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let store = runtime.block_on(SqliteStore::open(folder.path().join("tokens.db"))).unwrap();
    run(|steps| {
        runtime.block_on(async {
            sqlx::query("DELETE FROM keyfob_tokens").execute(store.pool()).await.unwrap();
            live(store.clone(), steps).await
        })
    });
}

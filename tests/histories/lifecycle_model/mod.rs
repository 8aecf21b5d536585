//! Random histories of operations on `Tokens`, compared with a model that states the same rules in
//! a simpler way. After each operation, the result and every token must be as in the model. If a
//! history differs from the model, proptest shrinks the history to the few operations that cause
//! the difference.
//!
//! The histories also suspend owners, set clocks back, import the same old token repeatedly, and
//! use delegations many steps after they were obtained. Half of the histories are about tokens that
//! issue tokens, in chains of up to three issuers. In these histories, issuers are also narrowed,
//! disabled, enabled, rotated and revoked.
//!
//! `KEYFOB_SEED=<number>` repeats the histories of an earlier run. `KEYFOB_TEST_SIZE=full` runs 20
//! times as many histories.

mod act;
mod managing;
mod model;
mod service;
mod tally;
mod token;

use std::cell::{Cell, RefCell};
use std::env;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use keyfob::{
    MemoryStore,
    store::{DynStore, sqlite::SqliteStore},
};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use act::{Act, DAY, PARTS, Step};
use model::{Engine, Model, UNDECIDED};
use service::Service;
use tally::{Tally, kind};
use token::{Lives, Rules};

#[cfg(feature = "redis")]
use crate::support::redis::Servers;
use crate::support::size::is_full;

/// The number of histories on the in-memory store. Together they must reach every outcome of every
/// kind of operation.
const HISTORIES: u32 = 1_650;
/// The minimum number of steps in all histories together.
const STEPS: u64 = 60_000;
/// The divisor of [`HISTORIES`] for each store other than `MemoryStore`. Such a store runs fewer
/// histories, so they must reach only the outcomes that are not rare.
const ONE_OF: u32 = 20;
/// The time at which each history begins, 2026-11-23T12:00:00Z in milliseconds. Any other time
/// would do.
const BEGIN: i64 = 1_795_435_200_000;

/// The properties of an engine with imports.
const IMPORTING: Engine = Engine { imports: true, leaves_ended: true, names_due: true };
/// The properties of Redis. A revocation covers the whole group, including tokens that ended long
/// ago.
#[cfg(feature = "redis")]
const REDIS: Engine = Engine { imports: false, leaves_ended: false, names_due: false };

/// Runs one history and counts its operations. Returns an error if the outcome of an operation, or
/// the tokens after it, differ from the model. The error lists this operation and all operations
/// before it.
async fn live(store: &DynStore, engine: Engine, steps: &[Step], tally: &mut Tally) -> Result<(), String> {
    let lives = Lives { min: 0, max: 366 * DAY, default: 30 * DAY, never: true };
    // In three of four histories, a chain may have three issuers.
    let max_depth = steps.first().map_or(1, |(_, bytes)| [1, 3, 3, 3][usize::from(bytes[5] % 4)]);
    let (human, service, agent) = (lives, lives, Lives { default: 20 * DAY, ..lives });
    let rules = Rules { human, service, agent, most_live: None, most_issued: 4, max_depth, max_unused: None };
    let chains = steps.first().is_some_and(|(_, bytes)| bytes[4] % 2 == 0);
    let mut model = Model::new(BEGIN, rules, engine, chains);
    let mut service = Service::new(store, &engine, BEGIN, &rules);
    let mut history = String::new();
    let first = (0..if chains { Act::FIRST } else { 0 }).map(Err);
    for step in first.chain(steps.iter().map(Ok)) {
        let act = match step {
            Ok(step) => Act::of(*step, &model),
            Err(number) => Act::first(number, &model),
        };
        let Some(act) = act else { continue };
        let kind = kind(&act, &model);
        let expected = model.act(&act);
        if let Act::SetPolicy(rules) = &act {
            service = service.with_policy(rules);
        }
        let outcome = service.act(&act).await;
        let told = format!("{act:?}: {outcome}\n");
        tally.add(&kind, &outcome);
        history += &told;
        if outcome != expected {
            return Err(format!("{history}but the model says {expected}"));
        }
        let (made, id) = service.newest();
        if made != model.tokens.len() {
            return Err(format!("{history}but there are {made} tokens instead of {}", model.tokens.len()));
        }
        if let Some(newest) = model.tokens.last_mut() {
            newest.id = id;
        }
        for (place, (row, verified)) in service.shown(act.writes()).await.into_iter().enumerate() {
            if let (Some((_, reason)), Some(Some((_, told)))) =
                (&mut model.tokens[place].revoked, row.as_ref().map(|row| row.revoked))
                && *reason == UNDECIDED
            {
                *reason = told;
            }
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
    Ok(())
}

/// Runs random histories, each on an empty store. Their number is `HISTORIES / one_of`, or 20 times
/// that number at full size.
fn run(imports: bool, one_of: u32, history: impl Fn(&[Step], &mut Tally) -> Result<(), String>) {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = env::var("KEYFOB_SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
    println!("KEYFOB_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let (cases, one_of) = if is_full() { (20 * HISTORIES / one_of, 1) } else { (HISTORIES / one_of, one_of) };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (tally, found_after) = (RefCell::new(Tally::default()), Cell::new(None));
    let outcome = runner.run(&vec((0..PARTS, any::<[u8; 6]>()), 0..=150), |steps| {
        let outcome = history(&steps, &mut tally.borrow_mut());
        outcome.map_err(|why| {
            // Keeps the number of steps before the first failure. Later failures are from
            // shrinking.
            found_after.set(found_after.get().or(Some(tally.borrow().steps())));
            TestCaseError::fail(why)
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, _)) => {
            panic!("KEYFOB_SEED={seed}, found after {} steps\n{why}", found_after.get().unwrap())
        }
        Err(other) => panic!("KEYFOB_SEED={seed}\n{other}"),
    }
    let tally = tally.into_inner();
    tally.judge(imports, u64::from(one_of));
    assert!(tally.steps() >= STEPS / u64::from(one_of), "{} steps", tally.steps());
}

#[test]
fn histories_in_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    run(true, 1, |steps, tally| {
        runtime.block_on(live(&DynStore::with_imports(MemoryStore::new()), IMPORTING, steps, tally))
    });
}

#[test]
fn histories_on_sqlite() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Uses a folder in memory if the system has one, because a sync costs nothing there.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let store = runtime.block_on(SqliteStore::open(folder.path().join("tokens.db"))).unwrap();
    let erased = DynStore::with_imports(store.clone());
    run(true, ONE_OF, |steps, tally| {
        runtime.block_on(async {
            sqlx::query("DELETE FROM keyfob_tokens").execute(store.pool()).await.unwrap();
            live(&erased, IMPORTING, steps, tally).await
        })
    });
}

#[cfg(feature = "postgres")]
#[test]
fn histories_on_postgres() {
    let Some(server) = crate::support::postgres::shared() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(server.store());
    let erased = DynStore::with_imports(store.clone());
    run(true, ONE_OF, |steps, tally| {
        runtime.block_on(async {
            for table in ["DELETE FROM keyfob_tokens", "DELETE FROM keyfob_imports"] {
                sqlx::query(table).execute(store.pool()).await.unwrap();
            }
            live(&erased, IMPORTING, steps, tally).await
        })
    });
}

#[cfg(feature = "mysql")]
#[test]
fn histories_on_mariadb() {
    let Some(server) = crate::support::mariadb::shared() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(server.store());
    let erased = DynStore::with_imports(store.clone());
    run(true, ONE_OF, |steps, tally| {
        runtime.block_on(async {
            sqlx::query("DELETE FROM keyfob_tokens").execute(store.pool()).await.unwrap();
            live(&erased, IMPORTING, steps, tally).await
        })
    });
}

#[cfg(feature = "redis")]
#[test]
fn histories_on_a_redis_cluster() {
    // This test needs its own cluster, because each history begins with an empty one.
    let Some(servers) = Servers::cluster(0) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = DynStore::new(runtime.block_on(servers.store()));
    let open = |url: String| redis::Client::open(url).unwrap().get_connection().unwrap();
    let masters = RefCell::new(servers.urls().into_iter().map(open).collect::<Vec<_>>());
    run(false, ONE_OF, |steps, tally| {
        for master in &mut *masters.borrow_mut() {
            redis::cmd("FLUSHALL").exec(master).unwrap();
        }
        runtime.block_on(live(&store, REDIS, steps, tally))
    });
}

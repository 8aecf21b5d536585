//! The database engines that the benchmark measures.
//!
//! The benchmark starts each engine only for the measurement, and fills it with tokens as fast as
//! possible. It also reads records directly, without the store. The time of such a read is the
//! floor: no store can be faster.

pub mod mariadb;
pub mod postgres;
pub mod redis;
mod row;
pub mod sqlite;

use std::ops::Range;
use std::path::Path;

use keyfob::{TokenKey, TokenStore, store::StoreMaintenance};

use super::tokens::Population;

#[path = "../../../tests/support/mariadb.rs"]
#[allow(dead_code, reason = "the benchmark uses only a part of this module")]
mod mariadb_server;
#[path = "../../../tests/support/postgres.rs"]
#[allow(dead_code, reason = "the benchmark uses only a part of this module")]
mod postgres_server;
#[path = "../../../tests/support/process.rs"]
#[allow(dead_code, reason = "the benchmark uses only a part of this module")]
mod process;
#[path = "../../../tests/support/redis.rs"]
#[allow(dead_code, reason = "the benchmark uses only a part of this module")]
mod redis_server;

/// The folder for the data of the engines. It is on a disk, because the data may not fit into
/// memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// The label of a figure: the space per token in a table whose rows were inserted one by one in
/// random order. Such a table is less dense than a table that was filled in order and then indexed.
const GROWN: &str = "on disk, inserted in random order (up to 200,000 tokens)";

/// A running database engine, and a store that uses it. [`load`](Engine::load) adds tokens. The
/// engine then contains the same data as if the store had inserted each token.
pub trait Engine: Sized {
    type Store: TokenStore + StoreMaintenance + Clone;

    /// The name of the engine.
    const NAME: &'static str;
    /// The maximum number of tokens with which the engine is measured.
    const MOST: u64;
    /// A description of the read that no store on this engine can avoid.
    const FLOOR: &'static str;
    /// The upper limits of two ratios, or `None` if the engine has no limits. The first limit is
    /// for the time of a verification without a cache, divided by the time of the read that
    /// [`FLOOR`](Self::FLOOR) describes. The second limit is for the time of a verification through
    /// a cache, divided by the time of a verification on a `MemoryStore`.
    const AT_MOST: Option<(f64, f64)>;

    /// Starts the engine without tokens. Returns `None` if the engine is not installed.
    async fn start() -> Option<Self>;

    /// Returns the name and the version of the engine.
    async fn version(&self) -> String;

    /// Adds the tokens of these projects. The range begins where the range of the previous call
    /// ended.
    async fn load(&mut self, population: &Population, projects: Range<u64>);

    fn store(&self) -> &Self::Store;

    /// Reads the record of a token over the same kind of connection that the store uses, and
    /// discards the record.
    async fn read_barely(&self, key: &TokenKey);

    /// Returns the space per token in bytes, measured in several ways. Each figure comes with a
    /// label that says how it was measured.
    async fn room(&mut self, tokens: u64) -> Vec<(&'static str, f64)>;

    /// Stops the engine and deletes its data.
    async fn stop(self);
}

/// Returns the total size of all files below a folder, in bytes.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let bytes = entries.map(|entry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => bytes_in(&entry.path()),
        metadata => metadata.len(),
    });
    bytes.sum()
}

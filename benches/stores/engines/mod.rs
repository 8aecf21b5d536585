//! The engines. Each is started only for the benchmark, filled quickly, and read as directly as
//! possible to measure its floor.

pub mod postgres;
pub mod redis;
mod row;
pub mod sqlite;

use std::ops::Range;
use std::path::Path;

use keyfob::{TokenKey, TokenStore};

use super::tokens::Population;

#[path = "../../../tests/support/postgres.rs"]
#[allow(dead_code, reason = "the benchmark uses a part of it")]
mod postgres_server;
#[path = "../../../tests/support/redis.rs"]
#[allow(dead_code, reason = "the benchmark uses a part of it")]
mod redis_server;

/// The folder for the data of the engines. It is on a disk, because the data may outgrow memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// The label of the space per token in a table that grew row by row, in random order. Such a table
/// is less dense than a table that was filled in order and indexed afterwards.
const GROWN: &str = "on disk, inserted in random order (up to 200,000 tokens)";

/// A running engine, with a store on it. The data are the same as after inserts through the store.
pub trait Engine: Sized {
    type Store: TokenStore + Clone;

    /// The name of the engine.
    const NAME: &'static str;
    /// The largest number of tokens with which the engine is measured.
    const MOST: u64;
    /// A description of the read that no store on this engine can avoid.
    const FLOOR: &'static str;
    /// The upper limits of two ratios, if the engine has limits. The first is for a verification
    /// without a cache, compared with the floor. The second is for a verification through a cache,
    /// compared with a `MemoryStore`.
    const AT_MOST: Option<(f64, f64)>;

    /// Starts the engine without tokens. Returns `None` if the engine is not installed.
    async fn start() -> Option<Self>;

    /// Returns the name and the version of the engine.
    async fn version(&self) -> String;

    /// Adds the tokens of these projects. Their numbers continue those of the projects added
    /// before.
    async fn load(&mut self, population: &Population, projects: Range<u64>);

    fn store(&self) -> &Self::Store;

    /// Reads the record of a token over the same kind of connection as the store, and discards it.
    async fn read_barely(&self, key: &TokenKey);

    /// Returns the bytes per token, counted in several ways. Each figure has a label.
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

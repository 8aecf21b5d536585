//! The engines: each started for the benchmark alone, filled quickly, and asked as barely as it can be.

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

/// On a disk, as what is stored outgrows memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// What is filled in order and indexed afterwards is as dense as can be; what grows is not.
const GROWN: &str = "on disk, inserted in no order (up to 200,000 of them)";

/// An engine that runs, with a store on it that is as its own inserts would have left it.
pub trait Engine: Sized {
    type Store: TokenStore + Clone;

    /// Its name.
    const NAME: &'static str;
    /// The most tokens that it is measured with.
    const MOST: u64;
    /// What no store on it can avoid.
    const FLOOR: &'static str;
    /// How often the floor's time a verification may take without a cache, and how often that of a `MemoryStore` behind one, where
    /// somebody has said so.
    const AT_MOST: Option<(f64, f64)>;

    /// With no token; `None` where it is not installed.
    async fn start() -> Option<Self>;

    /// Its name and version.
    async fn version(&self) -> String;

    /// Adds the tokens of these projects, which follow those that it has.
    async fn load(&mut self, population: &Population, projects: Range<u64>);

    fn store(&self) -> &Self::Store;

    /// Reads a token's row over the store's own kind of connection, and does nothing with it.
    async fn read_barely(&self, key: &TokenKey);

    /// The bytes that a token takes, in several ways of counting.
    async fn room(&mut self, tokens: u64) -> Vec<(&'static str, f64)>;

    /// Ends it, and gives its disk back.
    async fn stop(self);
}

/// The bytes of all files below a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let bytes = entries.map(|entry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => bytes_in(&entry.path()),
        metadata => metadata.len(),
    });
    bytes.sum()
}

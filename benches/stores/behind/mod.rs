//! Compares the engines behind the cache with a `MemoryStore` behind the same cache, and measures
//! what causes the gaps.
//!
//! All engines hold the same tokens and get the same requests. The requests that a cache serves run
//! the same code on each engine. If they take longer on an engine, the causes can be:
//! - the requests that wait for the store. They are counted, and measured separately.
//! - processor caches that have become cold while a request waited. So the hits are compared with
//!   the same hits on a `MemoryStore`, if the thread sleeps there for as long as a request waited.
//! - other threads and programs that interrupt the thread, such as those of the engine. The
//!   benchmark counts the interruptions.
//! - work of the engine in the background. So the same hits are measured once more when all of them
//!   are in the cache, and the store has no calls.

mod load;

use std::sync::Arc;

use keyfob::{MemoryStore, Tokens, store::cache::Cached};

use self::load::{Request, play, play_held};
use super::cost::IN_PROJECT;
use super::engines::Engine;
use super::measure::{median, number, progress, time};
use super::table::Table;
use super::tokens::Population;
use super::zipf::Zipf;

/// The number of tokens in each engine.
pub const TOKENS: u64 = 1_000_000;
/// The number of entries in the cache.
const ENTRIES: u64 = Cached::<MemoryStore>::ENTRIES as u64;
/// The number of requests after a wait whose hits are not counted as far from a wait.
const NEAR: usize = 16;

/// The `MemoryStore`s that the engines are compared with.
pub struct Memory {
    tokens: u64,
    alone: Tokens<MemoryStore>,
    /// Another store with the same tokens. If both services shared their records, the service that
    /// comes second would find them in the processor's caches.
    behind: Arc<MemoryStore>,
}

impl Memory {
    /// Creates the stores with the first `tokens` tokens of the population.
    pub async fn with(population: &Population, tokens: u64) -> Self {
        progress(&format!("inserting {} tokens into two MemoryStores", number(tokens)));
        let projects = tokens / IN_PROJECT;
        let alone = population.tokens(population.in_memory(0..projects).await);
        Self { tokens, alone, behind: Arc::new(population.in_memory(0..projects).await) }
    }
}

/// The place of a request relative to the requests that waited for the engine.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    /// The request waited for the engine.
    Wait,
    /// The cache served the request directly after a request that waited.
    After,
    /// The cache served the request soon after a request that waited.
    Near,
    /// The cache served the request, and all of the last [`NEAR`] requests.
    Far,
}

/// Returns the place of each request of a batch.
pub fn places(engine: &[Request]) -> Vec<Place> {
    // The requests of the other services ran before the batch, so its first requests count as near.
    let mut since = 1;
    let places = engine.iter().map(|request| {
        since = if request.waited { 0 } else { since + 1 };
        match since {
            0 => Place::Wait,
            1 => Place::After,
            2..=NEAR => Place::Near,
            _ => Place::Far,
        }
    });
    places.collect()
}

/// The measured requests of one load. All vectors have one element for each request.
#[derive(Default)]
pub struct Played {
    places: Vec<Place>,
    engine: Vec<f64>,
    cached: Vec<f64>,
    alone: Vec<f64>,
    /// The `MemoryStore` behind the cache, with a sleep before each request that waited for the
    /// engine. The sleep takes as long as the wait.
    slept: Vec<f64>,
    /// How often another program interrupted the thread during the requests on the engine, on the
    /// `MemoryStore` behind the cache, and on the `MemoryStore` alone.
    interruptions: [u64; 3],
}

impl Played {
    /// Returns the times of those requests whose place is wanted.
    fn times(&self, times: &[f64], wanted: impl Fn(Place) -> bool) -> Vec<f64> {
        self.places.iter().zip(times).filter(|(place, _)| wanted(**place)).map(|(_, took)| *took).collect()
    }
}

/// Measures one engine with as many tokens as `memory` holds. Returns `None` if the engine is not
/// installed.
pub async fn measure<E: Engine>(memory: &Memory, population: &Population) -> Option<Table> {
    let mut engine = E::start().await?;
    progress(&format!("loading {} tokens into {}", number(memory.tokens), E::NAME));
    engine.load(population, 0..memory.tokens / IN_PROJECT).await;
    let title = format!("{} behind the cache: {} tokens", engine.version().await, number(memory.tokens));
    let head = ["requests", "share", E::NAME, "MemoryStore behind the cache", "ratio", "MemoryStore alone"];
    let mut table = Table::new(title, &head);
    for (name, load) in [("all", Zipf::new(memory.tokens)), ("active", Zipf::new(ENTRIES.min(memory.tokens)))] {
        progress(&format!("verifying behind the cache, load \"{name}\""));
        let played = play(&engine, memory, population, load).await;
        report(&mut table, name, &played);
    }
    progress("verifying behind the cache, without waits");
    let played = play_held(&engine, memory, population).await;
    let all = |_| true;
    row(&mut table, "hits, all tokens in the cache, median", &played, all, median);
    row(&mut table, "hits, all tokens in the cache, mean", &played, all, mean);
    engine.stop().await;
    Some(table)
}

fn report(table: &mut Table, load: &str, played: &Played) {
    let name = |what: &str| format!("load \"{load}\": {what}");
    let is_hit = |place| place != Place::Wait;
    row(table, &name("all requests, median"), played, |_| true, median);
    row(table, &name("all requests, mean"), played, |_| true, mean);
    row(table, &name("requests that wait for the store, mean"), played, |place| place == Place::Wait, mean);
    row(table, &name("hits, mean"), played, is_hit, mean);
    row(table, &name("hits below 100 µs, mean"), played, is_hit, |times| mean(below(times)));
    let slow = [&played.engine, &played.cached, &played.alone].map(|times| {
        let hits = played.times(times, is_hit);
        hits.len() - below(hits).len()
    });
    count(table, &name("hits above 100 µs, number"), slow);
    count(table, &name("interruptions by other threads and programs, number"), played.interruptions);
    for (what, wanted) in [
        ("hits, median", is_hit as fn(Place) -> bool),
        ("hits directly after a wait, median", |place| place == Place::After),
        ("hits far from a wait, median", |place| place == Place::Far),
    ] {
        row(table, &name(what), played, wanted, median);
        let [engine, slept] = [&played.engine, &played.slept].map(|times| played.times(times, wanted));
        if !engine.is_empty() {
            let (engine, slept) = (median(engine), median(slept));
            let ratio = format!("{:.2}", engine / slept);
            let blank = String::new;
            table.row([name("… beside a MemoryStore with sleeps"), blank(), time(engine), time(slept), ratio, blank()]);
        }
    }
}

/// Returns the times below 100 µs. A hit of the cache takes longer only if something interrupts it.
fn below(times: Vec<f64>) -> Vec<f64> {
    times.into_iter().filter(|took| *took < 1e5).collect()
}

fn count(table: &mut Table, what: &str, [engine, cached, alone]: [impl ToString; 3]) {
    let blank = String::new;
    table.row([what.to_owned(), blank(), engine.to_string(), cached.to_string(), blank(), alone.to_string()]);
}

/// Adds one figure of those requests whose place is wanted, on each service.
fn row(
    table: &mut Table,
    what: &str,
    played: &Played,
    wanted: impl Fn(Place) -> bool + Copy,
    figure: fn(Vec<f64>) -> f64,
) {
    let engine = played.times(&played.engine, wanted);
    let share = share(engine.len(), played.places.len());
    if engine.is_empty() {
        return table.row([what, &share, "", "", "", ""]);
    }
    let [engine, cached, alone] =
        [engine, played.times(&played.cached, wanted), played.times(&played.alone, wanted)].map(figure);
    let ratio = format!("{:.2}", engine / cached);
    table.row([what.to_owned(), share, time(engine), time(cached), ratio, time(alone)]);
}

fn share(part: usize, all: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / all as f64)
}

fn mean(figures: Vec<f64>) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

//! Compares the engines behind the cache with a `MemoryStore` behind the same cache, and measures
//! what causes the gaps.
//!
//! All engines hold the same tokens and get the same requests. The requests that a cache serves run
//! the same code on each engine. If they take longer on an engine, the causes can be:
//! - the requests that wait for the store. They are counted, and measured separately.
//! - processor caches that have become cold while a request waited. So hits that directly follow a
//!   wait are compared with hits on a `MemoryStore` that directly follow a sleep of the same
//!   length.
//! - work of the engine in the background. So the same hits are measured once more when all of them
//!   are in the cache, and the store has no calls.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob::{MemoryStore, TokenStore, Tokens, store::cache::Cached};

use super::cost::IN_PROJECT;
use super::engines::Engine;
use super::measure::{clock_cost, median, nanos, number, progress, time};
use super::table::Table;
use super::tokens::{Population, Shown, verify};
use super::zipf::{Zipf, token_of};

/// The number of tokens in each engine.
pub const TOKENS: u64 = 1_000_000;
/// The number of entries in the cache.
const ENTRIES: u64 = Cached::<MemoryStore>::ENTRIES as u64;
/// The staleness bound of the cache.
const BOUND: Duration = Duration::from_secs(30);
/// The number of requests in a batch. The services take turns after each batch.
const BATCH: usize = 1000;
/// The number of batches that fill the cache, and the number of batches that are measured then.
const BATCHES: usize = 300;
/// The number of requests after a wait whose hits are not counted as far from a wait.
const NEAR: usize = 16;
/// The number of tokens in the part without waits. The cache can hold twice as many.
const HELD: u64 = ENTRIES / 2;

/// The `MemoryStore`s that the engines are compared with.
pub struct Memory {
    tokens: u64,
    alone: Tokens<MemoryStore>,
    /// Another store with the same tokens. If both services shared their records, the service that
    /// comes second would find them in the processor's caches.
    behind: Arc<MemoryStore>,
}

/// Returns a service that reads from this store through an empty cache.
fn cached<S: TokenStore>(population: &Population, store: S, bound: Duration) -> Tokens<Cached<S>> {
    population.tokens(Cached::new(store, bound).with_entries(ENTRIES as usize))
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

/// A measured request.
#[derive(Clone, Copy)]
struct Request {
    /// The duration in nanoseconds.
    took: f64,
    /// Whether the request waited for the store.
    waited: bool,
}

/// Runs a verification, and measures it. A verification that is not complete after its first poll
/// waits for the store.
async fn request<S: TokenStore>(service: &Tokens<S>, shown: &Shown, clock: f64) -> Request {
    let began = Instant::now();
    let (mut verification, mut polls) = (pin!(verify(service, shown)), 0);
    poll_fn(|context| {
        polls += 1;
        verification.as_mut().poll(context)
    })
    .await;
    Request { took: nanos(began.elapsed()) - clock, waited: polls > 1 }
}

async fn requests<S: TokenStore>(service: &Tokens<S>, shown: &[Shown], clock: f64) -> Vec<Request> {
    let mut requests = Vec::with_capacity(shown.len());
    for shown in shown {
        requests.push(request(service, shown, clock).await);
    }
    requests
}

/// The place of a request relative to the requests that waited for the engine.
#[derive(Clone, Copy, PartialEq)]
enum Place {
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
fn places(engine: &[Request]) -> Vec<Place> {
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
struct Played {
    places: Vec<Place>,
    engine: Vec<f64>,
    cached: Vec<f64>,
    alone: Vec<f64>,
    /// The hits on a `MemoryStore` behind the cache that directly follow a sleep. The sleep took as
    /// long as a wait for the engine.
    after_sleeps: Vec<f64>,
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
    row(table, &name("hits, median"), played, is_hit, median);
    row(table, &name("hits, mean"), played, is_hit, mean);
    row(table, &name("hits directly after a wait, median"), played, |place| place == Place::After, median);
    if !played.after_sleeps.is_empty() {
        let after = played.times(&played.engine, |place| place == Place::After);
        let share = share(after.len(), played.places.len());
        let (engine, sleeps) = (median(after), median(played.after_sleeps.clone()));
        let ratio = format!("{:.2}", engine / sleeps);
        let what = name("… beside hits of MemoryStore after a sleep of the same length");
        table.row([what, share, time(engine), time(sleeps), ratio, String::new()]);
    }
    row(table, &name("hits far from a wait, median"), played, |place| place == Place::Far, median);
    row(table, &name("hits far from a wait, mean"), played, |place| place == Place::Far, mean);
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

/// The services that get the same requests.
struct Services<'a, S> {
    engine: Tokens<Cached<S>>,
    cached: Tokens<Cached<Arc<MemoryStore>>>,
    alone: &'a Tokens<MemoryStore>,
    /// The time of one reading of the clock, in nanoseconds.
    clock: f64,
}

impl<'a, S: TokenStore> Services<'a, S> {
    /// Creates services with empty caches.
    fn new(population: &Population, engine: S, memory: &'a Memory, bound: Duration) -> Self {
        let cached = cached(population, Arc::clone(&memory.behind), bound);
        Self { engine: self::cached(population, engine, bound), cached, alone: &memory.alone, clock: clock_cost() }
    }

    /// Runs one batch of requests on each service, and adds the results. Returns the requests on
    /// the engine.
    async fn run(&self, batch: usize, shown: &[Shown], played: &mut Played) -> Vec<Request> {
        let mut on_engine = Vec::new();
        // The order alternates, because the service that runs first warms the texts for the others.
        for turn in 0..3 {
            match if batch.is_multiple_of(2) { turn } else { 2 - turn } {
                0 => on_engine = requests(&self.engine, shown, self.clock).await,
                1 => played.cached.extend(times(&requests(&self.cached, shown, self.clock).await)),
                _ => played.alone.extend(times(&requests(self.alone, shown, self.clock).await)),
            }
        }
        played.places.extend(places(&on_engine));
        played.engine.extend(times(&on_engine));
        on_engine
    }

    /// Runs a batch once more on the `MemoryStore` behind the cache, and sleeps where the engine
    /// waited. Keeps the times of the hits that directly follow a sleep.
    async fn sleep(&self, on_engine: &[Request], shown: &[Shown], played: &mut Played) {
        for ((on_engine, shown), place) in on_engine.iter().zip(shown).zip(places(on_engine)) {
            if place == Place::Wait {
                sleep(Duration::from_nanos(on_engine.took as u64));
            }
            let request = request(&self.cached, shown, self.clock).await;
            if place == Place::After {
                played.after_sleeps.push(request.took);
            }
        }
    }
}

fn times(requests: &[Request]) -> impl Iterator<Item = f64> {
    requests.iter().map(|request| request.took)
}

/// Returns the tokens of the next batch of a load.
fn next(load: &mut Zipf, population: &Population, tokens: u64) -> Vec<Shown> {
    (0..BATCH).map(|_| population.shown(token_of(load.next(), tokens))).collect()
}

/// Measures one load. The first half of the load fills the caches and is not counted.
async fn play<E: Engine>(engine: &E, memory: &Memory, population: &Population, mut load: Zipf) -> Played {
    let services = Services::new(population, engine.store().clone(), memory, BOUND);
    let mut played = Played::default();
    for batch in 0..2 * BATCHES {
        if batch == BATCHES {
            played = Played::default();
        }
        let shown = next(&mut load, population, memory.tokens);
        let on_engine = services.run(batch, &shown, &mut played).await;
        if batch >= BATCHES {
            services.sleep(&on_engine, &shown, &mut played).await;
        }
    }
    played
}

/// Measures hits when the caches hold each token, and no entry expires. The store has no calls.
async fn play_held<E: Engine>(engine: &E, memory: &Memory, population: &Population) -> Played {
    let services = Services::new(population, engine.store().clone(), memory, Duration::from_secs(24 * 3600));
    let held = HELD.min(memory.tokens);
    for rank in 0..held {
        let shown = population.shown(token_of(rank, memory.tokens));
        verify(&services.engine, &shown).await;
        verify(&services.cached, &shown).await;
    }
    let (mut played, mut load) = (Played::default(), Zipf::new(held));
    let misses = services.engine.store().counts().misses;
    for batch in 0..BATCHES {
        let shown = next(&mut load, population, memory.tokens);
        services.run(batch, &shown, &mut played).await;
    }
    assert_eq!(services.engine.store().counts().misses, misses, "the cache holds each token");
    played
}

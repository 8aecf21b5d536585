//! The load, and the services that get it.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob::{MemoryStore, TokenStore, Tokens, store::cache::Cached};

use super::super::engines::Engine;
use super::super::measure::{clock_cost, nanos};
use super::super::tokens::{Population, Shown, verify};
use super::super::zipf::{Zipf, token_of};
use super::{ENTRIES, Memory, Played, places};

/// The staleness bound of the cache.
const BOUND: Duration = Duration::from_secs(30);
/// The number of requests in a batch. The services take turns after each batch.
const BATCH: usize = 1000;
/// The number of batches that fill the cache, and the number of batches that are measured then.
const BATCHES: usize = 300;
/// A time in nanoseconds that is shorter than each call of an engine.
const CALL: f64 = 1e4;
/// The number of tokens in the part without waits. The cache can hold twice as many.
const HELD: u64 = ENTRIES / 2;

/// Returns a service that reads from this store through an empty cache.
fn cached<S: TokenStore>(population: &Population, store: S, bound: Duration) -> Tokens<Cached<S>> {
    population.tokens(Cached::new(store, bound).with_entries(ENTRIES as usize))
}

/// A measured request.
#[derive(Clone, Copy)]
pub struct Request {
    /// The duration in nanoseconds.
    pub took: f64,
    /// Whether the request called the store, and waited for the response.
    pub waited: bool,
}

/// Runs the requests one after the other, and measures each. `has_called` returns whether the
/// service has called its store since the last question.
async fn requests<S: TokenStore>(
    service: &Tokens<S>,
    shown: &[Shown],
    clock: f64,
    mut has_called: impl FnMut() -> bool,
) -> Vec<Request> {
    let mut requests = Vec::with_capacity(shown.len());
    for shown in shown {
        let began = Instant::now();
        verify(service, shown).await;
        let took = nanos(began.elapsed()) - clock;
        // The question disturbs the processor's caches. So it is asked only after a request that
        // took as long as a call at least takes.
        requests.push(Request { took, waited: took > CALL && has_called() });
    }
    requests
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

    /// Returns a function that returns whether the cache has called the engine since the last call
    /// of the function.
    fn has_called(&self) -> impl FnMut() -> bool {
        let misses = || self.engine.store().counts().misses;
        let mut last = misses();
        move || {
            let before = std::mem::replace(&mut last, misses());
            last > before
        }
    }

    /// Runs one batch of requests on each service, and adds the results. Returns the requests on
    /// the engine.
    async fn run(&self, batch: usize, shown: &[Shown], played: &mut Played) -> Vec<Request> {
        let (mut on_engine, mut interrupted) = (Vec::new(), interruptions());
        // The order alternates, because the service that runs first warms the texts for the others.
        for turn in 0..3 {
            let service = if batch.is_multiple_of(2) { turn } else { 2 - turn };
            match service {
                0 => on_engine = requests(&self.engine, shown, self.clock, self.has_called()).await,
                1 => played.cached.extend(times(&requests(&self.cached, shown, self.clock, || false).await)),
                _ => played.alone.extend(times(&requests(self.alone, shown, self.clock, || false).await)),
            }
            let before = std::mem::replace(&mut interrupted, interruptions());
            played.interruptions[service] += interrupted - before;
        }
        played.places.extend(places(&on_engine));
        played.engine.extend(times(&on_engine));
        on_engine
    }

    /// Runs a batch once more on the `MemoryStore` behind the cache, and sleeps where the engine
    /// waited. The sleep is not a part of the measured time.
    async fn sleep(&self, on_engine: &[Request], shown: &[Shown], played: &mut Played) {
        for (on_engine, shown) in on_engine.iter().zip(shown) {
            if on_engine.waited {
                sleep(Duration::from_nanos(on_engine.took as u64));
            }
            played
                .slept
                .extend(times(&requests(&self.cached, std::slice::from_ref(shown), self.clock, || false).await));
        }
    }
}

/// Returns how often the scheduler has interrupted this thread for another program. Returns 0 if
/// the system does not report it.
fn interruptions() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let count = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

fn times(requests: &[Request]) -> impl Iterator<Item = f64> {
    requests.iter().map(|request| request.took)
}

/// Returns the tokens of the next batch of a load.
fn next(load: &mut Zipf, population: &Population, tokens: u64) -> Vec<Shown> {
    (0..BATCH).map(|_| population.shown(token_of(load.next(), tokens))).collect()
}

/// Measures one load. The first half of the load fills the caches and is not counted.
pub async fn play<E: Engine>(engine: &E, memory: &Memory, population: &Population, mut load: Zipf) -> Played {
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
pub async fn play_held<E: Engine>(engine: &E, memory: &Memory, population: &Population) -> Played {
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

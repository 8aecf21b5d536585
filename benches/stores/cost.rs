//! Measures how long the verification of one token among millions takes, without a cache and
//! through a cache, and how much space a token needs.

use std::time::{Duration, Instant};

use keyfob::{MemoryStore, TokenStore, Tokens, store::cache::Cached};

use super::engines::Engine;
use super::measure::{Beside, by_turns, clock_cost, median, nanos, number, progress, time};
use super::table::Table;
use super::tokens::{Population, Random, Shown, verify};
use super::zipf::{Ideal, Zipf, token_of};

/// The number of tokens in each project.
pub const IN_PROJECT: u64 = 500;
/// The maximum number of entries in the cache.
const ENTRIES: u64 = Cached::<MemoryStore>::ENTRIES as u64;
/// The staleness bound of the cache.
const BOUND: Duration = Duration::from_secs(30);
/// The number of operations in a batch. Batches of verifications alternate with batches of bare
/// reads, which read a record directly from the engine.
const BATCH: usize = 100;
/// The number of batches of verifications that are measured. The same number of batches of bare
/// reads (see [`BATCH`]) is measured.
const BATCHES: usize = 300;
/// The maximum number of verifications in each of the two passes through the cache. The first pass
/// fills the cache, and the second pass is measured.
const REQUESTS: u64 = 3_000_000;

/// A service whose tokens are in a `MemoryStore`. The benchmark compares the cache with this
/// service.
pub struct Memory {
    /// The number of tokens in the store.
    pub tokens: u64,
    service: Tokens<MemoryStore>,
}

impl Memory {
    /// Creates a service with the first `tokens` tokens of the population.
    pub async fn with(population: &Population, tokens: u64) -> Self {
        progress(&format!("inserting {} tokens into a MemoryStore", number(tokens)));
        let store = population.in_memory(0..tokens / population.in_project).await;
        Self { tokens, service: population.tokens(store) }
    }
}

/// The ratios that the picture shows for one engine.
pub struct Ratios {
    /// The name of the engine.
    pub engine: &'static str,
    /// A ratio and its upper limit, if it has one. The ratio is the median time of a verification
    /// without a cache, divided by the median time of a direct read of the record.
    pub bare: (f64, Option<f64>),
    /// The ratio of two median times, and the upper limit of this ratio if there is one. The ratio
    /// is the time of a verification through the cache, divided by the time of a verification on a
    /// `MemoryStore`.
    pub hit: (f64, Option<f64>),
}

/// Measures one engine with as many tokens as `memory` holds. Returns `None` if the engine is not
/// installed.
pub async fn measure<E: Engine>(memory: &Memory, population: &Population) -> Option<(Table, Ratios)> {
    let tokens = memory.tokens;
    let projects = tokens / population.in_project;
    let mut engine = E::start().await?;
    progress(&format!("loading {} tokens into {}", number(tokens), E::NAME));
    let began = Instant::now();
    engine.load(population, 0..projects).await;
    progress(&format!("{} is loaded after {} s: verifying without a cache", E::NAME, began.elapsed().as_secs()));

    let title = format!("{}: {} tokens in {} projects", engine.version().await, number(tokens), number(projects));
    let mut table = Table::new(title, &["measurement", "keyfob", "compared with", "figure", "ratio", "maximum ratio"]);
    let bare = beside_bare(&engine, population, tokens).await;
    let (bare_at_most, all_at_most) = E::AT_MOST.unzip();
    push(&mut table, "verify without a cache, median", bare, E::FLOOR, bare_at_most);

    let zipf = Zipf::new(tokens);
    progress("verifying through a cache, load \"all\"");
    let all = behind_cache(&engine, memory, population, zipf).await;
    progress("verifying through a cache, load \"active\"");
    let held = behind_cache(&engine, memory, population, Zipf::new(ENTRIES.min(tokens))).await;
    for (load, played, at_most) in [("all", &all, all_at_most), ("active", &held, None)] {
        let row = |what: &str| format!("{what}, load \"{load}\"");
        push(&mut table, &row("verify through the cache, median"), played.median, "median on a MemoryStore", at_most);
        push(&mut table, &row("verify through the cache, mean"), played.mean, "mean on a MemoryStore", None);
        let (calls, ideal) = (format!("{:.4}", played.calls), format!("{:.4}", played.ideal));
        let ratio = if played.ideal > 0.0 { format!("{:.2}", played.calls / played.ideal) } else { String::new() };
        table.row([row("store calls per verification"), calls, "an ideal cache".into(), ideal, ratio, String::new()]);
    }

    progress("measuring the space per token");
    for (how, bytes) in engine.room(tokens).await {
        let blank = String::new;
        table.row([format!("space per token, {how}"), format!("{bytes:.0} B"), blank(), blank(), blank(), blank()]);
    }
    engine.stop().await;
    notes(&mut table, &all, tokens);
    let (bare, hit) = ((bare.ratio(), bare_at_most), (all.median.ratio(), all_at_most));
    Some((table, Ratios { engine: E::NAME, bare, hit }))
}

fn push(table: &mut Table, what: &str, figures: Beside, floor: &str, at_most: Option<f64>) {
    let at_most = at_most.map(|most| most.to_string()).unwrap_or_default();
    let ratio = format!("{:.2}", figures.ratio());
    table.row([what.to_owned(), time(figures.act), floor.to_owned(), time(figures.floor), ratio, at_most]);
}

fn notes(table: &mut Table, all: &Played, tokens: u64) {
    table.note("Each token has a name of 21 or 22 characters, an owner of 12 characters, two scopes and an expiry. All other optional fields are empty.");
    table.note(format!(
        "The cache has {} entries and a staleness bound of {} s. Load \"all\" chooses from all tokens by Zipf's law with the \
         exponent 1.1, so that the {} most popular tokens get {:.1} % of the requests. Load \"active\" chooses from only {} tokens, \
         and the cache can hold all of them.",
        number(ENTRIES),
        BOUND.as_secs(),
        number(ENTRIES.min(tokens)),
        100.0 * (1.0 - all.beyond),
        number(ENTRIES.min(tokens)),
    ));
    table.note(
        "Most requests need no call to the store, so the median is the time of a request that the cache serves. The mean includes \
         the time of the calls to the store. The mean is close to the mean on a MemoryStore only if there are very few calls.",
    );
    table.note(
        "An ideal cache knows the most popular tokens in advance and holds only these tokens. The benchmark simulates an ideal cache \
         with the same requests at the same times. The ideal cache calls the store if a token is used for the first time, if an \
         entry is older than the bound, and if a token is not among the most popular tokens.",
    );
}

/// Measures verifications without a cache and direct reads of records, in alternating batches.
/// The verifications and the reads use different random tokens.
async fn beside_bare<E: Engine>(engine: &E, population: &Population, tokens: u64) -> Beside {
    let service = population.tokens(engine.store().clone());
    let (mut ours, mut theirs) = (Random(1), Random(2));
    let some = |random: &mut Random, of: usize| -> Vec<Shown> {
        (0..of).map(|_| population.shown(random.below(tokens))).collect()
    };
    let verifications = async |of: usize| {
        let shown = some(&mut ours, of);
        let began = Instant::now();
        for shown in &shown {
            verify(&service, shown).await;
        }
        began.elapsed()
    };
    let reads = async |of: usize| {
        let shown = some(&mut theirs, of);
        let began = Instant::now();
        for shown in &shown {
            engine.read_barely(&shown.key).await;
        }
        began.elapsed()
    };
    let (mut verifications, mut reads) = (verifications, reads);
    // The results of these first batches are discarded, because the first batches prepare the
    // statements and warm the caches.
    by_turns(BATCHES / 10, BATCH, &mut verifications, &mut reads).await;
    by_turns(BATCHES, BATCH, verifications, reads).await
}

/// The results of the measurement with one load.
struct Played {
    /// The median time of a verification through the cache, and the median time of a verification
    /// on a `MemoryStore`.
    median: Beside,
    /// The mean time of a verification through the cache, and the mean time of a verification on a
    /// `MemoryStore`.
    mean: Beside,
    /// The average number of store calls that a verification through the cache needs.
    calls: f64,
    /// The average number of store calls that a verification through an ideal cache would need. The
    /// ideal cache knows the most popular tokens in advance, and holds only these tokens.
    ideal: f64,
    /// The share of the requests whose tokens are not among the [`ENTRIES`] most popular tokens.
    beyond: f64,
}

/// Measures the same load on two services: one reads from the engine through a cache, and the other
/// reads from a `MemoryStore`.
///
/// The cache and the `MemoryStore` take turns of a thousand requests each. The first half of the
/// load fills the cache and is not counted.
async fn behind_cache<E: Engine>(engine: &E, memory: &Memory, population: &Population, mut load: Zipf) -> Played {
    const AT_ONCE: u64 = 1000;
    let cached = Cached::new(engine.store().clone(), BOUND).with_entries(ENTRIES as usize);
    let service = population.tokens(cached);
    let mut ideal = Ideal::new(ENTRIES as usize, BOUND);
    let clock = clock_cost();
    let rounds = (memory.tokens * 2).min(REQUESTS) / AT_ONCE;
    let (mut beside, mut behind) = (Vec::new(), Vec::new());
    let (mut calls_before, mut ideal_before) = (0, 0);
    for round in 0..2 * rounds {
        if round == rounds {
            (calls_before, ideal_before) = (service.store().counts().misses, ideal.misses);
            (beside, behind) = (Vec::new(), Vec::new());
        }
        let ranks: Vec<u64> = (0..AT_ONCE).map(|_| load.next()).collect();
        let shown: Vec<Shown> = ranks.iter().map(|rank| population.shown(token_of(*rank, memory.tokens))).collect();
        // The order alternates, because the service that comes second finds the texts of the
        // tokens in the processor's caches.
        for cached in [round % 2 == 0, round % 2 != 0] {
            if cached {
                let mut rank = ranks.iter();
                let note = |took, at| {
                    behind.push((took - clock) as f32);
                    rank.next().into_iter().for_each(|rank| ideal.request(*rank, at));
                };
                each(&service, &shown, note).await;
            } else {
                each(&memory.service, &shown, |took, _| beside.push((took - clock) as f32)).await;
            }
        }
    }
    let requests = (rounds * AT_ONCE) as f64;
    let calls = (service.store().counts().misses - calls_before) as f64 / requests;
    let mean = |times: &[f32]| times.iter().map(|time| f64::from(*time)).sum::<f64>() / times.len() as f64;
    let mean = Beside { act: mean(&behind), floor: mean(&beside) };
    let middle = |times: Vec<f32>| median(times.into_iter().map(f64::from).collect());
    let median = Beside { act: middle(behind), floor: middle(beside) };
    let ideal = (ideal.misses - ideal_before) as f64 / requests;
    Played { median, mean, calls, ideal, beyond: load.beyond(ENTRIES) }
}

/// Verifies each token, and calls `took` for each verification. `took` receives the duration in
/// nanoseconds and the instant at which the verification ended. The duration includes one reading
/// of the clock.
async fn each<S: TokenStore>(service: &Tokens<S>, shown: &[Shown], mut took: impl FnMut(f64, Instant)) {
    let mut times = Vec::with_capacity(shown.len());
    let began = Instant::now();
    for shown in shown {
        verify(service, shown).await;
        times.push(Instant::now());
    }
    let mut last = began;
    for time in times {
        took(nanos(time - last), time);
        last = time;
    }
}

//! What one verification costs with millions of tokens, without a cache and with one, and what a token takes.

use std::time::{Duration, Instant};

use keyfob::{MemoryStore, TokenStore, Tokens, store::cache::Cached};

use super::engines::Engine;
use super::measure::{Beside, by_turns, clock_cost, median, nanos, number, progress, time};
use super::table::Table;
use super::tokens::{Population, Random, Shown, verify};
use super::zipf::{Ideal, Zipf, token_of};

pub const IN_PROJECT: u64 = 500;
const ENTRIES: u64 = Cached::<MemoryStore>::ENTRIES as u64;
const BOUND: Duration = Duration::from_secs(30);
/// How many verifications are made by turns with as many of the floor, and how many such batches.
const BATCH: usize = 100;
const BATCHES: usize = 300;
/// The most verifications of a load, once to fill the cache and once to be measured.
const REQUESTS: u64 = 3_000_000;

/// Tokens in a store in memory, to be beside.
pub struct Memory {
    pub tokens: u64,
    service: Tokens<MemoryStore>,
}

impl Memory {
    pub async fn with(population: &Population, tokens: u64) -> Self {
        progress(&format!("{} tokens into a MemoryStore", number(tokens)));
        let store = population.in_memory(0..tokens / population.in_project).await;
        Self { tokens, service: population.tokens(store) }
    }
}

/// An engine's ratios, for the picture.
pub struct Ratios {
    pub engine: &'static str,
    /// Of a verification without a cache to a bare read, and the most it may be.
    pub bare: (f64, Option<f64>),
    /// Of one that the cache answers to a `MemoryStore`.
    pub hit: (f64, Option<f64>),
}

/// Measures one engine with as many tokens as memory has.
pub async fn measure<E: Engine>(memory: &Memory, population: &Population) -> Option<(Table, Ratios)> {
    let tokens = memory.tokens;
    let projects = tokens / population.in_project;
    let mut engine = E::start().await?;
    progress(&format!("{} tokens into {}", number(tokens), E::NAME));
    let began = Instant::now();
    engine.load(population, 0..projects).await;
    progress(&format!("{} is filled after {} s: its own verifications", E::NAME, began.elapsed().as_secs()));

    let title = format!("{}: {} tokens in {} projects", engine.version().await, number(tokens), number(projects));
    let mut table = Table::new(title, &["what", "figure", "beside", "figure", "ratio", "at most"]);
    let bare = beside_bare(&engine, population, tokens).await;
    let (bare_at_most, all_at_most) = E::AT_MOST.unzip();
    push(&mut table, "verify without a cache, median", bare, E::FLOOR, bare_at_most);

    let zipf = Zipf::new(tokens);
    progress("behind a cache, a load over all tokens");
    let all = behind_cache(&engine, memory, population, zipf).await;
    progress("behind a cache, a load that it holds");
    let held = behind_cache(&engine, memory, population, Zipf::new(ENTRIES.min(tokens))).await;
    for (load, played, at_most) in [("all", &all, all_at_most), ("active", &held, None)] {
        let row = |what: &str| format!("{what}, load \"{load}\"");
        push(&mut table, &row("verify behind the cache, median"), played.median, "MemoryStore, median", at_most);
        push(&mut table, &row("verify behind the cache, mean"), played.mean, "MemoryStore, mean", None);
        let (calls, ideal) = (format!("{:.4}", played.calls), format!("{:.4}", played.ideal));
        let ratio = if played.ideal > 0.0 { format!("{:.2}", played.calls / played.ideal) } else { String::new() };
        table.row([row("store calls per verify"), calls, "an ideal cache".into(), ideal, ratio, String::new()]);
    }

    progress("what a token takes");
    for (how, bytes) in engine.room(tokens).await {
        let blank = String::new;
        table.row([format!("a token {how}"), format!("{bytes:.0} B"), blank(), blank(), blank(), blank()]);
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
    table.note("A token here has a name of 22 characters, an owner of 12, two scopes, an expiry, and nothing else that can be left out.");
    table.note(format!(
        "The cache has {} entries and a bound of {} s. Load \"all\" is for all tokens, by Zipf's law with s = 1.1: the \
         {} most popular make {:.1} % of it. Load \"active\" is for {} of them only, which the cache can hold.",
        number(ENTRIES),
        BOUND.as_secs(),
        number(ENTRIES.min(tokens)),
        100.0 * (1.0 - all.beyond),
        number(ENTRIES.min(tokens)),
    ));
    table.note(
        "The median is what a request finds that the cache answers, as most do. The mean has the calls of the store in it, and so is \
         that of a MemoryStore only where there are next to none.",
    );
    table.note(
        "An ideal cache knows which tokens are the most popular and holds just these; the same requests at the same times were \
         played through it, first uses and answers past the bound with it.",
    );
}

/// Random tokens, other ones for each side.
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
    // Until both are prepared and warm.
    by_turns(BATCHES / 10, BATCH, &mut verifications, &mut reads).await;
    by_turns(BATCHES, BATCH, verifications, reads).await
}

/// What a load showed.
struct Played {
    median: Beside,
    mean: Beside,
    /// Calls of the store for each verification.
    calls: f64,
    ideal: f64,
    /// The part of the load that is for less popular tokens than the cache can hold.
    beyond: f64,
}

/// Plays the same load, a thousand requests at a time, through a `MemoryStore` and through a cache over the engine.
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
        // By turns, as the second finds the texts in the processor's own memory.
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

/// Verifies each, and gives how long it took, the reading of the clock with it, and when it was done.
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

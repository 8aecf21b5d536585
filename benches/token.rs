//! Benchmark of verifying and minting tokens.
//!
//! The benchmark compares each operation with its floor: the primitives that no implementation can
//! avoid, for example one HMAC. `cargo bench --bench token` measures the operations and their
//! floors in one run. Then it prints the time of each operation, divided by the time of its floor.
//! An argument after `--` selects the benchmarks whose names contain the argument. The ratios are
//! printed only if all benchmarks ran.

use std::collections::HashMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use hmac::{Hmac, KeyInit, Mac};
use keyfob::{
    Access, Actor, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper, Policy, Prefix, PresentedToken, ProjectId,
    Scope, ScopeSet, Timestamp, TokenKey, TokenStore, Tokens, mint, text::TokenText,
};
use rand_core::TryRng;
use sha2::Sha256;

/// The number of tokens in the store.
const RECORDS: usize = 1_000_000;
/// The time that the service's clock shows. It is also the time at which the tokens are minted.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A service with a million tokens in a `MemoryStore`, and the texts of these tokens.
///
/// The order of the texts differs from the order in which the records were inserted. If the
/// benchmark verifies the texts one after the other, each record is outside the processor's caches,
/// as in a real service with a million tokens. The texts are in one allocation, so that reading a
/// text is as fast as reading a request that has just arrived.
struct World {
    tokens: Tokens<MemoryStore>,
    project: ProjectId,
    texts: Vec<[u8; TEXT]>,
}

/// The length of a token in bytes: `acme_pat_145_` (13), the id and the separator after it (17),
/// and the rest (50).
const TEXT: usize = 80;

fn new_token(project: ProjectId) -> NewToken {
    NewToken::new(project, OwnerId::new("ada").unwrap(), Name::new("VS Code integration").unwrap())
}

fn keyring(first: u8) -> Keyring {
    let pepper = Pepper::new((first..first + 32).collect()).unwrap();
    Keyring::new(Prefix::new("acme_pat").unwrap(), pepper)
}

fn world() -> World {
    let (keyring, project) = (keyring(0), ProjectId::new("145").unwrap());
    let (policy, actor, store) = (Policy::default(), Actor::new("ada").unwrap(), MemoryStore::new());
    let mut texts = HashMap::with_capacity(RECORDS);
    for at in 0..RECORDS {
        let issued = mint(&keyring, &policy, new_token(project), &actor, NOW).unwrap();
        ready(store.insert(issued.record, None, None)).unwrap();
        texts.insert(at, <[u8; TEXT]>::try_from(issued.token.expose_secret().as_bytes()).unwrap());
    }
    // The iteration order of a `HashMap` is random, so this shuffles the texts.
    let texts = texts.into_values().collect();
    let clock = keyfob::clock::FixedClock::new(NOW);
    World { tokens: Tokens::new(keyring, store).with_clock(clock), project, texts }
}

/// Returns the output of a future that completes at its first poll. All futures of a `MemoryStore`
/// complete at the first poll. Panics if the future is not complete.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a `MemoryStore` never waits"),
    }
}

/// An endless iterator over a slice. After the last element, it starts again with the first
/// element.
struct Ring<'l, T>(&'l [T], usize);

impl<'l, T> Ring<'l, T> {
    fn next(&mut self) -> &'l T {
        self.1 = if self.1 + 1 == self.0.len() { 0 } else { self.1 + 1 };
        &self.0[self.1]
    }
}

/// Measures the floors: computations that every implementation of the operations needs, such as an
/// HMAC.
fn floors(c: &mut Criterion, world: &World) {
    let mut group = c.benchmark_group("floor");
    let text = &world.texts[0];
    let (public, secret) = text.split_at(text.len() - 50);
    let (handle, secret) = (&public[public.len() - 17..public.len() - 1], &secret[..33]);
    let prepared = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    group.bench_function("hmac", |b| {
        b.iter(|| {
            let mut mac = prepared.clone();
            mac.update(black_box(handle));
            mac.update(black_box(secret));
            mac.update(black_box(b"145"));
            mac.finalize().into_bytes()
        });
    });
    group.bench_function("crc", |b| b.iter(|| crc32fast::hash(black_box(&text[..text.len() - 6]))));

    // The floor of a look-up is a look-up in a map from the key of a record to its digest, because
    // each verification has to read the digest.
    let key = |text: &[u8; TEXT]| {
        let text = TokenText::parse(text).unwrap();
        TokenKey { project: text.project(), id: text.id() }
    };
    let keys: Vec<TokenKey> = world.texts.iter().map(key).collect();
    // The keys are inserted into the map in sorted order, and looked up in another order.
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let map: HashMap<TokenKey, [u8; 32]> =
        sorted.into_iter().map(|key| (key, [key.id.as_str().as_bytes()[15]; 32])).collect();
    let mut ring = Ring(&keys, 0);
    // Each look-up depends on the result of the previous look-up. Without this dependency, the
    // processor would run several look-ups at the same time. In a service, it cannot do so, because
    // each request has only one look-up.
    let mut last = [0; 32];
    group.bench_function("lookup", |b| {
        b.iter(|| {
            ring.1 = (ring.1 + usize::from(last[0] & 1)) % RECORDS;
            last = map.get(black_box(ring.next())).copied().unwrap_or_default();
            last
        });
    });

    group.bench_function("getrandom", |b| {
        b.iter(|| {
            let mut bytes = [0; 64];
            getrandom::SysRng.try_fill_bytes(&mut bytes).unwrap();
            bytes
        });
    });
    group.finish();
}

/// Returns a service with two tokens, and the texts of the two tokens. The first token is
/// independent. The second token is bound to the first token, which issued it.
fn issuer_and_bound() -> (Tokens<MemoryStore>, String, String) {
    let clock = keyfob::clock::FixedClock::new(NOW);
    let tokens = Tokens::new(keyring(0), MemoryStore::new()).with_clock(clock);
    let (project, ada) = (ProjectId::new("145").unwrap(), Actor::new("ada").unwrap());
    let manage = Scope::new("tokens:manage").unwrap();
    let new = new_token(project).with_scopes(ScopeSet::new("repo:read tokens:manage").unwrap());
    let plain = ready(tokens.issue(&ada, new)).unwrap().token.expose_secret().to_owned();
    let verified = ready(tokens.verify(&plain, &Access::to(&project, &[]))).unwrap();
    let by = verified.delegate(&manage).unwrap();
    let new = new_token(project).with_scopes(ScopeSet::new("repo:read").unwrap()).within(&by);
    let bound = ready(tokens.issue(&ada, new)).unwrap().token.expose_secret().to_owned();
    (tokens, plain, bound)
}

/// Measures the operations: verifying, rejecting and minting tokens.
fn acts(c: &mut Criterion, world: &World) {
    let mut group = c.benchmark_group("act");
    let access = Access::to(&world.project, &[]);

    let mut ring = Ring(&world.texts, 0);
    group.bench_function("verify", |b| {
        b.iter(|| ready(world.tokens.verify(black_box(ring.next()), &access)).unwrap());
    });

    // "hot" verifies an independent token, and "hot-bound" verifies a token that is bound to it.
    // Each of these benchmarks verifies only one token, so that the record stays in the processor's
    // caches.
    let (tokens, plain, bound) = issuer_and_bound();
    for (name, text) in [("hot", &plain), ("hot-bound", &bound)] {
        group.bench_function(name, |b| b.iter(|| ready(tokens.verify(black_box(text), &access)).unwrap()));
    }

    // This token has one wrong character, which only the checksum detects. The checksum is the last
    // check of the form, so no malformed token is more expensive to reject.
    let mut malformed = world.texts[0];
    malformed[40] = if malformed[40] == b'A' { b'B' } else { b'A' };
    assert_eq!(TokenText::parse(&malformed).unwrap_err(), keyfob::Rejection::Checksum);
    group.bench_function("malformed", |b| {
        b.iter(|| ready(world.tokens.verify(black_box(&malformed), &access)).unwrap_err());
    });

    // This token has a valid form and a valid checksum, but it was minted with another pepper. Its
    // tag does not match, so `verify` rejects it without a query to the store.
    let other =
        mint(&keyring(100), &Policy::default(), new_token(world.project), &Actor::new("eve").unwrap(), NOW).unwrap();
    let forged = other.token.expose_secret();
    assert_eq!(PresentedToken::parse(forged, &keyring(0)).unwrap_err(), keyfob::Rejection::Tag);
    group.bench_function("forged", |b| {
        b.iter(|| ready(world.tokens.verify(black_box(forged), &access)).unwrap_err());
    });

    let (ring, policy, actor) = (keyring(0), Policy::default(), Actor::new("ada").unwrap());
    group.bench_function("mint", |b| {
        b.iter_batched(
            || new_token(world.project),
            |new| mint(&ring, &policy, new, &actor, NOW).unwrap(),
            // The batches are small, so that the minted tokens stay in the processor's caches. A
            // token that is minted in a request stays there too.
            criterion::BatchSize::NumIterations(64),
        );
    });
    group.finish();
}

/// Measures the time per verification with one thread and with two threads.
fn threads(c: &mut Criterion, world: &World) {
    let mut group = c.benchmark_group("threads");
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::from_parameter(threads), |b| {
            b.iter_custom(|rounds| verify_in_threads(world, threads, rounds));
        });
    }
    group.finish();
}

/// Returns the time that the given number of threads needs for `rounds` verifications in total.
fn verify_in_threads(world: &World, threads: usize, rounds: u64) -> Duration {
    let access = Access::to(&world.project, &[]);
    let (waiting, rounds) = (AtomicUsize::new(threads), rounds.div_ceil(threads as u64));
    let work = |thread: usize| {
        waiting.fetch_sub(1, Ordering::SeqCst);
        while waiting.load(Ordering::SeqCst) > 0 {
            std::hint::spin_loop();
        }
        let start = Instant::now();
        let mut ring = Ring(&world.texts, thread * (RECORDS / threads));
        for _ in 0..rounds {
            black_box(ready(world.tokens.verify(ring.next(), &access)).unwrap());
        }
        start.elapsed()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap_or_default()
    })
}

/// Returns the median time of a benchmark in nanoseconds, or `None` if the benchmark was not
/// measured after `since`. `path` is the group and the name of the benchmark.
fn median(path: &str, since: std::time::SystemTime) -> Option<f64> {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let file = format!("{target}/criterion/{path}/new/estimates.json");
    if std::fs::metadata(&file).ok()?.modified().ok()? < since {
        return None;
    }
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

/// Prints the times of all floors, and the time of each operation divided by the time of its floor.
/// Returns `None` if a benchmark was not measured after `since`.
fn report(since: std::time::SystemTime) -> Option<()> {
    let median = |path: &str| median(path, since);
    let (hmac, crc) = (median("floor/hmac")?, median("floor/crc")?);
    let (lookup, getrandom) = (median("floor/lookup")?, median("floor/getrandom")?);
    println!("| floor | ns |\n|---|---|");
    for (name, ns) in [("HMAC", hmac), ("CRC-32", crc), ("look-up", lookup), ("getrandom", getrandom)] {
        println!("| {name} | {ns:.0} |");
    }
    println!("\n| operation | ns | floor | ratio | maximum ratio |\n|---|---|---|---|---|");
    for (act, floor, ns, most) in [
        ("verify", "HMAC + look-up", hmac + lookup, 2.0),
        ("malformed", "HMAC", hmac, 0.5),
        ("forged", "HMAC", hmac, 1.4),
        ("mint", "getrandom + HMAC", getrandom + hmac, 2.0),
        ("hot-bound", "verify of its issuer, hot", median("act/hot")?, 1.6),
    ] {
        let took = median(&format!("act/{act}"))?;
        println!("| {act} | {took:.0} | {floor} | {:.2} | {most} |", took / ns);
    }
    println!(
        "\nTwo threads verify {:.2} times as many tokens per second as one thread.",
        median("threads/1")? / median("threads/2")?
    );
    Some(())
}

fn main() {
    let since = std::time::SystemTime::now();
    let world = world();
    let mut criterion = Criterion::default().configure_from_args();
    floors(&mut criterion, &world);
    acts(&mut criterion, &world);
    threads(&mut criterion, &world);
    criterion.final_summary();
    if report(since).is_none() {
        println!("no ratios: this run did not measure all benchmarks (run it without a filter)");
    }
}

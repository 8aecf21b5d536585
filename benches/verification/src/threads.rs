//! The throughput of several threads, beside that of one thread.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyfob::{Access, MemoryStore, TokenStore, Tokens, store::cache::Cached};
use sha2::{Digest, Sha256};

use crate::floor::TEXT;
use crate::measure::{Act, ROUNDS, Spread, act, median};
use crate::table::Table;
use crate::world::{Population, Ring, keyring, project, ready};

/// The number of tokens that many threads verify.
const HOT: usize = 1024;
/// The time of a slice. It is shorter than the time after which the scheduler usually interrupts a
/// thread.
const SLICE: Duration = Duration::from_millis(5);
/// The maximum number of slices of which one must not be interrupted.
const ATTEMPTS: usize = 40;

/// Work of one thread: the argument is the number of the thread, and the result is an operation.
type Work<'a> = Box<dyn Fn(usize) -> Act<'a> + Sync + 'a>;

/// Measures how much more one, two and all processors verify than one thread does.
pub fn contention(table: &mut Table) {
    let store = MemoryStore::new();
    let population = Population::new(HOT, &store);
    let tokens = Tokens::new(keyring(0), store);
    let behind = MemoryStore::new();
    for record in &population.records {
        ready(behind.insert((**record).clone(), None, None)).expect("the id is new");
    }
    let cached = Tokens::new(keyring(0), Cached::new(behind, Duration::from_secs(3600)));
    let works: [(&str, Work<'_>); 4] = [
        ("SHA-256, the control", Box::new(|_| act(|| Sha256::digest(black_box([7; 64]))))),
        ("verify 1,024 tokens", verify(&tokens, &population.texts)),
        ("verify one token", verify(&tokens, &population.texts[..1])),
        ("verify 1,024 tokens through `Cached`", verify(&cached, &population.texts)),
    ];
    let all = std::thread::available_parallelism().map_or(2, usize::from);
    for threads in if all > 2 { vec![2, all] } else { vec![2] } {
        let mut gains = vec![Vec::with_capacity(ROUNDS); works.len()];
        for round in 0..ROUNDS {
            for ((_, work), gains) in works.iter().zip(&mut gains) {
                // The order alternates, so that a drift of the machine favours neither.
                let [first, second] = if round % 2 == 0 { [1, threads] } else { [threads, 1] };
                let (first, second) = (throughput(work, first), throughput(work, second));
                gains.push(if round % 2 == 0 { second / first } else { first / second });
            }
        }
        let control = gains[0].clone();
        if median(control.clone()) < 0.7 * threads as f64 {
            eprintln!("this machine was too busy for the part threads: the control shares nothing, and gained little");
        }
        for ((name, _), gains) in works.iter().zip(gains) {
            let beside = gains.iter().zip(&control).map(|(gain, control)| gain / control).collect();
            table.threads(name, threads, &Spread::of(gains), &Spread::of(beside));
        }
    }
}

fn verify<'a, S: TokenStore>(tokens: &'a Tokens<S>, texts: &'a [[u8; TEXT]]) -> Work<'a> {
    Box::new(move |thread| {
        let (project, mut ring) = (project(), Ring::new(texts, thread * texts.len() / 2));
        act(move || {
            let access = Access::to(&project, &[]);
            ready(tokens.verify(ring.next(), &access)).expect("the token is live")
        })
    })
}

/// Returns how many operations these threads run in a second, all together. Repeats the slice if
/// another program has interrupted one of the threads, because that would be no contention between
/// the threads.
fn throughput(work: &Work<'_>, threads: usize) -> f64 {
    let slices = || (0..ATTEMPTS).map(|_| slice(work, threads));
    slices().find_map(|(rate, undisturbed)| undisturbed.then_some(rate)).unwrap_or_else(|| slice(work, threads).0)
}

/// Returns how many operations these threads run in a second, all together, and whether no other
/// program has interrupted them.
fn slice(work: &Work<'_>, threads: usize) -> (f64, bool) {
    let waiting = AtomicUsize::new(threads);
    let run = |thread: usize| {
        let mut act = work(thread);
        // These calls warm up the processor's caches. After three reads of each token, the thread
        // has copies of nearly all records. A slice with fewer calls would mainly measure the
        // copying.
        act(4 * HOT as u64);
        let interruptions_before = interruptions();
        waiting.fetch_sub(1, Ordering::SeqCst);
        while waiting.load(Ordering::SeqCst) > 0 {
            std::hint::spin_loop();
        }
        let (began, mut count) = (Instant::now(), 0_u32);
        let rate = loop {
            act(256);
            count += 256;
            let time = began.elapsed();
            if time >= SLICE {
                break f64::from(count) / time.as_secs_f64();
            }
        };
        (rate, interruptions() == interruptions_before)
    };
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        let slices = threads.into_iter().map(|thread| thread.join().expect("no thread panics"));
        slices.fold((0.0, true), |(rate, undisturbed), slice| (rate + slice.0, undisturbed && slice.1))
    })
}

/// Returns how often the scheduler has interrupted this thread. Returns `None` if the system does
/// not report it.
fn interruptions() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?.trim().parse().ok()
}

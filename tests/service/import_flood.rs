//! A flood of requests with tokens whose hashes are slow. The flood must not stop other requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use keyfob::{
    Access, MemoryStore, Tokens,
    clock::FixedClock,
    import::{ImportAlphabet, ImportDigest, ImportShape, ImportToken, Imports, SaltedImport},
    record::ImportScheme,
    store::{StoreErrorKind, sqlite::SqliteStore},
};
use tokio::task::JoinSet;

use crate::support::alone::is_alone;
use crate::support::size::is_full;
use crate::support::{actor, keyring, new_token, now, project};

/// The number of requests in a flood.
const FLOOD: usize = 1000;

fn imports() -> Imports {
    let split = ImportShape::salted("old_", 34..=60, ImportAlphabet::Base64Url, |text| text.rsplit_once('_'));
    Imports::new([split.unwrap()])
}

fn imported(number: u64, cost: u32) -> ImportToken {
    let stored = bcrypt::hash_with_salt(format!("{number:032x}"), cost, [7; 16]).unwrap().to_string();
    let (scheme, digest) = ImportScheme::of_bcrypt(&stored).unwrap();
    let (owner, name) = ("ada".parse().unwrap(), "old CI".parse().unwrap());
    let mut token = ImportToken::new(digest, project("145"), owner, name, now());
    token.salted = Some(SaltedImport::new(&format!("old_{number}"), scheme).unwrap());
    token.expires_at = Some("2027-10-23T12:00:00Z".parse().unwrap());
    token
}

/// A hash function that blocks until the test lets it go on. It counts how often it runs, and how
/// often at the same time.
#[derive(Default)]
struct Gate {
    running: AtomicU64,
    most: AtomicU64,
    all: AtomicU64,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn hash(&self) -> ImportDigest {
        self.all.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        drop(self.opened.wait_while(self.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
        self.running.fetch_sub(1, Ordering::SeqCst);
        [1; 32].into()
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// Waits until the condition is true. The test has a deadline, so that a fault does not block it.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Of 1,000 requests, two compute a hash and 16 wait. All others get a 503 before the first hash is
/// done. Requests that their clients gave up compute no hash, and free no thread early.
#[tokio::test(flavor = "multi_thread")]
async fn slow_hashes_run_two_at_a_time_and_all_other_requests_are_answered() {
    let gate = Arc::new(Gate::default());
    let hash = Arc::clone(&gate);
    let imports = imports().with_slow_function("bcrypt", 4, |_| Some(4), move |_, _| Some(hash.hash()));
    let imports = imports.with_slow_limits(2, 16);
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now())).with_imports(imports);
    let tokens = Arc::new(tokens);
    let batch = (0..FLOOD as u64).map(|number| Ok(imported(number % 100, 4))).take(100).collect();
    tokens.import(&actor(), batch).await.unwrap();
    let mut flood = JoinSet::new();
    for number in 0..FLOOD {
        let tokens = Arc::clone(&tokens);
        flood.spawn(async move {
            let text = format!("old_{}_{:032x}", number % 100, number + 1_000_000);
            let verified = tokens.verify(&text, &Access::to(&project("145"), &[])).await;
            let error = verified.expect_err("no text is right");
            (error.rejection(), error.store_error().map(|error| error.kind()), error.challenge().status())
        });
    }
    let mut refused = 0;
    while refused < FLOOD - 18 {
        let (rejection, kind, status) = flood.join_next().await.unwrap().unwrap();
        assert_eq!((rejection, kind, status), (None, Some(StoreErrorKind::Unavailable), 503));
        refused += 1;
    }
    until("two hashes", || gate.running.load(Ordering::SeqCst) == 2).await;
    // Other tokens work meanwhile.
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    tokens.verify(issued.token.expose_secret(), &Access::to(&project("145"), &[])).await.unwrap();
    // The clients of the 18 requests give up. Two hashes still run, so no new hash begins.
    flood.abort_all();
    while flood.join_next().await.is_some() {}
    assert_eq!(gate.running.load(Ordering::SeqCst), 2);
    let late = tokens.verify(&format!("old_1_{:032x}", 7), &Access::to(&project("145"), &[])).await.unwrap_err();
    assert_eq!(late.challenge().status(), 503);
    gate.open();
    until("the end of the hashes", || gate.running.load(Ordering::SeqCst) == 0).await;
    let last = format!("old_2_{:032x}", 7);
    // The worker gives the places of the abandoned checks back one after the other.
    while tokens.verify(&last, &Access::to(&project("145"), &[])).await.unwrap_err().rejection().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 2);
    assert_eq!(gate.all.load(Ordering::SeqCst), 3, "abandoned checks compute nothing");
}

/// Returns the median time of a verification.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Prints how much slower other verifications are during a flood of bcrypt hashes. The times are
/// not asserted, because they depend on what else the machine does.
#[tokio::test(flavor = "multi_thread")]
async fn other_verifications_continue_during_a_flood_of_bcrypt() {
    const TEST: &str = "import_flood::other_verifications_continue_during_a_flood_of_bcrypt";
    if !is_alone(TEST) {
        return;
    }
    /// The usual cost of bcrypt. One hash takes about 50 ms.
    const COST: u32 = 10;
    let rounds = if is_full() { 9 } else { 3 };
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    let (running, most, all) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let counts = [&running, &most, &all].map(Arc::clone);
    let bcrypt = move |scheme: &ImportScheme, text: &[u8]| {
        let [running, most, all] = &counts;
        all.fetch_add(1, Ordering::SeqCst);
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let computed = bcrypt::hash_with_salt(text, COST, scheme.salt().try_into().unwrap()).unwrap().to_string();
        running.fetch_sub(1, Ordering::SeqCst);
        Some(ImportScheme::of_bcrypt(&computed).unwrap().1)
    };
    let imports = imports().with_slow_function("bcrypt", 10, |_| Some(10), bcrypt);
    let tokens = Tokens::new(keyring(), store).with_clock(FixedClock::new(now())).with_imports(imports);
    let tokens = Arc::new(tokens);
    tokens.import(&actor(), (0..20).map(|number| Ok(imported(number, COST))).collect()).await.unwrap();
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let text = issued.token.expose_secret().to_owned();
    let verify_once = async || {
        let begun = Instant::now();
        tokens.verify(&text, &Access::to(&project("145"), &[])).await.unwrap();
        let took = begun.elapsed();
        tokio::time::sleep(Duration::from_millis(1)).await;
        took
    };
    let (mut ratios, mut medians, mut answers) = (Vec::new(), [Vec::new(), Vec::new()], [0_u64; 2]);
    for round in 0..rounds {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..200 {
            times[0].push(verify_once().await);
        }
        let mut flood = JoinSet::new();
        for number in 0..FLOOD {
            let tokens = Arc::clone(&tokens);
            flood.spawn(async move {
                let text = format!("old_{}_{:032x}", number % 20, 1_000_000 * (round + 1) + number);
                let verified = tokens.verify(&text, &Access::to(&project("145"), &[])).await;
                verified.expect_err("no text is right").challenge().status()
            });
        }
        while !flood.is_empty() {
            times[1].push(verify_once().await);
            while let Some(status) = flood.try_join_next() {
                answers[usize::from(status.unwrap() == 503)] += 1;
            }
        }
        let [before, during] = times.map(median);
        ratios.push(during.as_secs_f64() / before.as_secs_f64());
        medians[0].push(before);
        medians[1].push(during);
    }
    ratios.sort_by(f64::total_cmp);
    let ([before, during], [checked, refused]) = (medians.map(median), answers);
    let (all, most) = (all.load(Ordering::SeqCst), most.load(Ordering::SeqCst));
    println!("verification of another token: median {before:?} unloaded, {during:?} in a flood of {FLOOD} requests");
    println!(
        "median ratio of {rounds} rounds {:.2}, from {:.2} to {:.2}",
        ratios[rounds / 2],
        ratios[0],
        ratios[rounds - 1]
    );
    println!("{checked} answers after a hash, {refused} times 503; {all} hashes, at most {most} at a time");
    assert_eq!(checked + refused, (rounds * FLOOD) as u64);
    assert_eq!(checked, all, "each other answer is a 503");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert!(most <= (cores / 2).clamp(1, 4) as u64, "{most} hashes ran at the same time");
}

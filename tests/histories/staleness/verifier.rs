//! The verifying process. It reads the texts of tokens from its standard input, and verifies the
//! tokens continuously in eight tasks. For each token, it reports when it last accepted the token.

use std::env;
use std::io::BufRead;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant};

use keyfob::Access;

use crate::staleness::engine::{Service, open, policy};
use crate::staleness::{BOUND, DATABASE, FEED, FORGETS, ISSUERS, STANDBY};
use crate::support::other::{nanos, say};
use crate::support::{keyring, project};

const TASKS: usize = 8;
/// The maximum time that this process waits until it has accepted all new tokens, or until the
/// store returns a result again after a fault. The test waits longer for a line from this process,
/// so this process can report what is wrong.
const PATIENCE: Duration = Duration::from_secs(120);
/// The number of verifications that a task runs between two pauses of one millisecond.
const BURST: usize = 48;

/// A token that this process verifies.
struct Watched {
    text: String,
    /// The start of the last verification that accepted the token, in nanoseconds since 1970.
    accepted: AtomicU64,
    /// The end of the first verification that rejected the token with the reason in
    /// `Verifier::refusal`, in nanoseconds since 1970.
    refused: AtomicU64,
}

struct Verifier {
    tokens: Service,
    /// The expected reason for a rejection: `revoked`, or `issuer_ended` if the test ends the
    /// issuers of the tokens.
    refusal: &'static str,
    watched: RwLock<Vec<Arc<Watched>>>,
    verified: AtomicU64,
    /// The number of verifications that got no result from the store. The field `unanswered_at` is
    /// the end of the last such verification.
    unanswered: AtomicU64,
    unanswered_at: AtomicU64,
    /// The last error of the store.
    failure: Mutex<String>,
    /// The first unexpected result of a verification, if there was one.
    strange: OnceLock<&'static str>,
    /// The longest duration of a verification, in nanoseconds.
    longest: AtomicU64,
}

impl Verifier {
    async fn outcome(&self, token: &Watched) -> &'static str {
        let (began, since) = (nanos(), Instant::now());
        let outcome = match self.tokens.verify(&token.text, &Access::to(&project("145"), &[])).await {
            Ok(_) => "ok",
            Err(error) => match error.rejection() {
                Some(rejection) => rejection.as_str(),
                None => {
                    *self.failure.lock().unwrap() = format!("{error:?}");
                    "unavailable"
                }
            },
        };
        self.verified.fetch_add(1, Ordering::SeqCst);
        self.longest.fetch_max(since.elapsed().as_nanos() as u64, Ordering::SeqCst);
        match outcome {
            "ok" => token.accepted.fetch_max(began, Ordering::SeqCst),
            "unavailable" => {
                self.unanswered.fetch_add(1, Ordering::SeqCst);
                self.unanswered_at.fetch_max(nanos(), Ordering::SeqCst)
            }
            refusal if refusal == self.refusal => token.refused.fetch_min(nanos(), Ordering::SeqCst),
            strange => {
                let _ = self.strange.set(strange);
                0
            }
        };
        outcome
    }

    /// Describes the results so far. A wait that times out reports this text.
    fn doing(&self) -> String {
        let load = |count: &AtomicU64| count.load(Ordering::SeqCst);
        let (verified, unanswered, longest) = (load(&self.verified), load(&self.unanswered), load(&self.longest));
        format!(
            "{verified} verifications, {unanswered} without a result, the longest {:?}, unexpected results: {}, the \
             last error of the store: {}",
            Duration::from_nanos(longest),
            self.strange.get().unwrap_or(&"none"),
            self.failure.lock().unwrap(),
        )
    }

    /// Verifies the tokens one after the other, and never returns.
    async fn verify_on(&self, task: usize) {
        let mut next = task;
        loop {
            for _ in 0..BURST {
                next += 1;
                let token = {
                    let watched = self.watched.read().unwrap();
                    // A step of 37 reaches all tokens, but not in the order in which they were
                    // issued.
                    (!watched.is_empty()).then(|| Arc::clone(&watched[next * 37 % watched.len()]))
                };
                let Some(token) = token else { break };
                self.outcome(&token).await;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Verifies all tokens once more, concurrently, and reports the results to the test. If
    /// `persists` is set, repeats a verification until it gets a result from the store.
    async fn try_all(self: &Arc<Self>, persists: bool) {
        let mut tries = Vec::new();
        for token in self.watched.read().unwrap().iter() {
            let (verifier, token) = (Arc::clone(self), Arc::clone(token));
            tries.push(tokio::spawn(async move {
                let asked = Instant::now();
                let mut outcome = verifier.outcome(&token).await;
                while persists && outcome == "unavailable" && asked.elapsed() < PATIENCE {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    outcome = verifier.outcome(&token).await;
                }
                if persists && outcome == "unavailable" {
                    eprintln!("no result for {PATIENCE:?}: {}", verifier.doing());
                }
                let (accepted, refused) = (&token.accepted, &token.refused);
                format!("{} {} {outcome}", accepted.load(Ordering::SeqCst), refused.load(Ordering::SeqCst))
            }));
        }
        for tried in tries {
            say(tried.await.unwrap());
        }
    }
}

#[test]
#[ignore = "run by the other tests"]
fn other_process() {
    let Ok(database) = env::var(DATABASE) else { return };
    let bound = if env::var(FORGETS).is_ok() { BOUND } else { Duration::MAX };
    let (follows, standby) = (env::var(FEED).is_ok(), env::var(STANDBY).ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = runtime.block_on(open(&database, bound, follows, standby.as_deref()));
    let verifier = Arc::new(Verifier {
        tokens: Service::new(keyring(), store).with_policy(policy()),
        refusal: if env::var(ISSUERS).is_ok() { "issuer_ended" } else { "revoked" },
        watched: RwLock::default(),
        verified: AtomicU64::new(0),
        unanswered: AtomicU64::new(0),
        unanswered_at: AtomicU64::new(0),
        failure: Mutex::default(),
        strange: OnceLock::new(),
        longest: AtomicU64::new(0),
    });
    for task in 0..TASKS {
        let verifier = Arc::clone(&verifier);
        runtime.spawn(async move { verifier.verify_on(task).await });
    }
    let mut heard = Vec::new();
    for line in std::io::stdin().lock().lines() {
        match line.unwrap().as_str() {
            // Before the test revokes the first token, this process must have accepted all tokens.
            "watch" => {
                *verifier.watched.write().unwrap() = std::mem::take(&mut heard);
                let open = |token: &&Arc<Watched>| token.accepted.load(Ordering::SeqCst) == 0;
                let asked = Instant::now();
                let open = loop {
                    let open = verifier.watched.read().unwrap().iter().filter(open).count();
                    if open == 0 || asked.elapsed() > PATIENCE {
                        break open;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                };
                match open {
                    0 => say("all accepted"),
                    open => say(format_args!("{open} never accepted, {}", verifier.doing())),
                }
            }
            "try" => runtime.block_on(verifier.try_all(false)),
            "end" => {
                runtime.block_on(verifier.try_all(true));
                verifier.watched.write().unwrap().clear();
            }
            "counts" => {
                let counts = verifier.tokens.store().counts();
                let load = |count: &AtomicU64| count.load(Ordering::SeqCst);
                let (unanswered, unanswered_at) = (load(&verifier.unanswered), load(&verifier.unanswered_at));
                say(format_args!(
                    "{} {} {} {} {} {unanswered} {unanswered_at} {} {}",
                    counts.hits,
                    counts.misses,
                    counts.joined,
                    counts.feed_losses,
                    u64::from(counts.feed_age.is_some()),
                    load(&verifier.longest),
                    verifier.strange.get().unwrap_or(&"none"),
                ));
            }
            text => heard.push(Arc::new(Watched {
                text: text.to_owned(),
                accepted: AtomicU64::new(0),
                refused: AtomicU64::new(u64::MAX),
            })),
        }
    }
}

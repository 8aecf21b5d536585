//! Runs the steps of a verification, so that valgrind's tool callgrind can count their
//! instructions.
//!
//! `hot-path NAME` calls one step [`WARM`] times directly, and then [`CALLS`] times through the
//! function [`counted`]. callgrind counts only the instructions within `counted`. `run.sh` leaves
//! out the functions of the crate `sha2`, divides the count by [`CALLS`], and compares the result
//! with the file `baseline`.
//!
//! SHA-256 is left out because valgrind does not support the SHA instructions of the processor. The
//! portable code would be nine tenths of each count. The counts do not show:
//! - time: an instruction that waits for memory or for another instruction counts like any other;
//! - the hash function: a second HMAC in a verification adds only a few counted instructions
//!   (the benchmark in `benches/verification` shows its time);
//! - the work of a store other than `MemoryStore`, and contention between threads.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use keyfob::{
    Access, Actor, Clock, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper, Policy, Prefix, PresentedToken,
    ProjectId, Scope, ScopeSet, TokenRecord, TokenStore, Tokens, check,
    clock::FixedClock,
    events::{Event, EventSink},
    mint,
    record::Issuer,
    store::cache::Cached,
    tokens::Usage,
};

/// The number of calls before the counted calls. These calls complete work that happens once in a
/// process, such as dynamic linking and the growth of buffers.
const WARM: u32 = 10;
const CALLS: u32 = 100;
const STEPS: [&str; 7] = ["parse", "check", "refuse", "verify", "verify-observed", "verify-cached", "verify-bound"];

fn main() -> ExitCode {
    let step = std::env::args().nth(1).unwrap_or_default();
    let world = World::new();
    match step.as_str() {
        "parse" => repeat(&|| {
            black_box(
                PresentedToken::parse(black_box(&world.text), &world.keyring)
                    .expect("the token was minted with this keyring"),
            );
        }),
        "check" => {
            let token =
                PresentedToken::parse(&world.text, &world.keyring).expect("the token was minted with this keyring");
            let (access, policy, now) = (world.access(), Policy::default(), world.clock.now());
            repeat(&|| {
                let record = Some(Arc::clone(&world.record));
                black_box(check(black_box(&token), record.into(), &access, &policy, now).expect("the token is live"));
            });
        }
        "refuse" => {
            // A text of a token's length, without its prefix.
            let garbage: Vec<u8> = world.text.bytes().rev().collect();
            let (tokens, access) = (world.tokens(MemoryStore::new()), world.access());
            repeat(&|| {
                black_box(ready(tokens.verify(black_box(&garbage), &access)).expect_err("it is no token"));
            });
        }
        "verify" => world.verify(&world.tokens(MemoryStore::new())),
        "verify-observed" => {
            let tokens = world.tokens(MemoryStore::new()).with_usage(Usage::default()).with_events(Ignored);
            world.verify(&tokens);
        }
        "verify-bound" => {
            let (world, issuer) = world.bound();
            let store = MemoryStore::new();
            ready(store.insert(issuer, None, None)).expect("the store is empty");
            world.verify(&world.tokens(store));
        }
        "verify-cached" => {
            let tokens = world.tokens(Cached::new(MemoryStore::new(), Duration::from_secs(3600)));
            world.verify(&tokens);
            assert_eq!(tokens.store().counts().misses, 1, "the cache answers all verifications except the first");
        }
        _ => {
            eprintln!("usage: hot-path {}", STEPS.join("|"));
            return ExitCode::FAILURE;
        }
    }
    println!("{step}: {CALLS} calls");
    ExitCode::SUCCESS
}

fn repeat(call: &dyn Fn()) {
    (0..WARM).for_each(|_| call());
    (0..CALLS).for_each(|_| counted(call));
}

/// Calls a step. `run.sh` passes the name of this function to callgrind, which counts instructions
/// only within it.
#[inline(never)]
fn counted(call: &dyn Fn()) {
    call();
}

fn keyring() -> Keyring {
    let pepper = Pepper::new((0..32).collect()).expect("32 bytes are a pepper");
    Keyring::new(Prefix::new("acme_pat").expect("valid"), pepper)
}

/// A token, its record, and the request that presents the token.
struct World {
    keyring: Keyring,
    clock: FixedClock,
    record: Arc<TokenRecord>,
    text: String,
    needs: [Scope; 1],
}

impl World {
    fn new() -> Self {
        let keyring = keyring();
        let clock = FixedClock::new("2026-11-23T12:00:00Z".parse().expect("valid"));
        let (project, owner) = (ProjectId::new("145").expect("valid"), OwnerId::new("ada").expect("valid"));
        let new = NewToken::new(project, owner, Name::new("CI").expect("valid"))
            .with_scopes(ScopeSet::new("repo:read repo:write").expect("valid"));
        let actor = Actor::new("ada").expect("valid");
        let issued = mint(&keyring, &Policy::default(), new, &actor, clock.now()).expect("the policy allows it");
        Self {
            keyring,
            clock,
            record: Arc::new(issued.record),
            text: issued.token.expose_secret().to_owned(),
            needs: [Scope::new("repo:write").expect("valid")],
        }
    }

    /// Returns `self` with its token bound to another token, and the record of that other token.
    fn bound(self) -> (Self, TokenRecord) {
        let mut issuer = Self::new().record.as_ref().clone();
        issuer.scopes = ScopeSet::new("repo:read repo:write tokens:manage").expect("valid");
        let mut record = self.record.as_ref().clone();
        record.issuer = Some(Issuer { id: issuer.id, bound: true });
        (Self { record: Arc::new(record), ..self }, issuer)
    }

    fn access(&self) -> Access<'_> {
        Access::to(&self.record.project, &self.needs)
    }

    /// Returns a service with only this token in its store.
    fn tokens<S: TokenStore>(&self, store: S) -> Tokens<S> {
        ready(store.insert((*self.record).clone(), None, None)).expect("the store is empty");
        Tokens::new(keyring(), store).with_clock(self.clock.clone())
    }

    fn verify<S: TokenStore>(&self, tokens: &Tokens<S>) {
        let access = self.access();
        repeat(&|| {
            black_box(ready(tokens.verify(black_box(&self.text), &access)).expect("the token is live"));
        });
    }
}

struct Ignored;

impl EventSink for Ignored {
    fn record(&self, event: &Event<'_>) {
        black_box(event);
    }
}

/// Returns the result of a future that is ready at the first poll, like every future of
/// `MemoryStore`.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a store in memory does not wait"),
    }
}

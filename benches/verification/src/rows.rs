//! The operations of a service, beside their floors.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Access, Clock, MemoryStore, Policy, PresentedToken, Rejection, SystemClock, TokenRecord, TokenStore, Tokens, check,
    clock::CoarseClock,
    events::{Event, EventSink},
    mint,
    store::cache::Cached,
    text::TokenText,
    tokens::Usage,
};
use rand_core::TryRng;

use crate::floor::{Floor, Multiplied, Standard, TEXT};
use crate::measure::{Act, act, by_turns};
use crate::table::Table;
use crate::world::{Population, Ring, ada, issued, issuer_and_bound, keyring, new_token, project, ready};

/// The number of tokens in the large store.
const MANY: usize = 1_000_000;
const FLOOR: [&str; 2] = ["HMAC", "look-up"];

type Acts<'a> = Vec<(&'static str, Act<'a>)>;

/// Adds the floors of a verification in this population.
fn floors<'a>(acts: &mut Acts<'a>, population: &'a Population) {
    // Each walk begins at another place, so that no walk finds records in the processor's caches
    // that another walk has read.
    let start = |fifths: usize| population.texts.len() * fifths / 5;
    let Population { records, texts, keys, .. } = population;
    let (hmac, mut ring) = (Floor::new(), Ring::new(texts, start(0)));
    let mut look_ups = Standard::new(records, keys, start(1));
    let mut multiplied = Multiplied::new(records, keys, start(2));
    let (also, mut both) = (Floor::new(), Standard::new(records, keys, start(3)));
    acts.push(("HMAC", act(move || hmac.hmac(ring.next()))));
    acts.push(("look-up", act(move || look_ups.next())));
    acts.push(("multiplied", act(move || multiplied.next())));
    acts.push(("both", act(move || (also.hmac(&texts[both.at()]), both.next()))));
}

/// Adds the verification of these texts in turn, beginning at the index `at`.
fn verification<'a, S: TokenStore + 'a>(
    acts: &mut Acts<'a>,
    name: &'static str,
    tokens: Tokens<S>,
    texts: &'a [[u8; TEXT]],
    at: usize,
) {
    let (project, mut ring) = (project(), Ring::new(texts, at));
    let once = move || {
        let access = Access::to(&project, &[]);
        ready(tokens.verify(black_box(ring.next()), &access)).expect("the token is live")
    };
    acts.push((name, act(once)));
}

/// Returns one token.
fn one() -> Population {
    Population::new(1, &MemoryStore::new())
}

/// Returns a store that holds these records.
fn store(records: &[Arc<TokenRecord>]) -> MemoryStore {
    let store = MemoryStore::new();
    for record in records {
        ready(store.insert((**record).clone(), None, None)).expect("the id is new");
    }
    store
}

fn tokens<S: TokenStore>(store: S) -> Tokens<S> {
    Tokens::new(keyring(0), store)
}

/// Measures the verification of one token, which stays in the processor's caches.
pub fn hot(table: &mut Table) {
    let (population, policy, keyring, project) = (one(), Policy::default(), keyring(0), project());
    let (texts, records) = (&population.texts, &population.records);
    let access = Access::to(&project, &[]);
    let mut acts = Acts::new();
    verification(&mut acts, "verify", tokens(store(records)), texts, 0);
    floors(&mut acts, &population);
    let coarse = tokens(store(records)).with_clock(CoarseClock::start().expect("the system starts a thread"));
    verification(&mut acts, "coarse clock", coarse, texts, 0);
    acts.push(("clock", act(|| SystemClock.now())));
    let once = || {
        let token = PresentedToken::parse(black_box(&texts[0]), &keyring).expect("the token is genuine");
        let row = Some(Arc::clone(black_box(&records[0])));
        check(&token, row.into(), &access, &policy, SystemClock.now()).expect("the token is live")
    };
    acts.push(("check", act(once)));
    let times = by_turns(acts);
    table.floor("HMAC", times.median("HMAC"));
    table.floor("look-up, one token", times.median("look-up"));
    table.floor("look-up by multiplication, one token", times.median("multiplied"));
    table.floor("HMAC and look-up in one loop, one token", times.median("both"));
    table.floor("clock of the system", times.median("clock"));
    table.row("verify, one token", "HMAC + look-up", times.beside("verify", &FLOOR));
    table.row(
        "… beside multiplication",
        "HMAC + look-up by multiplication",
        times.beside("verify", &["HMAC", "multiplied"]),
    );
    table.row("… beside one loop", "HMAC and look-up in one loop", times.beside("verify", &["both"]));
    table.row("… with a coarse clock", "HMAC + look-up", times.beside("coarse clock", &FLOOR));
    table.row("`PresentedToken::parse`, `check`", "HMAC", times.beside("check", &["HMAC"]));
}

/// Measures the verification of a million tokens in turn, each outside the processor's caches.
pub fn cold(table: &mut Table) {
    let store = MemoryStore::new();
    let population = Population::new(MANY, &store);
    let mut acts = Acts::new();
    verification(&mut acts, "verify", tokens(store), &population.texts, MANY * 4 / 5);
    floors(&mut acts, &population);
    let times = by_turns(acts);
    table.floor("look-up, a million tokens", times.median("look-up"));
    table.floor("look-up by multiplication, a million tokens", times.median("multiplied"));
    table.floor("HMAC and look-up in one loop, a million tokens", times.median("both"));
    table.row("verify, a million tokens", "HMAC + look-up", times.beside("verify", &FLOOR));
    table.row(
        "… beside multiplication",
        "HMAC + look-up by multiplication",
        times.beside("verify", &["HMAC", "multiplied"]),
    );
    table.row("… beside one loop", "HMAC and look-up in one loop", times.beside("verify", &["both"]));
}

/// Measures the rejection of texts that are no tokens of the service. None of them needs a call to
/// the store.
pub fn refused(table: &mut Table) {
    let population = one();
    let (tokens, project) = (tokens(store(&population.records)), project());
    let text = population.texts[0];
    // The checksum is the last check of the form, so no malformed text is more expensive to reject.
    let mut typo = text;
    typo[40] = if typo[40] == b'A' { b'B' } else { b'A' };
    assert_eq!(TokenText::parse(&typo).err(), Some(Rejection::Checksum));
    // This token has a valid form and a valid checksum, but it was issued with another pepper.
    let forged: [u8; TEXT] =
        issued(&keyring(100)).token.expose_secret().as_bytes().try_into().expect("all tokens have one length");
    assert_eq!(PresentedToken::parse(&forged, &keyring(0)).err(), Some(Rejection::Tag));
    // The random letters of another token, in the length of a token and without its prefix.
    let mut garbage = text;
    garbage.reverse();
    let cases: [(&'static str, &[u8]); 4] =
        [("garbage", &garbage), ("five bytes", b"hello"), ("typo", &typo), ("forged", &forged)];
    let mut acts = Acts::new();
    let (hmac, mut ring) = (Floor::new(), Ring::new(&population.texts, 0));
    acts.push(("HMAC", act(move || hmac.hmac(ring.next()))));
    for (name, text) in cases {
        let (tokens, access) = (&tokens, Access::to(&project, &[]));
        acts.push((name, act(move || ready(tokens.verify(black_box(text), &access)).expect_err("it is no token"))));
    }
    let times = by_turns(acts);
    table.row("refuse garbage of a token's length", "HMAC", times.beside("garbage", &["HMAC"]));
    table.row("refuse five bytes", "HMAC", times.beside("five bytes", &["HMAC"]));
    table.row("refuse a token with a typo", "HMAC", times.beside("typo", &["HMAC"]));
    table.row("refuse a forged token", "HMAC", times.beside("forged", &["HMAC"]));
}

/// Measures the creation of a token.
pub fn issue(table: &mut Table) {
    let (keyring, policy, actor, population) = (keyring(0), Policy::default(), ada(), one());
    let (hmac, mut ring) = (Floor::new(), Ring::new(&population.texts, 0));
    let random = || {
        let mut bytes = [0; 64];
        getrandom::SysRng.try_fill_bytes(&mut bytes).expect("the system has random numbers");
        bytes
    };
    let mint = || mint(&keyring, &policy, new_token(), &actor, SystemClock.now()).expect("the policy allows it");
    let times = by_turns(vec![
        ("HMAC", act(move || hmac.hmac(ring.next()))),
        ("mint", act(mint)),
        ("getrandom", act(random)),
        ("request", act(new_token)),
    ]);
    table.floor("getrandom of 64 bytes", times.median("getrandom"));
    table.row("mint a token", "getrandom + HMAC", times.without("mint", "request", &["getrandom", "HMAC"]));
}

/// Measures the verification of a token that another token issued, beside its issuer.
pub fn bound(table: &mut Table) {
    let (tokens, issuer, bound) = issuer_and_bound();
    let (tokens, project) = (&tokens, project());
    let verify = |text: [u8; TEXT]| {
        let access = Access::to(&project, &[]);
        act(move || ready(tokens.verify(black_box(&text), &access)).expect("the token is live"))
    };
    let times = by_turns(vec![("issuer", verify(issuer)), ("bound", verify(bound))]);
    table.row("verify a token that a token issued", "verify its issuer", times.beside("bound", &["issuer"]));
}

/// Measures what the cache, the last uses and the events add to the verification of one token.
pub fn layers(table: &mut Table) {
    let population = one();
    let (texts, records) = (&population.texts, &population.records);
    let cached = || tokens(Cached::new(store(records), Duration::from_secs(3600)));
    let mut acts = Acts::new();
    verification(&mut acts, "plain", tokens(store(records)), texts, 0);
    verification(&mut acts, "usage", tokens(store(records)).with_usage(Usage::default()), texts, 0);
    verification(&mut acts, "events", tokens(store(records)).with_events(Ignored), texts, 0);
    let observed = tokens(store(records)).with_usage(Usage::default()).with_events(Ignored);
    verification(&mut acts, "observed", observed, texts, 0);
    verification(&mut acts, "cached", cached(), texts, 0);
    let observed = cached().with_usage(Usage::default()).with_events(Ignored);
    verification(&mut acts, "cached, observed", observed, texts, 0);
    let times = by_turns(acts);
    table.row("verify through `Cached`", "`MemoryStore`", times.beside("cached", &["plain"]));
    table.row("verify with `with_usage`", "without", times.beside("usage", &["plain"]));
    table.row("verify with `with_events`", "without", times.beside("events", &["plain"]));
    table.row("verify with both", "without", times.beside("observed", &["plain"]));
    table.row("verify with both, through `Cached`", "`Cached` without", times.beside("cached, observed", &["cached"]));
}

/// A sink that does nothing.
struct Ignored;

impl EventSink for Ignored {
    fn record(&self, event: &Event<'_>) {
        black_box(event);
    }
}

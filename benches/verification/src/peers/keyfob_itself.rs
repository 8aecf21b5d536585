//! keyfob, as a service uses it.

use keyfob::{Access, MemoryStore, Tokens, clock::CoarseClock};

use super::{Peer, Texts};
use crate::world::{Population, issued, keyring, project, ready};

/// Returns a service with the clock of the system.
pub fn service() -> Peer {
    peer("keyfob", |tokens| tokens)
}

/// Returns a service with a coarse clock.
pub fn coarse_clock() -> Peer {
    let clock = CoarseClock::start().expect("the system starts a thread");
    peer("keyfob, coarse clock", |tokens| tokens.with_clock(clock))
}

fn peer(name: &'static str, with: impl FnOnce(Tokens<MemoryStore>) -> Tokens<MemoryStore>) -> Peer {
    let store = MemoryStore::new();
    let population = Population::new(1, &store);
    let (tokens, project) = (with(Tokens::new(keyring(0), store)), project());
    let valid = str::from_utf8(&population.texts[0]).expect("a token is ASCII").to_owned();
    let forged = issued(&keyring(100)).token.expose_secret().to_owned();
    let verify = move |text: &str| ready(tokens.verify(text, &Access::to(&project, &[]))).is_ok();
    Peer {
        name,
        texts: Texts::new(valid, forged, 40),
        verify: Box::new(verify),
        checks: "Status, expiry, policy, issuers, project, addresses, scopes. Only a genuine token costs a store call.",
    }
}

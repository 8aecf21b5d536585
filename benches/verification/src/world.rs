//! The tokens and the services that are measured.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use keyfob::{
    Access, Actor, Clock, Issued, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId,
    Scope, ScopeSet, SystemClock, TokenKey, TokenRecord, TokenStore, Tokens, mint, text::TokenText,
};

use crate::floor::TEXT;

/// Tokens, and their records. The order of the tokens differs from the order in which the records
/// were inserted. So if the benchmark verifies the tokens one after the other, each record of a
/// large population is outside the processor's caches, as in a real service with many tokens. The
/// texts are in one allocation, so reading a text is as fast as reading a request that has just
/// arrived.
pub struct Population {
    pub records: Vec<Arc<TokenRecord>>,
    pub texts: Vec<[u8; TEXT]>,
    /// The keys of the records, in the order of the texts.
    pub keys: Vec<TokenKey>,
}

impl Population {
    /// Creates this number of tokens, with their records in an empty store.
    pub fn new(tokens: usize, store: &MemoryStore) -> Self {
        let keyring = keyring(0);
        let (mut texts, mut records) = (HashMap::with_capacity(tokens), Vec::with_capacity(tokens));
        for at in 0..tokens {
            let Issued { token, record, .. } = issued(&keyring);
            texts.insert(at, token.expose_secret().as_bytes().try_into().expect("all tokens have one length"));
            records.push(ready(store.insert(record, None, None)).expect("the id is new"));
        }
        // The iteration order of a `HashMap` is random, so this shuffles the texts.
        let texts: Vec<[u8; TEXT]> = texts.into_values().collect();
        let key = |text: &[u8; TEXT]| {
            let text = TokenText::parse(text).expect("the text is that of a token");
            TokenKey { project: text.project(), id: text.id() }
        };
        Self { keys: texts.iter().map(key).collect(), records, texts }
    }
}

/// An endless walk through a slice.
pub struct Ring<'a, T> {
    elements: &'a [T],
    at: usize,
}

impl<'a, T> Ring<'a, T> {
    /// Begins at the element with the index `at`.
    pub fn new(elements: &'a [T], at: usize) -> Self {
        Self { elements, at: at % elements.len() }
    }

    #[inline]
    pub fn next(&mut self) -> &'a T {
        let element = &self.elements[self.at];
        self.at = if self.at + 1 == self.elements.len() { 0 } else { self.at + 1 };
        element
    }
}

/// Returns a keyring with the prefix of the tokens and a pepper that begins with this byte.
pub fn keyring(first: u8) -> Keyring {
    let pepper = Pepper::new((first..first + 32).collect()).expect("a pepper has 32 bytes");
    Keyring::new(Prefix::new("acme_pat").expect("the prefix is valid"), pepper)
}

pub fn project() -> ProjectId {
    ProjectId::new("145").expect("the project id is valid")
}

pub fn ada() -> Actor {
    Actor::new("ada").expect("the actor is valid")
}

pub fn new_token() -> NewToken {
    let name = Name::new("VS Code integration").expect("the name is valid");
    NewToken::new(project(), OwnerId::new("ada").expect("the owner is valid"), name)
}

/// Issues a token with this keyring and the time of the system.
pub fn issued(keyring: &Keyring) -> Issued {
    mint(keyring, &Policy::default(), new_token(), &ada(), SystemClock.now()).expect("the policy allows it")
}

/// Returns a service, and the texts of two of its tokens. The first token is independent. It issued
/// the second token, which is bound to it.
pub fn issuer_and_bound() -> (Tokens<MemoryStore>, [u8; TEXT], [u8; TEXT]) {
    let tokens = Tokens::new(keyring(0), MemoryStore::new());
    let scopes = |scopes| ScopeSet::new(scopes).expect("the scopes are valid");
    let issue = |new| ready(tokens.issue(&ada(), new)).expect("the policy allows it").token;
    let text = |token: keyfob::PlaintextToken| token.expose_secret().as_bytes().try_into().expect("one length");
    let issuer = text(issue(new_token().with_scopes(scopes("repo:read tokens:manage"))));
    let verified = ready(tokens.verify(&issuer, &Access::to(&project(), &[]))).expect("the token is live");
    let by = verified.delegate(&Scope::new("tokens:manage").expect("the scope is valid")).expect("it has the scope");
    let bound = text(issue(new_token().with_scopes(scopes("repo:read")).within(&by)));
    (tokens, issuer, bound)
}

/// Returns the output of a future that completes at its first poll, as all futures of a
/// `MemoryStore` do. Panics if the future is not complete.
// Inlined, so that the future stays where it was created, as with `await`.
#[inline(always)]
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a `MemoryStore` never waits"),
    }
}

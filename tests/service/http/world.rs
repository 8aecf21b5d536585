//! The tokens and the service of one row of the table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::{
    Issued, Lifetime, MemoryStore, NewToken, OwnerId, Policy, ProjectId, ScopeSet, TokenKey, TokenRecord, TokenStore,
    Tokens,
    clock::FixedClock,
    http::{CredentialPlaces, Framework, Guard},
    owners::{OwnerState, Owners, OwnersError},
    store::{ChainResult, StoreError, StoreErrorKind},
};

use crate::support::{actor, keyring, new_token, now};

pub const HOUR: Duration = Duration::from_secs(3600);
pub const MS: Duration = Duration::from_millis(1);

pub type Made = Issued<Arc<TokenRecord>>;

/// Whether the store and the directory of owners answer without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    FromMemory,
    AfterWait,
}

/// A store in memory that can be switched off.
pub struct Switched {
    pub store: MemoryStore,
    off: AtomicBool,
    pace: Pace,
}

impl TokenStore for Switched {
    fn find_held(&self, key: &TokenKey) -> Option<ChainResult> {
        let is_held = self.pace == Pace::FromMemory && !self.off.load(Ordering::SeqCst);
        is_held.then(|| self.store.find_held(key))?
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        if self.pace == Pace::AfterWait {
            tokio::task::yield_now().await;
        }
        match self.off.load(Ordering::SeqCst) {
            true => Err(StoreErrorKind::Unavailable.into()),
            false => self.store.find(key).await,
        }
    }
    handed_on!(store: insert, list, count, update, revoke, revoke_owner, revoke_family, revoke_issued_by);
    handed_on!(store: revoke_batch, rotate, touch_many);
}

/// A directory of owners that returns the same state for every owner. `None` is a failure.
#[derive(Clone)]
struct Directory(Arc<Mutex<Option<OwnerState>>>, Pace);

impl Owners for Directory {
    fn known(&self, _: &OwnerId, _: &ProjectId) -> Option<OwnerState> {
        self.0.lock().unwrap().filter(|_| self.1 == Pace::FromMemory)
    }

    async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
        self.0.lock().unwrap().ok_or_else(|| "the directory is away".into())
    }
}

pub struct World {
    pub store: Arc<Switched>,
    pub clock: FixedClock,
    directory: Directory,
    policy: Mutex<Policy>,
}

impl World {
    pub fn new() -> Self {
        Self::at(Pace::FromMemory)
    }

    pub fn at(pace: Pace) -> Self {
        let directory = Directory(Arc::new(Mutex::new(Some(OwnerState::Active))), pace);
        let store = Arc::new(Switched { store: MemoryStore::new(), off: AtomicBool::default(), pace });
        Self { store, clock: FixedClock::new(now()), directory, policy: Mutex::default() }
    }

    /// Returns a service over the tokens of this world.
    pub fn tokens(&self) -> Arc<Tokens<Arc<Switched>>> {
        let tokens = Tokens::new(keyring(), Arc::clone(&self.store)).with_clock(self.clock.clone());
        let policy = self.policy.lock().unwrap().clone();
        Arc::new(tokens.with_owners(self.directory.clone()).with_policy(policy))
    }

    /// Returns the guard with which each driver protects its routes. The header `x-real-ip` names
    /// the client address.
    pub fn guard<F: Framework>(&self) -> Guard<F> {
        let places = CredentialPlaces::new().with_header("X-API-Key").unwrap();
        let guard = Guard::new(self.tokens()).with_realm("acme").with_places(places);
        guard.with_client_address(|request| {
            let address = F::header(request, "x-real-ip").next()?;
            std::str::from_utf8(address).ok()?.parse().ok()
        })
    }

    pub fn switch_off(&self) {
        self.store.off.store(true, Ordering::SeqCst);
    }

    pub fn set_owners(&self, state: Option<OwnerState>) {
        *self.directory.0.lock().unwrap() = state;
    }

    pub fn set_policy(&self, policy: Policy) {
        *self.policy.lock().unwrap() = policy;
    }

    pub async fn issue(&self, new: NewToken) -> Made {
        self.tokens().issue(&actor(), new).await.unwrap()
    }

    /// Returns the request for a token of project 145 with a lifetime of one hour and two scopes.
    pub fn usual(&self) -> NewToken {
        let scopes = ScopeSet::new("notes:read repo:read").unwrap();
        new_token().with_lifetime(Lifetime::For(HOUR)).with_scopes(scopes)
    }
}

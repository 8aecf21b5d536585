//! What is held and what is being asked, behind one lock for each shard of the keys; and the epochs.

use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, PoisonError};
// In the crate's own tests, `schedules` chooses who goes on at each of them.
#[cfg(not(test))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use quick_cache::unsync::Cache;
#[cfg(test)]
use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::OnceCell;

use super::protocol::{self, Epoch, Held, Since, Versioned};
use crate::rules::record::TokenRecord;
use crate::service::store_error::StoreError;
use crate::words::ids::{ProjectId, TokenKey};

/// So many that the locks are seldom met by two.
const SHARDS: usize = 64;
/// Projects share them: a project whose epoch moves takes a thousandth of the others with it.
const EPOCHS: usize = 1024;

pub(super) type Found = Option<Arc<TokenRecord>>;

impl Versioned for Arc<TokenRecord> {
    fn version(&self) -> u64 {
        self.version
    }

    fn is_revoked(&self) -> bool {
        self.revoked.is_some()
    }
}

/// One call of the store, for all who ask meanwhile.
#[derive(Debug)]
pub(super) struct Flight {
    /// The project's, when it was begun. Who asks in a later one does not wait for it.
    epoch: Epoch,
    pub(super) answer: OnceCell<Answer>,
    /// Something of the key was written or told since it began.
    overtaken: AtomicBool,
}

/// What the store said, and from when that is.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) since: Since,
    pub(super) found: Result<Found, Arc<StoreError>>,
}

struct Shard {
    held: Cache<TokenKey, Held<Arc<TokenRecord>>>,
    flights: HashMap<TokenKey, Arc<Flight>>,
}

pub(super) struct Shards {
    shards: Box<[Mutex<Shard>]>,
    epochs: Box<[AtomicU64]>,
    /// Added to each: how often all was given up.
    all: AtomicU64,
    hasher: RandomState,
    bound: Duration,
}

/// What a look finds.
pub(super) enum Looked {
    Held {
        found: Found,
        age: Duration,
    },
    /// A call that somebody has begun, or that is now to be begun.
    Asked {
        flight: Arc<Flight>,
        begun: bool,
    },
}

impl Shards {
    pub(super) fn new(bound: Duration, entries: usize) -> Self {
        let each = entries.div_ceil(SHARDS).max(1);
        let shard = || Mutex::new(Shard { held: Cache::new(each), flights: HashMap::new() });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
            hasher: RandomState::new(),
            bound,
        }
    }

    // No code here panics while it holds a lock, so a poisoned one holds nothing half-done.
    fn shard(&self, key: &TokenKey) -> MutexGuard<'_, Shard> {
        let place = self.hasher.hash_one(key.id) as usize % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_project(&self, project: &ProjectId) -> &AtomicU64 {
        &self.epochs[self.hasher.hash_one(project) as usize % EPOCHS]
    }

    pub(super) fn epoch(&self, project: &ProjectId) -> Epoch {
        // Both only grow: whichever moves, the sum does.
        self.all.load(Ordering::SeqCst) + self.of_project(project).load(Ordering::SeqCst)
    }

    pub(super) fn move_epoch(&self, project: &ProjectId) {
        self.of_project(project).fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn move_all_epochs(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn look(&self, key: &TokenKey, now: Duration) -> Looked {
        let mut shard = self.shard(key);
        // Read with the lock held: an epoch that moved before this look began is seen.
        let epoch = self.epoch(&key.project);
        if let Some(held) = protocol::look(shard.held.get(key), now, epoch, self.bound) {
            return Looked::Held { found: held.found.clone(), age: now.saturating_sub(held.since.asked_at) };
        }
        if let Some(flight) = shard.flights.get(key).filter(|flight| flight.epoch == epoch) {
            return Looked::Asked { flight: Arc::clone(flight), begun: true };
        }
        let flight = Arc::new(Flight { epoch, answer: OnceCell::new(), overtaken: AtomicBool::new(false) });
        shard.flights.insert(*key, Arc::clone(&flight));
        Looked::Asked { flight, begun: false }
    }

    /// A call has come back. Says whether its answer is kept.
    pub(super) fn land(&self, key: &TokenKey, flight: &Arc<Flight>, found: &Found, since: Since) -> bool {
        let mut shard = self.shard(key);
        shard.end(key, flight);
        let held = shard.held.peek(key).cloned();
        let fill = Held { found: found.clone(), since };
        let overtaken = flight.overtaken.load(Ordering::SeqCst);
        let landed = protocol::fill(held, fill, overtaken, self.epoch(&key.project), self.bound);
        if let (false, Some(held)) = (landed.lost, landed.held) {
            shard.held.insert(*key, held);
        }
        !landed.lost
    }

    /// A call has failed, or nobody waits for it any more.
    pub(super) fn end(&self, key: &TokenKey, flight: &Arc<Flight>) {
        self.shard(key).end(key, flight);
    }

    /// Nobody else holds it: only the shard and who asks.
    pub(super) fn end_if_last(&self, key: &TokenKey, flight: &Arc<Flight>) {
        let mut shard = self.shard(key);
        if Arc::strong_count(flight) <= 2 {
            shard.end(key, flight);
        }
    }

    /// This process's act is acknowledged: it gave this record.
    pub(super) fn wrote(&self, key: &TokenKey, record: &Arc<TokenRecord>, since: Since) {
        let mut shard = self.shard(key);
        shard.overtake(key);
        let held = shard.held.remove(key).map(|(_, held)| held);
        if let Some(held) = protocol::wrote(held, Held { found: Some(Arc::clone(record)), since }) {
            shard.held.insert(*key, held);
        }
    }

    /// Something of this key may have changed.
    pub(super) fn forget(&self, key: &TokenKey) {
        let mut shard = self.shard(key);
        shard.overtake(key);
        shard.held.remove(key);
    }

    pub(super) fn len(&self) -> u64 {
        let len = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).held.len() as u64;
        self.shards.iter().map(len).sum()
    }
}

impl Shard {
    /// A call that is under way comes too late: who asks from now on does not wait for it.
    fn overtake(&mut self, key: &TokenKey) {
        if let Some(flight) = self.flights.remove(key) {
            flight.overtaken.store(true, Ordering::SeqCst);
        }
    }

    fn end(&mut self, key: &TokenKey, flight: &Arc<Flight>) {
        if self.flights.get(key).is_some_and(|there| Arc::ptr_eq(there, flight)) {
            self.flights.remove(key);
        }
    }
}

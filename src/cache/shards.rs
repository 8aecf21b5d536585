//! The shards and the epochs of a cache. Each shard has its own lock, and holds a part of the cache
//! entries and of the store calls in progress.

use core::time::Duration;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError};
// In the tests of this crate, `schedules` decides at each lock and atomic which thread continues.
#[cfg(not(test))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use quick_cache::UnitWeighter;
use quick_cache::unsync::Cache;
#[cfg(test)]
use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::OnceCell;

use super::protocol::{self, Epoch, Held, Since, Versioned};
use crate::rules::record::TokenRecord;
use crate::store::contract::ReadResult;
use crate::store::id_hash::{GivenHash, HashedKey, IdHash};
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;

/// The number of shards. It is large enough that two callers seldom need the same lock.
const SHARDS: usize = 64;
/// The number of epochs, which are counters. To drop the entries of one project, the cache raises
/// the project's epoch by one. Several projects may share one epoch, so this also drops the entries
/// of about one in a thousand other projects.
const EPOCHS: usize = 1024;

/// The record that a call to the store returned, or `None` if the store has no such record.
pub(super) type Found = Option<Arc<TokenRecord>>;

impl Versioned for Arc<TokenRecord> {
    fn version(&self) -> u64 {
        self.version
    }

    fn is_revoked(&self) -> bool {
        self.revoked.is_some()
    }
}

/// A store call that is shared by all callers that look up the same key during the call.
#[derive(Debug)]
pub(super) struct Flight {
    /// The epoch of the project when the call began. A caller in a later epoch does not join the
    /// call.
    epoch: Epoch,
    pub(super) answer: OnceCell<Answer>,
    /// Whether the cache must discard the result of the call. The cache sets this if the record may
    /// have changed since the call began, or if the cache gave the call up because it took too
    /// long.
    overtaken: AtomicBool,
}

/// The result of a store call, with the time and epoch at which the call began.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) since: Since,
    pub(super) found: Result<Found, Arc<StoreError>>,
}

/// One shard of the cache, with its entries and its store calls in progress.
struct Shard {
    held: Cache<HashedKey, Kept, UnitWeighter, GivenHash>,
    under_way: HashMap<TokenKey, UnderWay>,
    /// The number of look-ups that found a fresh entry. Each shard counts its own, so that callers
    /// of different shards write to different memory.
    hits: u64,
}

/// A shard in cache lines of its own.
#[repr(align(128))]
struct Aligned(Mutex<Shard>);

/// A call in progress, and how many callers wait for it.
///
/// The count changes only under the lock of the shard. The number of `Arc`s of the call cannot
/// replace the count: if two callers stop waiting at the same time, each would still see the `Arc`
/// of the other, and neither would end the call.
struct UnderWay {
    flight: Arc<Flight>,
    waiting: usize,
}

/// A cache entry, with the index of the epoch of its project.
#[derive(Clone)]
struct Kept {
    held: Held<Arc<TokenRecord>>,
    epoch_at: usize,
}

/// The entries, the calls in progress and the epochs of a cache.
pub(super) struct Shards {
    shards: Box<[Aligned]>,
    keys: IdHash,
    epochs: Box<[AtomicU64]>,
    /// The number of times that the cache has dropped all its entries. It is added to the epoch of
    /// every project.
    all: AtomicU64,
    projects: RandomState,
    bound: Duration,
}

/// The result of a look-up in the cache.
pub(super) enum Looked {
    /// The cache has a fresh entry.
    Held(ReadResult),
    /// Another caller has started this store call. The current caller counts as waiting for the
    /// store call until the store call ends or the current caller calls [`Shards::leave`].
    Join(Arc<Flight>),
    /// The caller must start this store call. The caller counts as waiting for the store call until
    /// the store call ends or the caller calls [`Shards::leave`].
    Start(Arc<Flight>),
}

impl Shards {
    /// Creates an empty cache with room for about this many entries.
    pub(super) fn new(bound: Duration, entries: usize) -> Self {
        let each = entries.div_ceil(SHARDS).max(1);
        let held = || Cache::with(each, each as u64, UnitWeighter, GivenHash::default(), Default::default());
        let shard = || Aligned(Mutex::new(Shard { held: held(), under_way: HashMap::new(), hits: 0 }));
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
            projects: RandomState::new(),
            bound,
            keys: IdHash::default(),
        }
    }

    // No code here panics while it holds a lock, so a poisoned lock never guards a partial change.
    #[inline]
    fn shard(&self, key: &HashedKey) -> MutexGuard<'_, Shard> {
        self.shards[key.shard(SHARDS)].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the index of the epoch of a project.
    fn epoch_at(&self, project: &ProjectId) -> usize {
        self.projects.hash_one(project) as usize % EPOCHS
    }

    /// Returns the epoch at an index.
    fn epoch_there(&self, epoch_at: usize) -> Epoch {
        // Both numbers only grow. So the sum grows whenever one of them does.
        self.all.load(Ordering::SeqCst) + self.epochs[epoch_at].load(Ordering::SeqCst)
    }

    /// Returns the epoch of a project.
    pub(super) fn epoch(&self, project: &ProjectId) -> Epoch {
        self.epoch_there(self.epoch_at(project))
    }

    /// Drops all entries of a project: advances the project's epoch, so that the cache no longer
    /// returns entries from the earlier epoch.
    pub(super) fn move_epoch(&self, project: &ProjectId) {
        self.epochs[self.epoch_at(project)].fetch_add(1, Ordering::SeqCst);
    }

    /// Drops all entries of the cache. Raises the epoch of every project, so that no look-up uses
    /// an entry with an older epoch.
    pub(super) fn move_all_epochs(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    /// Looks up a key. Returns `None` if the cache has no fresh entry.
    #[inline]
    pub(super) fn held(&self, key: &TokenKey, now: Duration) -> Option<ReadResult> {
        let hashed = self.keys.hashed(key);
        self.fresh(&mut self.shard(&hashed), &hashed, now)
    }

    #[inline]
    fn fresh(&self, shard: &mut Shard, key: &HashedKey, now: Duration) -> Option<ReadResult> {
        let Kept { held, epoch_at } = shard.held.get(key)?;
        // The epoch is read under the lock. So this look-up sees every earlier move of the epoch.
        let held = protocol::look(Some(held), now, self.epoch_there(*epoch_at), self.bound)?;
        let fresh = ReadResult { record: held.found.clone(), age: now.saturating_sub(held.since.asked_at) };
        shard.hits += 1;
        Some(fresh)
    }

    /// Looks up a key. If the cache has no fresh entry, joins the call in progress for this key, or
    /// registers a new call.
    pub(super) fn look(&self, key: &TokenKey, now: Duration) -> Looked {
        let hashed = self.keys.hashed(key);
        let mut shard = self.shard(&hashed);
        if let Some(held) = self.fresh(&mut shard, &hashed, now) {
            return Looked::Held(held);
        }
        let epoch = self.epoch(&key.project);
        if let Some(under_way) = shard.under_way.get_mut(key).filter(|under_way| under_way.flight.epoch == epoch) {
            under_way.waiting += 1;
            return Looked::Join(Arc::clone(&under_way.flight));
        }
        // A call of an earlier epoch continues, but is removed from the map. Later changes can no
        // longer mark the call as overtaken, so its result must not be kept.
        shard.overtake(key);
        let flight = Arc::new(Flight { epoch, answer: OnceCell::new(), overtaken: AtomicBool::new(false) });
        shard.under_way.insert(*key, UnderWay { flight: Arc::clone(&flight), waiting: 1 });
        Looked::Start(flight)
    }

    /// Ends a call after the store has returned. Puts the result into the cache, unless
    /// [`protocol::fill`] discards it. Returns whether the result is now in the cache.
    pub(super) fn land(&self, key: &TokenKey, flight: &Arc<Flight>, found: &Found, since: Since) -> bool {
        let epoch_at = self.epoch_at(&key.project);
        let hashed = self.keys.hashed(key);
        let mut shard = self.shard(&hashed);
        shard.end(key, flight);
        let held = shard.held.peek(&hashed).map(|kept| kept.held.clone());
        let fill = Held { found: found.clone(), since };
        let overtaken = flight.overtaken.load(Ordering::SeqCst);
        let landed = protocol::fill(held, fill, overtaken, self.epoch_there(epoch_at), self.bound);
        if let (false, Some(held)) = (landed.lost, landed.held) {
            shard.held.insert(hashed, Kept { held, epoch_at });
        }
        !landed.lost
    }

    /// Ends a call after the store has failed.
    pub(super) fn end(&self, key: &TokenKey, flight: &Arc<Flight>) {
        self.shard(&self.keys.hashed(key)).end(key, flight);
    }

    /// Stops counting one caller as waiting for a call. Ends the call if no caller waits any more.
    pub(super) fn leave(&self, key: &TokenKey, flight: &Arc<Flight>) {
        let mut shard = self.shard(&self.keys.hashed(key));
        let Some(under_way) = shard.of(key, flight) else { return };
        under_way.waiting -= 1;
        if under_way.waiting == 0 {
            shard.end(key, flight);
        }
    }

    /// Gives up a call that takes too long, so that the next caller starts a new call. The result
    /// of the old call is not kept, because the cache can no longer notice changes during that
    /// call.
    pub(super) fn give_up(&self, key: &TokenKey, flight: &Arc<Flight>) {
        let mut shard = self.shard(&self.keys.hashed(key));
        if shard.of(key, flight).is_some() {
            shard.overtake(key);
        }
    }

    /// Replaces the entry of a key with the new record, after the store has acknowledged a change
    /// by this process.
    pub(super) fn wrote(&self, key: &TokenKey, record: &Arc<TokenRecord>, since: Since) {
        let hashed = self.keys.hashed(key);
        let mut shard = self.shard(&hashed);
        shard.overtake(key);
        let Some((_, Kept { held, epoch_at })) = shard.held.remove(&hashed) else { return };
        if let Some(held) = protocol::wrote(Some(held), Held { found: Some(Arc::clone(record)), since }) {
            shard.held.insert(hashed, Kept { held, epoch_at });
        }
    }

    /// Drops the entry of a key whose record may have changed.
    pub(super) fn forget(&self, key: &TokenKey) {
        let hashed = self.keys.hashed(key);
        let mut shard = self.shard(&hashed);
        shard.overtake(key);
        shard.held.remove(&hashed);
    }

    /// Returns how many shared calls to the store are in progress.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().unwrap().under_way.len()).sum()
    }

    /// Returns the number of entries in the cache, and the number of hits.
    pub(super) fn counts(&self) -> (u64, u64) {
        // The method `shard` explains why a poisoned lock is harmless.
        let locked = |shard: &Aligned| {
            let shard = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            (shard.held.len() as u64, shard.hits)
        };
        self.shards.iter().map(locked).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

impl Shard {
    /// Marks the call in progress for a key as overtaken: the result of the call is not kept, and
    /// later callers do not join the call.
    fn overtake(&mut self, key: &TokenKey) {
        if let Some(UnderWay { flight, .. }) = self.under_way.remove(key) {
            flight.overtaken.store(true, Ordering::SeqCst);
        }
    }

    /// Removes the call `flight` from the calls in progress, unless another call for the key has
    /// replaced it.
    fn end(&mut self, key: &TokenKey, flight: &Arc<Flight>) {
        if self.of(key, flight).is_some() {
            self.under_way.remove(key);
        }
    }

    /// Finds the call `flight` among the calls in progress. Returns it with its number of waiting
    /// callers, or `None` if the call has ended or another call for the key has replaced it.
    fn of(&mut self, key: &TokenKey, flight: &Arc<Flight>) -> Option<&mut UnderWay> {
        self.under_way.get_mut(key).filter(|under_way| Arc::ptr_eq(&under_way.flight, flight))
    }
}

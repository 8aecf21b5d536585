//! What is held and what is being asked, behind one lock for each shard of the keys; and the epochs.

use core::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
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
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;

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
    held: Cache<Place, Kept, UnitWeighter, BuildHasherDefault<Hashed>>,
    under_way: HashMap<TokenKey, UnderWay>,
}

/// A call that is under way, and how many wait for it. The count is changed under the shard's lock
/// only: the number of the flight's `Arc`s is not, and two that leave at the same time would each
/// see the other one's.
struct UnderWay {
    flight: Arc<Flight>,
    waiting: usize,
}

/// A key with its hash, which is made once for all that is looked up by it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    hash: u64,
    key: TokenKey,
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The hasher of what is hashed.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
}

/// What is held, and the place of its project's epoch.
#[derive(Clone)]
struct Kept {
    held: Held<Arc<TokenRecord>>,
    epoch_at: usize,
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
    /// A call that is under way. The caller waits for it too, until it [leaves](Shards::leave).
    Join(Arc<Flight>),
    /// A call that the caller is to begin, and waits for in the same way.
    Start(Arc<Flight>),
}

impl Shards {
    pub(super) fn new(bound: Duration, entries: usize) -> Self {
        let each = entries.div_ceil(SHARDS).max(1);
        let held = || Cache::with(each, each as u64, UnitWeighter, Default::default(), Default::default());
        let shard = || Mutex::new(Shard { held: held(), under_way: HashMap::new() });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
            hasher: RandomState::new(),
            bound,
        }
    }

    fn place(&self, key: &TokenKey) -> Place {
        Place { hash: self.hasher.hash_one(key), key: *key }
    }

    // No code here panics while it holds a lock, so a poisoned one holds nothing half-done.
    fn shard(&self, place: &Place) -> MutexGuard<'_, Shard> {
        // Not the lowest and not the highest bits, by which the maps tell their entries apart.
        let shard = (place.hash >> 32) as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epoch_at(&self, project: &ProjectId) -> usize {
        self.hasher.hash_one(project) as usize % EPOCHS
    }

    fn epoch_there(&self, epoch_at: usize) -> Epoch {
        // Both only grow: whichever moves, the sum does.
        self.all.load(Ordering::SeqCst) + self.epochs[epoch_at].load(Ordering::SeqCst)
    }

    pub(super) fn epoch(&self, project: &ProjectId) -> Epoch {
        self.epoch_there(self.epoch_at(project))
    }

    pub(super) fn move_epoch(&self, project: &ProjectId) {
        self.epochs[self.epoch_at(project)].fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn move_all_epochs(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn look(&self, key: &TokenKey, now: Duration) -> Looked {
        let place = self.place(key);
        let mut shard = self.shard(&place);
        // Epochs are read with the lock held: one that moved before this look began is seen.
        if let Some(Kept { held, epoch_at }) = shard.held.get(&place)
            && let Some(held) = protocol::look(Some(held), now, self.epoch_there(*epoch_at), self.bound)
        {
            return Looked::Held { found: held.found.clone(), age: now.saturating_sub(held.since.asked_at) };
        }
        let epoch = self.epoch(&key.project);
        if let Some(under_way) = shard.under_way.get_mut(key).filter(|under_way| under_way.flight.epoch == epoch) {
            under_way.waiting += 1;
            return Looked::Join(Arc::clone(&under_way.flight));
        }
        // A call of an earlier epoch goes on by itself, and no act of this key would find it any more.
        shard.overtake(key);
        let flight = Arc::new(Flight { epoch, answer: OnceCell::new(), overtaken: AtomicBool::new(false) });
        shard.under_way.insert(*key, UnderWay { flight: Arc::clone(&flight), waiting: 1 });
        Looked::Start(flight)
    }

    /// A call has come back. Says whether its answer is kept.
    pub(super) fn land(&self, key: &TokenKey, flight: &Arc<Flight>, found: &Found, since: Since) -> bool {
        let (place, epoch_at) = (self.place(key), self.epoch_at(&key.project));
        let mut shard = self.shard(&place);
        shard.end(key, flight);
        let held = shard.held.peek(&place).map(|kept| kept.held.clone());
        let fill = Held { found: found.clone(), since };
        let overtaken = flight.overtaken.load(Ordering::SeqCst);
        let landed = protocol::fill(held, fill, overtaken, self.epoch_there(epoch_at), self.bound);
        if let (false, Some(held)) = (landed.lost, landed.held) {
            shard.held.insert(place, Kept { held, epoch_at });
        }
        !landed.lost
    }

    /// A call has failed.
    pub(super) fn end(&self, key: &TokenKey, flight: &Arc<Flight>) {
        self.shard(&self.place(key)).end(key, flight);
    }

    /// One that waited for a call does not any more. The last to leave ends it.
    pub(super) fn leave(&self, key: &TokenKey, flight: &Arc<Flight>) {
        let mut shard = self.shard(&self.place(key));
        let Some(under_way) = shard.of(key, flight) else { return };
        under_way.waiting -= 1;
        if under_way.waiting == 0 {
            shard.end(key, flight);
        }
    }

    /// A call takes too long. The next one to ask begins another; what this one still answers is
    /// not kept, as no act of the key finds it any more.
    pub(super) fn give_up(&self, key: &TokenKey, flight: &Arc<Flight>) {
        let mut shard = self.shard(&self.place(key));
        if shard.of(key, flight).is_some() {
            shard.overtake(key);
        }
    }

    /// This process's act is acknowledged: it gave this record.
    pub(super) fn wrote(&self, key: &TokenKey, record: &Arc<TokenRecord>, since: Since) {
        let place = self.place(key);
        let mut shard = self.shard(&place);
        shard.overtake(key);
        let Some((_, Kept { held, epoch_at })) = shard.held.remove(&place) else { return };
        if let Some(held) = protocol::wrote(Some(held), Held { found: Some(Arc::clone(record)), since }) {
            shard.held.insert(place, Kept { held, epoch_at });
        }
    }

    /// Something of this key may have changed.
    pub(super) fn forget(&self, key: &TokenKey) {
        let place = self.place(key);
        let mut shard = self.shard(&place);
        shard.overtake(key);
        shard.held.remove(&place);
    }

    /// How many calls are under way.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().under_way.len()).sum()
    }

    pub(super) fn len(&self) -> u64 {
        // As in `shard`.
        let len = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).held.len() as u64;
        self.shards.iter().map(len).sum()
    }
}

impl Shard {
    /// A call that is under way comes too late: who asks from now on does not wait for it.
    fn overtake(&mut self, key: &TokenKey) {
        if let Some(UnderWay { flight, .. }) = self.under_way.remove(key) {
            flight.overtaken.store(true, Ordering::SeqCst);
        }
    }

    fn end(&mut self, key: &TokenKey, flight: &Arc<Flight>) {
        if self.of(key, flight).is_some() {
            self.under_way.remove(key);
        }
    }

    /// The call of this flight, unless it has ended or another one has taken its place.
    fn of(&mut self, key: &TokenKey, flight: &Arc<Flight>) -> Option<&mut UnderWay> {
        self.under_way.get_mut(key).filter(|under_way| Arc::ptr_eq(&under_way.flight, flight))
    }
}

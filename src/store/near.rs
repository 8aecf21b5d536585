//! Copies of the records that a thread reads again and again. The threads that verify the same
//! tokens would otherwise wait for each other: each read takes the lock of the store, and counts up
//! the `Arc` of the record, and both are writes to memory that all threads share.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::id_hash::IdHash;
use crate::rules::record::TokenRecord;
use crate::words::ids::{TokenId, TokenKey};

/// The number of change counters of a store. A change of one record also outdates the copies of one
/// in a thousand others.
const COUNTERS: usize = 1024;
/// The number of sets in the table of a thread. Without its records, a table takes 256 KiB.
const SETS: usize = 4096;

/// Counts the changes of the records of one store. A copy is current as long as the counter of its
/// record has not changed.
#[derive(Debug)]
pub(super) struct Changes {
    /// The number of this store in the tables of all threads. No other store has this number.
    store: u64,
    hash: IdHash,
    counters: Box<[AtomicU64]>,
}

impl Default for Changes {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            store: NEXT.fetch_add(1, Ordering::Relaxed),
            hash: IdHash::default(),
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

/// The copies of two records whose ids have similar hashes, in one line of the processor's cache.
#[derive(Clone, Default)]
#[repr(align(64))]
struct Set {
    kept: [Kept; 2],
    /// The hashes of the latest two ids that were not found here. A record is copied only if its id
    /// is one of them, because making a copy takes longer than a read.
    missed: [u64; 2],
}

/// A copy of a record of one store, and the count of its changes when it was copied.
#[derive(Clone, Default)]
struct Kept {
    store: u64,
    change: u64,
    record: Option<Arc<TokenRecord>>,
}

thread_local! {
    static TABLE: RefCell<Vec<Set>> = const { RefCell::new(Vec::new()) };
}

impl Changes {
    /// Returns the hash of an id, for the other methods.
    #[inline]
    pub(super) fn hash(&self, id: &TokenId) -> u64 {
        self.hash.of(id)
    }

    /// Returns how often the record with this hash has changed. The caller must read the record
    /// under the same lock.
    #[inline]
    pub(super) fn count(&self, hash: u64) -> u64 {
        self.counters[(hash >> 32) as usize % COUNTERS].load(Ordering::SeqCst)
    }

    /// Records that a record was changed or deleted. The caller must hold the lock for writing.
    pub(super) fn changed(&self, id: &TokenId) {
        self.counters[(self.hash(id) >> 32) as usize % COUNTERS].fetch_add(1, Ordering::SeqCst);
    }

    /// Returns this thread's copy of a record, if it has one and the record has not changed.
    #[inline]
    pub(super) fn kept(&self, key: &TokenKey, hash: u64) -> Option<Arc<TokenRecord>> {
        // A thread that ends has no table any more.
        TABLE.try_with(|table| self.kept_in(&table.borrow(), key, hash)).ok()?
    }

    #[inline]
    fn kept_in(&self, table: &[Set], key: &TokenKey, hash: u64) -> Option<Arc<TokenRecord>> {
        let set = table.get(hash as usize % SETS)?;
        let change = self.count(hash);
        let is_current = |kept: &&Kept| kept.store == self.store && kept.change == change;
        let mut current = set.kept.iter().filter(is_current).filter_map(|kept| kept.record.as_ref());
        current.find(|record| record.id == key.id && record.project == key.project).cloned()
    }

    /// Returns a record that the caller has read, or this thread's copy of it if the thread reads
    /// it often. `change` is the count of its changes.
    pub(super) fn keep(&self, record: Arc<TokenRecord>, hash: u64, change: u64) -> Arc<TokenRecord> {
        let kept = TABLE.try_with(|table| {
            let mut table = table.borrow_mut();
            if table.is_empty() {
                table.resize_with(SETS, Set::default);
            }
            let set = &mut table[hash as usize % SETS];
            if !set.missed.contains(&hash) {
                set.missed = [hash, set.missed[0]];
                return None;
            }
            let copy = Arc::new(TokenRecord::clone(&record));
            // The other place has the copy that was made before.
            set.kept.swap(0, 1);
            set.kept[0] = Kept { store: self.store, change, record: Some(Arc::clone(&copy)) };
            Some(copy)
        });
        kept.ok().flatten().unwrap_or(record)
    }
}

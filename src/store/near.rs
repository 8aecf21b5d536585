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
    /// The counters of the records, and after them the counter of all changes.
    counters: Box<[AtomicU64]>,
}

impl Default for Changes {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            store: NEXT.fetch_add(1, Ordering::Relaxed),
            hash: IdHash::default(),
            counters: (0..=COUNTERS).map(|_| AtomicU64::new(0)).collect(),
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

    /// Returns how often the record with this hash has changed.
    #[inline]
    pub(super) fn count(&self, hash: u64) -> u64 {
        self.counters[(hash >> 32) as usize % COUNTERS].load(Ordering::SeqCst)
    }

    /// Records that a record was changed or deleted. The caller must hold the lock for writing.
    pub(super) fn changed(&self, id: &TokenId) {
        self.counters[(self.hash(id) >> 32) as usize % COUNTERS].fetch_add(1, Ordering::SeqCst);
        // Last: an operation may change several records. A reader that got a copy from before the
        // operation, and then another record from after it, must see that the total has grown.
        self.counters[COUNTERS].fetch_add(1, Ordering::SeqCst);
    }

    /// Returns how often any record has changed. Records that were read between two calls with the
    /// same result were in the store at the same time.
    pub(super) fn total(&self) -> u64 {
        self.counters[COUNTERS].load(Ordering::SeqCst)
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
    /// it often. `change` is the count of its changes, read under the same lock as the record.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::record::{Revocation, RevocationReason};
    use crate::rules::sample::{ada, at, id, record};
    use crate::store::contract::TokenStore as _;
    use crate::store::memory::MemoryStore;
    use crate::store::ready::now;

    fn held(store: &MemoryStore, key: &TokenKey) -> Option<Arc<TokenRecord>> {
        store.find_held(key).unwrap().chain.record().cloned()
    }

    /// Reads until this thread has a copy.
    fn copied(store: &MemoryStore, key: &TokenKey) -> Arc<TokenRecord> {
        (0..2).for_each(|_| drop(held(store, key)));
        held(store, key).unwrap()
    }

    #[test]
    fn each_thread_gets_a_copy_of_its_own() {
        let store = MemoryStore::new();
        let stored = now(store.insert(record(), None, None)).unwrap();
        let key = stored.key();
        let first = held(&store, &key).unwrap();
        assert!(Arc::ptr_eq(&first, &stored), "one read makes no copy");
        let (here, again) = (copied(&store, &key), copied(&store, &key));
        assert!(Arc::ptr_eq(&here, &again) && !Arc::ptr_eq(&here, &stored) && here == stored);
        let there = std::thread::scope(|scope| scope.spawn(|| copied(&store, &key)).join().unwrap());
        assert!(!Arc::ptr_eq(&here, &there) && here == there);
    }

    #[test]
    fn a_change_in_one_thread_ends_the_copies_of_all() {
        let store = MemoryStore::new();
        let key = now(store.insert(record(), None, None)).unwrap().key();
        let revocation = Revocation { at: at(5), by: ada(), reason: RevocationReason::default() };
        let (copy, revoked) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                assert!(copied(&store, &key).revoked.is_none());
                copy.wait();
                revoked.wait();
                held(&store, &key).unwrap().revoked.is_some()
            });
            copy.wait();
            now(store.revoke(&key, &revocation)).unwrap();
            revoked.wait();
            assert!(reader.join().unwrap());
        });
        assert!(copied(&store, &key).revoked.is_some());
    }

    #[test]
    fn a_deleted_record_is_not_returned_from_a_copy() {
        use crate::store::maintenance::StoreMaintenance as _;

        let store = MemoryStore::new();
        let key = now(store.insert(TokenRecord { expires_at: Some(at(1)), ..record() }, None, None)).unwrap().key();
        copied(&store, &key);
        let most = crate::store::query::PageSize::MAX;
        assert_eq!(now(store.purge(&key.project, at(2), most)).unwrap().count, 1);
        assert_eq!(held(&store, &key), None);
    }

    #[test]
    fn copies_of_two_stores_and_two_projects_are_kept_apart() {
        let (one, other) = (MemoryStore::new(), MemoryStore::new());
        let there = TokenRecord { project: "146".parse().unwrap(), ..record() };
        let (here, there) =
            (now(one.insert(record(), None, None)).unwrap(), now(one.insert(there, None, None)).unwrap());
        for _ in 0..3 {
            assert_eq!(held(&one, &here.key()).unwrap(), here);
            assert_eq!(held(&one, &there.key()).unwrap(), there);
            assert_eq!(held(&other, &here.key()), None);
            assert_eq!(held(&one, &TokenKey { id: id('7'), ..here.key() }), None);
        }
    }

    #[test]
    fn a_copy_of_one_store_is_not_returned_by_another() {
        let (one, other) = (Changes::default(), Changes::default());
        let row = Arc::new(record());
        // The same hash in both stores, so that they use the same place.
        (0..2).for_each(|_| drop(one.keep(Arc::clone(&row), 7, one.count(7))));
        assert!(one.kept(&row.key(), 7).is_some());
        assert_eq!((other.count(7), other.kept(&row.key(), 7)), (one.count(7), None));
    }

    #[test]
    fn a_table_keeps_the_latest_copies_of_one_set() {
        let changes = Changes::default();
        let rows: Vec<_> = ['1', '2', '3'].map(|own| Arc::new(TokenRecord { id: id(own), ..record() })).into();
        // The same hash for all three, so that they meet in one set. The second is copied at its
        // first read.
        let read = |row: &Arc<TokenRecord>| {
            let kept = changes.kept(&row.key(), 7);
            let is_kept = kept.is_some();
            drop(kept.unwrap_or_else(|| changes.keep(Arc::clone(row), 7, changes.count(7))));
            is_kept
        };
        assert!(rows.iter().all(|row| !read(row)));
        assert_eq!([2, 1, 0, 0, 1].map(|at: usize| read(&rows[at])), [true, true, false, true, false]);
    }
}

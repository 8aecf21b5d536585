//! A store with a cache in front of it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use super::counts::{CacheCounts, Counters};
use super::feed::{Feed, FeedEvent};
use super::held::Held;

/// A store with a cache in front of it. A verification reads records with
/// [`find_recent`](crate::TokenStore::find_recent), and the cache keeps the results of this method
/// for a limited time, the bound.
///
/// - **Staleness is bounded.** No result is older than the bound, and each result states its age. A
///   change through this cache becomes visible here immediately. A change by another process
///   becomes visible here within the bound. If a record from the store is older than the bound when
///   it arrives, the call fails with [`Unavailable`](crate::store::StoreErrorKind::Unavailable).
/// - **Calls are single-flight.** Concurrent calls for one record share one call to the store. A
///   bound token is read together with its issuers. If one of these records becomes too old while
///   another is read, one further call reads all of them again. That call is not shared. No caller
///   waits for a call longer than the [patience](Self::with_patience).
/// - **Secrets are checked each time.** The cache keeps records, not tokens. So each verification
///   compares the digest of the presented token with the digest in the record.
/// - **Changes go to the store.** All other methods call the store. After a change, the cache
///   returns no record that is older than the change. There is one exception: after
///   [`revoke_issued_by`](crate::TokenStore::revoke_issued_by) has revoked tokens, the cache may
///   still return their old records. Verification rejects these tokens anyway, because their issuer
///   has ended. If the issuer has expired and the clock is then set back to a time before this
///   expiry, a verification may accept these tokens until the bound has passed.
///
/// Clones share one cache. With a [feed](Self::follow), changes by other processes usually become
/// visible within milliseconds. The bound also holds without a feed.
pub struct Cached<S> {
    pub(super) store: S,
    pub(super) cache: Arc<Held>,
    pub(super) patience: Duration,
}

impl<S: Clone> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), cache: Arc::clone(&self.cache), patience: self.patience }
    }
}

impl<S> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("max_staleness", &self.cache.bound).finish_non_exhaustive()
    }
}

impl<S> Cached<S> {
    /// The default maximum number of records in the cache: 100,000. To set another number, use
    /// [`with_entries`](Self::with_entries).
    pub const ENTRIES: usize = 100_000;

    /// The default maximum time that a caller waits for the store: 10 seconds. To set another time,
    /// use [`with_patience`](Self::with_patience).
    ///
    /// This is long enough for two queries to PostgreSQL, because each of them returns or fails
    /// within 5 seconds. The cache needs the second query if a standby returns a record that is too
    /// old. The second query reads from the primary.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Creates a cache in front of a store. `max_staleness` is the bound: the cache returns no
    /// record that is older. If it is zero, every call reads the store.
    pub fn new(store: S, max_staleness: Duration) -> Self {
        Self { store, cache: Held::new(max_staleness, Self::ENTRIES), patience: Self::PATIENCE }
    }

    /// Sets the approximate maximum number of records in the cache, and empties the cache. A usual
    /// record takes about one kilobyte. A record with the longest allowed scopes, metadata and
    /// addresses takes about 30 KB. If users choose these, bound their lengths.
    #[must_use]
    pub fn with_entries(self, entries: usize) -> Self {
        Self { cache: Held::new(self.cache.bound, entries), ..self }
    }

    /// Sets the maximum time that a caller of [`find_recent`](crate::TokenStore::find_recent) waits
    /// for the store.
    ///
    /// After this time the caller gets [`Unavailable`](crate::store::StoreErrorKind::Unavailable).
    /// The cache gives up the call to the store, and the next caller starts a new call. This limit
    /// is needed because several callers may share one call to the store. If that call never
    /// returned, it would block all of them.
    ///
    /// The cache measures the time with tokio's timer, so the timer of the runtime must be enabled.
    /// Outside a tokio runtime there is no limit: a caller waits until the store returns.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns the store that the cache reads from. If you change a token directly through this
    /// store, the cache may return the old record until the bound has passed or a feed reports the
    /// change.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the bound: the maximum age of a record that the cache returns.
    pub fn max_staleness(&self) -> Duration {
        self.cache.bound
    }

    /// Returns the number of hits, misses and other events of the cache since it was created.
    pub fn counts(&self) -> CacheCounts {
        let told_at = *self.cache.told_at();
        let feed_age = told_at.map(|told_at| told_at.elapsed());
        let (entries, hits) = self.cache.shards.counts();
        CacheCounts { hits, entries, feed_age, ..self.cache.counters.read() }
    }

    /// Returns how many shared calls to the store are in progress.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.cache.shards.under_way()
    }

    /// Removes from the cache the records that a feed reports as changed. Run this method in a
    /// separate task. It never returns, so abort the task when the service stops.
    pub async fn follow(&self, mut feed: impl Feed) {
        loop {
            let told = feed.next().await;
            match told {
                FeedEvent::Token(key) => self.cache.shards.forget(&key),
                FeedEvent::Project(project) => self.cache.shards.move_epoch(&project),
                FeedEvent::Nothing => {}
                FeedEvent::Lost => {
                    Counters::add(&self.cache.counters.feed_losses);
                    self.cache.shards.move_all_epochs();
                }
            }
            let told_at = (told != FeedEvent::Lost).then(Instant::now);
            *self.cache.told_at() = told_at;
        }
    }
}

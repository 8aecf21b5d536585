//! A store with a cache in front of it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use super::counts::{CacheCounts, Counters};
use super::feed::{Feed, FeedEvent};
use super::held::Held;

/// A store with a cache in front of it. The cache keeps the results of
/// [`find_recent`](crate::TokenStore::find_recent), the call of a verification, for a limited time.
///
/// - **Staleness is bounded.** No result is older than the bound, and each states its age. A change
///   by another process becomes visible here within the bound, and a change through this cache
///   immediately. If a result from the store is older than the bound when it arrives, the call
///   fails with [`Unavailable`](crate::store::StoreErrorKind::Unavailable).
/// - **Calls are single-flight.** Concurrent calls for one token share one call of the store. No
///   caller waits longer than the [patience](Self::with_patience).
/// - **Secrets are still checked.** The cache keeps records, not tokens: each verification compares
///   the digest.
/// - **Changes go to the store.** All other methods call the store. After a change, the cache
///   returns no record from before it. Only the revocations of
///   [`revoke_issued_by`](crate::TokenStore::revoke_issued_by) may be missing, because verification
///   rejects these tokens already. If such an issuer ended by time, and a clock is set back to
///   before that end, a verification may accept the tokens below it until the bound.
///
/// Clones share one cache. A [feed](Self::follow) makes changes by other processes visible within
/// moments. The bound holds without a feed too.
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
    /// The number of tokens that the cache keeps, unless [`with_entries`](Self::with_entries) sets
    /// another: 100,000.
    pub const ENTRIES: usize = 100_000;

    /// The time that a caller waits for the store, unless [`with_patience`](Self::with_patience)
    /// sets another: 10 seconds. Each store of this crate returns or fails within 5 seconds. If a
    /// standby lags behind, the primary is called next.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Creates a cache in front of a store. `max_staleness` is the bound: no result is older. With
    /// zero, each call goes to the store.
    pub fn new(store: S, max_staleness: Duration) -> Self {
        Self { store, cache: Held::new(max_staleness, Self::ENTRIES), patience: Self::PATIENCE }
    }

    /// Returns the store with an empty cache that keeps at most about this many tokens. A token
    /// takes about one kilobyte.
    #[must_use]
    pub fn with_entries(self, entries: usize) -> Self {
        Self { cache: Held::new(self.cache.bound, entries), ..self }
    }

    /// Sets the longest time that a caller of [`find_recent`](crate::TokenStore::find_recent) waits
    /// for the store.
    ///
    /// After this time the call fails with
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable). The cache gives up the call of
    /// the store, and the next caller starts a new one. Several callers may share one call, so one
    /// call that never returns must not block them all.
    ///
    /// The time is measured by tokio's timer, which the runtime must have enabled. Outside a tokio
    /// runtime there is no limit, and a caller waits until the store returns.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns the store behind the cache. A change made through it becomes visible in the cache
    /// after the bound, or when a feed reports it.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the bound: the longest time for which a result may be outdated.
    pub fn max_staleness(&self) -> Duration {
        self.cache.bound
    }

    /// Returns the counts of what the cache did since it was created.
    pub fn counts(&self) -> CacheCounts {
        let told_at = *self.cache.told_at();
        let feed_age = told_at.map(|told_at| told_at.elapsed());
        CacheCounts { entries: self.cache.shards.len(), feed_age, ..self.cache.counters.read() }
    }

    /// Returns how many calls of the store are in progress.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.cache.shards.under_way()
    }

    /// Follows a feed of changes and never returns. Run it in its own task, and abort the task when
    /// the service stops.
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

//! A store behind a cache.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use super::counts::{CacheCounts, Counters};
use super::feed::{Feed, FeedEvent};
use super::held::Held;

/// A store whose answers to [`find_recent`](crate::TokenStore::find_recent), which verifications ask for, are kept in memory and
/// given again for a stated time at most.
///
/// No answer is older than the bound, and each says how old it is: what another process has changed
/// is seen here after that time at the latest, and what this one has changed at once. An answer
/// that took longer than the bound to come is none: [`Unavailable`](crate::store::StoreErrorKind::Unavailable).
/// Concurrent calls for one token are one call of the store; none waits for it longer than the
/// [patience](Self::with_patience). Only records are kept, never tokens, so that each use still
/// proves its secret. What is judged to be changed is always asked of the store.
///
/// The revocation of tokens below an issuer that has ended
/// ([`revoke_issued_by`](crate::TokenStore::revoke_issued_by)) empties no cache. If that issuer ended by
/// time and the clock is set back afterwards, a verification may accept such a token until the bound.
///
/// A clone shares what is held. With a [feed](Self::follow) changes are seen within moments; the bound holds without it.
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
    /// How many tokens are held unless [`with_entries`](Self::with_entries) says otherwise.
    pub const ENTRIES: usize = 100_000;

    /// How long a caller waits for the store unless [`with_patience`](Self::with_patience) says
    /// otherwise: 10 seconds. The stores of this crate answer or fail within 5, and where a standby
    /// is behind, the primary is asked after it.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// The store behind a cache whose answers are at most this old. Zero asks the store each time.
    pub fn new(store: S, max_staleness: Duration) -> Self {
        Self { store, cache: Held::new(max_staleness, Self::ENTRIES), patience: Self::PATIENCE }
    }

    /// The same, empty, holding about this many tokens at most. One takes about a kilobyte.
    #[must_use]
    pub fn with_entries(self, entries: usize) -> Self {
        Self { cache: Held::new(self.cache.bound, entries), ..self }
    }

    /// Sets how long a caller of [`find_recent`](crate::TokenStore::find_recent) waits for the store.
    /// After that time the call fails with [`Unavailable`](crate::store::StoreErrorKind::Unavailable) and the
    /// store's call is given up, so that the next caller asks the store anew. Several callers may
    /// wait for one call of the store, which therefore must not be able to keep them all.
    ///
    /// The time is measured by tokio's timer, which the runtime must have enabled. Outside a tokio
    /// runtime nothing measures it, and the wait is as long as the store's.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The store behind it. What is changed there is not known here before the bound is over, or a feed tells.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The bound.
    pub fn max_staleness(&self) -> Duration {
        self.cache.bound
    }

    /// What it did.
    pub fn counts(&self) -> CacheCounts {
        let told_at = *self.cache.told_at();
        let feed_age = told_at.map(|told_at| told_at.elapsed());
        CacheCounts { entries: self.cache.shards.len(), feed_age, ..self.cache.counters.read() }
    }

    /// How many calls are under way.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.cache.shards.under_way()
    }

    /// Follows a feed, for ever: in a task of its own, which the host ends when it stops.
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

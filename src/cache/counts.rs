//! The counters of a cache: hits, misses and others.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

/// The numbers of hits, misses and other events of a cache since it was created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct CacheCounts {
    /// The number of look-ups that found a fresh record in the cache. If the cache lacks the issuer
    /// of a bound token, a verification looks up the token twice.
    pub hits: u64,
    /// The number of calls to the store that the cache made because a record was absent from the
    /// cache or too old.
    pub misses: u64,
    /// The number of look-ups that waited for a store call of another caller.
    pub joined: u64,
    /// The number of records that the store returned and the cache did not keep, because they may
    /// have changed during the store call.
    pub fills_lost: u64,
    /// The number of look-ups that failed because the store did not return within the
    /// [patience](crate::store::cache::Cached::with_patience).
    pub given_up: u64,
    /// The number of losses that the feed reported. The start of a feed counts as one loss.
    pub feed_losses: u64,
    /// The number of records in the cache, including records that are too old to be returned.
    pub entries: u64,
    /// The time since the last event of the feed. It is `None` if there is no feed, or if the last
    /// event was `FeedEvent::Lost`.
    pub feed_age: Option<Duration>,
}

/// The counters of a cache. Each counter is updated separately, so the values that one call of
/// `read` returns may come from slightly different moments.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) misses: AtomicU64,
    pub(super) joined: AtomicU64,
    pub(super) fills_lost: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) feed_losses: AtomicU64,
}

impl Counters {
    /// Adds one to a counter.
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the current counts. Leaves `hits` and `entries` at 0 and `feed_age` at `None`.
    pub(super) fn read(&self) -> CacheCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheCounts {
            hits: 0,
            misses: read(&self.misses),
            joined: read(&self.joined),
            fills_lost: read(&self.fills_lost),
            given_up: read(&self.given_up),
            feed_losses: read(&self.feed_losses),
            entries: 0,
            feed_age: None,
        }
    }
}

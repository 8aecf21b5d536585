//! The counts of what a cache did.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

/// The counts of what a cache did since it was created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct CacheCounts {
    /// Results from the cache.
    pub hits: u64,
    /// Calls of the store, because a record was absent from the cache or too old.
    pub misses: u64,
    /// Calls that waited for a store call that another caller had started.
    pub joined: u64,
    /// Results of the store that the cache did not keep, because of a change during the call.
    pub fills_lost: u64,
    /// Calls that failed because the store did not return within the patience.
    pub given_up: u64,
    /// Losses of the feed. The start of a feed counts as one.
    pub feed_losses: u64,
    /// The tokens in the cache, including those that are too old to be returned.
    pub entries: u64,
    /// The time since the last event of the feed. `None` without a feed, and while the feed is
    /// lost.
    pub feed_age: Option<Duration>,
}

/// The counters of a cache. Each is atomic by itself, so a read of all may mix slightly different
/// moments.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
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

    /// Returns the current counts, without the entries and the age of the feed.
    pub(super) fn read(&self) -> CacheCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheCounts {
            hits: read(&self.hits),
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

//! What a cache did, in numbers.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

/// What a cache did since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct CacheCounts {
    /// Answers without the store.
    pub hits: u64,
    /// Calls of the store, for what was not held or too old.
    pub misses: u64,
    /// Answers that waited for a call that somebody else had begun.
    pub joined: u64,
    /// Answers of the store that were not kept, as something had changed meanwhile.
    pub fills_lost: u64,
    /// Waits that were given up, because the store had not answered within the patience.
    pub given_up: u64,
    /// How often the feed was lost, its start with it.
    pub feed_losses: u64,
    /// How many tokens are held, too old ones too.
    pub entries: u64,
    /// How long ago the feed told anything; `None` without one, and while it is lost.
    pub feed_age: Option<Duration>,
}

/// Each on its own; read together they may be of slightly different moments.
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
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

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

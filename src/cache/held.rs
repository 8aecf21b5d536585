//! The shared state of a cache, and its clock.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::counts::Counters;
use super::protocol::Since;
use super::shards::Shards;
use crate::words::ids::ProjectId;

/// The state that the clones of a cache share.
pub(super) struct Held {
    pub(super) shards: Shards,
    pub(super) counters: Counters,
    pub(super) bound: Duration,
    /// The time at which the clock of this cache was started.
    began: Instant,
    /// The time of the last event of the feed. It is `None` if there is no feed, or if the last
    /// event was `FeedEvent::Lost`.
    told_at: Mutex<Option<Instant>>,
}

impl Held {
    /// Creates the state of an empty cache.
    pub(super) fn new(bound: Duration, entries: usize) -> Arc<Self> {
        let shards = Shards::new(bound, entries);
        Arc::new(Self {
            shards,
            counters: Counters::default(),
            bound,
            began: Instant::now(),
            told_at: Mutex::default(),
        })
    }

    /// Returns the current time on this cache's monotonic clock.
    pub(super) fn now(&self) -> Duration {
        // A standby may return a record that is older than this cache. The clock starts far from
        // zero, so that the time of such a record is not negative.
        const BEFORE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        BEFORE + self.began.elapsed()
    }

    /// Returns the current age of a record whose store call began at `since`.
    pub(super) fn age(&self, since: Since) -> Duration {
        self.now().saturating_sub(since.asked_at)
    }

    // No code panics while it holds this lock, so a poisoned lock guards a valid value.
    /// Locks and returns the time of the last event of the feed.
    pub(super) fn told_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.told_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the current time and the current epoch of the project. The caller must call this
    /// method before it calls the store.
    pub(super) fn since(&self, project: &ProjectId) -> Since {
        Since { asked_at: self.now(), epoch: self.shards.epoch(project) }
    }
}

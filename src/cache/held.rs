//! What a cache holds, and its times.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::counts::Counters;
use super::protocol::Since;
use super::shards::Shards;
use crate::words::ids::ProjectId;

/// What the clones of a cache share.
pub(super) struct Held {
    pub(super) shards: Shards,
    pub(super) counters: Counters,
    pub(super) bound: Duration,
    /// The beginning of its times.
    began: Instant,
    told_at: Mutex<Option<Instant>>,
}

impl Held {
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

    pub(super) fn now(&self) -> Duration {
        // Far from zero, so that there are times from before the cache was made: a standby may answer with what is older.
        const BEFORE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        BEFORE + self.began.elapsed()
    }

    /// How old what is from then is by now.
    pub(super) fn age(&self, since: Since) -> Duration {
        self.now().saturating_sub(since.asked_at)
    }

    // No code panics while it holds the lock.
    pub(super) fn told_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.told_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn since(&self, project: &ProjectId) -> Since {
        Since { asked_at: self.now(), epoch: self.shards.epoch(project) }
    }
}

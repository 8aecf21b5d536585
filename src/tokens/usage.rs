//! Last uses, gathered in memory and written in batches.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::owners::Owners;
use super::service::Tokens;
use crate::store::contract::{TokenStore, Touch};
use crate::store::query::PageSize;
use crate::words::clock::Clock;
use crate::words::ids::TokenKey;
use crate::words::store_error::StoreError;
use crate::words::timestamp::Timestamp;

/// Gathers the last uses of tokens, so that a verified request writes nothing.
///
/// A token that is used all the time is written once in each resolution, and many tokens in one call. What is written may lie
/// behind the truth by the resolution and the time between two flushes, together the [`lag`](Self::lag); a process that dies
/// loses no more than that. At most `capacity` tokens are remembered: beyond it, uses are not noted until a flush makes room.
///
/// The rule on disuse ([`Policy::with_max_unused`](crate::Policy::with_max_unused)) stands on this. A token whose use this process
/// has noted counts as used, whether or not the use is written. Of the uses in other processes only what they have written is
/// known, so a token is refused the lag later than the policy says. If no process flushes for longer than the stated
/// interval, or more tokens are used between two flushes than the capacity holds, a token in use may be refused.
#[derive(Debug)]
pub struct Usage {
    resolution: Duration,
    flush_interval: Duration,
    capacity: usize,
    noted: Mutex<HashMap<TokenKey, Noted>>,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    /// The last use that was noted.
    at: Timestamp,
    /// Whether it waits to be written.
    waits: bool,
}

impl Default for Usage {
    /// A resolution of 60 seconds, a flush each 60 seconds, at most 100,000 tokens (some 10 MiB).
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self { resolution: MINUTE, flush_interval: MINUTE, capacity: 100_000, noted: Mutex::default() }
    }
}

impl Usage {
    /// The same with another resolution: the least time between two writes for one token.
    #[must_use]
    pub fn with_resolution(self, resolution: Duration) -> Self {
        Self { resolution, ..self }
    }

    /// States the longest time between two calls of [`flush_usage`](crate::Tokens::flush_usage) in any process on the store. It
    /// makes no process flush.
    #[must_use]
    pub fn with_flush_interval(self, flush_interval: Duration) -> Self {
        Self { flush_interval, ..self }
    }

    /// Returns how far a written last use may lie behind the truth: the resolution and the time between two flushes.
    pub fn lag(&self) -> Duration {
        self.resolution.saturating_add(self.flush_interval)
    }

    /// The same with room for so many tokens.
    #[must_use]
    pub fn with_capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    /// Notes a use at `now` of a token whose stored last use is `stored`.
    pub(super) fn note(&self, key: TokenKey, stored: Option<Timestamp>, now: Timestamp) {
        let recent = |last: Timestamp| now.saturating_since(last) < self.resolution;
        if stored.is_some_and(recent) {
            return;
        }
        let mut noted = self.noted();
        match noted.get_mut(&key) {
            // What waits moves along, at no cost: the latest use is written.
            Some(noted) if noted.waits => noted.at = noted.at.max(now),
            // Written a short while ago, and read from a cache since.
            Some(noted) if recent(noted.at) => {}
            Some(noted) => *noted = Noted { at: now, waits: true },
            None => {
                if noted.len() < self.capacity {
                    noted.insert(key, Noted { at: now, waits: true });
                }
            }
        }
    }

    /// The last use of a token that this process remembers.
    pub(super) fn last_noted(&self, key: &TokenKey) -> Option<Timestamp> {
        self.noted().get(key).map(|noted| noted.at)
    }

    /// All uses that wait, which count as written from now on.
    fn take(&self) -> Vec<Touch> {
        let mut noted = self.noted();
        let waiting = noted.iter_mut().filter(|(_, noted)| noted.waits);
        let touch = |(key, noted): (&TokenKey, &mut Noted)| {
            noted.waits = false;
            Touch { key: *key, used_at: noted.at }
        };
        waiting.map(touch).collect()
    }

    /// Lets uses that could not be written wait again.
    fn put_back(&self, touches: &[Touch]) {
        let mut noted = self.noted();
        for touch in touches {
            noted.entry(touch.key).or_insert(Noted { at: touch.used_at, waits: true }).waits = true;
        }
    }

    /// Makes room: forgets what was written a resolution ago.
    fn forget_old(&self, now: Timestamp) {
        self.noted().retain(|_, noted| noted.waits || now.saturating_since(noted.at) < self.resolution);
    }

    // No code here panics while it holds the lock, so a poisoned one holds nothing half-done.
    fn noted(&self) -> MutexGuard<'_, HashMap<TokenKey, Noted>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: TokenStore, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Writes the last uses that wait, in batches of at most 1,000, and gives how many rows moved. To be called by a task of
    /// the host's, each minute or so, and once more before the process stops. Verifications do not wait for it, and it does not
    /// wait for them: uses that come while it writes are for the next call.
    ///
    /// ```no_run
    /// # async fn example(tokens: std::sync::Arc<keyfob::Tokens<keyfob::MemoryStore>>) {
    /// let mut every_minute = tokio::time::interval(std::time::Duration::from_secs(60));
    /// loop {
    ///     every_minute.tick().await;
    ///     if let Err(error) = tokens.flush_usage().await {
    ///         eprintln!("last uses are not written, and wait: {error}");
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// If the store fails for a batch, each of its projects is tried alone. While the engine is
    /// away, that takes up to the store's deadline for each: give the call a deadline of yours
    /// before the process stops. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// Returns the first [`StoreError`] if the store fails for any project; its uses wait for the
    /// next call, and those of all others are written. No request fails by it.
    pub async fn flush_usage(&self) -> Result<u64, StoreError> {
        let Some(usage) = &self.usage else { return Ok(0) };
        let mut waiting = Waiting { usage, touches: usage.take(), failed: Vec::new() };
        waiting.touches.sort_by_key(|touch| touch.key.project);
        let (mut moved, mut outcome) = (0, Ok(()));
        // Touches from this place on are of a batch that failed.
        let mut alone_from = usize::MAX;
        while let Some(rest) = waiting.next_batch(alone_from) {
            let batch = &waiting.touches[rest..];
            match self.store.touch_many(batch).await {
                Ok(count) => {
                    moved += count;
                    waiting.touches.truncate(rest);
                }
                Err(_) if !is_of_one_project(batch) => alone_from = rest,
                Err(error) => {
                    waiting.failed.extend(waiting.touches.drain(rest..));
                    outcome = outcome.and(Err(error));
                }
            }
        }
        // What failed waits again first, so that it is not forgotten.
        drop(waiting);
        usage.forget_old(self.clock.now());
        outcome.map(|()| moved)
    }
}

/// Uses on their way to the store, by project. What is dropped before it is written, also with the
/// future that writes it, waits again.
struct Waiting<'u> {
    usage: &'u Usage,
    touches: Vec<Touch>,
    failed: Vec<Touch>,
}

impl Waiting<'_> {
    /// Returns where the last batch begins, which is of one project from `alone_from` on; `None` if
    /// none is left.
    fn next_batch(&self, alone_from: usize) -> Option<usize> {
        let last = self.touches.last()?;
        let most = self.touches.len().saturating_sub(PageSize::MAX.get());
        if self.touches.len() <= alone_from {
            return Some(most);
        }
        let before = self.touches.partition_point(|touch| touch.key.project < last.key.project);
        Some(before.max(alone_from))
    }
}

/// Whether all touches, which are sorted by project, are of one.
fn is_of_one_project(touches: &[Touch]) -> bool {
    touches.first().map(|touch| touch.key.project) == touches.last().map(|touch| touch.key.project)
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.usage.put_back(&self.touches);
        self.usage.put_back(&self.failed);
    }
}

//! Writing last uses.

use super::service::Tokens;
use super::usage::Usage;
use crate::rules::error::Error;
use crate::store::contract::{LastUse, TokenStore};
use crate::store::query::PageSize;

impl<S: TokenStore> Tokens<S> {
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
    /// Returns the first [`Error`] if the store fails for any project; its uses wait for the
    /// next call, and those of all others are written. No request fails by it.
    pub async fn flush_usage(&self) -> Result<u64, Error> {
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
        outcome.map(|()| moved).map_err(Error::from)
    }
}

/// Uses on their way to the store, by project. What is dropped before it is written, also with the
/// future that writes it, waits again.
struct Waiting<'u> {
    usage: &'u Usage,
    touches: Vec<LastUse>,
    failed: Vec<LastUse>,
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
fn is_of_one_project(touches: &[LastUse]) -> bool {
    touches.first().map(|touch| touch.key.project) == touches.last().map(|touch| touch.key.project)
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.usage.put_back(&self.touches);
        self.usage.put_back(&self.failed);
    }
}

//! The operation that writes the last uses of tokens to the store.

use super::service::Tokens;
use super::usage::Usage;
use crate::rules::error::Error;
use crate::store::contract::TokenStore;
use crate::store::last_use::LastUse;
use crate::store::query::PageSize;

impl<S: TokenStore> Tokens<S> {
    /// Stores the last uses that are not stored yet. Returns the number of records that it updated.
    ///
    /// Call this method from a background task about once a minute, and once more before the
    /// process stops. Verifications and flushes do not wait for each other. If a token is used
    /// during a flush, the next flush writes this use. Without [`with_usage`](Self::with_usage),
    /// this method does nothing and returns 0.
    ///
    /// ```no_run
    /// # async fn example(tokens: std::sync::Arc<keyfob::Tokens<keyfob::MemoryStore>>) {
    /// let mut every_minute = tokio::time::interval(std::time::Duration::from_secs(60));
    /// loop {
    ///     every_minute.tick().await;
    ///     if let Err(error) = tokens.flush_usage().await {
    ///         eprintln!("cannot write last uses, will retry in a minute: {error}");
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// The method writes batches of at most 1,000 uses. If the store fails for a batch, the method
    /// writes the uses of each project of this batch separately. If the database is down, each of
    /// these writes can take as long as the store's time limit. So set a time limit of your own for
    /// the last flush of a process. If a call is cancelled, the next call writes the uses that are
    /// left.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails for any
    /// project. After several failures, the first error is returned. The uses of the failed
    /// projects are kept for the next call. The uses of all other projects are written.
    ///
    /// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
    /// [`ErrorKind::Store`]: crate::ErrorKind::Store
    pub async fn flush_usage(&self) -> Result<u64, Error> {
        let Some(usage) = &self.usage else { return Ok(0) };
        let mut waiting = Waiting { usage, touches: usage.take(), failed: Vec::new() };
        waiting.touches.sort_by_key(|touch| touch.key.project);
        let (mut moved, mut outcome) = (0, Ok(()));
        // From this index on, the touches belong to a batch that failed. They are tried again, one
        // project at a time.
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
        // Put the failed uses back before old uses are forgotten.
        drop(waiting);
        usage.forget_old(self.clock.now());
        outcome.map(|()| moved).map_err(Error::from)
    }
}

/// The last uses that a flush has not written yet, sorted by project. If this value is dropped, for
/// instance because the flush is cancelled, it puts these uses back into the [`Usage`].
struct Waiting<'u> {
    usage: &'u Usage,
    touches: Vec<LastUse>,
    failed: Vec<LastUse>,
}

impl Waiting<'_> {
    /// Returns the index in `touches` at which the next batch begins. The batch extends from this
    /// index to the end of `touches`. Returns `None` if no last uses are left.
    ///
    /// If `touches` has more than `alone_from` entries, the batch contains the last uses of only
    /// one project. Otherwise, it contains up to 1,000 last uses, of any projects.
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

/// Returns whether all these last uses belong to one project. They must be sorted by project.
fn is_of_one_project(touches: &[LastUse]) -> bool {
    touches.first().map(|touch| touch.key.project) == touches.last().map(|touch| touch.key.project)
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.usage.put_back(&self.touches);
        self.usage.put_back(&self.failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::access::Access;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::sample::{at, id};
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project};
    use crate::words::ids::TokenKey;
    use crate::words::used_from::UsedFrom;

    fn world() -> World {
        World::new().with(|tokens| tokens.with_usage(Usage::default()))
    }

    fn used(world: &World, name: &str) -> TokenKey {
        let issued = world.issued(name);
        now(world.tokens.verify(issued.token.expose_secret(), &Access::to(&project(name), &[]))).unwrap();
        issued.record.key()
    }

    #[test]
    fn noted_uses_are_written_once() {
        let world = world();
        let keys = [used(&world, "145"), used(&world, "146")];
        assert_eq!(now(world.tokens.flush_usage()).unwrap(), 2);
        assert_eq!(keys.map(|key| world.stored(&key).last_used_at), [Some(at(0)); 2]);
        assert_eq!(now(world.tokens.flush_usage()).unwrap(), 0);
        assert_eq!(now(World::new().tokens.flush_usage()).unwrap(), 0, "without usage");
    }

    #[test]
    fn uses_of_a_failing_project_are_kept_and_the_others_written() {
        let world = world();
        let keys = ["145", "146", "147"].map(|name| used(&world, name));
        world.take_down("146");
        let failed = now(world.tokens.flush_usage()).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unavailable);
        assert_eq!(keys.map(|key| world.stored(&key).last_used_at), [Some(at(0)), None, Some(at(0))]);
        world.store.down.lock().unwrap().clear();
        assert_eq!(now(world.tokens.flush_usage()).unwrap(), 1);
        assert_eq!(world.stored(&keys[1]).last_used_at, Some(at(0)));
    }

    #[test]
    fn uses_are_written_in_batches_of_at_most_1000() {
        let world = world();
        let usage = world.tokens.usage.as_ref().unwrap();
        let note = |name: &str, number: usize| {
            let id = format!("1{number:015}").parse().unwrap();
            usage.note(TokenKey { project: project(name), id }, None, at(0), UsedFrom::default);
        };
        (0..=PageSize::MAX.get()).for_each(|number| note("145", number));
        assert_eq!(now(world.tokens.flush_usage()).unwrap(), 0, "there are no such tokens");
        assert_eq!(*world.store.touched.lock().unwrap(), [PageSize::MAX.get(), 1]);
    }

    #[test]
    fn a_failed_batch_is_retried_by_project() {
        let usage = Usage::default();
        let touch = |name: &str, last: char| {
            let key = TokenKey { project: project(name), id: id(last) };
            LastUse { key, used_at: at(0), from: None }
        };
        let touches = vec![touch("145", '1'), touch("145", '2'), touch("146", '1')];
        assert!(!is_of_one_project(&touches));
        assert!(is_of_one_project(&touches[..2]));
        let mut waiting = Waiting { usage: &usage, touches, failed: Vec::new() };
        assert_eq!(waiting.next_batch(usize::MAX), Some(0));
        assert_eq!(waiting.next_batch(0), Some(2));
        waiting.touches.truncate(2);
        assert_eq!(waiting.next_batch(0), Some(0));
        assert_eq!(waiting.next_batch(1), Some(1), "not before the failed batch");
        assert_eq!(waiting.next_batch(2), Some(0), "before it, as many as fit");
        waiting.touches.clear();
        assert_eq!(waiting.next_batch(0), None);
    }
}

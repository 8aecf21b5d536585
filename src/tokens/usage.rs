//! The last uses of tokens, which are collected in memory and written in batches.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::id_hash::{GivenHash, HashedKey, IdHash};
use crate::store::last_use::LastUse;
use crate::words::ids::TokenKey;
use crate::words::timestamp::Timestamp;
use crate::words::used_from::UsedFrom;

/// The last uses of tokens, collected in memory. So a verification writes nothing to the store.
///
/// A flush writes the last uses of many tokens in one store call. The last use of one token is
/// written at most once per [resolution](Self::with_resolution). So a stored last use can be older
/// than the real last use. The maximum difference is the [`lag`](Self::lag): the resolution plus
/// the time between two flushes. If a process crashes, the uses during one lag before the crash can
/// be lost. The last uses of at most [`capacity`](Self::with_capacity) tokens are kept. If
/// more tokens are used, the uses of the other tokens are not recorded until a flush makes room.
///
/// **The rule on disuse** ([`Policy::with_max_unused`](crate::Policy::with_max_unused)) depends on
/// these last uses:
///
/// - A use in this process counts immediately, even if it is not written yet.
/// - A use in another process counts only after it is written. So the service adds the lag to the
///   time that the policy sets. Otherwise it could reject a token that is in use in another
///   process.
/// - A token in use may be rejected if no process flushes for longer than the [flush
///   interval](Self::with_flush_interval), or if more tokens than the capacity are used between two
///   flushes.
#[derive(Debug)]
pub struct Usage {
    resolution: Duration,
    flush_interval: Duration,
    capacity: usize,
    /// Whether the origin of each use (the address and the client) is recorded.
    origins: bool,
    noted: Shards,
}

/// The number of shards. It is large enough that two callers seldom need the same lock.
const SHARDS: usize = 32;

/// The latest uses of tokens in this process. The shard of a token depends on its key.
#[derive(Debug, Default)]
struct Shards {
    shards: [Shard; SHARDS],
    keys: IdHash,
    /// The number of tokens in all shards.
    len: AtomicUsize,
}

/// A shard in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Uses>);

type Uses = HashMap<HashedKey, Noted, GivenHash>;

impl Shards {
    /// Locks the shard of a key. Returns it, and the key for the map in it.
    #[inline]
    fn of(&self, key: &TokenKey) -> (MutexGuard<'_, Uses>, HashedKey) {
        let key = self.keys.hashed(key);
        (self.shards[key.shard(SHARDS)].lock(), key)
    }

    fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Uses>> {
        self.shards.iter().map(Shard::lock)
    }

    /// Counts one more token, if fewer than `most` are counted. Returns whether it did.
    fn has_room(&self, most: usize) -> bool {
        let one_more = |len: usize| (len < most).then_some(len + 1);
        self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

impl Shard {
    // No code panics while it holds the lock, so a poisoned lock guards consistent data.
    fn lock(&self) -> MutexGuard<'_, Uses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The latest use of a token in this process.
#[derive(Clone, Debug)]
struct Noted {
    /// The time of the use.
    at: Timestamp,
    /// The origin of the use, if origins are recorded and the origin is known.
    from: Option<Box<UsedFrom>>,
    /// Whether a flush must still write the use.
    waits: bool,
}

impl Default for Usage {
    /// Creates a `Usage` with a resolution of 60 seconds, a flush interval of 60 seconds and a
    /// capacity of 100,000 tokens, which take about 10 MiB.
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self { resolution: MINUTE, flush_interval: MINUTE, capacity: 100_000, origins: false, noted: Shards::default() }
    }
}

impl Usage {
    /// Sets the resolution: the minimum time between two writes of the last use of one token.
    #[must_use]
    pub fn with_resolution(self, resolution: Duration) -> Self {
        Self { resolution, ..self }
    }

    /// Sets the flush interval: the maximum time between two calls of
    /// [`flush_usage`](crate::Tokens::flush_usage) in any process that uses the store. keyfob does
    /// not make these calls. So each process must make them often enough.
    #[must_use]
    pub fn with_flush_interval(self, flush_interval: Duration) -> Self {
        Self { flush_interval, ..self }
    }

    /// Returns the maximum time by which a stored last use can be older than the real last use: the
    /// resolution plus the flush interval.
    pub fn lag(&self) -> Duration {
        self.resolution.saturating_add(self.flush_interval)
    }

    /// Sets the capacity: the maximum number of tokens whose last uses are kept in memory.
    #[must_use]
    pub fn with_capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    /// Turns on the recording of origins. The origin of a last use is the address and the client
    /// that the [`Access`](crate::Access) names. It is personal data of the user of the token.
    #[must_use]
    pub fn with_origins(self) -> Self {
        Self { origins: true, ..self }
    }

    /// Returns whether origins are recorded.
    pub(super) fn has_origins(&self) -> bool {
        self.origins
    }

    /// Notes that a token is used at the time `now`. `stored` is the last use in the record of the
    /// token. `from` returns the origin of the use, and is called only if origins are recorded.
    #[inline]
    pub(super) fn note(
        &self,
        key: TokenKey,
        stored: Option<Timestamp>,
        now: Timestamp,
        from: impl FnOnce() -> UsedFrom,
    ) {
        let recent = |last: Timestamp| now.saturating_since(last) < self.resolution;
        if stored.is_some_and(recent) {
            return;
        }
        let from = || self.origins.then(from).filter(|from| !from.is_empty()).map(Box::new);
        let (mut noted, key) = self.noted.of(&key);
        match noted.get_mut(&key) {
            // A later use replaces an unwritten use at no cost, because only the latest is written.
            Some(noted) if noted.waits => {
                if self.origins && noted.at < now {
                    noted.from = from();
                }
                noted.at = noted.at.max(now);
            }
            // A use was written recently, but `stored` is from a cached record without this use.
            Some(noted) if recent(noted.at) => {}
            Some(noted) => *noted = Noted { at: now, from: from(), waits: true },
            None => {
                if self.noted.has_room(self.capacity) {
                    noted.insert(key, Noted { at: now, from: from(), waits: true });
                }
            }
        }
    }

    /// Returns the time of the latest use of a token in this process, or `None` if no use of the
    /// token is in memory.
    pub(super) fn last_noted(&self, key: &TokenKey) -> Option<Timestamp> {
        let (noted, key) = self.noted.of(key);
        noted.get(&key).map(|noted| noted.at)
    }

    /// Returns all unwritten uses, and marks them as written. The caller must write them to the
    /// store.
    pub(super) fn take(&self) -> Vec<LastUse> {
        let touch = |(hashed, noted): (&HashedKey, &mut Noted)| {
            noted.waits = false;
            LastUse { key: hashed.key, used_at: noted.at, from: noted.from.as_deref().cloned() }
        };
        let mut taken = Vec::new();
        for mut noted in self.noted.each() {
            taken.extend(noted.iter_mut().filter(|(_, noted)| noted.waits).map(touch));
        }
        taken
    }

    /// Marks uses as unwritten again after a failed write.
    pub(super) fn put_back(&self, touches: &[LastUse]) {
        for touch in touches {
            let taken = || {
                self.noted.len.fetch_add(1, Ordering::Relaxed);
                Noted { at: touch.used_at, from: touch.from.clone().map(Box::new), waits: true }
            };
            let (mut noted, key) = self.noted.of(&touch.key);
            noted.entry(key).or_insert_with(taken).waits = true;
        }
    }

    /// Makes room in memory. Removes each use that is already in the store, if at least one
    /// [resolution](Self::with_resolution) has passed since the use. Also removes such a use if its
    /// time is at least one resolution in the future, because the clock was wrong.
    pub(super) fn forget_old(&self, now: Timestamp) {
        let between = |at: Timestamp| now.saturating_since(at).max(at.saturating_since(now));
        for mut noted in self.noted.each() {
            let before = noted.len();
            noted.retain(|_, noted| noted.waits || between(noted.at) < self.resolution);
            self.noted.len.fetch_sub(before - noted.len(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{MS, at, record};

    const SECOND: Duration = Duration::from_secs(1);

    fn usage() -> Usage {
        Usage::default().with_resolution(SECOND)
    }

    fn times(usage: &Usage) -> Vec<Timestamp> {
        usage.take().into_iter().map(|touch| touch.used_at).collect()
    }

    #[test]
    fn a_use_is_noted_if_the_last_write_is_a_resolution_ago() {
        let key = record().key();
        for (stored, noted) in
            [(None, true), (Some(-1000), true), (Some(-999), false), (Some(0), false), (Some(5), false)]
        {
            let usage = usage();
            usage.note(key, stored.map(at), at(0), UsedFrom::default);
            assert_eq!(times(&usage), if noted { vec![at(0)] } else { vec![] }, "{stored:?}");
        }
    }

    #[test]
    fn an_unwritten_use_moves_forward_with_each_use() {
        let (usage, key) = (usage(), record().key());
        for time in [5, 7, 6] {
            usage.note(key, None, at(time), UsedFrom::default);
        }
        assert_eq!(usage.last_noted(&key), Some(at(7)));
        assert_eq!(times(&usage), [at(7)]);
    }

    #[test]
    fn a_token_is_noted_again_a_resolution_after_its_write() {
        let (usage, key) = (usage(), record().key());
        usage.note(key, None, at(0), UsedFrom::default);
        assert_eq!(times(&usage), [at(0)]);
        usage.note(key, None, at(999), UsedFrom::default);
        assert_eq!(times(&usage), []);
        usage.note(key, None, at(1000), UsedFrom::default);
        assert_eq!(times(&usage), [at(1000)]);
    }

    #[test]
    fn a_use_that_could_not_be_written_is_kept() {
        let (usage, key) = (usage(), record().key());
        usage.note(key, None, at(0), UsedFrom::default);
        let taken = usage.take();
        assert_eq!(times(&usage), []);
        usage.put_back(&taken);
        assert_eq!(times(&usage), [at(0)]);
        usage.note(key, None, at(5000), UsedFrom::default);
        usage.put_back(&taken);
        assert_eq!(times(&usage), [at(5000)], "a later use stays the later one");
    }

    #[test]
    fn a_use_that_is_put_back_after_it_was_forgotten_is_counted_again() {
        let (usage, key) = (usage(), record().key());
        usage.note(key, None, at(0), UsedFrom::default);
        let taken = usage.take();
        usage.forget_old(at(5000));
        usage.put_back(&taken);
        assert_eq!(times(&usage), [at(0)]);
        usage.forget_old(at(5000));
        usage.note(key, None, at(6000), UsedFrom::default);
        assert_eq!(times(&usage), [at(6000)]);
    }

    #[test]
    fn tokens_beyond_the_capacity_are_not_remembered() {
        let usage = usage().with_capacity(1);
        let (first, second) = (record().key(), TokenKey { id: crate::rules::sample::id('2'), ..record().key() });
        usage.note(first, None, at(0), UsedFrom::default);
        usage.note(second, None, at(0), UsedFrom::default);
        usage.note(first, None, at(1), UsedFrom::default);
        assert_eq!((usage.last_noted(&first), usage.last_noted(&second)), (Some(at(1)), None));
    }

    #[test]
    fn a_use_that_was_written_a_resolution_ago_is_forgotten() {
        let (usage, key) = (usage(), record().key());
        usage.note(key, None, at(0), UsedFrom::default);
        usage.forget_old(at(5000));
        assert_eq!(usage.last_noted(&key), Some(at(0)), "it waits");
        usage.take();
        usage.forget_old(at(999));
        assert_eq!(usage.last_noted(&key), Some(at(0)));
        usage.forget_old(at(1000));
        assert_eq!(usage.last_noted(&key), None);
    }

    #[test]
    fn a_use_that_was_noted_while_the_clock_was_ahead_is_forgotten() {
        let (usage, key) = (usage(), record().key());
        usage.note(key, None, at(1_000_000), UsedFrom::default);
        usage.take();
        usage.forget_old(at(999_001));
        assert_eq!(usage.last_noted(&key), Some(at(1_000_000)));
        usage.forget_old(at(999_000));
        assert_eq!(usage.last_noted(&key), None);
    }

    #[test]
    fn the_lag_is_the_resolution_and_the_time_between_two_flushes() {
        assert_eq!(usage().with_flush_interval(MS).lag(), SECOND + MS);
        assert_eq!(usage().with_flush_interval(Duration::MAX).lag(), Duration::MAX);
        assert_eq!(Usage::default().lag(), 120 * SECOND);
    }
}

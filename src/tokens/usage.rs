//! Last uses, gathered in memory and written in batches.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::contract::LastUse;
use crate::words::ids::TokenKey;
use crate::words::timestamp::Timestamp;
use crate::words::used_from::UsedFrom;

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
    /// Whether it is recorded where uses come from.
    origins: bool,
    noted: Mutex<HashMap<TokenKey, Noted>>,
}

#[derive(Clone, Debug)]
struct Noted {
    /// The last use that was noted.
    at: Timestamp,
    /// Where that came from, if that is recorded.
    from: Option<Box<UsedFrom>>,
    /// Whether it waits to be written.
    waits: bool,
}

impl Default for Usage {
    /// A resolution of 60 seconds, a flush each 60 seconds, at most 100,000 tokens (some 10 MiB).
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self { resolution: MINUTE, flush_interval: MINUTE, capacity: 100_000, origins: false, noted: Mutex::default() }
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

    /// Records with each last use where it came from: the address and the client that the [`Access`](crate::Access) names. They
    /// are personal data of whoever uses the token.
    #[must_use]
    pub fn with_origins(self) -> Self {
        Self { origins: true, ..self }
    }

    /// Notes a use at `now` of a token whose stored last use is `stored`. Where it came from is asked only if it is recorded.
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
        let mut noted = self.noted();
        match noted.get_mut(&key) {
            // What waits moves along, at no cost: the latest use is written.
            Some(noted) if noted.waits => {
                if self.origins && noted.at < now {
                    noted.from = from();
                }
                noted.at = noted.at.max(now);
            }
            // Written a short while ago, and read from a cache since.
            Some(noted) if recent(noted.at) => {}
            Some(noted) => *noted = Noted { at: now, from: from(), waits: true },
            None => {
                if noted.len() < self.capacity {
                    noted.insert(key, Noted { at: now, from: from(), waits: true });
                }
            }
        }
    }

    /// The last use of a token that this process remembers.
    pub(super) fn last_noted(&self, key: &TokenKey) -> Option<Timestamp> {
        self.noted().get(key).map(|noted| noted.at)
    }

    /// All uses that wait, which count as written from now on.
    pub(super) fn take(&self) -> Vec<LastUse> {
        let mut noted = self.noted();
        let waiting = noted.iter_mut().filter(|(_, noted)| noted.waits);
        let touch = |(key, noted): (&TokenKey, &mut Noted)| {
            noted.waits = false;
            LastUse { key: *key, used_at: noted.at, from: noted.from.as_deref().cloned() }
        };
        waiting.map(touch).collect()
    }

    /// Lets uses that could not be written wait again.
    pub(super) fn put_back(&self, touches: &[LastUse]) {
        let mut noted = self.noted();
        for touch in touches {
            let taken = || Noted { at: touch.used_at, from: touch.from.clone().map(Box::new), waits: true };
            noted.entry(touch.key).or_insert_with(taken).waits = true;
        }
    }

    /// Makes room: forgets what was written a resolution ago.
    pub(super) fn forget_old(&self, now: Timestamp) {
        self.noted().retain(|_, noted| noted.waits || now.saturating_since(noted.at) < self.resolution);
    }

    // No code here panics while it holds the lock, so a poisoned one holds nothing half-done.
    fn noted(&self) -> MutexGuard<'_, HashMap<TokenKey, Noted>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_use_is_noted_unless_one_was_written_less_than_a_resolution_ago() {
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
    fn what_waits_moves_forwards_with_each_use() {
        let (usage, key) = (usage(), record().key());
        for time in [5, 7, 6] {
            usage.note(key, None, at(time), UsedFrom::default);
        }
        assert_eq!(usage.last_noted(&key), Some(at(7)));
        assert_eq!(times(&usage), [at(7)]);
    }

    #[test]
    fn a_use_that_was_taken_is_noted_again_after_a_resolution() {
        let (usage, key) = (usage(), record().key());
        usage.note(key, None, at(0), UsedFrom::default);
        assert_eq!(times(&usage), [at(0)]);
        usage.note(key, None, at(999), UsedFrom::default);
        assert_eq!(times(&usage), []);
        usage.note(key, None, at(1000), UsedFrom::default);
        assert_eq!(times(&usage), [at(1000)]);
    }

    #[test]
    fn what_was_not_written_waits_again() {
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
    fn no_more_tokens_are_remembered_than_there_is_room_for() {
        let usage = usage().with_capacity(1);
        let (first, second) = (record().key(), TokenKey { id: crate::rules::sample::id('2'), ..record().key() });
        usage.note(first, None, at(0), UsedFrom::default);
        usage.note(second, None, at(0), UsedFrom::default);
        usage.note(first, None, at(1), UsedFrom::default);
        assert_eq!((usage.last_noted(&first), usage.last_noted(&second)), (Some(at(1)), None));
    }

    #[test]
    fn what_was_written_a_resolution_ago_is_forgotten() {
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
    fn the_lag_is_the_resolution_and_the_time_between_two_flushes() {
        assert_eq!(usage().with_flush_interval(MS).lag(), SECOND + MS);
        assert_eq!(usage().with_flush_interval(Duration::MAX).lag(), Duration::MAX);
        assert_eq!(Usage::default().lag(), 120 * SECOND);
    }
}

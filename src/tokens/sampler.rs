//! Deciding which events are emitted, within fixed bounds on events and memory.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::events::Event;
use crate::words::ids::TokenKey;
use crate::words::timestamp::Timestamp;

const WINDOW: Duration = Duration::from_secs(1);
/// The number of seconds after its last event for which a token is remembered if there is no room.
const REMEMBERED: u64 = 60;

/// Returns the number of the second that a time is in.
fn second_of(now: Timestamp) -> u64 {
    (now.saturating_since(Timestamp::MIN).as_millis() / WINDOW.as_millis()) as u64
}

/// Counts all events of one kind, and picks the first [`Event::SAMPLES`] of each second, of any
/// token. It takes three words of memory.
#[derive(Default)]
pub(super) struct Sampler {
    /// All events that were counted.
    total: AtomicU64,
    /// The events since the last one that was picked.
    left_out: AtomicU64,
    /// The current second, and the number of events that were picked in it, in the lowest bits.
    window: AtomicU64,
}

impl Sampler {
    const PICKED_BITS: u32 = 8;

    /// Counts an event. If the event is to be emitted, returns how many were left out since the
    /// last one that was emitted.
    pub(super) fn count(&self, now: Timestamp) -> Option<u64> {
        self.count_only();
        let second = second_of(now) << Self::PICKED_BITS;
        let pick = |window: u64| {
            let picked = window & ((1 << Self::PICKED_BITS) - 1);
            match window - picked == second {
                true => (picked < Event::SAMPLES).then_some(window + 1),
                false => Some(second + 1),
            }
        };
        match self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pick) {
            Ok(_) => Some(self.left_out.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Counts an event that another sampler picks.
    pub(super) fn count_only(&self) {
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Picks events of one kind for each token separately, so that events of one token do not hide
/// those of another.
///
/// The first event of a token in a second is emitted, within two bounds for all tokens together.
/// After [`Event::REPEATS`] events in a second, only tokens that are not remembered get one. After
/// [`Event::TOKENS`] events, no token gets one. To hide the first event of a token that is not
/// remembered, an attacker needs more tokens than are remembered, and must use them in that second.
///
/// At most [`Event::TOKENS`] tokens are remembered, each for at least a minute after its latest
/// event. A token for which there is no room is not remembered: its events are all emitted within
/// the bounds of the second, without a count.
#[derive(Default)]
pub(super) struct ByToken(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// The current second.
    second: u64,
    /// The number of events that were emitted in the current second.
    emitted: usize,
    /// The second in which old tokens were last forgotten.
    swept: u64,
    tokens: HashMap<TokenKey, Told>,
}

struct Told {
    /// The second of the last event that was emitted.
    second: u64,
    /// The second of the last event, emitted or not.
    seen: u64,
    /// The number of events that were left out since the last one that was emitted.
    left_out: u64,
}

impl ByToken {
    /// Counts an event. If it is to be emitted, returns how many of this token were left out since
    /// the last one that was emitted.
    pub(super) fn pick(&self, key: TokenKey, now: Timestamp) -> Option<u64> {
        let second = second_of(now);
        let mut seen = self.seen();
        if seen.second != second {
            (seen.second, seen.emitted) = (second, 0);
        }
        let emitted = seen.emitted;
        let left_out = match seen.tokens.get_mut(&key) {
            Some(told) if told.second == second || emitted >= Event::REPEATS => {
                told.seen = second;
                told.left_out += 1;
                return None;
            }
            Some(told) => {
                (told.second, told.seen) = (second, second);
                core::mem::take(&mut told.left_out)
            }
            None if emitted >= Event::TOKENS => return None,
            None => {
                if seen.has_room(second) {
                    seen.tokens.insert(key, Told { second, seen: second, left_out: 0 });
                }
                0
            }
        };
        seen.emitted += 1;
        Some(left_out)
    }

    // No code panics while it holds the lock, so a poisoned lock guards consistent data.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Returns whether there is room to remember another token. If not, it first forgets old
    /// tokens, at most once in a second.
    fn has_room(&mut self, second: u64) -> bool {
        if self.tokens.len() >= Event::TOKENS && self.swept != second {
            self.swept = second;
            self.tokens.retain(|_, told| told.seen.abs_diff(second) < REMEMBERED);
        }
        self.tokens.len() < Event::TOKENS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::ids::{ProjectId, TokenId};

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(seconds: u64) -> Timestamp {
        START.saturating_add(Duration::from_secs(seconds))
    }

    fn key(number: usize) -> TokenKey {
        TokenKey { project: ProjectId::new("1").unwrap(), id: TokenId::new(&format!("1{number:015}")).unwrap() }
    }

    #[test]
    fn ten_events_a_second_are_emitted_and_the_others_counted() {
        let (sampler, start) = (Sampler::default(), START);
        let told = (0..1_000_000).filter_map(|_| sampler.count(start)).collect::<Vec<_>>();
        assert_eq!(told, [0; Event::SAMPLES as usize]);
        assert_eq!(sampler.count(start.saturating_add(Duration::from_millis(999))), None);
        assert_eq!(sampler.count(start.saturating_add(Duration::from_secs(1))), Some(1_000_001 - Event::SAMPLES));
        assert_eq!(sampler.count(start.saturating_add(Duration::from_secs(1))), Some(0));
        assert_eq!(sampler.total(), 1_000_003);
    }

    #[test]
    fn each_token_is_emitted_once_a_second_with_its_own_count() {
        let picked = ByToken::default();
        for seconds in 0..3 {
            for (token, left_out) in [(1, if seconds == 0 { 0 } else { 99 }), (2, if seconds == 0 { 0 } else { 4 })] {
                let uses = if token == 1 { 100 } else { 5 };
                let told: Vec<_> = (0..uses).filter_map(|_| picked.pick(key(token), after(seconds))).collect();
                assert_eq!(told, [left_out], "token {token}, second {seconds}");
            }
        }
        assert_eq!(picked.pick(key(1), after(2).saturating_add(Duration::from_millis(999))), None);
        // The clock was set back: events are still emitted.
        assert_eq!(picked.pick(key(1), START), Some(100));
    }

    #[test]
    fn a_flood_of_tokens_is_bounded_and_does_not_hide_a_new_token() {
        let picked = ByToken::default();
        let flood = |count: usize, seconds| {
            (0..count).filter(|token| picked.pick(key(*token), after(seconds)).is_some()).count()
        };
        let own = Event::TOKENS;
        assert_eq!(flood(own, 0), own);
        // From the next second on, the tokens are remembered, and only `REPEATS` of them are
        // emitted.
        for seconds in 1..4 {
            assert_eq!(flood(own, seconds), Event::REPEATS);
            assert_eq!(
                picked.pick(key(1_000_000 + seconds as usize), after(seconds)),
                Some(0),
                "a token that was not seen before"
            );
        }
    }

    #[test]
    fn events_and_remembered_tokens_stay_within_their_bounds() {
        let picked = ByToken::default();
        for seconds in 0..5 {
            let first = seconds as usize * 3 * Event::TOKENS;
            let told =
                (first..first + 3 * Event::TOKENS).filter(|token| picked.pick(key(*token), after(seconds)).is_some());
            assert_eq!(told.count(), Event::TOKENS);
            assert!(picked.seen().tokens.len() <= Event::TOKENS);
        }
    }

    #[test]
    fn a_token_without_room_is_always_emitted_and_other_counts_are_kept() {
        let picked = ByToken::default();
        for token in 0..Event::TOKENS {
            assert_eq!(picked.pick(key(token), START), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(picked.pick(key(5), START), None);
        }
        let another = key(Event::TOKENS);
        for _ in 0..3 {
            assert_eq!(picked.pick(another, after(59)), Some(0));
        }
        assert_eq!(picked.pick(key(5), after(59)), Some(7));
        assert_eq!(picked.pick(another, after(60)), Some(0));
        assert_eq!(picked.pick(another, after(60)), None, "the tokens of a minute ago were forgotten to make room");
        assert_eq!(picked.seen().tokens.len(), 2);
    }
}

//! Samplers of events. A sampler decides which events are emitted. It limits the number of these
//! events, and its own use of memory.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::events::Event;
use crate::words::ids::TokenKey;
use crate::words::timestamp::Timestamp;

const WINDOW: Duration = Duration::from_secs(1);
/// The minimum number of seconds for which a sampler remembers a token after the token's last
/// event, even if the sampler has no room for another token.
const REMEMBERED: u64 = 60;

/// Returns the number of whole seconds from [`Timestamp::MIN`] to the time `now`.
fn second_of(now: Timestamp) -> u64 {
    (now.saturating_since(Timestamp::MIN).as_millis() / WINDOW.as_millis()) as u64
}

/// A sampler for the events of one kind, from all tokens together. It counts all events. It picks
/// the first [`Event::SAMPLES`] events of each second: only these events are emitted.
#[derive(Default)]
pub(super) struct Sampler {
    /// The number of all events.
    total: AtomicU64,
    /// The number of events that this sampler decided not to emit since the last emitted event.
    left_out: AtomicU64,
    /// The current time in seconds, shifted left by [`Self::PICKED_BITS`] bits. The lowest bits
    /// contain the number of events that were picked in this second.
    window: AtomicU64,
}

impl Sampler {
    const PICKED_BITS: u32 = 8;

    /// Counts an event and decides whether it must be emitted. If so, returns the number of events
    /// that it decided not to emit since the last emitted event. Otherwise, returns `None`.
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

    /// Counts an event, but does not decide whether it is emitted. Another sampler decides this.
    pub(super) fn count_only(&self) {
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// A sampler that decides for each token separately which events of one kind are emitted. So the
/// events of one token do not hide the events of another token.
///
/// The sampler remembers at most [`Event::TOKENS`] tokens, each for at least a minute after its
/// latest event. For each of these tokens, it counts the events that it does not emit. The next
/// emitted event of the token contains this count.
///
/// In each second, the sampler emits the first event of each token. Two limits apply to all tokens
/// together:
///
/// - After [`Event::REPEATS`] emitted events in a second, the sampler emits an event only if it
///   does not remember the token of the event.
/// - After [`Event::TOKENS`] emitted events in a second, the sampler emits no event.
///
/// To hide the first event of a token that the sampler does not remember, an attacker needs at
/// least [`Event::TOKENS`] other tokens. In the same second, the attacker must also cause at least
/// [`Event::TOKENS`] events.
///
/// If there is no room to remember a token, the sampler emits all events of this token within these
/// limits. It does not count the events of this token that it does not emit.
#[derive(Default)]
pub(super) struct ByToken(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// The current time in seconds.
    second: u64,
    /// The number of events that were emitted in the current second.
    emitted: usize,
    /// The time in seconds at which the sampler last removed old tokens.
    swept: u64,
    tokens: HashMap<TokenKey, Told>,
}

struct Told {
    /// The time in seconds of the last emitted event of this token.
    second: u64,
    /// The time in seconds of the last event of this token, even if this event was not emitted.
    seen: u64,
    /// The number of events of this token that were not emitted since the last emitted event.
    left_out: u64,
}

impl ByToken {
    /// Counts an event of a token, and decides whether the event is emitted. If it is, returns the
    /// number of events of this token that were not emitted since the previous emitted event of the
    /// token. If it is not, returns `None`.
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
    /// Returns whether there is room to remember another token. If there is no room, first forgets
    /// each token whose last event was at least a minute ago. Forgets tokens at most once in a
    /// second.
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
        // Events are emitted even after the clock was set back.
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
        // From the next second on, the sampler remembers the tokens. So it emits only `REPEATS` of
        // their events.
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

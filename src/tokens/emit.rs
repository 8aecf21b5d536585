//! The emission of events to the sink. The events that any request can cause are sampled first, and
//! the results of verifications are counted.

use core::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::events::{Event, EventSink, VerificationCounts};
use super::sampler::{ByToken, Sampler};
use crate::words::ids::{TokenId, TokenKey};
use crate::words::rejection::Rejection;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// Whether the caller presented the token at this verification or at an earlier one.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    /// The caller presented the token at this verification.
    Presented,
    /// The caller presented the token at an earlier verification, which is now repeated.
    Before,
}

/// The event sink, with the counters and samplers of the events.
pub(super) struct Events {
    sink: Arc<dyn EventSink>,
    sink_panics: AtomicU64,
    verified: Sampler,
    unavailable: Sampler,
    rejected: [Sampler; Rejection::ALL.len()],
    /// One sampler for each kind of [`Rejection`], for rejections after the caller has proved that
    /// it holds the token. For each token separately, a sampler decides for which rejections an
    /// event is emitted.
    failed: [ByToken; Rejection::ALL.len()],
    /// The sampler of `Reused` events. A recheck of a rotated token does not use it, so that
    /// rechecks cannot suppress the event of a reuse. A sampler in `failed` decides whether a
    /// rejected recheck emits an event.
    reused: ByToken,
    reported_again: ByToken,
}

impl Events {
    pub(super) fn new(sink: Arc<dyn EventSink>) -> Self {
        Self {
            sink,
            sink_panics: AtomicU64::default(),
            verified: Sampler::default(),
            unavailable: Sampler::default(),
            rejected: core::array::from_fn(|_| Sampler::default()),
            failed: core::array::from_fn(|_| ByToken::default()),
            reused: ByToken::default(),
            reported_again: ByToken::default(),
        }
    }

    /// Hands an event to the sink. If the sink panics, counts the panic and returns, because the
    /// operation has taken effect and its caller must get the result.
    #[inline(never)]
    pub(super) fn tell(&self, event: &Event<'_>) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.sink.record(event))) {
            self.sink_panics.fetch_add(1, Ordering::Relaxed);
            // Dropping the payload of a panic may panic again. The second payload is leaked,
            // because dropping it could panic once more.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                mem::forget(again);
            }
        }
    }

    pub(super) fn verified(&self, key: TokenKey, issuers: impl FnOnce() -> Vec<TokenId>, now: Timestamp) {
        if let Some(left_out) = self.verified.count(now) {
            self.tell_verified(key, issuers, left_out);
        }
    }

    #[cold]
    fn tell_verified(&self, key: TokenKey, issuers: impl FnOnce() -> Vec<TokenId>, left_out: u64) {
        self.tell(&Event::Verified { key, issuers: &issuers(), left_out });
    }

    pub(super) fn unavailable(&self, key: Option<TokenKey>, now: Timestamp) {
        if let Some(left_out) = self.unavailable.count(now) {
            self.tell(&Event::Unavailable { key, left_out });
        }
    }

    /// Emits the event of a repeated leak report, unless the sampler skips it. A caller can report
    /// the same revoked token any number of times, so the sampler limits the events of each token.
    pub(super) fn reported_again(&self, key: TokenKey, actor: &Actor, now: Timestamp) {
        if let Some(left_out) = self.reported_again.pick(key, now) {
            self.tell(&Event::Leaked { key, actor, is_first: false, left_out });
        }
    }

    pub(super) fn failed(
        &self,
        rejection: Rejection,
        key: Option<TokenKey>,
        successor: Option<TokenId>,
        shown: Shown,
        now: Timestamp,
    ) {
        let sampler = &self.rejected[rejection as usize];
        // Before the proof, a caller can name any token id. So sampling by token would fill the
        // memory with ids that attackers made up.
        let Some(proven) = key.filter(|_| rejection.is_after_proof()) else {
            if let Some(left_out) = sampler.count(now) {
                self.tell(&Event::Failed { key, rejection, left_out });
            }
            return;
        };
        sampler.count_only();
        let is_reuse = matches!((rejection, shown), (Rejection::Rotated, Shown::Presented));
        let by_token = if is_reuse { &self.reused } else { &self.failed[rejection as usize] };
        let Some(left_out) = by_token.pick(proven, now) else { return };
        self.tell(&match rejection {
            Rejection::Rotated if is_reuse => Event::Reused { key: proven, successor, left_out },
            Rejection::Policy => Event::PolicyBlocked { key: proven, left_out },
            _ => Event::Failed { key, rejection, left_out },
        });
    }

    pub(super) fn counts(&self) -> VerificationCounts {
        VerificationCounts {
            verified: self.verified.total(),
            unavailable: self.unavailable.total(),
            sink_panics: self.sink_panics.load(Ordering::Relaxed),
            rejected: core::array::from_fn(|at| self.rejected[at].total()),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::rules::sample::{ada, at, id, record};

    /// A sink that records a text for each event that it receives.
    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl EventSink for Log {
        fn record(&self, event: &Event<'_>) {
            let told = match event {
                Event::Failed { key, rejection, left_out } => {
                    format!("failed {rejection} {} {left_out}", key.is_some())
                }
                Event::Reused { successor, left_out, .. } => format!("reused {} {left_out}", successor.is_some()),
                Event::Leaked { is_first, left_out, .. } => format!("leaked {is_first} {left_out}"),
                event => event.name().to_owned(),
            };
            self.0.lock().unwrap().push(told);
        }
    }

    fn events() -> (Events, Arc<Log>) {
        let log = Arc::new(Log::default());
        (Events::new(Arc::clone(&log) as _), log)
    }

    fn told(log: &Log) -> Vec<String> {
        mem::take(&mut *log.0.lock().unwrap())
    }

    #[test]
    fn verifications_are_sampled_by_kind_and_counted() {
        let (events, log) = events();
        let key = record().key();
        for _ in 0..Event::SAMPLES + 5 {
            events.verified(key, Vec::new, at(0));
            events.unavailable(None, at(0));
        }
        let heard = told(&log);
        for name in ["verified", "unavailable"] {
            assert_eq!(heard.iter().filter(|told| *told == name).count() as u64, Event::SAMPLES);
        }
        let counts = events.counts();
        assert_eq!((counts.verified, counts.unavailable), (Event::SAMPLES + 5, Event::SAMPLES + 5));
        assert_eq!((counts.all_rejected(), counts.sink_panics), (0, 0));
    }

    #[test]
    fn rejections_before_the_proof_are_sampled_by_kind() {
        let (events, log) = events();
        for number in 0..Event::SAMPLES + 5 {
            let key = TokenKey { id: format!("1{number:015}").parse().unwrap(), ..record().key() };
            events.failed(Rejection::Digest, Some(key), None, Shown::Presented, at(0));
        }
        assert_eq!(told(&log).len() as u64, Event::SAMPLES);
        assert_eq!(events.counts().rejected(Rejection::Digest), Event::SAMPLES + 5);
    }

    #[test]
    fn rejections_after_the_proof_are_sampled_by_token() {
        let (events, log) = events();
        let (first, second) = (record().key(), TokenKey { id: id('2'), ..record().key() });
        for key in [first, first, second, first] {
            events.failed(Rejection::Revoked, Some(key), None, Shown::Presented, at(0));
        }
        let revoked = Rejection::Revoked;
        assert_eq!(told(&log), [format!("failed {revoked} true 0"), format!("failed {revoked} true 0")]);
        events.failed(Rejection::Revoked, Some(first), None, Shown::Presented, at(1000));
        assert_eq!(told(&log), [format!("failed {revoked} true 2")]);
        assert_eq!(events.counts().rejected(Rejection::Revoked), 5);
    }

    #[test]
    fn a_presented_old_secret_is_a_reuse_and_a_recheck_is_not() {
        let (events, log) = events();
        let key = Some(record().key());
        events.failed(Rejection::Rotated, key, Some(id('2')), Shown::Before, at(0));
        events.failed(Rejection::Rotated, key, Some(id('2')), Shown::Presented, at(0));
        assert_eq!(told(&log), [format!("failed {} true 0", Rejection::Rotated), "reused true 0".to_owned()]);
        events.failed(Rejection::Expired, key, Some(id('2')), Shown::Presented, at(0));
        events.failed(Rejection::Policy, key, None, Shown::Presented, at(0));
        events.failed(Rejection::Expired, None, None, Shown::Presented, at(0));
        let expired = Rejection::Expired;
        let heard =
            [format!("failed {expired} true 0"), "policy_blocked".to_owned(), format!("failed {expired} false 0")];
        assert_eq!(told(&log), heard);
    }

    #[test]
    fn repeated_reports_are_sampled_by_token() {
        let (events, log) = events();
        for time in [0, 0, 0, 1000] {
            events.reported_again(record().key(), &ada(), at(time));
        }
        assert_eq!(told(&log), ["leaked false 0", "leaked false 2"]);
    }

    struct Panics;

    impl EventSink for Panics {
        fn record(&self, _: &Event<'_>) {
            panic!("the sink of a test");
        }
    }

    #[test]
    fn a_sink_that_panics_is_counted_and_stops_nothing() {
        let events = Events::new(Arc::new(Panics));
        events.tell(&Event::Issued { key: record().key(), issuer: None, actor: &ada() });
        events.verified(record().key(), Vec::new, at(0));
        assert_eq!((events.counts().sink_panics, events.counts().verified), (2, 1));
    }
}

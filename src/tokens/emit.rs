//! Emitting events: what is counted, sampled and handed to the sink.

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

/// When somebody has shown that they hold the token.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    /// At this verification.
    Presented,
    /// At an earlier one, which is checked again.
    Before,
}

/// The sink, and what is counted and sampled before it.
pub(super) struct Events {
    sink: Arc<dyn EventSink>,
    sink_panics: AtomicU64,
    verified: Sampler,
    unavailable: Sampler,
    rejected: [Sampler; Rejection::ALL.len()],
    /// Rejections after the proof.
    failed: [ByToken; Rejection::ALL.len()],
    /// Apart from rotated tokens that are checked again: those must not hide that one is presented.
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

    /// Hands an event to the sink. What it tells has happened, and its caller must learn so: a sink that panics is counted.
    #[inline(never)]
    pub(super) fn tell(&self, event: &Event<'_>) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.sink.record(event))) {
            self.sink_panics.fetch_add(1, Ordering::Relaxed);
            // What was panicked with may panic as it is dropped. Then nothing of it is left to handle.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                mem::forget(again);
            }
        }
    }

    pub(super) fn verified(&self, key: TokenKey, now: Timestamp) {
        if let Some(left_out) = self.verified.count(now) {
            self.tell(&Event::Verified { key, left_out });
        }
    }

    pub(super) fn unavailable(&self, key: Option<TokenKey>, now: Timestamp) {
        if let Some(left_out) = self.unavailable.count(now) {
            self.tell(&Event::Unavailable { key, left_out });
        }
    }

    /// Whoever has the text of a revoked token may report it as often as they like.
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
        // Before the proof anybody may name any token: to sample each by itself would be to remember what they make up.
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

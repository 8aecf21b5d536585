//! What happened, told to a sink of the host's: for logs, metrics and an audit trail.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::store::RevokeGroup;
use crate::rules::record::RevocationReason;
use crate::rules::status::NoticeStage;
use crate::words::error::Rejection;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// Where events go. It is called in the midst of requests: it must be quick, not wait, and not panic. A sink that writes to a
/// database puts them into a bounded queue.
pub trait EventSink: Send + Sync {
    /// Takes an event.
    fn record(&self, event: &Event<'_>);
}

impl<E: EventSink + ?Sized> EventSink for Arc<E> {
    fn record(&self, event: &Event<'_>) {
        (**self).record(event);
    }
}

/// Something that happened. It holds ids, and no part of a secret or of a rejected text.
///
/// What requests cause is sampled: of each kind of outcome at most [`Event::SAMPLES`] in a second are told, each with the
/// number of its kind that were left out before it, whatever an attacker sends. Everything else is told each time.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A token was issued.
    Issued {
        /// The token.
        key: TokenKey,
        /// Who asked for it.
        actor: &'a Actor,
    },
    /// A token was verified. Sampled.
    Verified {
        /// The token.
        key: TokenKey,
        /// Verifications before it that were not told.
        left_out: u64,
    },
    /// A token was refused. Sampled, each [`Rejection`] by itself.
    Failed {
        /// The token, where its text was right.
        key: Option<TokenKey>,
        /// Why.
        rejection: Rejection,
        /// Refusals of this kind before it that were not told.
        left_out: u64,
    },
    /// A token was used after it was rotated and its grace was over: somebody holds an old secret. Sampled.
    Reused {
        /// The token.
        key: TokenKey,
        /// What took over from it.
        successor: Option<TokenId>,
        /// Such uses before it that were not told.
        left_out: u64,
    },
    /// A token that is otherwise alive was refused for today's policy. Sampled.
    PolicyBlocked {
        /// The token.
        key: TokenKey,
        /// Such refusals before it that were not told.
        left_out: u64,
    },
    /// A token could not be checked, since the store or the question for its owner failed. Sampled.
    Unavailable {
        /// The token, where its text tells.
        key: Option<TokenKey>,
        /// Such failures before it that were not told.
        left_out: u64,
    },
    /// A token was rotated.
    Rotated {
        /// The old token.
        key: TokenKey,
        /// The new one, of the same project.
        successor: TokenId,
        /// When the old one stops working.
        grace_until: Timestamp,
        /// Who asked for it.
        actor: &'a Actor,
    },
    /// A token was changed.
    Changed {
        /// The token.
        key: TokenKey,
        /// How.
        how: Changed,
        /// Who asked for it.
        actor: &'a Actor,
    },
    /// A token was revoked. A second revocation, which changes nothing, is not told.
    Revoked {
        /// The token.
        key: TokenKey,
        /// Who asked for it.
        actor: &'a Actor,
        /// Why.
        reason: RevocationReason,
    },
    /// A token was reported as leaked by somebody who has its text. Where it was revoked before, the reports are sampled.
    Leaked {
        /// The token.
        key: TokenKey,
        /// Who reported it.
        actor: &'a Actor,
        /// Whether it was revoked for this report.
        is_first: bool,
        /// Reports of revoked tokens before it that were not told.
        left_out: u64,
    },
    /// All tokens of a group were revoked in one project.
    GroupRevoked {
        /// The project.
        project: ProjectId,
        /// The group.
        group: &'a RevokeGroup,
        /// How many were not revoked before.
        count: u64,
        /// Who asked for it.
        actor: &'a Actor,
        /// Why.
        reason: RevocationReason,
    },
    /// A notice of a token's coming end was claimed.
    Expiring {
        /// The token.
        key: TokenKey,
        /// Which notice.
        stage: NoticeStage,
    },
    /// A token of an earlier system was imported.
    Imported {
        /// The token.
        key: TokenKey,
        /// Who asked for it.
        actor: &'a Actor,
    },
}

impl Event<'_> {
    /// The most events of one sampled kind in a second.
    pub const SAMPLES: u64 = 10;

    /// Its name in snake case, for log fields and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Issued { .. } => "issued",
            Self::Verified { .. } => "verified",
            Self::Failed { .. } => "failed",
            Self::Reused { .. } => "reused",
            Self::PolicyBlocked { .. } => "policy_blocked",
            Self::Unavailable { .. } => "unavailable",
            Self::Rotated { .. } => "rotated",
            Self::Changed { how, .. } => how.as_str(),
            Self::Revoked { .. } => "revoked",
            Self::Leaked { .. } => "leaked",
            Self::GroupRevoked { .. } => "group_revoked",
            Self::Expiring { .. } => "expiring",
            Self::Imported { .. } => "imported",
        }
    }
}

/// How a token was changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Changed {
    /// It has another name.
    Renamed,
    /// It does not work until it is enabled.
    Disabled,
    /// It works again.
    Enabled,
    /// It works for the first time.
    Confirmed,
    /// Its grace was ended.
    GraceEnded,
    /// It may do less, or ends sooner.
    Narrowed,
}

word_type!(Changed {
    Renamed = "renamed",
    Disabled = "disabled",
    Enabled = "enabled",
    Confirmed = "confirmed",
    GraceEnded = "grace_ended",
    Narrowed = "narrowed",
});

/// How many verifications had which outcome since the service was made.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Counts {
    /// Passed.
    pub verified: u64,
    /// Not checked, since the store or the question for the owner failed.
    pub unavailable: u64,
    rejected: [u64; Rejection::ALL.len()],
}

impl Counts {
    /// Refused for this reason.
    pub fn rejected(&self, rejection: Rejection) -> u64 {
        self.rejected[rejection as usize]
    }

    /// Refused for any reason.
    pub fn all_rejected(&self) -> u64 {
        self.rejected.iter().sum()
    }
}

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
    verified: Sampler,
    unavailable: Sampler,
    rejected: [Sampler; Rejection::ALL.len()],
    reported_again: Sampler,
}

impl Events {
    pub(super) fn new(sink: Arc<dyn EventSink>) -> Self {
        Self {
            sink,
            verified: Sampler::default(),
            unavailable: Sampler::default(),
            rejected: core::array::from_fn(|_| Sampler::default()),
            reported_again: Sampler::default(),
        }
    }

    pub(super) fn tell(&self, event: &Event<'_>) {
        self.sink.record(event);
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
        if let Some(left_out) = self.reported_again.count(now) {
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
        let Some(left_out) = self.rejected[rejection as usize].count(now) else { return };
        self.tell(&match (rejection, key, shown) {
            (Rejection::Rotated, Some(key), Shown::Presented) => Event::Reused { key, successor, left_out },
            (Rejection::Policy, Some(key), _) => Event::PolicyBlocked { key, left_out },
            _ => Event::Failed { key, rejection, left_out },
        });
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            verified: self.verified.total(),
            unavailable: self.unavailable.total(),
            rejected: core::array::from_fn(|at| self.rejected[at].total()),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// Counts all, and picks the first few of each second. Three words, however much is counted.
#[derive(Default)]
struct Sampler {
    total: AtomicU64,
    left_out: AtomicU64,
    /// The second, and how many were picked in it.
    window: AtomicU64,
}

impl Sampler {
    const WINDOW: Duration = Duration::from_secs(1);
    const PICKED_BITS: u32 = 8;

    /// Counts one. Where it is to be told: how many were left out since the one before that was.
    fn count(&self, now: Timestamp) -> Option<u64> {
        self.total.fetch_add(1, Ordering::Relaxed);
        let second = now.saturating_since(Timestamp::MIN).as_millis() / Self::WINDOW.as_millis();
        let second = (second as u64) << Self::PICKED_BITS;
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

    fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_are_told_and_the_others_counted() {
        let (sampler, start) = (Sampler::default(), Timestamp::UNIX_EPOCH);
        let told = (0..1_000_000).filter_map(|_| sampler.count(start)).collect::<Vec<_>>();
        assert_eq!(told, [0; Event::SAMPLES as usize]);
        assert_eq!(sampler.count(start.saturating_add(Duration::from_millis(999))), None);
        assert_eq!(sampler.count(start.saturating_add(Duration::from_secs(1))), Some(1_000_001 - Event::SAMPLES));
        assert_eq!(sampler.count(start.saturating_add(Duration::from_secs(1))), Some(0));
        assert_eq!(sampler.total(), 1_000_003);
    }
}

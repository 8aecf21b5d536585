//! What happened, told to a sink of the host's: for logs, metrics and an audit trail.

use std::sync::Arc;

use crate::rules::issuer::Issuer;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::RevocationReason;
use crate::store::group::RevokeGroup;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::rejection::Rejection;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// Where events go. It is called in the midst of requests: it must be quick, and not wait. A sink that writes to a
/// database puts them into a bounded queue.
///
/// What an event tells has happened when the sink is called; the three whose names end in `Failed` after a verb tell what may have
/// happened. A sink that panics loses the event and nothing else: the panic
/// is caught if the program unwinds, counted in [`VerificationCounts::sink_panics`], and the operation goes on.
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
/// What requests cause is sampled, so that no attacker floods the sink. Everything else is emitted each time.
///
/// - **Of one token.** If the presenter holds the token, its events are sampled for this token and kind alone: the first
///   in each second is emitted, and `left_out` counts the events of this very token and kind since its last one. So nobody
///   hides another's token behind events of their own. This is so for `Reused`, `PolicyBlocked`, repeated reports of a leak,
///   and `Failed` with a [`Rejection`] that [is after the proof](Rejection::is_after_proof). In a second and of a kind, at most
///   [`Event::TOKENS`] tokens have an event, and at most the first [`Event::REPEATS`] events are of tokens that had one
///   before. Counts of at most [`Event::TOKENS`] tokens of a kind are kept; events of further ones are all emitted within
///   these bounds, without a count.
/// - **Of a kind.** `Verified`, `Unavailable` and `Failed` before the proof, whose text anybody may make up: at most
///   [`Event::SAMPLES`] of a kind are emitted in a second, and `left_out` counts the events of this kind since its last one,
///   whatever tokens they were of.
///
/// [`VerificationCounts`] has all, sampled or not.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A token was issued.
    Issued {
        /// The token.
        key: TokenKey,
        /// The token that issued it, if one did, and whether it is bound to that.
        issuer: Option<Issuer>,
        /// Who asked for it.
        actor: &'a Actor,
    },
    /// A token was verified. Sampled.
    Verified {
        /// The token.
        key: TokenKey,
        /// The tokens that it is bound to, of the same project, nearest first. Most tokens are bound to none.
        issuers: &'a [TokenId],
        /// Verifications, of any token, since the last event of this kind.
        left_out: u64,
    },
    /// A token was refused. Sampled, each [`Rejection`] by itself: of one token after the proof, of the kind before it.
    Failed {
        /// The token, where its text was right.
        key: Option<TokenKey>,
        /// Why.
        rejection: Rejection,
        /// Refusals for this reason since the last event: of this token after the proof, of any before it.
        left_out: u64,
    },
    /// A token was used after it was rotated and its grace was over: somebody holds an old secret. Sampled of one token.
    Reused {
        /// The token.
        key: TokenKey,
        /// What took over from it.
        successor: Option<TokenId>,
        /// Such uses of this token since its last event.
        left_out: u64,
    },
    /// A token that is otherwise alive was refused for today's policy. Sampled of one token.
    PolicyBlocked {
        /// The token.
        key: TokenKey,
        /// Such refusals of this token since its last event.
        left_out: u64,
    },
    /// A token could not be checked, since the store or the question for its owner failed. Sampled.
    Unavailable {
        /// The token, where its text tells.
        key: Option<TokenKey>,
        /// Such failures, of any token, since the last event of this kind.
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
        how: ChangeKind,
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
    /// A token was reported as leaked by somebody who has its text. If it was revoked before, the reports are sampled of one
    /// token.
    Leaked {
        /// The token.
        key: TokenKey,
        /// Who reported it.
        actor: &'a Actor,
        /// Whether it was revoked for this report.
        is_first: bool,
        /// Repeated reports of this token since its last event.
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
    /// What was bound to a token that has ended was revoked. It was refused before already.
    IssuedRevoked {
        /// The project.
        project: ProjectId,
        /// The token that has ended.
        issuer: TokenId,
        /// How many were not revoked before.
        count: u64,
        /// Who ended the issuer.
        actor: &'a Actor,
        /// Why.
        reason: RevocationReason,
    },
    /// The store failed while a token was being revoked: it may be revoked. If so, the repeat that is acknowledged changes
    /// nothing and is not told.
    RevokeFailed {
        /// The token.
        key: TokenKey,
        /// Who asked for it.
        actor: &'a Actor,
        /// Why.
        reason: RevocationReason,
    },
    /// The store failed while a token was being changed: it may be changed. If so, the repeat is not told.
    ChangeFailed {
        /// The token.
        key: TokenKey,
        /// How it was to be changed.
        how: ChangeKind,
        /// Who asked for it.
        actor: &'a Actor,
    },
    /// The store failed while a group was being revoked: all of it may be revoked, or some, or none. A repeat tells only what
    /// it revokes itself.
    GroupRevokeFailed {
        /// The project.
        project: ProjectId,
        /// The group.
        group: &'a RevokeGroup,
        /// Who asked for it.
        actor: &'a Actor,
        /// Why.
        reason: RevocationReason,
    },
    /// A notice of a token's coming end was claimed.
    Expiring {
        /// The token.
        key: TokenKey,
        /// How long before its expiry the notice is due.
        lead: NoticeLead,
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
    /// The most events of one kind in a second, if they are sampled by kind.
    pub const SAMPLES: u64 = 10;
    /// The most tokens of one kind that have an event in a second, and of which the counts are kept, if they are sampled by
    /// token: some 400 KiB for each kind that is seen.
    pub const TOKENS: usize = 4096;
    /// After so many events of one kind in a second, only tokens without an earlier event have one.
    pub const REPEATS: usize = 1000;

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
            Self::IssuedRevoked { .. } => "issued_revoked",
            Self::RevokeFailed { .. } => "revoke_failed",
            Self::ChangeFailed { .. } => "change_failed",
            Self::GroupRevokeFailed { .. } => "group_revoke_failed",
            Self::Expiring { .. } => "expiring",
            Self::Imported { .. } => "imported",
        }
    }
}

/// How a token was changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ChangeKind {
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

word_type!(ChangeKind {
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
pub struct VerificationCounts {
    /// Passed.
    pub verified: u64,
    /// Not checked, since the store or the question for the owner failed.
    pub unavailable: u64,
    /// Events, of any kind, that were lost because the sink panicked.
    pub sink_panics: u64,
    pub(super) rejected: [u64; Rejection::ALL.len()],
}

impl VerificationCounts {
    /// Refused for this reason.
    pub fn rejected(&self, rejection: Rejection) -> u64 {
        self.rejected[rejection as usize]
    }

    /// Refused for any reason.
    pub fn all_rejected(&self) -> u64 {
        self.rejected.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rules::sample::{ada, at, id, record};

    #[test]
    fn each_event_has_a_name_of_its_own() {
        let (key, actor, reason) = (record().key(), &ada(), RevocationReason::default());
        let (project, group) = (key.project, &RevokeGroup::Family(key.id));
        let how = ChangeKind::Renamed;
        let events = [
            (Event::Issued { key, issuer: None, actor }, "issued"),
            (Event::Verified { key, issuers: &[], left_out: 0 }, "verified"),
            (Event::Failed { key: None, rejection: Rejection::Tag, left_out: 0 }, "failed"),
            (Event::Reused { key, successor: None, left_out: 0 }, "reused"),
            (Event::PolicyBlocked { key, left_out: 0 }, "policy_blocked"),
            (Event::Unavailable { key: None, left_out: 0 }, "unavailable"),
            (Event::Rotated { key, successor: id('2'), grace_until: at(0), actor }, "rotated"),
            (Event::Changed { key, how, actor }, "renamed"),
            (Event::Revoked { key, actor, reason }, "revoked"),
            (Event::Leaked { key, actor, is_first: true, left_out: 0 }, "leaked"),
            (Event::GroupRevoked { project, group, count: 1, actor, reason }, "group_revoked"),
            (Event::RevokeFailed { key, actor, reason }, "revoke_failed"),
            (Event::ChangeFailed { key, how, actor }, "change_failed"),
            (Event::GroupRevokeFailed { project, group, actor, reason }, "group_revoke_failed"),
            (Event::Expiring { key, lead: NoticeLead::DAY }, "expiring"),
            (Event::Imported { key, actor }, "imported"),
        ];
        for (event, name) in &events {
            assert_eq!(event.name(), *name);
        }
        assert_eq!(events.iter().map(|(_, name)| name).collect::<BTreeSet<_>>().len(), events.len());
    }

    #[test]
    fn rejections_are_counted_each_by_itself() {
        let mut counts =
            VerificationCounts { verified: 1, unavailable: 2, sink_panics: 3, rejected: Default::default() };
        assert_eq!(counts.all_rejected(), 0);
        counts.rejected[Rejection::Tag as usize] = 4;
        counts.rejected[Rejection::Scope as usize] = 5;
        assert_eq!((counts.rejected(Rejection::Tag), counts.rejected(Rejection::Scope)), (4, 5));
        assert_eq!((counts.rejected(Rejection::Revoked), counts.all_rejected()), (0, 9));
    }
}

//! Events: what the service reports to a sink, for logs, metrics and an audit trail.

use std::sync::Arc;

use crate::rules::issuer::Issuer;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::RevocationReason;
use crate::store::group::RevokeGroup;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::rejection::Rejection;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// A receiver of events, which your service implements.
///
/// The service calls it while it handles requests, so it must return quickly and must not block. To
/// write events to a database, put them into a bounded queue.
///
/// When the sink is called, the operation has taken effect. The exceptions are `RevokeFailed`,
/// `ChangeFailed` and `GroupRevokeFailed`: those operations may or may not have taken effect. If a
/// sink panics and the program unwinds, only that event is lost: the panic is caught,
/// [counted](VerificationCounts::sink_panics), and the operation goes on.
pub trait EventSink: Send + Sync {
    /// Receives an event.
    fn record(&self, event: &Event<'_>);
}

impl<E: EventSink + ?Sized> EventSink for Arc<E> {
    fn record(&self, event: &Event<'_>) {
        (**self).record(event);
    }
}

/// An event of the service. It holds ids, and no part of a secret or of a rejected text.
///
/// Events that requests cause are sampled, so that an attacker cannot flood the sink. All other
/// events are always emitted. [`VerificationCounts`] counts every verification, sampled or not.
///
/// - **Sampled by token**: `Reused`, `PolicyBlocked`, repeated reports of a leak, and `Failed`
///   [after the proof](Rejection::is_after_proof) that the caller holds the token. The first event
///   of a token and kind in each second is emitted, so events of one token do not hide those of
///   another. `left_out` counts the events of this token and kind since the last one.
///   [`Event::TOKENS`] and [`Event::REPEATS`] bound the events of all tokens together. If more
///   tokens have events than can be counted, those without a count have all their events emitted
///   within these bounds, with a `left_out` of 0.
/// - **Sampled by kind**: `Verified`, `Unavailable`, and `Failed` before the proof. Each
///   [`Rejection`] of a `Failed` is a kind. In a second, at most [`Event::SAMPLES`] events of a
///   kind are emitted. `left_out` counts the events of the kind since the last one, of any token.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A token was issued.
    Issued {
        /// The token.
        key: TokenKey,
        /// The token that issued it, if one did, and whether it is bound to that token.
        issuer: Option<Issuer>,
        /// The actor that asked for it.
        actor: &'a Actor,
    },
    /// A token was verified. Sampled by kind.
    Verified {
        /// The token.
        key: TokenKey,
        /// The tokens that it is bound to, in the same project, nearest first. Usually empty.
        issuers: &'a [TokenId],
        /// Verifications of any token since the last event of this kind.
        left_out: u64,
    },
    /// A token was rejected. Sampled by token after the proof, by kind before it.
    Failed {
        /// The token, if its text and tag are right.
        key: Option<TokenKey>,
        /// The reason.
        rejection: Rejection,
        /// Such rejections since the last event: of this token after the proof, of any before it.
        left_out: u64,
    },
    /// A rotated token was presented after its grace period: the old secret may be in wrong hands.
    /// Sampled by token.
    Reused {
        /// The token.
        key: TokenKey,
        /// The successor of the token.
        successor: Option<TokenId>,
        /// Such uses of this token since its last event.
        left_out: u64,
    },
    /// A live token was rejected because it is outside the current policy. Sampled by token.
    PolicyBlocked {
        /// The token.
        key: TokenKey,
        /// Such rejections of this token since its last event.
        left_out: u64,
    },
    /// A token could not be checked because the store or the owners hook failed. Sampled by kind.
    Unavailable {
        /// The token, if its text and tag are right.
        key: Option<TokenKey>,
        /// Such failures of any token since the last event of this kind.
        left_out: u64,
    },
    /// A token was rotated.
    Rotated {
        /// The old token.
        key: TokenKey,
        /// The successor, in the same project.
        successor: TokenId,
        /// When the old token stops working.
        grace_until: Timestamp,
        /// The actor that asked for it.
        actor: &'a Actor,
    },
    /// A token was changed.
    Changed {
        /// The token.
        key: TokenKey,
        /// The kind of change.
        how: ChangeKind,
        /// The actor that asked for it.
        actor: &'a Actor,
    },
    /// A token was revoked. A repeated revocation changes nothing and emits no event.
    Revoked {
        /// The token.
        key: TokenKey,
        /// The actor that asked for it.
        actor: &'a Actor,
        /// The reason.
        reason: RevocationReason,
    },
    /// A caller that has the text of a token reported it as leaked. Repeated reports are sampled by
    /// token.
    Leaked {
        /// The token.
        key: TokenKey,
        /// The actor that reported it.
        actor: &'a Actor,
        /// Whether this report revoked the token. If not, the report is a repeated one.
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
        /// The number of tokens that this call revoked.
        count: u64,
        /// The actor that asked for it.
        actor: &'a Actor,
        /// The reason.
        reason: RevocationReason,
    },
    /// The tokens bound to an ended token were revoked. They were already rejected before.
    IssuedRevoked {
        /// The project.
        project: ProjectId,
        /// The token that has ended.
        issuer: TokenId,
        /// The number of tokens that were revoked.
        count: u64,
        /// The actor that ended the issuer.
        actor: &'a Actor,
        /// The reason.
        reason: RevocationReason,
    },
    /// The store failed while it revoked a token. The token may be revoked; then a repeat changes
    /// nothing and emits no event.
    RevokeFailed {
        /// The token.
        key: TokenKey,
        /// The actor that asked for it.
        actor: &'a Actor,
        /// The reason.
        reason: RevocationReason,
    },
    /// The store failed while it changed a token. The change may have taken effect; then a repeat
    /// emits no event.
    ChangeFailed {
        /// The token.
        key: TokenKey,
        /// The kind of change.
        how: ChangeKind,
        /// The actor that asked for it.
        actor: &'a Actor,
    },
    /// The store failed while it revoked a group. All, some or none of the tokens may be revoked. A
    /// repeat counts only the tokens that it revokes itself.
    GroupRevokeFailed {
        /// The project.
        project: ProjectId,
        /// The group.
        group: &'a RevokeGroup,
        /// The actor that asked for it.
        actor: &'a Actor,
        /// The reason.
        reason: RevocationReason,
    },
    /// A notice of a token's coming expiry was claimed.
    Expiring {
        /// The token.
        key: TokenKey,
        /// How long before the expiry the notice is due.
        lead: NoticeLead,
    },
    /// A token of an earlier system was imported.
    Imported {
        /// The token.
        key: TokenKey,
        /// The actor that asked for it.
        actor: &'a Actor,
    },
}

impl Event<'_> {
    /// The most events of a kind in one second, if they are sampled by kind.
    pub const SAMPLES: u64 = 10;
    /// The most events of a kind in one second, and the most tokens whose counts are kept, if they
    /// are sampled by token. The counts take about 400 KiB for each kind that occurs.
    pub const TOKENS: usize = 4096;
    /// The number of events of a kind in one second after which only tokens without an earlier
    /// event get one, if they are sampled by token.
    pub const REPEATS: usize = 1000;

    /// Returns the name of the event in snake case, for log fields and metrics.
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

/// A kind of change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The token got another name.
    Renamed,
    /// The token was disabled: it does not work until it is enabled.
    Disabled,
    /// The token was enabled.
    Enabled,
    /// The pending token was confirmed.
    Confirmed,
    /// The grace period of the rotated token was ended.
    GraceEnded,
    /// The token lost scopes or addresses, or expires sooner.
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

/// The number of verifications by outcome, since the sink was set.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerificationCounts {
    /// Verifications that passed.
    pub verified: u64,
    /// Verifications that failed because the store or the owners hook failed.
    pub unavailable: u64,
    /// Events of any kind that were lost because the sink panicked.
    pub sink_panics: u64,
    pub(super) rejected: [u64; Rejection::ALL.len()],
}

impl VerificationCounts {
    /// Returns the number of verifications that were rejected for this reason.
    pub fn rejected(&self, rejection: Rejection) -> u64 {
        self.rejected[rejection as usize]
    }

    /// Returns the number of verifications that were rejected.
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
    fn each_event_has_its_own_name() {
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
    fn each_rejection_has_its_own_count() {
        let mut counts =
            VerificationCounts { verified: 1, unavailable: 2, sink_panics: 3, rejected: Default::default() };
        assert_eq!(counts.all_rejected(), 0);
        counts.rejected[Rejection::Tag as usize] = 4;
        counts.rejected[Rejection::Scope as usize] = 5;
        assert_eq!((counts.rejected(Rejection::Tag), counts.rejected(Rejection::Scope)), (4, 5));
        assert_eq!((counts.rejected(Rejection::Revoked), counts.all_rejected()), (0, 9));
    }
}

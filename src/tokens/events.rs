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
/// [`Tokens`](crate::Tokens) calls the sink while it handles requests. So the sink must return
/// quickly and must not block. To write events to a database, put them into a bounded queue.
///
/// Normally, the operation has taken effect before the sink is called. For `RevokeFailed`,
/// `ChangeFailed` and `GroupRevokeFailed`, the operation may or may not have taken effect. If the
/// sink panics and the program unwinds, the panic is [counted](VerificationCounts::sink_panics),
/// the event is lost, and the operation continues.
pub trait EventSink: Send + Sync {
    /// Receives an event.
    fn record(&self, event: &Event<'_>);
}

impl<E: EventSink + ?Sized> EventSink for Arc<E> {
    fn record(&self, event: &Event<'_>) {
        (**self).record(event);
    }
}

/// An event of the service. It contains ids, but no part of a secret or of a rejected text.
///
/// The service emits only a sample of the events that any request can cause, so an attacker cannot
/// flood the sink. It emits all other events. [`VerificationCounts`] counts all verifications.
///
/// - **Sampled by token**: `Reused`, `PolicyBlocked`, repeated reports of a leak, and `Failed`
///   [after the proof](Rejection::is_after_proof) that the caller holds the token. For each token
///   and kind, the first event in each second is emitted. So the events of one token do not hide
///   the events of another token. `left_out` is the number of events of this token and kind that
///   were not emitted since the last emitted one. [`Event::TOKENS`] and [`Event::REPEATS`] limit
///   the events of all tokens together. If the service has no room to count the events of a token,
///   it emits all events of this token within these limits, with a `left_out` of 0.
/// - **Sampled by kind**: `Verified`, `Unavailable`, and `Failed` before the proof. For `Failed`,
///   each [`Rejection`] counts as a separate kind. At most [`Event::SAMPLES`] events of a kind are
///   emitted in a second. `left_out` is the number of events of this kind, for all tokens together,
///   that were not emitted since the last emitted one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A token was issued.
    Issued {
        /// The key of the new token.
        key: TokenKey,
        /// The token that issued the new token, or `None` if a user or service issued it.
        issuer: Option<Issuer>,
        /// The actor that asked for the token.
        actor: &'a Actor,
    },
    /// A token was verified. The service emits only a sample of these events: see [`Event`].
    Verified {
        /// The key of the token.
        key: TokenKey,
        /// The tokens that this token is bound to, nearest first. The list is usually empty.
        issuers: &'a [TokenId],
        /// The number of `Verified` events of all tokens skipped since the last emitted event.
        left_out: u64,
    },
    /// A token was rejected. The service emits only a sample of these events: see [`Event`].
    Failed {
        /// The key of the token, if its text and tag, or the hash of an imported one, are correct.
        key: Option<TokenKey>,
        /// The reason for which the token was rejected.
        rejection: Rejection,
        /// The number of rejections for this reason that caused no event since the last event.
        left_out: u64,
    },
    /// A rotated token was presented after its grace period, so another party may hold the old
    /// secret. These events are sampled: see [`Event`].
    Reused {
        /// The key of the rotated token.
        key: TokenKey,
        /// The successor of the token, or `None` if the token's record names no successor.
        successor: Option<TokenId>,
        /// The number of reuses of this token that emitted no event since its last `Reused` event.
        left_out: u64,
    },
    /// A live token breaks the policy and was rejected. These events are sampled: see [`Event`].
    PolicyBlocked {
        /// The key of the token.
        key: TokenKey,
        /// The number of `PolicyBlocked` events of this token skipped since the last emitted one.
        left_out: u64,
    },
    /// The store or owners hook failed in a verification. These events are sampled: see [`Event`].
    Unavailable {
        /// The key of the token, if its text and tag are correct.
        key: Option<TokenKey>,
        /// The number of `Unavailable` events of all tokens skipped since the last emitted event.
        left_out: u64,
    },
    /// A token was rotated.
    Rotated {
        /// The key of the old token.
        key: TokenKey,
        /// The id of the successor, which is in the same project.
        successor: TokenId,
        /// The time at which the old token stops working.
        grace_until: Timestamp,
        /// The actor that asked for the rotation.
        actor: &'a Actor,
    },
    /// A token was changed.
    Changed {
        /// The key of the token.
        key: TokenKey,
        /// The kind of change.
        how: ChangeKind,
        /// The actor that asked for the change.
        actor: &'a Actor,
    },
    /// A token was revoked. A repeated revocation changes nothing and emits no event.
    Revoked {
        /// The key of the token.
        key: TokenKey,
        /// The actor that asked for the revocation.
        actor: &'a Actor,
        /// The reason for the revocation.
        reason: RevocationReason,
    },
    /// A leaked token was reported by its text. Only a sample of repeated reports is emitted.
    Leaked {
        /// The key of the reported token.
        key: TokenKey,
        /// The actor that reported the token.
        actor: &'a Actor,
        /// Whether this report revoked the token. If not, the token was revoked before.
        is_first: bool,
        /// The number of repeated reports of this token that caused no event since the last event.
        left_out: u64,
    },
    /// All tokens of a group were revoked in one project.
    GroupRevoked {
        /// The project of the tokens.
        project: ProjectId,
        /// The group of tokens.
        group: &'a RevokeGroup,
        /// The number of tokens that this call revoked.
        count: u64,
        /// The actor that asked for the revocation.
        actor: &'a Actor,
        /// The reason for the revocation.
        reason: RevocationReason,
    },
    /// The tokens that are bound to an ended token were revoked. They had already stopped working.
    IssuedRevoked {
        /// The project of the tokens.
        project: ProjectId,
        /// The id of the ended token, which is the issuer of the revoked tokens.
        issuer: TokenId,
        /// The number of tokens that were revoked.
        count: u64,
        /// The actor of the revocation, as stored in the records of the revoked tokens.
        actor: &'a Actor,
        /// The reason for the revocation.
        reason: RevocationReason,
    },
    /// The store failed during a revocation. If the token was revoked anyway, a repeated call
    /// emits no event.
    RevokeFailed {
        /// The key of the token.
        key: TokenKey,
        /// The actor that asked for the revocation.
        actor: &'a Actor,
        /// The reason for the revocation.
        reason: RevocationReason,
    },
    /// The store failed in a change that may have taken effect. If it did, a repeat emits no event.
    ChangeFailed {
        /// The key of the token.
        key: TokenKey,
        /// The kind of change.
        how: ChangeKind,
        /// The actor that asked for the change.
        actor: &'a Actor,
    },
    /// The store failed while it revoked a group. All, some or none of the tokens may be revoked. A
    /// repeated call counts only the tokens that it revokes itself.
    GroupRevokeFailed {
        /// The project of the tokens.
        project: ProjectId,
        /// The group of tokens.
        group: &'a RevokeGroup,
        /// The actor that asked for the revocation.
        actor: &'a Actor,
        /// The reason for the revocation.
        reason: RevocationReason,
    },
    /// A sender claimed the notice that a token will expire soon.
    Expiring {
        /// The key of the token.
        key: TokenKey,
        /// The lead time: how long before the expiry the notice is due.
        lead: NoticeLead,
    },
    /// A token of an earlier system was imported.
    Imported {
        /// The key of the imported token.
        key: TokenKey,
        /// The actor that asked for the import.
        actor: &'a Actor,
    },
}

impl Event<'_> {
    /// The maximum number of emitted events per kind and second, for events sampled by kind.
    pub const SAMPLES: u64 = 10;
    /// The value of two limits for events that are sampled by token. At most this many events of a
    /// kind are emitted in a second. For each kind, the service counts the events of at most this
    /// many tokens. The counts of one kind take less than 1 MiB of memory.
    pub const TOKENS: usize = 4096;
    /// A limit for a kind of event that is sampled by token. After this many events in a second,
    /// only events of tokens that had no event of this kind in the last minute are emitted.
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

/// The kind of a change of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The token got another name.
    Renamed,
    /// The token was disabled. It does not work until it is enabled.
    Disabled,
    /// The token was enabled.
    Enabled,
    /// The token was pending and was confirmed.
    Confirmed,
    /// The grace period of the rotated token was ended early.
    GraceEnded,
    /// The token lost scopes or addresses, or its expiry was brought forward.
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

/// The number of verifications with each outcome since the event sink was set.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerificationCounts {
    /// The number of verifications that succeeded.
    pub verified: u64,
    /// The number of verifications that failed because the store or the owners hook failed.
    pub unavailable: u64,
    /// The number of events, of any kind, that were lost because the sink panicked.
    pub sink_panics: u64,
    pub(super) rejected: [u64; Rejection::ALL.len()],
}

impl VerificationCounts {
    /// Returns the number of verifications that rejected the token for this reason.
    pub fn rejected(&self, rejection: Rejection) -> u64 {
        self.rejected[rejection as usize]
    }

    /// Returns the number of verifications that rejected the token, for any reason.
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

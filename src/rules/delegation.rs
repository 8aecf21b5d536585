//! Tokens that manage tokens.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use super::address::AddressRanges;
use super::outside::LaterUses;
use super::outside_issuer::OutsideIssuer;
use super::policy::Policy;
use super::precondition::IssuerCondition;
use super::proof::life;
use super::record::{TokenKind, TokenRecord};
use super::scope::{Scope, ScopeSet};
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::rejection::Rejection;
use crate::words::text::{Actor, Metadata, OwnerId};
use crate::words::timestamp::Timestamp;

/// Proof that a verified token carries the scope for issuing tokens, which the host names. From
/// [`Verified::delegate`](crate::Verified::delegate).
///
/// Tokens do not manage tokens otherwise. What one makes or rotates stays within it, when it is given to
/// [`NewToken::within`](crate::NewToken::within) or [`Rotation::within`](crate::rotation::Rotation::within): the same owner, project
/// and kind, no scope and no address beyond its own, no metadata, and an expiry no later than its own end. It rotates only itself
/// and tokens that it issued.
///
/// A proof may be kept for longer than what it proves. So [`Tokens::issue`](crate::Tokens::issue) and
/// [`Tokens::rotate`](crate::Tokens::rotate) read the issuing token again and judge by what they read, and the store decides by
/// its [condition](Self::condition) in the operation that writes. A host that calls [`mint`](crate::mint) or
/// [`rotate`](crate::rotation::rotate()) itself does both: [`renewed`](Self::renewed), then the condition in its own transaction.
///
/// ```
/// use std::sync::Arc;
/// use keyfob::{Delegation, Rejection, Scope, TokenRecord, Verified};
///
/// fn delegation(verified: &Verified, record: Arc<TokenRecord>) -> Result<Delegation, Rejection> {
///     verified.delegate(&Scope::new("tokens:manage").expect("is a scope"))
/// }
/// ```
///
/// A record alone makes none:
/// ```compile_fail,E0451
/// use std::sync::Arc;
/// use keyfob::{Delegation, Rejection, Scope, TokenRecord, Verified};
///
/// fn delegation(verified: &Verified, record: Arc<TokenRecord>) -> Result<Delegation, Rejection> {
///     Ok(Delegation { record })
/// }
/// ```
#[derive(Clone)]
pub struct Delegation {
    record: Arc<TokenRecord>,
    /// The scope that lets it manage.
    manage: Scope,
    kind: TokenKind,
    any_metadata: bool,
    /// Whether what it is asked for is a successor of itself.
    replaces_itself: bool,
}

impl Delegation {
    pub(super) fn new(record: Arc<TokenRecord>, manage: Scope) -> Self {
        Self { kind: record.kind, record, manage, any_metadata: false, replaces_itself: false }
    }

    /// Lets it issue tokens of this kind instead of its own kind.
    #[must_use]
    pub fn allow_kind(self, kind: TokenKind) -> Self {
        Self { kind, ..self }
    }

    /// Lets it issue tokens with metadata, whichever. Allow it only if the metadata grants nothing.
    #[must_use]
    pub fn allow_metadata(self) -> Self {
        Self { any_metadata: true, ..self }
    }

    /// The token as an actor: `token ` and its public part.
    pub fn actor(&self) -> Actor {
        Actor::of_token(&self.record.public_part())
    }

    /// The user that it acts for, and that what it makes must belong to.
    pub fn owner(&self) -> &OwnerId {
        &self.record.owner
    }

    /// The project that it acts in.
    pub fn project(&self) -> &ProjectId {
        &self.record.project
    }

    /// Returns the key of the issuing token.
    pub fn key(&self) -> TokenKey {
        self.record.key()
    }

    /// Returns the condition under which a store inserts what was judged by this proof.
    pub fn condition(&self) -> IssuerCondition {
        IssuerCondition { id: self.record.id, version: self.record.version }
    }

    /// Judges the issuing token again, by the record that the store has of it now.
    ///
    /// # Errors
    /// Returns the [`Rejection`] that a verification would get: [`Unknown`](Rejection::Unknown) if there is no record of that
    /// token, that of its status or policy if it does not work, [`Scope`](Rejection::Scope) if it may no longer manage. The
    /// rule on disuse is not applied: the token is being used.
    pub fn renewed(
        &self,
        record: Option<Arc<TokenRecord>>,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        let same = |record: &Arc<TokenRecord>| record.key() == self.key() && record.digest.ct_eq(&self.record.digest);
        let record = record.filter(same).ok_or(Rejection::Unknown)?;
        if let Some(rejection) = life(&record, &policy.without_max_unused(), now, |_| LaterUses::default()) {
            return Err(rejection);
        }
        if !record.scopes.allows(&self.manage) {
            return Err(Rejection::Scope);
        }
        Ok(Self { record, ..self.clone() })
    }

    /// The kind of a new token for which none was asked.
    pub(super) fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Whether a new token of these is within it.
    pub(super) fn admit_new(&self, kind: TokenKind, metadata: &Metadata) -> Result<(), OutsideIssuer> {
        if kind != self.kind {
            Err(OutsideIssuer::Kind)
        } else if !self.any_metadata && *metadata != Metadata::default() {
            Err(OutsideIssuer::Metadata)
        } else {
            Ok(())
        }
    }

    /// Whether it may rotate this token.
    pub(super) fn admit_rotation(&self, old: &TokenRecord) -> Result<(), OutsideIssuer> {
        self.admit(&old.project, &old.owner, &old.scopes, &old.addresses)?;
        if old.id == self.record.id || old.created_by == self.actor() { Ok(()) } else { Err(OutsideIssuer::NotIssued) }
    }

    /// Whether a token of these is within it.
    pub(super) fn admit(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        scopes: &ScopeSet,
        addresses: &AddressRanges,
    ) -> Result<(), OutsideIssuer> {
        if *project != self.record.project {
            Err(OutsideIssuer::Project)
        } else if *owner != self.record.owner {
            Err(OutsideIssuer::Owner)
        } else if !self.record.scopes.covers(scopes) {
            Err(OutsideIssuer::Scopes)
        } else if !self.record.addresses.covers(addresses) {
            Err(OutsideIssuer::Addresses)
        } else {
            Ok(())
        }
    }

    /// For the rotation of this token: the successor of itself ends with its lifetime, not with the grace that an earlier try
    /// of the same rotation has given it.
    pub(super) fn for_rotation_of(self, old: &TokenRecord) -> Self {
        Self { replaces_itself: old.id == self.record.id, ..self }
    }

    fn ends_at(&self) -> Option<Timestamp> {
        if self.replaces_itself { self.record.expires_at } else { self.record.ends_at() }
    }

    /// Whether a token that ends then does not outlive it.
    pub(super) fn admit_expiry(&self, expires_at: Option<Timestamp>) -> Result<(), OutsideIssuer> {
        match self.ends_at() {
            Some(end) if expires_at.is_none_or(|expires_at| expires_at > end) => Err(OutsideIssuer::Expiry),
            _ => Ok(()),
        }
    }

    /// The part of a lifetime from `now` on that ends with it.
    pub(super) fn shorten(&self, lifetime: Duration, now: Timestamp) -> Duration {
        self.ends_at().map_or(lifetime, |end| lifetime.min(end.saturating_since(now)))
    }

    pub(super) fn addresses(&self) -> &AddressRanges {
        &self.record.addresses
    }
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegation").field("token", &self.record.public_part()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{DAY, MS, at, disabled, id, record, revoked};

    fn manage() -> Scope {
        Scope::new("tokens:manage").unwrap()
    }

    /// An issuing token in 10.0.0.0/8, which ends at `at(0)`.
    fn issuer() -> TokenRecord {
        TokenRecord {
            scopes: ScopeSet::new("repo:* tokens:manage").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            expires_at: Some(at(0)),
            version: 3,
            ..record()
        }
    }

    fn delegation(issuer: TokenRecord) -> Delegation {
        Delegation::new(Arc::new(issuer), manage())
    }

    #[test]
    fn it_speaks_for_its_token() {
        let by = delegation(issuer());
        assert_eq!(by.actor().as_str(), format!("token acme_pat_145_{}", id('1')));
        assert_eq!((by.owner().as_str(), by.project().as_str(), by.key()), ("ada", "145", issuer().key()));
        assert_eq!(by.condition(), IssuerCondition { id: id('1'), version: 3 });
        assert_eq!(by.addresses().as_str(), "10.0.0.0/8");
        assert_eq!(format!("{by:?}"), format!("Delegation {{ token: \"acme_pat_145_{}\", .. }}", id('1')));
    }

    #[test]
    fn a_new_token_is_of_the_kind_that_was_allowed_and_has_no_metadata() {
        let (none, some) = (Metadata::default(), Metadata::new("{}").unwrap());
        let by = delegation(issuer());
        assert_eq!(by.kind(), TokenKind::Human);
        assert_eq!(by.admit_new(TokenKind::Human, &none), Ok(()));
        assert_eq!(by.admit_new(TokenKind::Service, &none), Err(OutsideIssuer::Kind));
        assert_eq!(by.admit_new(TokenKind::Human, &some), Err(OutsideIssuer::Metadata));
        let by = by.allow_kind(TokenKind::Service);
        assert_eq!(by.kind(), TokenKind::Service);
        assert_eq!(by.admit_new(TokenKind::Service, &none), Ok(()));
        assert_eq!(by.admit_new(TokenKind::Human, &none), Err(OutsideIssuer::Kind));
        let by = by.allow_metadata();
        assert_eq!(by.admit_new(TokenKind::Service, &some), Ok(()));
        assert_eq!(by.admit_new(TokenKind::Service, &none), Ok(()));
    }

    #[test]
    fn what_it_manages_stays_within_it() {
        let by = delegation(issuer());
        let admitted = |project: &str, owner: &str, scopes: &str, addresses: &str| {
            let (scopes, addresses) = (ScopeSet::new(scopes).unwrap(), AddressRanges::new(addresses).unwrap());
            by.admit(&project.parse().unwrap(), &owner.parse().unwrap(), &scopes, &addresses)
        };
        assert_eq!(admitted("145", "ada", "repo:read", "10.1.0.0/16"), Ok(()));
        assert_eq!(admitted("145", "ada", "repo:* tokens:manage", "10.0.0.0/8"), Ok(()));
        assert_eq!(admitted("146", "ada", "", "10.0.0.0/8"), Err(OutsideIssuer::Project));
        assert_eq!(admitted("145", "bob", "", "10.0.0.0/8"), Err(OutsideIssuer::Owner));
        assert_eq!(admitted("145", "ada", "user", "10.0.0.0/8"), Err(OutsideIssuer::Scopes));
        assert_eq!(admitted("145", "ada", "", ""), Err(OutsideIssuer::Addresses), "from anywhere");
        assert_eq!(admitted("145", "ada", "", "10.0.0.0/7"), Err(OutsideIssuer::Addresses));
    }

    #[test]
    fn it_rotates_itself_and_what_it_issued() {
        let by = delegation(issuer());
        assert_eq!(by.admit_rotation(&issuer()), Ok(()));
        let issued = TokenRecord { id: id('2'), created_by: by.actor(), ..issuer() };
        assert_eq!(by.admit_rotation(&issued), Ok(()));
        let another = TokenRecord { id: id('2'), ..issuer() };
        assert_eq!(by.admit_rotation(&another), Err(OutsideIssuer::NotIssued));
        let wider = TokenRecord { scopes: ScopeSet::new("user").unwrap(), ..issued };
        assert_eq!(by.admit_rotation(&wider), Err(OutsideIssuer::Scopes));
    }

    #[test]
    fn what_it_makes_does_not_outlive_it() {
        let by = delegation(issuer());
        assert_eq!(by.admit_expiry(Some(at(-1))), Ok(()));
        assert_eq!(by.admit_expiry(Some(at(0))), Ok(()));
        assert_eq!(by.admit_expiry(Some(at(1))), Err(OutsideIssuer::Expiry));
        assert_eq!(by.admit_expiry(None), Err(OutsideIssuer::Expiry));
        assert_eq!(by.shorten(DAY, at(0).saturating_sub(2 * DAY)), DAY);
        assert_eq!(by.shorten(DAY, at(0).saturating_sub(DAY)), DAY);
        assert_eq!(by.shorten(DAY, at(0).saturating_sub(DAY - MS)), DAY - MS);
        let endless = delegation(TokenRecord { expires_at: None, ..issuer() });
        assert_eq!(endless.admit_expiry(None), Ok(()));
        assert_eq!(endless.shorten(DAY, at(0)), DAY);
    }

    #[test]
    fn only_its_own_successor_may_outlive_its_grace() {
        let issuer = TokenRecord { grace_until: Some(at(-5)), ..issuer() };
        let by = delegation(issuer.clone());
        assert_eq!(by.admit_expiry(Some(at(-4))), Err(OutsideIssuer::Expiry));
        let own = by.clone().for_rotation_of(&issuer);
        assert_eq!(own.admit_expiry(Some(at(-4))), Ok(()));
        assert_eq!(own.admit_expiry(Some(at(1))), Err(OutsideIssuer::Expiry));
        let other = by.for_rotation_of(&TokenRecord { id: id('2'), ..issuer });
        assert_eq!(other.admit_expiry(Some(at(-4))), Err(OutsideIssuer::Expiry));
    }

    #[test]
    fn it_is_judged_again_by_the_record_that_is_stored_now() {
        let policy = Policy::default().with_max_unused(MS);
        let renewed = |record: TokenRecord| {
            let renewed = delegation(issuer()).allow_metadata().renewed(Some(Arc::new(record)), &policy, at(-1));
            renewed.map(|by| (by.condition().version, by.any_metadata))
        };
        assert_eq!(renewed(issuer()), Ok((3, true)), "the rule on disuse is not applied");
        assert_eq!(renewed(TokenRecord { version: 4, ..issuer() }), Ok((4, true)));
        assert_eq!(delegation(issuer()).renewed(None, &policy, at(-1)).err(), Some(Rejection::Unknown));
        let digest = crate::words::digest::Digest::from_bytes([8; 32]);
        assert_eq!(renewed(TokenRecord { digest, ..issuer() }), Err(Rejection::Unknown));
        assert_eq!(renewed(TokenRecord { id: id('2'), ..issuer() }), Err(Rejection::Unknown));
        assert_eq!(renewed(TokenRecord { revoked: revoked(), ..issuer() }), Err(Rejection::Revoked));
        assert_eq!(renewed(TokenRecord { disabled: disabled(), ..issuer() }), Err(Rejection::Disabled));
        assert_eq!(renewed(TokenRecord { expires_at: Some(at(-1)), ..issuer() }), Err(Rejection::Expired));
        assert_eq!(renewed(TokenRecord { expires_at: None, ..issuer() }), Err(Rejection::Policy));
        let scopes = ScopeSet::new("repo:*").unwrap();
        assert_eq!(renewed(TokenRecord { scopes, ..issuer() }), Err(Rejection::Scope));
    }
}

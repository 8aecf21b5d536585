//! Tokens that issue tokens.

use core::fmt;
use core::time::Duration;

use super::address::AddressRanges;
use super::breach::PolicyBreach;
use super::chain::Chain;
use super::error::Error;
use super::issuer::Issuer;
use super::outside::LaterUses;
use super::outside_issuer::OutsideIssuer;
use super::policy::Policy;
use super::precondition::IssuerCondition;
use super::proof::{Held, prove};
use super::record::{TokenKind, TokenRecord};
use super::scope::{Scope, ScopeSet};
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::rejection::Rejection;
use crate::words::text::{Actor, Metadata, OwnerId};
use crate::words::timestamp::Timestamp;

/// Proof that a verified token carries the scope for issuing tokens, which the host names. From
/// [`Verified::delegate`](crate::Verified::delegate).
///
/// Tokens do not issue tokens otherwise. What one makes or rotates stays within it, when it is given to
/// [`NewToken::within`](crate::NewToken::within) or [`Rotation::within`](crate::rotation::Rotation::within): the same owner and
/// project, no scope and no address beyond its own, and an expiry no later than its own end. What it makes is for an
/// [agent](TokenKind::Agent), without metadata and without the scope for issuing tokens, unless the host allows more. It
/// rotates only itself and tokens that it issued.
///
/// **What it issues is bound to it**: it works only while the issuing token does, and within what that may do at the time. So a
/// token that is revoked, disabled or narrowed takes with it whatever it issued. [`independent`](Self::independent) is for
/// a provisioner whose tokens are to outlive it.
///
/// A proof may be kept for longer than what it proves. So [`Tokens::issue`](crate::Tokens::issue) and
/// [`Tokens::rotate`](crate::Tokens::rotate) read the issuing token again, and those that it is bound to, and judge by what they
/// read; and the store decides by its [condition](Self::condition) in the operation that writes. A host that calls
/// [`mint`](crate::mint) or [`rotate`](crate::rotation::rotate()) itself does both: [`renewed`](Self::renewed), then the condition in
/// its own transaction.
///
/// ```
/// use keyfob::{Delegation, Rejection, Scope, Verified, record::Chain};
///
/// fn delegation(verified: &Verified, chain: Chain) -> Result<Delegation, Rejection> {
///     verified.delegate(&Scope::new("tokens:manage").expect("is a scope"))
/// }
/// ```
///
/// Records alone make none:
/// ```compile_fail,E0451
/// use keyfob::{Delegation, Rejection, Scope, Verified, record::Chain};
///
/// fn delegation(verified: &Verified, chain: Chain) -> Result<Delegation, Rejection> {
///     Ok(Delegation { held: chain })
/// }
/// ```
#[derive(Clone)]
pub struct Delegation {
    held: Held,
    /// The scope that lets it issue tokens.
    manage: Scope,
    kinds: Kinds,
    any_metadata: bool,
    /// Whether what it issues may issue tokens too.
    may_manage: bool,
    /// Whether what it issues is bound to it.
    binds: bool,
    /// Whether what it is asked for is a successor of itself.
    replaces_itself: bool,
}

/// Which kinds of tokens may be issued. Agents always may.
#[derive(Clone, Copy, Default)]
struct Kinds {
    human: bool,
    service: bool,
}

impl Delegation {
    pub(super) fn new(held: Held, manage: Scope) -> Self {
        let kinds = Kinds::default();
        Self { held, manage, kinds, any_metadata: false, may_manage: false, binds: true, replaces_itself: false }
    }

    /// Lets it issue tokens of this kind too, besides those for agents, which it always may.
    #[must_use]
    pub fn allow_kind(mut self, kind: TokenKind) -> Self {
        match kind {
            TokenKind::Human => self.kinds.human = true,
            TokenKind::Service => self.kinds.service = true,
            TokenKind::Agent => {}
        }
        self
    }

    /// Lets it issue tokens with metadata, whichever. Allow it only if the metadata grants nothing.
    #[must_use]
    pub fn allow_metadata(self) -> Self {
        Self { any_metadata: true, ..self }
    }

    /// Lets it issue tokens that carry the scope for issuing tokens, if it names that scope or a wildcard over it. How far that
    /// goes is up to [`Policy::with_max_depth`].
    #[must_use]
    pub fn allow_manage(self) -> Self {
        Self { may_manage: true, ..self }
    }

    /// Makes what it issues independent: such a token outlives its issuer, whatever becomes of that, and counts against its
    /// owner's limit. For a provisioner. A token that is bound to another cannot issue independent ones.
    #[must_use]
    pub fn independent(self) -> Self {
        Self { binds: false, ..self }
    }

    /// The token as an actor: `token ` and its public part.
    pub fn actor(&self) -> Actor {
        Actor::of_token(&self.record().public_part())
    }

    /// The user that it acts for, and that what it makes must belong to.
    pub fn owner(&self) -> &OwnerId {
        &self.record().owner
    }

    /// The project that it acts in.
    pub fn project(&self) -> &ProjectId {
        &self.record().project
    }

    /// Returns the key of the issuing token.
    pub fn key(&self) -> TokenKey {
        self.record().key()
    }

    /// Returns the condition under which a store inserts what was judged by this proof.
    pub fn condition(&self) -> IssuerCondition {
        IssuerCondition { id: self.record().id, version: self.record().version }
    }

    /// Judges the issuing token again, by the records that the store has now: its own, and those of the tokens it is bound to.
    ///
    /// # Errors
    /// Returns the [`Rejection`] that a verification would get: [`Unknown`](Rejection::Unknown) if there is no record of that
    /// token, that of its status, policy or issuers if it does not work, [`Scope`](Rejection::Scope) if it may no longer issue
    /// tokens. The rule on disuse is not applied: the token is being used.
    pub fn renewed(&self, chain: Chain, policy: &Policy, now: Timestamp) -> Result<Self, Rejection> {
        let digest = self.record().digest;
        let chain = chain.filter(|record| record.key() == self.key() && record.digest.ct_eq(&digest));
        let held = prove(&digest, chain, |_| true).map_err(|_| Rejection::Unknown)?.held().clone();
        if let Some(rejection) = held.life(&policy.without_max_unused(), now, |_| LaterUses::default()) {
            return Err(rejection);
        }
        if !held.all(|record| record.scopes.allows(&self.manage)) {
            return Err(Rejection::Scope);
        }
        Ok(Self { held, ..self.clone() })
    }

    fn record(&self) -> &TokenRecord {
        &self.held.record
    }

    /// Returns what is written down of it in what it issues.
    pub(super) fn issuer(&self) -> Issuer {
        Issuer { id: self.record().id, bound: self.binds }
    }

    /// Whether a new token of these is within it.
    pub(super) fn admit_new(&self, kind: TokenKind, metadata: &Metadata, policy: &Policy) -> Result<(), Error> {
        let kind_is_allowed = match kind {
            TokenKind::Human => self.kinds.human,
            TokenKind::Service => self.kinds.service,
            TokenKind::Agent => true,
        };
        if !kind_is_allowed {
            Err(OutsideIssuer::Kind.into())
        } else if !self.any_metadata && *metadata != Metadata::default() {
            Err(OutsideIssuer::Metadata.into())
        } else if !self.binds && !self.held.issuers.is_empty() {
            Err(OutsideIssuer::Independent.into())
        } else if self.binds && self.held.issuers.len() + 1 > policy.max_depth() {
            Err(PolicyBreach::ChainTooLong.into())
        } else {
            Ok(())
        }
    }

    /// Whether it may rotate this token.
    pub(super) fn admit_rotation(&self, old: &TokenRecord) -> Result<(), OutsideIssuer> {
        let issued = old.issuer.is_some_and(|issuer| issuer.id == self.record().id);
        if old.key() != self.key() && !issued {
            return Err(self.other_place(old).unwrap_or(OutsideIssuer::NotIssued));
        }
        self.admit(&old.project, &old.owner, &old.scopes, &old.addresses)
    }

    fn other_place(&self, old: &TokenRecord) -> Option<OutsideIssuer> {
        if old.project != self.record().project {
            return Some(OutsideIssuer::Project);
        }
        (old.owner != self.record().owner).then_some(OutsideIssuer::Owner)
    }

    /// Whether a token of these is within it and all that it is bound to.
    pub(super) fn admit(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        scopes: &ScopeSet,
        addresses: &AddressRanges,
    ) -> Result<(), OutsideIssuer> {
        if *project != self.record().project {
            Err(OutsideIssuer::Project)
        } else if *owner != self.record().owner {
            Err(OutsideIssuer::Owner)
        } else if !self.held.all(|record| record.scopes.covers(scopes)) {
            Err(OutsideIssuer::Scopes)
        } else if !self.held.all(|record| record.addresses.covers(addresses)) {
            Err(OutsideIssuer::Addresses)
        } else if !self.may_manage && !self.replaces_itself && scopes.allows(&self.manage) {
            Err(OutsideIssuer::Manage)
        } else {
            Ok(())
        }
    }

    /// For the rotation of this token: the successor of itself may issue tokens as it does, and ends with its lifetime, not with
    /// the grace that an earlier try of the same rotation has given it.
    pub(super) fn for_rotation_of(self, old: &TokenRecord) -> Self {
        Self { replaces_itself: old.key() == self.key(), ..self }
    }

    fn ends_at(&self) -> Option<Timestamp> {
        let own = if self.replaces_itself { self.record().expires_at } else { self.record().ends_at() };
        self.held.issuers.iter().filter_map(|issuer| issuer.ends_at()).chain(own).min()
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

    /// The addresses of a token that names none: those of the nearest that lie within all others'.
    pub(super) fn addresses(&self) -> AddressRanges {
        let within_all = |addresses: &&AddressRanges| self.held.all(|record| record.addresses.covers(addresses));
        let nearest = self.held.records().map(|record| &record.addresses).find(within_all);
        nearest.unwrap_or(&self.record().addresses).clone()
    }
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegation").field("token", &self.record().public_part()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rules::error_kind::ErrorKind;
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

    /// A token that is bound to [`issuer`], in 10.1.0.0/16, which ends a second later.
    fn bound() -> TokenRecord {
        let issuer_of = Some(Issuer { id: issuer().id, bound: true });
        let addresses = AddressRanges::new("10.1.0.0/16").unwrap();
        TokenRecord { id: id('2'), issuer: issuer_of, addresses, expires_at: Some(at(1000)), ..issuer() }
    }

    fn chain(records: impl IntoIterator<Item = TokenRecord>) -> Chain {
        let mut records = records.into_iter().map(Arc::new);
        let mut chain = Chain::from(records.next());
        records.for_each(|issuer| chain.add(issuer));
        chain
    }

    fn delegation_of(records: impl IntoIterator<Item = TokenRecord>) -> Delegation {
        let (record, issuers) = chain(records).into_parts();
        Delegation::new(Held { record: record.unwrap(), issuers }, manage())
    }

    fn delegation(issuer: TokenRecord) -> Delegation {
        delegation_of([issuer])
    }

    #[test]
    fn it_speaks_for_its_token() {
        let by = delegation(issuer());
        assert_eq!(by.actor().as_str(), format!("token acme_pat_145_{}", id('1')));
        assert_eq!((by.owner().as_str(), by.project().as_str(), by.key()), ("ada", "145", issuer().key()));
        assert_eq!(by.condition(), IssuerCondition { id: id('1'), version: 3 });
        assert_eq!(by.addresses().as_str(), "10.0.0.0/8");
        assert_eq!(by.issuer(), Issuer { id: id('1'), bound: true });
        assert_eq!(by.clone().independent().issuer(), Issuer { id: id('1'), bound: false });
        assert_eq!(format!("{by:?}"), format!("Delegation {{ token: \"acme_pat_145_{}\", .. }}", id('1')));
    }

    #[test]
    fn a_new_token_is_an_agents_without_metadata_unless_more_is_allowed() {
        let (none, some) = (Metadata::default(), Metadata::new("{}").unwrap());
        let outside = |by: &Delegation, kind, metadata: &Metadata| {
            by.admit_new(kind, metadata, &Policy::default()).map_err(|error| error.kind())
        };
        let by = delegation(issuer());
        let of_kind = |by: &Delegation| TokenKind::ALL.iter().map(|kind| outside(by, *kind, &none).is_ok()).collect();
        let allowed: Vec<bool> = of_kind(&by);
        assert_eq!(allowed, [false, false, true], "{:?}", TokenKind::ALL);
        assert_eq!(outside(&by, TokenKind::Human, &none), Err(ErrorKind::OutsideIssuer(OutsideIssuer::Kind)));
        assert_eq!(outside(&by, TokenKind::Agent, &some), Err(ErrorKind::OutsideIssuer(OutsideIssuer::Metadata)));
        let by = by.allow_kind(TokenKind::Service);
        assert_eq!(of_kind(&by), [false, true, true]);
        assert_eq!(of_kind(&by.clone().allow_kind(TokenKind::Human).allow_kind(TokenKind::Agent)), [true; 3]);
        assert_eq!(outside(&by.allow_metadata(), TokenKind::Service, &some), Ok(()));
    }

    #[test]
    fn a_chain_is_as_long_as_the_policy_allows_and_stays_bound() {
        let admitted = |by: Delegation, depth| {
            let policy = Policy::default().with_max_depth(depth);
            by.admit_new(TokenKind::Agent, &Metadata::default(), &policy).map_err(|error| error.kind())
        };
        let too_long = Err(ErrorKind::Policy(PolicyBreach::ChainTooLong));
        assert_eq!([0, 1, 2].map(|depth| admitted(delegation(issuer()), depth)), [too_long, Ok(()), Ok(())]);
        let of_bound = || delegation_of([bound(), issuer()]);
        assert_eq!([1, 2, 3].map(|depth| admitted(of_bound(), depth)), [too_long, Ok(()), Ok(())]);
        assert_eq!(admitted(delegation(issuer()).independent(), 0), Ok(()));
        let independent = Err(ErrorKind::OutsideIssuer(OutsideIssuer::Independent));
        assert_eq!(admitted(of_bound().independent(), 4), independent);
    }

    #[test]
    fn what_it_issues_stays_within_it_and_all_that_it_is_bound_to() {
        let admitted = |by: &Delegation, project: &str, owner: &str, scopes: &str, addresses: &str| {
            let (scopes, addresses) = (ScopeSet::new(scopes).unwrap(), AddressRanges::new(addresses).unwrap());
            by.admit(&project.parse().unwrap(), &owner.parse().unwrap(), &scopes, &addresses)
        };
        let by = delegation(issuer());
        assert_eq!(admitted(&by, "145", "ada", "repo:read", "10.1.0.0/16"), Ok(()));
        assert_eq!(admitted(&by, "145", "ada", "repo:*", "10.0.0.0/8"), Ok(()));
        assert_eq!(admitted(&by, "146", "ada", "", "10.0.0.0/8"), Err(OutsideIssuer::Project));
        assert_eq!(admitted(&by, "145", "bob", "", "10.0.0.0/8"), Err(OutsideIssuer::Owner));
        assert_eq!(admitted(&by, "145", "ada", "user", "10.0.0.0/8"), Err(OutsideIssuer::Scopes));
        assert_eq!(admitted(&by, "145", "ada", "", ""), Err(OutsideIssuer::Addresses), "from anywhere");
        assert_eq!(admitted(&by, "145", "ada", "", "10.0.0.0/7"), Err(OutsideIssuer::Addresses));
        // The one above was narrowed afterwards.
        let above = TokenRecord {
            scopes: ScopeSet::new("repo:read tokens:manage").unwrap(),
            addresses: AddressRanges::new("10.1.2.0/24").unwrap(),
            ..issuer()
        };
        let by = delegation_of([bound(), above]);
        assert_eq!(admitted(&by, "145", "ada", "repo:read", "10.1.2.0/25"), Ok(()));
        assert_eq!(admitted(&by, "145", "ada", "repo:write", "10.1.2.0/25"), Err(OutsideIssuer::Scopes));
        assert_eq!(admitted(&by, "145", "ada", "repo:read", "10.1.0.0/16"), Err(OutsideIssuer::Addresses));
        assert_eq!(by.addresses().as_str(), "10.1.2.0/24");
    }

    #[test]
    fn what_it_issues_may_not_issue_unless_that_is_allowed_whichever_wildcard_grants_it() {
        for scopes in ["tokens:manage", "tokens:*"] {
            let by = delegation(TokenRecord { scopes: ScopeSet::new("tokens:*").unwrap(), ..issuer() });
            let admitted = |by: Delegation| {
                let scopes = ScopeSet::new(scopes).unwrap();
                by.admit(&issuer().project, &issuer().owner, &scopes, &issuer().addresses)
            };
            assert_eq!(admitted(by.clone()), Err(OutsideIssuer::Manage), "{scopes}");
            assert_eq!(admitted(by.clone().allow_manage()), Ok(()));
            assert_eq!(admitted(by.for_rotation_of(&issuer())), Ok(()), "its own successor");
        }
    }

    #[test]
    fn it_rotates_itself_and_what_it_issued() {
        let by = delegation(issuer());
        let own = by.clone().for_rotation_of(&issuer());
        assert_eq!(own.admit_rotation(&issuer()), Ok(()));
        let scopes = ScopeSet::new("repo:read").unwrap();
        for bound in [true, false] {
            let issued = TokenRecord {
                id: id('2'),
                issuer: Some(Issuer { id: id('1'), bound }),
                scopes: scopes.clone(),
                ..issuer()
            };
            assert_eq!(by.admit_rotation(&issued), Ok(()));
            let wider = TokenRecord { scopes: ScopeSet::new("user").unwrap(), ..issued };
            assert_eq!(by.admit_rotation(&wider), Err(OutsideIssuer::Scopes));
        }
        // The name of its maker is no proof: a host may let a token be its own maker's.
        let another = TokenRecord { id: id('2'), created_by: by.actor(), scopes, ..issuer() };
        assert_eq!(by.admit_rotation(&another), Err(OutsideIssuer::NotIssued));
        let of_another = TokenRecord { issuer: Some(Issuer { id: id('3'), bound: true }), ..another.clone() };
        assert_eq!(by.admit_rotation(&of_another), Err(OutsideIssuer::NotIssued));
        let elsewhere = TokenRecord { project: "146".parse().unwrap(), ..another.clone() };
        assert_eq!(by.admit_rotation(&elsewhere), Err(OutsideIssuer::Project));
        let of_bob = TokenRecord { owner: "bob".parse().unwrap(), ..another };
        assert_eq!(by.admit_rotation(&of_bob), Err(OutsideIssuer::Owner));
    }

    #[test]
    fn what_it_makes_does_not_outlive_it_or_what_it_is_bound_to() {
        for by in [delegation(issuer()), delegation_of([bound(), issuer()])] {
            assert_eq!(by.admit_expiry(Some(at(-1))), Ok(()));
            assert_eq!(by.admit_expiry(Some(at(0))), Ok(()));
            assert_eq!(by.admit_expiry(Some(at(1))), Err(OutsideIssuer::Expiry));
            assert_eq!(by.admit_expiry(None), Err(OutsideIssuer::Expiry));
            assert_eq!(by.shorten(DAY, at(0).saturating_sub(2 * DAY)), DAY);
            assert_eq!(by.shorten(DAY, at(0).saturating_sub(DAY)), DAY);
            assert_eq!(by.shorten(DAY, at(0).saturating_sub(DAY - MS)), DAY - MS);
        }
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
    fn it_is_judged_again_by_the_records_that_are_stored_now() {
        let policy = Policy::default().with_max_unused(MS);
        let renewed_of = |records: Vec<TokenRecord>| {
            let by = delegation_of(records.first().cloned().map(|first| TokenRecord { version: 1, ..first }));
            let renewed = by.allow_metadata().renewed(chain(records), &policy, at(-1));
            renewed.map(|by| (by.condition().version, by.any_metadata))
        };
        let renewed = |record: TokenRecord| {
            let renewed = delegation(issuer()).allow_metadata().renewed(chain([record]), &policy, at(-1));
            renewed.map(|by| (by.condition().version, by.any_metadata))
        };
        assert_eq!(renewed(issuer()), Ok((3, true)), "the rule on disuse is not applied");
        assert_eq!(renewed(TokenRecord { version: 4, ..issuer() }), Ok((4, true)));
        assert_eq!(delegation(issuer()).renewed(chain([]), &policy, at(-1)).err(), Some(Rejection::Unknown));
        let digest = crate::words::digest::Digest::from_bytes([8; 32]);
        assert_eq!(renewed(TokenRecord { digest, ..issuer() }), Err(Rejection::Unknown));
        assert_eq!(renewed(TokenRecord { id: id('2'), ..issuer() }), Err(Rejection::Unknown));
        assert_eq!(renewed(TokenRecord { revoked: revoked(), ..issuer() }), Err(Rejection::Revoked));
        assert_eq!(renewed(TokenRecord { disabled: disabled(), ..issuer() }), Err(Rejection::Disabled));
        assert_eq!(renewed(TokenRecord { expires_at: Some(at(-1)), ..issuer() }), Err(Rejection::Expired));
        assert_eq!(renewed(TokenRecord { expires_at: None, ..issuer() }), Err(Rejection::Policy));
        let narrowed = TokenRecord { scopes: ScopeSet::new("repo:*").unwrap(), ..issuer() };
        assert_eq!(renewed(narrowed.clone()), Err(Rejection::Scope));
        // The same of the one that it is bound to.
        assert_eq!(renewed_of(vec![bound(), issuer()]), Ok((3, true)));
        assert_eq!(renewed_of(vec![bound()]), Err(Rejection::IssuerEnded));
        assert_eq!(
            renewed_of(vec![bound(), TokenRecord { disabled: disabled(), ..issuer() }]),
            Err(Rejection::IssuerEnded)
        );
        assert_eq!(renewed_of(vec![bound(), narrowed]), Err(Rejection::Scope));
    }
}

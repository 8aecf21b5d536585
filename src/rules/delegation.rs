//! Tokens that issue tokens.

use core::fmt;

use super::chain::Chain;
use super::issuer::Issuer;
use super::outside::LaterUses;
use super::policy::Policy;
use super::precondition::IssuerCondition;
use super::proof::{Held, prove};
use super::record::TokenRecord;
use super::scope::Scope;
use super::token_kind::TokenKind;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::rejection::Rejection;
use crate::words::text::{Actor, OwnerId};
use crate::words::timestamp::Timestamp;

/// Proof that a verified token carries the scope for issuing tokens, which the host names. From
/// [`Verified::delegate`](crate::Verified::delegate); and from [`OwnerTokens::delegation`](crate::tokens::OwnerTokens::delegation)
/// for the owner of a token, who may issue tokens under it whether it carries that scope or not.
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
    pub(super) held: Held,
    /// The scope that lets it issue tokens.
    pub(super) manage: Scope,
    pub(super) kinds: Kinds,
    pub(super) any_metadata: bool,
    /// Whether what it issues may issue tokens too.
    pub(super) may_manage: bool,
    /// Whether what it issues is bound to it.
    pub(super) binds: bool,
    /// Whether what it is asked for is a successor of itself.
    pub(super) replaces_itself: bool,
    pub(super) asked_by: AskedBy,
}

/// Who asks for what is issued.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// The issuing token, which needs the scope for that.
    Token,
    /// Its owner, who needs none.
    Owner,
}

/// Which kinds of tokens may be issued. Agents always may.
#[derive(Clone, Copy, Default)]
pub(super) struct Kinds {
    pub(super) human: bool,
    pub(super) service: bool,
}

impl Delegation {
    pub(super) fn new(held: Held, manage: Scope) -> Self {
        Self {
            held,
            manage,
            kinds: Kinds::default(),
            any_metadata: false,
            may_manage: false,
            binds: true,
            replaces_itself: false,
            asked_by: AskedBy::Token,
        }
    }

    /// For the owner of a token. It proves nothing before it is [renewed](Self::renewed). `None` if there is no record.
    pub(crate) fn of_owner(chain: Chain, manage: Scope) -> Option<Self> {
        let (record, issuers) = chain.into_parts();
        let held = Held { record: record?, issuers };
        Some(Self { asked_by: AskedBy::Owner, ..Self::new(held, manage) })
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
        let needs_scope = self.asked_by == AskedBy::Token;
        if needs_scope && !held.all(|record| record.scopes.allows(&self.manage)) {
            return Err(Rejection::Scope);
        }
        Ok(Self { held, ..self.clone() })
    }

    pub(super) fn record(&self) -> &TokenRecord {
        &self.held.record
    }

    /// Returns the creator of what it issues. `None` if its owner asks: then it is the actor of the operation.
    pub(super) fn creator(&self) -> Option<Actor> {
        (self.asked_by == AskedBy::Token).then(|| self.actor())
    }

    /// Returns what is written down of it in what it issues.
    pub(super) fn issuer(&self) -> Issuer {
        Issuer { id: self.record().id, bound: self.binds }
    }
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegation").field("token", &self.record().public_part()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod samples {
    use std::sync::Arc;

    use super::*;
    use crate::rules::address::AddressRanges;
    use crate::rules::sample::{at, id, record};
    use crate::rules::scope::ScopeSet;

    pub(in crate::rules) fn manage() -> Scope {
        Scope::new("tokens:manage").unwrap()
    }

    /// An issuing token in 10.0.0.0/8, which ends at `at(0)`.
    pub(in crate::rules) fn issuer() -> TokenRecord {
        TokenRecord {
            scopes: ScopeSet::new("repo:* tokens:manage").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            expires_at: Some(at(0)),
            version: 3,
            ..record()
        }
    }

    /// A token that is bound to [`issuer`], in 10.1.0.0/16, which ends a second later.
    pub(in crate::rules) fn bound() -> TokenRecord {
        let issuer_of = Some(Issuer { id: issuer().id, bound: true });
        let addresses = AddressRanges::new("10.1.0.0/16").unwrap();
        TokenRecord { id: id('2'), issuer: issuer_of, addresses, expires_at: Some(at(1000)), ..issuer() }
    }

    pub(in crate::rules) fn chain(records: impl IntoIterator<Item = TokenRecord>) -> Chain {
        let mut records = records.into_iter().map(Arc::new);
        let mut chain = Chain::from(records.next());
        records.for_each(|issuer| chain.add(issuer));
        chain
    }

    pub(in crate::rules) fn delegation_of(records: impl IntoIterator<Item = TokenRecord>) -> Delegation {
        let (record, issuers) = chain(records).into_parts();
        Delegation::new(Held { record: record.unwrap(), issuers }, manage())
    }

    pub(in crate::rules) fn delegation(issuer: TokenRecord) -> Delegation {
        delegation_of([issuer])
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{bound, chain, delegation, delegation_of, issuer};
    use super::*;
    use crate::rules::sample::{MS, at, disabled, id, revoked};
    use crate::rules::scope::ScopeSet;

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

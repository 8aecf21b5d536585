//! The delegation of a token: its right to issue and rotate tokens within its own limits.

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

/// Proof that a token may issue tokens. There are two ways to get this proof:
/// - [`Verified::delegate`](crate::Verified::delegate) returns it if the token grants the scope
///   that your service requires for issuing tokens.
/// - [`OwnerTokens::delegation`] returns it for the owner of a token. The owner may issue tokens
///   within the limits of this token even if the token does not grant the scope for issuing tokens.
///
/// To issue or rotate a token on behalf of the issuing token, pass the delegation to
/// [`NewToken::within`](crate::NewToken::within) or
/// [`Rotation::within`](crate::rotation::Rotation::within). The new token stays within the limits
/// of the issuing token:
/// - The new token has the same owner and project as the issuing token.
/// - The issuing token covers the scopes and the addresses of the new token. The new token ends no
///   later than the issuing token.
/// - The new token is for an [agent](TokenKind::Agent), has no metadata and does not grant the
///   scope for issuing tokens. Your service can lift these limits, for example with
///   [`allow_kind`](Self::allow_kind).
/// - Only the issuing token itself and tokens that it issued can be rotated.
///
/// **An issued token is bound to its issuer.** It works only while the issuer works, and grants
/// only what the issuer grants at the time of use. Revoking, disabling or narrowing the issuer
/// therefore affects all tokens that the issuer has issued. If these tokens must keep working after
/// the issuer has ended, use [`independent`](Self::independent).
///
/// A delegation may still exist when the issuing token no longer works. So
/// [`Tokens::issue`](crate::Tokens::issue) and [`Tokens::rotate`](crate::Tokens::rotate) read the
/// issuing token, and the tokens that it is bound to, from the store and check them again. The
/// store checks the [condition](Self::condition) in the operation that writes the new token. If
/// your service calls [`mint`](crate::mint) or [`rotate`](crate::rotation::rotate()) itself, it
/// must call [`renewed`](Self::renewed) first and check the condition in its own transaction.
///
/// ```
/// use keyfob::{Delegation, Rejection, Scope, Verified, record::Chain};
///
/// fn delegation(verified: &Verified, chain: Chain) -> Result<Delegation, Rejection> {
///     verified.delegate(&Scope::new("tokens:manage").expect("is a scope"))
/// }
/// ```
///
/// A delegation cannot be created from records, so this does not compile:
/// ```compile_fail,E0451
/// use keyfob::{Delegation, Rejection, Scope, Verified, record::Chain};
///
/// fn delegation(verified: &Verified, chain: Chain) -> Result<Delegation, Rejection> {
///     Ok(Delegation { held: chain })
/// }
/// ```
///
/// [`OwnerTokens::delegation`]: crate::tokens::OwnerTokens::delegation
#[derive(Clone)]
pub struct Delegation {
    pub(super) held: Held,
    /// The scope for issuing tokens.
    pub(super) manage: Scope,
    pub(super) kinds: Kinds,
    pub(super) any_metadata: bool,
    /// Whether an issued token may grant the scope for issuing tokens.
    pub(super) may_manage: bool,
    /// Whether an issued token is bound to the issuing token.
    pub(super) binds: bool,
    /// Whether the issuing token rotates itself, so that the new token is its successor.
    pub(super) replaces_itself: bool,
    pub(super) asked_by: AskedBy,
}

/// The actor that requests the new token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// The holder of the issuing token. If the holder requests the new token, the issuing token
    /// must grant the scope for issuing tokens.
    Token,
    /// The owner of the issuing token. If the owner requests the new token, the issuing token does
    /// not need the scope for issuing tokens.
    Owner,
}

/// The kinds of holders, besides agents, for which the issuing token may issue tokens.
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

    /// Creates a delegation for the owner of a token, without any check of the token. Before the
    /// delegation is used, it must be [renewed](Self::renewed). Returns `None` if the chain is
    /// empty.
    pub(crate) fn of_owner(chain: Chain, manage: Scope) -> Option<Self> {
        let (record, issuers) = chain.into_parts();
        let held = Held { record: record?, issuers };
        Some(Self { asked_by: AskedBy::Owner, ..Self::new(held, manage) })
    }

    /// Allows the issuing token to issue tokens for this kind of holder. Tokens for agents are
    /// always allowed.
    #[must_use]
    pub fn allow_kind(mut self, kind: TokenKind) -> Self {
        match kind {
            TokenKind::Human => self.kinds.human = true,
            TokenKind::Service => self.kinds.service = true,
            TokenKind::Agent => {}
        }
        self
    }

    /// Allows the issuing token to issue tokens with any metadata. Call this method only if your
    /// service grants no rights because of metadata.
    #[must_use]
    pub fn allow_metadata(self) -> Self {
        Self { any_metadata: true, ..self }
    }

    /// Allows the issuing token to issue tokens that grant the scope for issuing tokens, by its
    /// name or by a wildcard. Such tokens can issue further tokens. [`Policy::with_max_depth`]
    /// limits the length of the resulting chain of bound tokens.
    #[must_use]
    pub fn allow_manage(self) -> Self {
        Self { may_manage: true, ..self }
    }

    /// Makes issued tokens independent of the issuing token, so that they keep working after the
    /// issuing token has ended. Independent tokens count against their owner's limit of live
    /// tokens. A token that is itself bound to an issuer cannot issue independent tokens.
    #[must_use]
    pub fn independent(self) -> Self {
        Self { binds: false, ..self }
    }

    /// Returns the issuing token as an actor: the word `token`, a space and the token's public
    /// part.
    pub fn actor(&self) -> Actor {
        Actor::of_token(&self.record().public_part())
    }

    /// Returns the owner of the issuing token. All tokens that this token issues have the same
    /// owner.
    pub fn owner(&self) -> &OwnerId {
        &self.record().owner
    }

    /// Returns the project of the issuing token.
    pub fn project(&self) -> &ProjectId {
        &self.record().project
    }

    /// Returns the key of the issuing token.
    pub fn key(&self) -> TokenKey {
        self.record().key()
    }

    /// Returns the condition on the issuing token. The store must check this condition when it
    /// writes a token that was issued or rotated with this delegation.
    pub fn condition(&self) -> IssuerCondition {
        IssuerCondition { id: self.record().id, version: self.record().version }
    }

    /// Checks the issuing token again with current records, and returns the delegation with these
    /// records. `chain` must hold the records that the store has now: the record of the issuing
    /// token and the records of the tokens that it is bound to.
    ///
    /// # Errors
    /// Returns [`Rejection::Unknown`] if the chain does not have the record of the issuing token.
    /// If the issuing token does not work because of its status, the policy or one of its issuers,
    /// returns the [`Rejection`] for this reason. The policy's limit on the time without use is not
    /// applied, because the token is in use now. Returns [`Rejection::Scope`] if the token, or a
    /// token that it is bound to, no longer grants the scope for issuing tokens. A delegation for
    /// the owner of the token does not need this scope.
    pub fn renewed(&self, chain: Chain, policy: &Policy, now: Timestamp) -> Result<Self, Rejection> {
        let digest = self.record().digest;
        let chain = chain.filter(|record| record.key() == self.key() && record.digest.ct_eq(&digest));
        let held = prove(&digest, chain, |_| true).map_err(|_| Rejection::Unknown)?.held().clone();
        if let Some(rejection) = held.life(&policy.without_max_unused(), now, |_| LaterUses::default()) {
            return Err(rejection);
        }
        let needs_scope = self.asked_by == AskedBy::Token;
        if needs_scope && !held.all(|record| policy.scope_rules().allows(&record.scopes, &self.manage)) {
            return Err(Rejection::Scope);
        }
        Ok(Self { held, ..self.clone() })
    }

    pub(super) fn record(&self) -> &TokenRecord {
        &self.held.record
    }

    /// Returns the issuing token as the creator of an issued token. Returns `None` if the owner
    /// requests the token, because then the actor of the operation is the creator.
    pub(super) fn creator(&self) -> Option<Actor> {
        (self.asked_by == AskedBy::Token).then(|| self.actor())
    }

    /// Returns the issuer to record in an issued token.
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

    /// Returns the record of an issuing token. The token may be used from 10.0.0.0/8 and expires
    /// at `at(0)`.
    pub(in crate::rules) fn issuer() -> TokenRecord {
        TokenRecord {
            scopes: ScopeSet::new("repo:* tokens:manage").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            expires_at: Some(at(0)),
            version: 3,
            ..record()
        }
    }

    /// Returns the record of a token that is bound to [`issuer`]. The bound token may be used from
    /// 10.1.0.0/16 and expires one second after the issuer.
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
    fn a_delegation_has_the_data_of_its_token() {
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
    fn a_delegation_is_renewed_by_the_records_that_are_stored_now() {
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
        assert_eq!(renewed(issuer()), Ok((3, true)), "the limit on disuse is not applied");
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
        // The issuer of a bound token is checked in the same way.
        assert_eq!(renewed_of(vec![bound(), issuer()]), Ok((3, true)));
        assert_eq!(renewed_of(vec![bound()]), Err(Rejection::IssuerEnded));
        assert_eq!(
            renewed_of(vec![bound(), TokenRecord { disabled: disabled(), ..issuer() }]),
            Err(Rejection::IssuerEnded)
        );
        assert_eq!(renewed_of(vec![bound(), narrowed]), Err(Rejection::Scope));
    }
}

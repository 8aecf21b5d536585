//! The operation that issues a token.

use std::sync::Arc;

use super::change_verbs::TRIES;
use super::events::Event;
use super::service::Tokens;
use crate::rules::chain::Chain;
use crate::rules::delegation::Delegation;
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::mint::{Issued, mint};
use crate::rules::new_token::NewToken;
use crate::rules::owner::OwnerState;
use crate::rules::precondition::LiveLimit;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

impl<S: TokenStore> Tokens<S> {
    /// Issues a token and stores its record. Show the returned token to the user immediately. It
    /// cannot be shown again, because the store holds only its digest.
    ///
    /// `new` names the owner of the token. `actor` is the user or service that asks for the token.
    /// Take the actor from your own session, never from the request. The record names the actor as
    /// the creator of the token. If another token issues the new token, the record names the
    /// issuing token instead. Your service decides whether the actor may issue tokens for this
    /// owner. For users who manage their own tokens, use [`of`](Self::of).
    ///
    /// If another token issues the new token, pass the [`Delegation`] of the issuing token to
    /// [`NewToken::within`]. The service then reads the current records of the issuing token and of
    /// its issuers, and checks again whether the issuing token may issue tokens. If the issuing
    /// token is revoked before the new record is stored, the store refuses the new record.
    ///
    /// If this call fails, the caller gets no token. After a failure of the store, the store may
    /// still hold the record of a token that no caller received. To make such a token end by
    /// itself, issue the token as [pending](NewToken::with_confirm_within).
    ///
    /// # Errors
    /// - Returns [`ErrorKind::Policy`] if the policy does not allow the token.
    /// - Returns [`ErrorKind::OutsideIssuer`] if the issuing token may not issue this token, for
    ///   instance because it lacks one of the scopes.
    /// - Returns [`ErrorKind::IssuerEnded`] if the issuing token does not work, or may no longer
    ///   issue tokens.
    /// - Returns [`ErrorKind::Limit`] if the owner or the issuing token already has the maximum
    ///   number of live tokens that the policy allows.
    /// - Returns [`ErrorKind::Conflict`] if the issuing token changed during each of 16 tries.
    /// - Returns [`ErrorKind::Rng`] if the random number generator fails.
    /// - Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails, and
    ///   `Unavailable` if the [owners hook](Self::with_owners) fails.
    pub async fn issue(&self, actor: &Actor, new: NewToken) -> Result<Issued<Arc<TokenRecord>>, Error> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let mut new = new.clone();
            if let Some(delegation) = new.delegation() {
                let delegation = self.renewed(delegation, now).await?;
                new = new.within(&delegation);
            }
            let issuer = new.delegation().map(Delegation::condition);
            let Issued { token, record } = mint(&self.keyring, self.policy(), new, actor, now)?;
            let most = match record.bound_to() {
                Some(_) => self.policy().limit_per_issuer(),
                None => self.policy().most_live_per_owner(),
            };
            let limit = most.map(|most| LiveLimit { most, now });
            match self.store.insert(record, limit, issuer).await {
                // The issuing token changed after this call read it, so read and check it again.
                Err(error) if error.kind() == StoreErrorKind::IssuerChanged => {}
                Err(error) => {
                    return Err(match (error.kind(), limit) {
                        (StoreErrorKind::Limit, Some(limit)) => Error::too_many(limit.most),
                        _ => error.into(),
                    });
                }
                Ok(record) => {
                    self.tell(Event::Issued { key: record.key(), issuer: record.issuer, actor });
                    return Ok(Issued { token, record });
                }
            }
        }
        Err(StoreError::new(StoreErrorKind::IssuerChanged).into())
    }

    /// Checks again whether a delegation is still valid, and returns the renewed delegation. Reads
    /// the current records of the issuing token and of its issuers, and the current state of the
    /// owner.
    ///
    /// # Errors
    /// Returns [`ErrorKind::IssuerEnded`] if the issuing token may no longer issue tokens. Returns
    /// a store error if the store or the owners hook fails.
    pub(super) async fn renewed(&self, issuer: &Delegation, now: Timestamp) -> Result<Delegation, Error> {
        let chain = self.chain(&issuer.key()).await?;
        self.renewed_by(issuer, chain, now).await
    }

    /// Checks again whether a delegation is still valid, and returns the renewed delegation.
    /// `chain` must contain the current records of the issuing token and of its issuers. The method
    /// reads the current state of the owner.
    ///
    /// # Errors
    /// Returns [`ErrorKind::IssuerEnded`] if the issuing token may no longer issue tokens. Returns
    /// a store error if the owners hook fails.
    pub(super) async fn renewed_by(
        &self,
        issuer: &Delegation,
        chain: Chain,
        now: Timestamp,
    ) -> Result<Delegation, Error> {
        let record = chain.record().cloned();
        let renewed = issuer.renewed(chain, self.policy(), now).map_err(ErrorKind::IssuerEnded)?;
        let state = match record {
            Some(record) if self.owners.is_some() => self.owner_state(&record).await?,
            _ => OwnerState::Active,
        };
        match state.rejection() {
            Some(rejection) => Err(ErrorKind::IssuerEnded(rejection).into()),
            None => Ok(renewed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::access::Access;
    use crate::rules::policy::Policy;
    use crate::rules::record::RevocationReason;
    use crate::rules::sample::ada;
    use crate::rules::scope::ScopeSet;
    use crate::store::ready::now;
    use crate::tokens::owners::{Owners, OwnersError};
    use crate::tokens::sample::{World, project};
    use crate::words::ids::ProjectId;
    use crate::words::rejection::Rejection;
    use crate::words::text::OwnerId;

    fn new(owner: &str) -> NewToken {
        NewToken::new(project("145"), owner.parse().unwrap(), "CI".parse().unwrap())
    }

    /// Issues a token that may issue other tokens and belongs to ada. Returns its delegation.
    fn delegation(world: &World) -> Delegation {
        let issued = world.issued_as(new("ada").with_scopes(ScopeSet::new("tokens:manage").unwrap()));
        let verified = now(world.tokens.verify(issued.token.expose_secret(), &Access::to(&project("145"), &[])));
        world.heard();
        verified.unwrap().delegate(&"tokens:manage".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_token_that_is_issued_is_stored_and_emitted() {
        let world = World::new();
        let issued = now(world.tokens.issue(&ada(), new("bob"))).unwrap();
        assert_eq!(*world.stored(&issued.record.key()), *issued.record);
        assert_eq!((issued.record.owner.as_str(), &issued.record.created_by), ("bob", &ada()));
        assert_eq!(world.heard(), ["issued"]);
    }

    #[test]
    fn an_owner_has_at_most_as_many_live_tokens_as_the_policy_allows() {
        let world = World::new().with(|tokens| tokens.with_policy(Policy::default().with_most_live_per_owner(2)));
        let issue = |owner: &str| now(world.tokens.issue(&ada(), new(owner))).map_err(|error| error.kind());
        let first = issue("ada").unwrap();
        assert!(issue("ada").is_ok());
        assert_eq!(issue("ada").err(), Some(ErrorKind::Limit));
        assert!(issue("bob").is_ok());
        now(world.tokens.revoke(&ada(), &first.record.key(), RevocationReason::default())).unwrap();
        assert!(issue("ada").is_ok());
    }

    #[test]
    fn a_live_token_issues_within_itself() {
        let world = World::new();
        let by = delegation(&world);
        let issued = now(world.tokens.issue(&ada(), new("ada").within(&by))).unwrap();
        assert_eq!(issued.record.created_by, by.actor());
    }

    #[test]
    fn a_token_that_was_revoked_meanwhile_cannot_issue() {
        let world = World::new();
        let by = delegation(&world);
        now(world.tokens.revoke(&ada(), &by.key(), RevocationReason::default())).unwrap();
        let refused = now(world.tokens.issue(&ada(), new("ada").within(&by))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::IssuerEnded(Rejection::Revoked));
    }

    #[test]
    fn an_issue_is_retried_if_the_issuing_token_changes_up_to_the_limit() {
        let world = World::new();
        world.fail(StoreErrorKind::IssuerChanged, TRIES - 1);
        assert!(now(world.tokens.issue(&ada(), new("ada"))).is_ok());
        world.fail(StoreErrorKind::IssuerChanged, TRIES);
        let refused = now(world.tokens.issue(&ada(), new("ada"))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        world.fail(StoreErrorKind::Unavailable, 1);
        assert_eq!(now(world.tokens.issue(&ada(), new("ada"))).unwrap_err().kind(), ErrorKind::Unavailable);
    }

    struct Suspended;

    impl Owners for Suspended {
        async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
            Ok(OwnerState::Suspended)
        }
    }

    #[test]
    fn a_token_of_a_suspended_owner_cannot_issue() {
        let world = World::new();
        let by = delegation(&world);
        let world = world.with(|tokens| tokens.with_owners(Suspended));
        let refused = now(world.tokens.issue(&ada(), new("ada").within(&by))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::IssuerEnded(Rejection::OwnerSuspended));
    }
}

//! A handle for the tokens of one owner in one project.

use std::sync::Arc;

use super::rotate::Rotated;
use super::service::Tokens;
use crate::rules::delegation::Delegation;
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::mint::Issued;
use crate::rules::new_token::NewToken;
use crate::rules::record::{RevocationReason, TokenRecord};
use crate::rules::rotation::Rotation;
use crate::rules::scope::Scope;
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::store::query::{ListQuery, Page};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::text::{Actor, Name, OwnerId};

impl<S: TokenStore> Tokens<S> {
    /// Returns a handle that reaches only the tokens of one owner in one project. Use the handle if
    /// users manage their own tokens. Your service then need not compare owners.
    ///
    /// ```
    /// use keyfob::{ErrorKind, MemoryStore, Name, OwnerId, ProjectId, Tokens};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let keyring = keyfob::Keyring::unkeyed("acme_pat".parse()?);
    /// # let tokens = Tokens::new(keyring, MemoryStore::new());
    /// let project = ProjectId::new("145")?;
    /// let (ada, bob) = (OwnerId::new("ada")?, OwnerId::new("bob")?);
    ///
    /// let of_ada = tokens.of(&ada, &project);
    /// let issued = of_ada.issue(of_ada.new_token(Name::new("CI")?)).await?;
    ///
    /// // Bob cannot reach ada's token.
    /// let error = tokens.of(&bob, &project).revoke(&issued.record.id).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// of_ada.revoke(&issued.record.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(&self, owner: &OwnerId, project: &ProjectId) -> OwnerTokens<'_, S> {
        OwnerTokens { tokens: self, owner: owner.clone(), actor: owner.into(), project: *project }
    }
}

/// A handle for the tokens of one owner in one project, created by [`Tokens::of`].
///
/// The owner is the actor of each operation, unless [`by`](Self::by) sets another actor. For a
/// token of another owner or project, each method behaves as if the token did not exist.
///
/// The owner must come from your own session, never from the request. The project may come from the
/// request if your service has checked that the owner is a member of the project. If a text in the
/// request is not a [`TokenId`], report the token as not found:
/// `TokenId::new(text).map_err(|_| ErrorKind::NotFound)?`.
#[derive(Debug)]
pub struct OwnerTokens<'t, S> {
    tokens: &'t Tokens<S>,
    owner: OwnerId,
    actor: Actor,
    project: ProjectId,
}

impl<S: TokenStore> OwnerTokens<'_, S> {
    /// Sets the actor of each operation, for instance an administrator. The default is the owner.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    /// Creates the description of a new token of this owner. Pass it to [`issue`](Self::issue).
    pub fn new_token(&self, name: Name) -> NewToken {
        NewToken::new(self.project, self.owner.clone(), name)
    }

    /// Issues a token, as [`Tokens::issue`] does.
    ///
    /// # Errors
    /// Returns `NotFound` if `new` names another owner or project, or any error of `Tokens::issue`.
    pub async fn issue(&self, new: NewToken) -> Result<Issued<Arc<TokenRecord>>, Error> {
        if !new.is_for(&self.owner, &self.project) {
            return Err(ErrorKind::NotFound.into());
        }
        self.tokens.issue(&self.actor, new).await
    }

    /// Returns one page of the owner's tokens. The owner and project of the query are ignored.
    ///
    /// # Errors
    /// Returns any error of [`Tokens::list`].
    pub async fn list(&self, query: &ListQuery) -> Result<Page<TokenView>, Error> {
        let query = ListQuery { project: self.project, owner: Some(self.owner.clone()), ..query.clone() };
        self.tokens.list(&query).await
    }

    /// Returns one token, even if it has ended. Returns `None` if the owner has no such token.
    ///
    /// # Errors
    /// Returns any error of [`Tokens::get`].
    pub async fn get(&self, id: &TokenId) -> Result<Option<TokenView>, Error> {
        let found = self.tokens.get(&self.key(id)).await?;
        Ok(found.filter(|view| view.owner == self.owner))
    }

    /// Renames a token, as [`Tokens::rename`] does.
    ///
    /// # Errors
    /// Returns `NotFound` if the owner has no such token, or any error of [`Tokens::rename`].
    pub async fn rename(&self, id: &TokenId, name: Name) -> Result<TokenView, Error> {
        self.tokens.rename(&self.actor, &self.owned(id).await?, name).await
    }

    /// Rotates a token, as [`Tokens::rotate`] does.
    ///
    /// # Errors
    /// Returns `NotFound` if the owner has no such token, or any error of [`Tokens::rotate`].
    pub async fn rotate(&self, id: &TokenId, rotation: Rotation) -> Result<Rotated, Error> {
        self.tokens.rotate(&self.actor, &self.owned(id).await?, rotation).await
    }

    /// Disables a token until it is enabled again, as [`Tokens::disable`] does.
    ///
    /// # Errors
    /// Returns `NotFound` if the owner has no such token, or any error of [`Tokens::disable`].
    pub async fn disable(&self, id: &TokenId) -> Result<TokenView, Error> {
        self.tokens.disable(&self.actor, &self.owned(id).await?).await
    }

    /// Enables a disabled token, as [`Tokens::enable`] does.
    ///
    /// # Errors
    /// Returns `NotFound` if the owner has no such token, or any error of [`Tokens::enable`].
    pub async fn enable(&self, id: &TokenId) -> Result<TokenView, Error> {
        self.tokens.enable(&self.actor, &self.owned(id).await?).await
    }

    /// Revokes a token permanently with the default reason. See [`Tokens::revoke`].
    ///
    /// # Errors
    /// Returns `NotFound` if the owner has no such token, or any error of [`Tokens::revoke`].
    pub async fn revoke(&self, id: &TokenId) -> Result<TokenView, Error> {
        self.revoke_because(id, RevocationReason::default()).await
    }

    /// Revokes a token permanently for the given reason. See [`Tokens::revoke`].
    ///
    /// # Errors
    /// Returns `NotFound` if the owner has no such token, or any error of [`Tokens::revoke`].
    pub async fn revoke_because(&self, id: &TokenId, reason: RevocationReason) -> Result<TokenView, Error> {
        self.tokens.revoke(&self.actor, &self.owned(id).await?, reason).await
    }

    /// Creates a delegation for one of the owner's tokens, the issuing token, which must work now.
    /// Pass the delegation to [`NewToken::within`] to issue tokens with the issuing token.
    ///
    /// `manage` is your scope for issuing tokens. The issuing token need not grant this scope,
    /// because its owner makes the call. The new tokens are bound to the issuing token and have at
    /// most its rights. They grant `manage` only if [`Delegation::allow_manage`] was called.
    ///
    /// ```
    /// use keyfob::{MemoryStore, Name, OwnerId, ProjectId, Scope, ScopeSet, Tokens};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let keyring = keyfob::Keyring::unkeyed("acme_pat".parse()?);
    /// # let tokens = Tokens::new(keyring, MemoryStore::new());
    /// let of_ada = tokens.of(&OwnerId::new("ada")?, &ProjectId::new("145")?);
    /// let scopes = ScopeSet::new("repo:read")?;
    /// let laptop = of_ada.new_token(Name::new("Laptop")?).with_scopes(scopes.clone());
    /// let laptop = of_ada.issue(laptop).await?;
    ///
    /// let manage = Scope::new("tokens:manage")?;
    /// let delegation = of_ada.delegation(&laptop.record.id, &manage).await?;
    /// let agent = of_ada.new_token(Name::new("Agent")?).with_scopes(scopes);
    /// let agent = of_ada.issue(agent.within(&delegation)).await?;
    /// assert_eq!(agent.record.bound_to(), Some(laptop.record.key()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns `NotFound` if the owner has no such token, [`ErrorKind::IssuerEnded`] if it does not
    /// work, and [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store or hook fails.
    pub async fn delegation(&self, id: &TokenId, manage: &Scope) -> Result<Delegation, Error> {
        let now = self.tokens.now();
        let chain = self.tokens.chain(&self.key(id)).await?;
        if chain.record().is_none_or(|record| record.owner != self.owner) {
            return Err(ErrorKind::NotFound.into());
        }
        let delegation = Delegation::of_owner(chain.clone(), manage.clone()).ok_or(ErrorKind::NotFound)?;
        self.tokens.renewed_by(&delegation, chain, now).await
    }

    fn key(&self, id: &TokenId) -> TokenKey {
        TokenKey { project: self.project, id: *id }
    }

    /// Returns the key of a token if the token belongs to the owner, and `NotFound` otherwise. The
    /// caller need not check this again later, because the owner of a token never changes.
    async fn owned(&self, id: &TokenId) -> Result<TokenKey, Error> {
        let found = self.tokens.store().find(&self.key(id)).await?;
        match found {
            Some(record) if record.owner == self.owner => Ok(record.key()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::breach::PolicyBreach;
    use crate::rules::outside_issuer::OutsideIssuer;
    use crate::rules::sample::{DAY, ada, id};
    use crate::rules::scope::ScopeSet;
    use crate::rules::status::Status;
    use crate::rules::token_kind::TokenKind;
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project};
    use crate::words::rejection::Rejection;

    fn kind<T>(outcome: Result<T, Error>) -> Option<ErrorKind> {
        outcome.err().map(|error| error.kind())
    }

    #[test]
    fn an_owner_can_do_every_operation_on_their_tokens() {
        let world = World::new();
        let of = world.tokens.of(&"ada".parse().unwrap(), &project("145"));
        let record = now(of.issue(of.new_token("CI".parse().unwrap()))).unwrap().record;
        assert_eq!((record.owner.as_str(), record.created_by.clone()), ("ada", ada()));
        let id = record.id;
        assert_eq!(now(of.get(&id)).unwrap().map(|view| view.key()), Some(record.key()));
        assert_eq!(now(of.rename(&id, "other".parse().unwrap())).unwrap().name.as_str(), "other");
        assert_eq!(now(of.disable(&id)).unwrap().status, Status::Disabled);
        assert_eq!(now(of.enable(&id)).unwrap().status, Status::Active);
        assert!(now(of.rotate(&id, Rotation::with_grace(DAY))).unwrap().old.rotated_to.is_some());
        let revoked = now(of.revoke(&id)).unwrap().revoked.unwrap();
        assert_eq!((revoked.by, revoked.reason), (ada(), RevocationReason::Unspecified));
        let other = now(of.issue(of.new_token("CI".parse().unwrap()))).unwrap().record.id;
        let revoked = now(of.revoke_because(&other, RevocationReason::KeyCompromise)).unwrap().revoked.unwrap();
        assert_eq!(revoked.reason, RevocationReason::KeyCompromise);
    }

    #[test]
    fn a_token_of_another_owner_or_project_is_not_found() {
        let world = World::new();
        let id = world.issued("145").record.id;
        for (owner, name) in [("bob", "145"), ("ada", "146")] {
            let of = world.tokens.of(&owner.parse().unwrap(), &project(name));
            assert_eq!(now(of.get(&id)).unwrap(), None);
            let outcomes = [
                kind(now(of.rename(&id, "other".parse().unwrap()))),
                kind(now(of.disable(&id))),
                kind(now(of.enable(&id))),
                kind(now(of.rotate(&id, Rotation::with_grace(DAY)))),
                kind(now(of.revoke(&id))),
                kind(now(of.revoke_because(&id, RevocationReason::KeyCompromise))),
            ];
            assert_eq!(outcomes, [Some(ErrorKind::NotFound); 6]);
        }
        let of_ada = world.tokens.of(&"ada".parse().unwrap(), &project("145"));
        let elsewhere = world.tokens.of(&"ada".parse().unwrap(), &project("146"));
        let of_bob = world.tokens.of(&"bob".parse().unwrap(), &project("145"));
        for new in [elsewhere.new_token("CI".parse().unwrap()), of_bob.new_token("CI".parse().unwrap())] {
            assert_eq!(kind(now(of_ada.issue(new))), Some(ErrorKind::NotFound));
        }
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn a_list_ignores_the_owner_and_project_of_the_query() {
        let world = World::new();
        let id = world.issued("145").record.id;
        world.issued("146");
        let of_bob = world.tokens.of(&"bob".parse().unwrap(), &project("145"));
        now(of_bob.issue(of_bob.new_token("CI".parse().unwrap()))).unwrap();
        let of_ada = world.tokens.of(&"ada".parse().unwrap(), &project("145"));
        let query = ListQuery { owner: Some("bob".parse().unwrap()), ..ListQuery::new(project("146")) };
        let listed = now(of_ada.list(&query)).unwrap().items;
        assert_eq!(listed.iter().map(|view| view.id).collect::<Vec<_>>(), [id]);
    }

    #[test]
    fn an_owner_issues_within_a_token_that_lacks_the_manage_scope() {
        let world = World::new();
        let of = world.tokens.of(&"ada".parse().unwrap(), &project("145"));
        let (manage, name) = (scope("tokens:manage"), || "CI".parse().unwrap());
        let issuer = now(of.issue(of.new_token(name()).with_scopes(scopes("repo:read tokens:*")))).unwrap().record;
        let by = now(of.delegation(&issuer.id, &manage)).unwrap();
        let issue = |text| now(of.issue(of.new_token(name()).with_scopes(scopes(text)).within(&by)));
        let agent = issue("repo:read").unwrap().record;
        assert_eq!((agent.bound_to(), &agent.created_by), (Some(issuer.key()), &ada()));
        assert_eq!(agent.kind, TokenKind::Agent);
        for (text, outside) in [("repo:write", OutsideIssuer::Scopes), ("tokens:*", OutsideIssuer::Manage)] {
            assert_eq!(kind(issue(text)), Some(ErrorKind::OutsideIssuer(outside)), "{text}");
        }

        // An issuer without the scope works too, and a kept delegation is judged again.
        let plain = now(of.issue(of.new_token(name()).with_scopes(scopes("repo:read")))).unwrap().record;
        let by = now(of.delegation(&plain.id, &manage)).unwrap();
        assert!(now(of.issue(of.new_token(name()).within(&by))).is_ok());
        now(of.revoke(&plain.id)).unwrap();
        let ended = Some(ErrorKind::IssuerEnded(Rejection::Revoked));
        assert_eq!(kind(now(of.issue(of.new_token(name()).within(&by)))), ended);
        assert_eq!(kind(now(of.delegation(&plain.id, &manage))), ended);
    }

    #[test]
    fn an_owner_cannot_issue_within_a_dead_token_or_one_of_another_owner() {
        let world = World::new();
        let of = world.tokens.of(&"ada".parse().unwrap(), &project("145"));
        let manage = scope("tokens:manage");
        let issuer = now(of.issue(of.new_token("CI".parse().unwrap()))).unwrap().record;
        let by = now(of.delegation(&issuer.id, &manage)).unwrap();
        let agent = now(of.issue(of.new_token("agent".parse().unwrap()).within(&by))).unwrap().record;
        let kind_under = |id| kind(now(of.delegation(id, &manage)));
        assert_eq!(kind_under(&agent.id), None);
        let below = now(of.delegation(&agent.id, &manage)).unwrap();
        let too_long = kind(now(of.issue(of.new_token("agent".parse().unwrap()).within(&below))));
        assert_eq!(too_long, Some(ErrorKind::Policy(PolicyBreach::ChainTooLong)));
        now(of.disable(&issuer.id)).unwrap();
        assert_eq!(kind_under(&issuer.id), Some(ErrorKind::IssuerEnded(Rejection::Disabled)));
        assert_eq!(kind_under(&agent.id), Some(ErrorKind::IssuerEnded(Rejection::IssuerEnded)));
        let not_found = Some(ErrorKind::NotFound);
        assert_eq!(kind_under(&id('1')), not_found);
        for (owner, name) in [("bob", "145"), ("ada", "146")] {
            let of = world.tokens.of(&owner.parse().unwrap(), &project(name));
            assert_eq!(kind(now(of.delegation(&issuer.id, &manage))), not_found);
        }
    }

    fn scope(text: &str) -> Scope {
        Scope::new(text).unwrap()
    }

    fn scopes(text: &str) -> ScopeSet {
        ScopeSet::new(text).unwrap()
    }

    #[test]
    fn another_actor_is_recorded() {
        let world = World::new();
        let of = world.tokens.of(&"ada".parse().unwrap(), &project("145")).by("root".parse().unwrap());
        let record = now(of.issue(of.new_token("CI".parse().unwrap()))).unwrap().record;
        assert_eq!((record.created_by.as_str(), record.owner.as_str()), ("root", "ada"));
        assert_eq!(now(of.revoke(&record.id)).unwrap().revoked.unwrap().by.as_str(), "root");
    }
}

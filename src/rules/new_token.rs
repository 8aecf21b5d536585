//! The request for a new token.

use core::time::Duration;

use super::address::AddressRanges;
use super::delegation::Delegation;
use super::error::Error;
use super::issuer::Issuer;
use super::lifetimes::Lifetime;
use super::policy::Policy;
use super::record::TokenRecord;
use super::scope::ScopeSet;
use super::token_kind::TokenKind;
use crate::words::ids::ProjectId;
use crate::words::text::{Metadata, Name, OwnerId, RequestId};
use crate::words::timestamp::Timestamp;

/// The request for a new token. It contains the project, the owner and a name that says what the
/// token is for.
///
/// Take the owner from your own session, never from a request body. To prevent this mistake,
/// `NewToken` cannot be deserialized.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub(super) project: ProjectId,
    pub(super) owner: OwnerId,
    pub(super) name: Name,
    pub(super) kind: Option<TokenKind>,
    pub(super) scopes: ScopeSet,
    pub(super) metadata: Metadata,
    pub(super) addresses: AddressRanges,
    pub(super) not_before: Option<Timestamp>,
    pub(super) lifetime: Lifetime,
    pub(super) confirm_within: Option<Duration>,
    pub(super) request_id: Option<RequestId>,
    pub(super) delegation: Option<Delegation>,
    /// `Some` if the new token replaces an old token in a rotation. The inner value is the issuer
    /// of the old token, if the old token has an issuer. In a rotation, the kind and the metadata
    /// are not checked again, because they were checked when the old token was issued.
    takes_over: Option<Option<Issuer>>,
}

impl NewToken {
    /// Creates the request for a token with the default properties. The token is for a person, has
    /// no scopes, may be used from any address, works immediately, and has the default lifetime of
    /// the policy.
    pub fn new(project: ProjectId, owner: OwnerId, name: Name) -> Self {
        Self {
            project,
            owner,
            name,
            kind: None,
            scopes: ScopeSet::default(),
            metadata: Metadata::default(),
            addresses: AddressRanges::default(),
            not_before: None,
            lifetime: Lifetime::default(),
            confirm_within: None,
            request_id: None,
            delegation: None,
            takes_over: None,
        }
    }

    /// Creates the request for the successor of a token. The successor gets the same project,
    /// owner, name, kind, scopes, metadata and addresses.
    pub(super) fn after(old: &TokenRecord) -> Self {
        let new = Self { takes_over: Some(old.issuer), ..Self::new(old.project, old.owner.clone(), old.name.clone()) };
        new.with_kind(old.kind)
            .with_scopes(old.scopes.clone())
            .with_metadata(old.metadata.clone())
            .with_addresses(old.addresses.clone())
    }

    /// Sets the lifetime of the token.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime, ..self }
    }

    /// Sets the scopes that the token grants.
    #[must_use]
    pub fn with_scopes(self, scopes: ScopeSet) -> Self {
        Self { scopes, ..self }
    }

    /// Sets the kind of the token's holder: a person, a service or an agent. By default, the holder
    /// is a person, or an agent if the token is issued [within](Self::within) another token.
    #[must_use]
    pub fn with_kind(self, kind: TokenKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Sets the metadata: text that your service stores with the token.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }

    /// Sets the client addresses that the token may be used from.
    #[must_use]
    pub fn with_addresses(self, addresses: AddressRanges) -> Self {
        Self { addresses, ..self }
    }

    /// Sets the time before which the token does not work.
    #[must_use]
    pub fn with_not_before(self, not_before: Timestamp) -> Self {
        Self { not_before: Some(not_before), ..self }
    }

    /// Sets the time within which the token must be [confirmed](crate::Tokens::confirm), usually a
    /// few minutes. The token does not work until it is confirmed, and lapses if it is not
    /// confirmed in time. So if the response with the token is lost, no live token stays behind.
    /// The time is rounded up to whole milliseconds, and must not be zero.
    #[must_use]
    pub fn with_confirm_within(self, confirm_within: Duration) -> Self {
        Self { confirm_within: Some(confirm_within), ..self }
    }

    /// Sets the id that the caller gives to this request. The id is stored in the record of the
    /// token.
    #[must_use]
    pub fn with_request_id(self, request_id: RequestId) -> Self {
        Self { request_id: Some(request_id), ..self }
    }

    /// Sets the delegation of the token that issues the new token. The new token stays within the
    /// limits of the issuing token. By default, the new token is for an agent, may be used from
    /// the same addresses and ends no later than the issuing token.
    ///
    /// The new token is bound to the issuing token, unless the delegation is
    /// [`independent`](Delegation::independent). The `created_by` of the new token is the issuing
    /// token. If the delegation is for the owner of the issuing token, `created_by` is the actor of
    /// the operation instead.
    #[must_use]
    pub fn within(self, delegation: &Delegation) -> Self {
        Self { delegation: Some(delegation.clone()), ..self }
    }

    /// Returns whether the token is for this owner in this project.
    pub(crate) fn is_for(&self, owner: &OwnerId, project: &ProjectId) -> bool {
        self.owner == *owner && self.project == *project
    }

    /// Returns the delegation under which the token is issued, or `None` if no other token issues
    /// this token. The store must check the [condition](Delegation::condition) of the delegation
    /// when it inserts the token.
    pub fn delegation(&self) -> Option<&Delegation> {
        self.delegation.as_ref()
    }
}

impl NewToken {
    /// Fills in each field that the caller did not set, with a value within the limits of the
    /// issuing token. Checks the other fields against these limits. If there is no issuing token,
    /// changes nothing.
    pub(super) fn bound(&mut self, policy: &Policy, now: Timestamp) -> Result<(), Error> {
        let Some(delegation) = &self.delegation else { return Ok(()) };
        let kind = *self.kind.get_or_insert(TokenKind::Agent);
        if self.takes_over.is_none() {
            delegation.admit_new(kind, &self.metadata, policy)?;
        }
        if self.addresses == AddressRanges::default() {
            self.addresses = delegation.addresses();
        }
        if self.lifetime == Lifetime::Default {
            let lifetimes = policy.lifetimes(kind);
            self.lifetime = Lifetime::For(delegation.shorten(lifetimes.nearest(lifetimes.default), now));
        }
        Ok(delegation.admit(&self.project, &self.owner, &self.scopes, &self.addresses, policy.scope_rules())?)
    }

    /// Returns the issuer to record in the new token, or `None` if no token issues it. A successor
    /// keeps the issuer of the token that it replaces, or `None` if that token has no issuer.
    pub(super) fn issuer(&self) -> Option<Issuer> {
        self.takes_over.unwrap_or_else(|| self.delegation.as_ref().map(Delegation::issuer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::lifetimes::Lifetimes;
    use crate::rules::proof::Held;
    use crate::rules::sample::{DAY, MS, at, project, record};
    use crate::rules::scope::Scope;

    fn new() -> NewToken {
        NewToken::new(project(), "bob".parse().unwrap(), "CI".parse().unwrap())
    }

    #[test]
    fn a_new_token_is_for_one_owner_in_one_project() {
        let (bob, ada): (OwnerId, OwnerId) = ("bob".parse().unwrap(), "ada".parse().unwrap());
        assert!(new().is_for(&bob, &project()));
        assert!(!new().is_for(&ada, &project()));
        assert!(!new().is_for(&bob, &"146".parse().unwrap()));
    }

    /// Returns the delegation of a token that belongs to bob and expires in ten days.
    fn delegation() -> Delegation {
        let (owner, end) = ("bob".parse().unwrap(), at(0).saturating_add(10 * DAY));
        let scopes = ScopeSet::new("repo:* tokens:manage").unwrap();
        let issuer = TokenRecord { owner, scopes, expires_at: Some(end), ..record() };
        Delegation::new(Held::alone(issuer), Scope::new("tokens:manage").unwrap())
    }

    fn bounded(new: NewToken) -> Result<NewToken, Error> {
        bounded_by(&Policy::default(), new)
    }

    fn bounded_by(policy: &Policy, mut new: NewToken) -> Result<NewToken, Error> {
        new.bound(policy, at(0)).map(|()| new)
    }

    #[test]
    fn without_an_issuing_token_open_fields_stay_open() {
        let open = bounded(new()).unwrap();
        assert_eq!((open.kind, open.lifetime), (None, Lifetime::Default));
    }

    #[test]
    fn the_default_lifetime_ends_with_the_issuing_token() {
        let lifetime = |default| {
            let lifetimes = Lifetimes { default, max: 30 * DAY, ..Lifetimes::AGENT };
            let policy = Policy::default().with_lifetimes(TokenKind::Agent, lifetimes);
            bounded_by(&policy, new().within(&delegation())).unwrap().lifetime
        };
        assert_eq!(lifetime(30 * DAY), Lifetime::For(10 * DAY));
        assert_eq!(lifetime(10 * DAY - MS), Lifetime::For(10 * DAY - MS));
    }

    #[test]
    fn a_lifetime_that_was_asked_for_stays() {
        let asked = bounded(new().within(&delegation()).with_lifetime(Lifetime::For(20 * DAY))).unwrap();
        assert_eq!(asked.lifetime, Lifetime::For(20 * DAY), "it is judged when the token is minted");
    }
}

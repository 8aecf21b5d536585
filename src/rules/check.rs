//! The verification of a presented token against its record.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::borrow::Cow;

use super::access::{Access, InProject, ProjectRequirement};
use super::acting::Acting;
use super::address::AddressRanges;
use super::chain::Chain;
use super::delegation::Delegation;
use super::limits::limits;
use super::outside::LaterUses;
use super::owner::OwnerState;
use super::policy::Policy;
use super::proof::{Held, Live, Proven, prove_token};
use super::record::TokenRecord;
use super::scope::{Scope, ScopeSet};
use super::scope_rules::ScopeRules;
use super::status::Status;
use super::token_kind::TokenKind;
use super::view::TokenView;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::presented::PresentedToken;
use crate::words::rejection::{Refused, Rejection};
use crate::words::text::{Metadata, Name, OwnerId};
use crate::words::timestamp::Timestamp;

/// Verifies a presented token against its stored record. `chain` must hold the record with key
/// [`PresentedToken::key`], even if the token has ended, and the records of the tokens that it is
/// bound to. If the tokens of your service do not issue tokens, pass the record alone:
/// `row.into()`.
///
/// The checks run in this order: digest, the token's own [status](crate::Status), policy, issuers,
/// project, addresses, scopes. The digest comparison takes constant time, even if there is no
/// record. Every record of the chain must allow the address and grant the scopes. If a record of
/// the chain is missing, the token is rejected. This function allocates no memory.
///
/// # Errors
/// Returns the [`Rejection`] of the first check that fails.
///
/// ```
/// # use keyfob::{Actor, Clock, Keyring, Name, NewToken, OwnerId, Policy, Prefix};
/// # use keyfob::{ProjectId, SystemClock, mint};
/// use std::sync::Arc;
/// use keyfob::{Access, PresentedToken, check};
///
/// # let keyring = Keyring::unkeyed(Prefix::new("acme_pat")?);
/// # let policy = Policy::default();
/// # let project = ProjectId::new("145")?;
/// # let new = NewToken::new(project, OwnerId::new("ada")?, Name::new("CI")?);
/// # let now = SystemClock.now();
/// # let issued = mint(&keyring, &policy, new, &Actor::new("ada")?, now)?;
/// # let (text, row) = (issued.token.expose_secret(), Some(Arc::new(issued.record)));
/// let token = PresentedToken::parse(text, &keyring)?;
/// // let row = the record that your database has under token.key()
/// let verified = check(&token, row.into(), &Access::to(&project, &[]), &policy, now)?;
/// assert_eq!(verified.owner().as_str(), "ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check<P: ProjectRequirement>(
    token: &PresentedToken<'_>,
    chain: Chain,
    access: &Access<'_, P>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Verified<P>, Rejection> {
    judged(prove_token(token, chain), access, policy, now)
}

/// Checks a token after its secret: status, policy, issuers, project, addresses and scopes.
#[inline(always)]
pub(super) fn judged<P: ProjectRequirement>(
    proven: Result<Proven, Refused>,
    access: &Access<'_, P>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Verified<P>, Rejection> {
    let proven = proven.map_err(|refused| *refused)?;
    let live = proven.live(policy, now, |_| LaterUses::default()).map_err(|ended| *ended.rejection)?;
    live.permit(OwnerState::Active, access, policy, Duration::ZERO).map_err(|refused| *refused)
}

/// The last stage of a verification, after the checks of digest, status, policy and issuers.
impl Live {
    /// Checks that the owner is active, and that the token allows this access. Returns the proof of
    /// the verification. It contains `age`, the age of the oldest record that was used. The policy
    /// compares the scopes.
    #[inline(always)]
    pub(crate) fn permit<P: ProjectRequirement>(
        self,
        owner: OwnerState,
        access: &Access<'_, P>,
        policy: &Policy,
        age: Duration,
    ) -> Result<Verified<P>, Refused> {
        let scope_rules = policy.scope_rules();
        let [owner, project, address, scope] = limits(self.held(), owner, access, scope_rules);
        match owner.or(project).or(address).or(scope) {
            Some(rejection) => Err(rejection.refused()),
            None => Ok(Verified { held: self.into_held(), scope_rules, age, demand: PhantomData }),
        }
    }
}

/// Proof, with the token's data, that a token passed all checks for an [`Access`].
///
/// Only [`check`], [`Tokens::verify`](crate::Tokens::verify) and
/// [`Tokens::recheck`](crate::Tokens::recheck) create this proof. The type has no public
/// constructor, `Default` or `Deserialize`. The proof is true only at the moment of the
/// verification. For a long request or an open connection, verify the token again from time to
/// time.
///
/// ```
/// use keyfob::{Access, MemoryStore, ProjectId, Tokens, Verified, VerifyError};
///
/// fn delete_branch(by: &Verified) {}
///
/// async fn handler(
///     tokens: &Tokens<MemoryStore>, token: &str, project: &ProjectId,
/// ) -> Result<(), VerifyError> {
///     delete_branch(&tokens.verify(token, &Access::to(project, &[])).await?);
///     Ok(())
/// }
/// ```
///
/// A proof from `Access::to_own_project` has another type, so this does not compile:
/// ```compile_fail,E0308
/// use keyfob::{Access, MemoryStore, ProjectId, Tokens, Verified, VerifyError};
///
/// fn delete_branch(by: &Verified) {}
///
/// async fn handler(
///     tokens: &Tokens<MemoryStore>, token: &str, project: &ProjectId,
/// ) -> Result<(), VerifyError> {
///     delete_branch(&tokens.verify(token, &Access::to_own_project(&[])).await?);
///     Ok(())
/// }
/// ```
///
/// A record is not a proof, so this does not compile:
/// ```compile_fail,E0451
/// # use std::{marker::PhantomData, sync::Arc, time::Duration};
/// # use keyfob::{TokenRecord, Verified};
/// fn delete_branch(by: &Verified) {}
///
/// fn forged(record: Arc<TokenRecord>) {
///     delete_branch(&Verified { record, age: Duration::ZERO, demand: PhantomData });
/// }
/// ```
pub struct Verified<P = InProject> {
    pub(super) held: Held,
    pub(super) scope_rules: ScopeRules,
    pub(super) age: Duration,
    pub(super) demand: PhantomData<P>,
}

impl<P> Verified<P> {
    /// Returns the user that the token acts for.
    pub fn owner(&self) -> &OwnerId {
        &self.record().owner
    }

    /// Returns the project of the token. The token may be used only in this project.
    pub fn project(&self) -> &ProjectId {
        &self.record().project
    }

    /// Returns the key of the token in the store: its project and its public id.
    pub fn key(&self) -> TokenKey {
        self.record().key()
    }

    /// Returns the name that the owner gave the token.
    pub fn name(&self) -> &Name {
        &self.record().name
    }

    /// Returns the kind of the token's holder: a person, a service or an agent.
    pub fn kind(&self) -> TokenKind {
        self.record().kind
    }

    /// Returns claims about who acts for whom: the owner, the token and the tokens that the token
    /// is bound to.
    pub fn acting(&self) -> Acting<'_> {
        Acting::new(&self.held)
    }

    /// Returns proof that the token may issue tokens. `manage` is the scope that your service
    /// requires for issuing tokens. The token, and every token that it is bound to, must grant this
    /// scope. Tokens issued with this proof stay [within](crate::NewToken::within) the limits of
    /// the token.
    ///
    /// # Errors
    /// Returns [`Rejection::Scope`] if one of these tokens does not grant `manage`.
    pub fn delegate(&self, manage: &Scope) -> Result<Delegation, Rejection> {
        self.allows(manage).then(|| Delegation::new(self.held.clone(), manage.clone())).ok_or(Rejection::Scope)
    }

    /// Returns the scopes that the token, and every token that it is bound to, grant in common.
    ///
    /// The result is meant to be shown. To check for a scope that the `Access` does not include,
    /// use [`allows`](Self::allows), because the methods of a [`ScopeSet`] do not know the [scope
    /// matcher](crate::policy::ScopeMatcher) of your policy. If two wildcards overlap and neither
    /// covers the other, the result leaves both out, although `allows` accepts the scopes that both
    /// of them grant.
    ///
    /// If the scopes of a chain contain wildcards, the result can have up to five times as many
    /// scopes and bytes as [`ScopeSet::MAX`] and [`ScopeSet::MAX_BYTES`] state. In this case,
    /// `ScopeSet::new` rejects the text of the result.
    pub fn scopes(&self) -> Cow<'_, ScopeSet> {
        let own = Cow::Borrowed(&self.record().scopes);
        self.held.records().skip(1).fold(own, |scopes, issuer| match self.scope_rules.covers(&issuer.scopes, &scopes) {
            true => scopes,
            false => Cow::Owned(self.scope_rules.common(&scopes, &issuer.scopes)),
        })
    }

    /// Returns whether the token, and every token that it is bound to, grants this scope.
    pub fn allows(&self, scope: &Scope) -> bool {
        self.held.all(|record| self.scope_rules.allows(&record.scopes, scope))
    }

    /// Returns the metadata: text that your service stores with the token.
    pub fn metadata(&self) -> &Metadata {
        &self.record().metadata
    }

    /// Returns the address list of the token, then the address list of each token that it is bound
    /// to. An address is allowed only if all of these lists allow it.
    pub fn addresses(&self) -> impl Iterator<Item = &AddressRanges> {
        self.held.records().map(|record| &record.addresses)
    }

    /// Returns the earliest expiry among the token and the tokens that it is bound to. Returns
    /// `None` if none of these tokens expires.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.held.records().filter_map(|record| record.expires_at).min()
    }

    /// Returns the last recorded use before this verification, if any. Some uses are not recorded.
    pub fn last_used_at(&self) -> Option<Timestamp> {
        self.record().last_used_at
    }

    /// Returns the first time at which the token, or a token that it is bound to, expires or ends
    /// its grace period. The token then stops working. Returns `None` if there is no such time.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.held.ends_at()
    }

    /// Returns the age of the oldest record that the verification used, at the moment when it had
    /// read the records. If a record was changed in the store within this time before that moment,
    /// the verification may have used the state before the change. A later wait for the [owners
    /// hook](crate::Tokens::with_owners) is not included.
    ///
    /// The age is zero if the verification read the store, or if it was a call of [`check`]. If the
    /// verification read a cache, the age is at most the staleness bound of the cache.
    pub fn age(&self) -> Duration {
        self.age
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        &self.held.record
    }

    /// Returns the view of the token at the time of the verification. Its status is
    /// [active](crate::Status::Active).
    pub fn view(&self) -> TokenView {
        self.record().view_as(Status::Active)
    }
}

impl<P> Clone for Verified<P> {
    fn clone(&self) -> Self {
        Self { held: self.held.clone(), scope_rules: self.scope_rules, age: self.age, demand: PhantomData }
    }
}

impl<P> fmt::Debug for Verified<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("token", &self.record().public_part()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rules::sample::{at, project, record};

    #[test]
    fn a_proof_has_the_data_of_the_token_and_the_age_of_its_record() {
        // None of the values that are compared below is a default value.
        let record = TokenRecord {
            kind: TokenKind::Service,
            metadata: Metadata::new("team").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            last_used_at: Some(at(-5)),
            grace_until: Some(at(5)),
            ..record()
        };
        let proven =
            super::super::proof::prove(&record.digest, Some(Arc::new(record.clone())).into(), |_| true).ok().unwrap();
        let live = proven.live(&Policy::default(), at(0), |_| LaterUses::default()).ok().unwrap();
        let age = Duration::from_millis(3);
        let project = project();
        let access = Access::to(&project, &[]).from_address("10.0.0.1".parse().unwrap());
        let verified = live.permit(OwnerState::Active, &access, &Policy::default(), age).unwrap();
        assert_eq!((verified.owner(), verified.project(), verified.key()), (&record.owner, &project, record.key()));
        assert_eq!(
            (verified.name(), verified.kind(), verified.scopes()),
            (&record.name, record.kind, Cow::Borrowed(&record.scopes))
        );
        assert_eq!(verified.metadata(), &record.metadata);
        assert_eq!(verified.addresses().collect::<Vec<_>>(), [&record.addresses]);
        assert_eq!((verified.expires_at(), verified.ends_at()), (record.expires_at, Some(at(5))));
        assert_eq!((verified.last_used_at(), verified.age()), (Some(at(-5)), age));
        assert_eq!((verified.record(), verified.view()), (&record, record.view(at(0))));
        assert_eq!(verified.clone().age(), age);
        let (user, admin) = (Scope::new("user").unwrap(), Scope::new("admin").unwrap());
        assert!(verified.allows(&user) && !verified.allows(&admin));
        assert_eq!(verified.delegate(&user).unwrap().key(), record.key());
        assert_eq!(verified.delegate(&admin).err(), Some(Rejection::Scope));
        assert_eq!(format!("{verified:?}"), format!("Verified {{ token: \"{}\", .. }}", record.public_part()));
    }
}

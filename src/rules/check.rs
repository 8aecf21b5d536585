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
use super::outside::LaterUses;
use super::owner::OwnerState;
use super::policy::Policy;
use super::proof::{Held, Live, prove};
use super::record::TokenRecord;
use super::scope::{Scope, ScopeSet};
use super::status::Status;
use super::token_kind::TokenKind;
use super::view::TokenView;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::presented::PresentedToken;
use crate::words::rejection::Rejection;
use crate::words::text::{Metadata, Name, OwnerId};
use crate::words::timestamp::Timestamp;

/// Verifies a presented token against its records. `chain` is the record that the store has under
/// [`PresentedToken::key`], whether the token has ended or not, with the records of the tokens that
/// it is bound to. If your tokens do not issue tokens, pass the record alone: `row.into()`.
///
/// The checks run in this order: digest, the token's own [status](crate::Status), policy, issuers,
/// project, addresses, scopes. The digest is compared in constant time, with a dummy if there is no
/// record. Addresses and scopes must be allowed by every record of the chain. A bound token without
/// its whole chain is rejected. No memory is allocated.
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
    prove(token.digest(), chain, |record| token.text().names(record.prefix, &record.project, &record.id))?
        .live(policy, now, |_| LaterUses::default())?
        .permit(OwnerState::Active, access, Duration::ZERO)
}

/// The last stage of a verification.
impl Live {
    /// Judges what the host knows of the owner, and what the request needs. `age` is the age of the
    /// records.
    pub(crate) fn permit<P: ProjectRequirement>(
        self,
        owner: OwnerState,
        access: &Access<'_, P>,
        age: Duration,
    ) -> Result<Verified<P>, Rejection> {
        let first = limits(self.held(), owner, access).next();
        match first {
            Some(rejection) => Err(rejection),
            None => Ok(Verified { held: self.into_held(), age, demand: PhantomData }),
        }
    }
}

/// Returns the rejections for what the request needs but the token and its issuers do not grant, in
/// the order of the checks.
#[inline]
pub(super) fn limits<P: ProjectRequirement>(
    held: &Held,
    owner: OwnerState,
    access: &Access<'_, P>,
) -> impl Iterator<Item = Rejection> {
    let owner = owner.rejection();
    let project = (!access.accepts_project(&held.record.project)).then_some(Rejection::Project);
    let lies_in = |record: &TokenRecord| record.addresses.allow(access.address());
    let address = (!held.all(lies_in)).then_some(Rejection::Address);
    let covers = |record: &TokenRecord| access.scopes().iter().all(|scope| record.scopes.allows(scope));
    let scope = !held.all(covers);
    [owner, project, address, scope.then_some(Rejection::Scope)].into_iter().flatten()
}

/// Proof that a token passed all checks for an [`Access`]. It gives access to the token's owner.
///
/// Only [`check`], [`Tokens::verify`](crate::Tokens::verify) and
/// [`Tokens::recheck`](crate::Tokens::recheck) create one. It has no public constructor, `Default`
/// or `Deserialize`. It describes the moment of the verification only: for a long request or an
/// open connection, verify the token again from time to time.
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
/// A proof for any project (`to_own_project`) is of another type, and does not compile here:
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
/// A record is not a proof:
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
    held: Held,
    age: Duration,
    demand: PhantomData<P>,
}

impl<P> Verified<P> {
    /// Returns the user that the token acts for.
    pub fn owner(&self) -> &OwnerId {
        &self.record().owner
    }

    /// Returns the project that the token is for, the only one that it may be used in.
    pub fn project(&self) -> &ProjectId {
        &self.record().project
    }

    /// Returns the project and public id of the token, for logs and for the store.
    pub fn key(&self) -> TokenKey {
        self.record().key()
    }

    /// Returns the name that the owner gave the token.
    pub fn name(&self) -> &Name {
        &self.record().name
    }

    /// Returns the kind of holder: a person, a service or an agent.
    pub fn kind(&self) -> TokenKind {
        self.record().kind
    }

    /// Returns the owner, the token and the tokens that it is bound to, as claims about who acts
    /// for whom.
    pub fn acting(&self) -> Acting<'_> {
        Acting::new(&self.held)
    }

    /// Returns proof that the token may issue tokens. `manage` is the scope for issuing tokens,
    /// which your service chooses. The token, and every token that it is bound to, must grant it.
    /// Tokens that it issues or rotates stay [within](crate::NewToken::within) it.
    ///
    /// # Errors
    /// Returns [`Rejection::Scope`] if the scope is not granted.
    pub fn delegate(&self, manage: &Scope) -> Result<Delegation, Rejection> {
        self.allows(manage).then(|| Delegation::new(self.held.clone(), manage.clone())).ok_or(Rejection::Scope)
    }

    /// Returns the scopes that the token grants: its own, as far as every token that it is bound to
    /// grants them too.
    ///
    /// Use [`allows`](Self::allows) to check for a scope beyond those of the `Access`. If sets with
    /// wildcards are combined, the result can have more than [`ScopeSet::MAX`] scopes.
    /// `ScopeSet::new` rejects the text of such a set.
    pub fn scopes(&self) -> Cow<'_, ScopeSet> {
        let own = Cow::Borrowed(&self.record().scopes);
        self.held.records().skip(1).fold(own, |scopes, issuer| match issuer.scopes.covers(&scopes) {
            true => scopes,
            false => Cow::Owned(scopes.common(&issuer.scopes)),
        })
    }

    /// Returns whether the token, and every token that it is bound to, grants this scope.
    pub fn allows(&self, scope: &Scope) -> bool {
        self.held.all(|record| record.scopes.allows(scope))
    }

    /// Returns the text that the host keeps with the token.
    pub fn metadata(&self) -> &Metadata {
        &self.record().metadata
    }

    /// Returns the address blocks of the token, then those of each token that it is bound to. An
    /// address is allowed only if all of them allow it.
    pub fn addresses(&self) -> impl Iterator<Item = &AddressRanges> {
        self.held.records().map(|record| &record.addresses)
    }

    /// Returns the earliest expiry of the token and the tokens that it is bound to. `None` means
    /// that none of them expires.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.held.records().filter_map(|record| record.expires_at).min()
    }

    /// Returns the last recorded use before this one. Not every use is recorded.
    pub fn last_used_at(&self) -> Option<Timestamp> {
        self.record().last_used_at
    }

    /// Returns when the token stops working: the earliest expiry or end of a grace period of the
    /// token and the tokens that it is bound to.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.held.ends_at()
    }

    /// Returns the age of the records by which the token was judged: that of the oldest record in
    /// its chain. The proof does not reflect changes made within that time.
    ///
    /// The age is zero if the store itself was queried, and from [`check`], which gets its records
    /// from the caller. With a cache, it is at most the cache's bound.
    pub fn age(&self) -> Duration {
        self.age
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        &self.held.record
    }

    /// Returns the view of the token as it was judged, with the status
    /// [active](crate::Status::Active).
    pub fn view(&self) -> TokenView {
        self.record().view_as(Status::Active)
    }
}

impl<P> Clone for Verified<P> {
    fn clone(&self) -> Self {
        Self { held: self.held.clone(), age: self.age, demand: PhantomData }
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

    fn limited(record: &TokenRecord, owner: OwnerState, access: &Access<'_>) -> Vec<Rejection> {
        limits(&Held::alone(record.clone()), owner, access).collect()
    }

    #[test]
    fn missing_access_is_reported_in_the_order_of_the_checks() {
        let scopes = [Scope::new("admin").unwrap()];
        let record = TokenRecord { addresses: AddressRanges::new("10.0.0.0/8").unwrap(), ..record() };
        let access = Access::to(&"146".parse().unwrap(), &scopes);
        let all = [Rejection::OwnerOutsideProject, Rejection::Project, Rejection::Address, Rejection::Scope];
        assert_eq!(limited(&record, OwnerState::OutsideProject, &access), all);
        assert_eq!(limited(&record, OwnerState::Active, &access), all[1..]);
        let access = Access::to(&project(), &scopes);
        assert_eq!(limited(&record, OwnerState::Active, &access), all[2..]);
        let access = access.from_address("10.0.0.1".parse().unwrap());
        assert_eq!(limited(&record, OwnerState::Active, &access), all[3..]);
        let scopes = [Scope::new("user").unwrap(), Scope::new("repo:read").unwrap()];
        let access = Access::to(&project(), &scopes).from_address("10.0.0.1".parse().unwrap());
        assert_eq!(limited(&record, OwnerState::Active, &access), []);
    }

    #[test]
    fn every_scope_of_the_access_is_required() {
        let (user, admin) = (Scope::new("user").unwrap(), Scope::new("admin").unwrap());
        for scopes in [[user.clone(), admin.clone()], [admin, user]] {
            assert_eq!(limited(&record(), OwnerState::Active, &Access::to(&project(), &scopes)), [Rejection::Scope]);
        }
    }

    #[test]
    fn a_proof_has_the_data_of_the_token_and_the_age_of_its_record() {
        // No value compared below is a default.
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
        let verified = live.permit(OwnerState::Active, &access, age).unwrap();
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

//! Judging a presented token against its record.

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;

use super::access::{Access, InProject, ProjectDemand};
use super::address::AddressRanges;
use super::policy::Policy;
use super::record::{TokenKind, TokenRecord};
use super::scope::{Scope, ScopeSet};
use super::status::Status;
use super::view::TokenView;
use crate::words::digest::Digest;
use crate::words::error::Rejection;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::presented::PresentedToken;
use crate::words::text::{Metadata, Name, OwnerId};
use crate::words::timestamp::Timestamp;

/// Judges a presented token: `record` is what the store has under [`PresentedToken::key`], dead or alive.
///
/// The order: digest (in constant time, against a dummy where there is no record), the ends of
/// [`Status`], policy, project, addresses, scopes. Nothing is allocated.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
///
/// ```
/// # use keyfob::{Actor, Clock, Keyring, Name, NewToken, OwnerId, Policy, Prefix, ProjectId, SystemClock, mint};
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
/// let verified = check(&token, row, &Access::to(&project, &[]), &policy, now)?;
/// assert_eq!(verified.owner().as_str(), "ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check<P: ProjectDemand>(
    token: &PresentedToken<'_>,
    record: Option<Arc<TokenRecord>>,
    access: &Access<'_, P>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Verified<P>, Rejection> {
    // An unknown id costs the same comparison as a known one.
    let stored = record.as_ref().map_or(Digest::from_bytes([0; 32]), |record| record.digest);
    let matches = *token.digest() == stored;
    let record = record.ok_or(Rejection::Unknown)?;
    if !matches || !token.text().names(record.prefix, &record.project, &record.id) {
        return Err(Rejection::Digest);
    }
    match record.status(now) {
        Status::Active => {}
        Status::Revoked => return Err(Rejection::Revoked),
        Status::Rotated => return Err(Rejection::Rotated),
        Status::Lapsed => return Err(Rejection::Lapsed),
        Status::Expired => return Err(Rejection::Expired),
        Status::Disabled => return Err(Rejection::Disabled),
        Status::Pending => return Err(Rejection::Pending),
        Status::NotYetValid => return Err(Rejection::NotYetValid),
    }
    if !policy.admits(&record) {
        return Err(Rejection::Policy);
    }
    if !access.accepts_project(&record.project) {
        return Err(Rejection::Project);
    }
    if !record.addresses.allow(access.address()) {
        return Err(Rejection::Address);
    }
    if !access.scopes().iter().all(|scope| record.scopes.allows(scope)) {
        return Err(Rejection::Scope);
    }
    Ok(Verified { record, demand: PhantomData })
}

/// Proof that a token passed every check of an [`Access`], and with it the way to its owner.
///
/// Only [`check`] and [`Tokens::verify`](crate::Tokens::verify) make one; it has no constructor, Default or Deserialize.
/// It speaks of the moment of the check: a request that runs for long, or a connection that stays open, checks again.
pub struct Verified<P = InProject> {
    record: Arc<TokenRecord>,
    demand: PhantomData<P>,
}

impl<P> Verified<P> {
    /// The user that the token acts for.
    pub fn owner(&self) -> &OwnerId {
        &self.record.owner
    }

    /// The project that the token is for, and the only one that it may act in.
    pub fn project(&self) -> &ProjectId {
        &self.record.project
    }

    /// Project and public id, for logs and for the store.
    pub fn key(&self) -> TokenKey {
        self.record.key()
    }

    /// What its owner calls it.
    pub fn name(&self) -> &Name {
        &self.record.name
    }

    /// For a person or a service.
    pub fn kind(&self) -> TokenKind {
        self.record.kind
    }

    /// Everything it may do. Whether it may do more than the `Access` named: [`allows`](Self::allows).
    pub fn scopes(&self) -> &ScopeSet {
        &self.record.scopes
    }

    /// Whether it grants this scope too.
    pub fn allows(&self, scope: &Scope) -> bool {
        self.record.scopes.allows(scope)
    }

    /// The text that the host keeps beside it.
    pub fn metadata(&self) -> &Metadata {
        &self.record.metadata
    }

    /// Where it may be used from.
    pub fn addresses(&self) -> &AddressRanges {
        &self.record.addresses
    }

    /// When it expires; `None` is never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.record.expires_at
    }

    /// The last use before this one that was written, coarser than each use.
    pub fn last_used_at(&self) -> Option<Timestamp> {
        self.record.last_used_at
    }

    /// When it stops working: its expiry, or the end of its grace if that comes first.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.record.ends_at()
    }

    /// All that may be shown of it at `now`.
    pub fn view(&self, now: Timestamp) -> TokenView {
        self.record.view(now)
    }
}

impl<P> Clone for Verified<P> {
    fn clone(&self) -> Self {
        Self { record: Arc::clone(&self.record), demand: PhantomData }
    }
}

impl<P> fmt::Debug for Verified<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("token", &self.record.public_part()).finish_non_exhaustive()
    }
}

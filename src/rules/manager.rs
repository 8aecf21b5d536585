//! Tokens that manage tokens.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use super::address::AddressRanges;
use super::record::TokenRecord;
use super::scope::ScopeSet;
use crate::words::ids::ProjectId;
use crate::words::text::{Actor, OwnerId};
use crate::words::timestamp::Timestamp;

/// Proof that a verified token carries the scope for managing tokens, which the host names. From
/// [`Verified::manager`](crate::Verified::manager).
///
/// Tokens do not manage tokens otherwise. What one makes or rotates stays within it, when it is given to
/// [`NewToken::within`](crate::NewToken::within) or [`Rotation::within`](crate::Rotation::within): the same owner and
/// project, no scope and no address beyond its own, and an expiry no later than its own end.
///
/// ```
/// use std::sync::Arc;
/// use keyfob::{Manager, Rejection, Scope, TokenRecord, Verified};
///
/// fn manager(verified: &Verified, record: Arc<TokenRecord>) -> Result<Manager, Rejection> {
///     verified.manager(&Scope::new("tokens:manage").expect("is a scope"))
/// }
/// ```
///
/// A record alone makes none:
/// ```compile_fail,E0423
/// use std::sync::Arc;
/// use keyfob::{Manager, Rejection, Scope, TokenRecord, Verified};
///
/// fn manager(verified: &Verified, record: Arc<TokenRecord>) -> Result<Manager, Rejection> {
///     Ok(Manager(record))
/// }
/// ```
#[derive(Clone)]
pub struct Manager(Arc<TokenRecord>);

impl Manager {
    pub(super) fn new(record: Arc<TokenRecord>) -> Self {
        Self(record)
    }

    /// The token as an actor: `token ` and its public part.
    pub fn actor(&self) -> Actor {
        Actor::of_token(&self.0.public_part())
    }

    /// The user that it acts for, and that what it makes must belong to.
    pub fn owner(&self) -> &OwnerId {
        &self.0.owner
    }

    /// The project that it acts in.
    pub fn project(&self) -> &ProjectId {
        &self.0.project
    }

    /// Whether a token of these is within it.
    pub(super) fn admit(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        scopes: &ScopeSet,
        addresses: &AddressRanges,
    ) -> Result<(), WithinError> {
        if *project != self.0.project {
            Err(WithinError::Project)
        } else if *owner != self.0.owner {
            Err(WithinError::Owner)
        } else if !self.0.scopes.covers(scopes) {
            Err(WithinError::Scopes)
        } else if !self.0.addresses.covers(addresses) {
            Err(WithinError::Addresses)
        } else {
            Ok(())
        }
    }

    /// Whether a token that ends then does not outlive it.
    pub(super) fn admit_expiry(&self, expires_at: Option<Timestamp>) -> Result<(), WithinError> {
        match self.0.ends_at() {
            Some(end) if expires_at.is_none_or(|expires_at| expires_at > end) => Err(WithinError::Expiry),
            _ => Ok(()),
        }
    }

    /// The part of a lifetime from `now` on that ends with it.
    pub(super) fn shorten(&self, lifetime: Duration, now: Timestamp) -> Duration {
        self.0.ends_at().map_or(lifetime, |end| lifetime.min(end.saturating_since(now)))
    }

    pub(super) fn addresses(&self) -> &AddressRanges {
        &self.0.addresses
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Manager").field(&self.0.public_part()).finish()
    }
}

/// Where a token would go beyond the one that manages it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WithinError {
    /// Another project.
    Project,
    /// Another owner.
    Owner,
    /// A scope that it has not.
    Scopes,
    /// An address that it may not be used from.
    Addresses,
    /// It would live longer.
    Expiry,
}

impl fmt::Display for WithinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Project => "a token manages tokens of its own project only",
            Self::Owner => "a token manages tokens of its own owner only",
            Self::Scopes => "a token cannot give scopes that it has not",
            Self::Addresses => "a token cannot give addresses that it may not be used from",
            Self::Expiry => "a token cannot give a lifetime beyond its own",
        })
    }
}

impl core::error::Error for WithinError {}

//! What an error means.

use super::breach::PolicyBreach;
use super::outside_issuer::OutsideIssuer;
use super::status::Status;
use crate::words::invalid::Invalid;
use crate::words::rejection::Rejection;
use crate::words::timestamp::Timestamp;

/// What an [`Error`](crate::Error) means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A given value does not fit.
    Invalid(Invalid),
    /// The policy does not allow it. [`Error::bound`](crate::Error::bound) is the bound that was exceeded.
    Policy(PolicyBreach),
    /// The owner has as many live tokens in the project as the policy allows: [`Error::limit`](crate::Error::limit) of them.
    Limit,
    /// There is no such token. A token of another owner is none to an
    /// [owner-scoped handle](crate::tokens::OwnerTokens).
    NotFound,
    /// Concurrent calls changed the token all the time. The call may be repeated.
    Conflict,
    /// The token has ended, or would end by this change. To end a token, revoke it.
    Ended(Status),
    /// Only an active token can be rotated; this one is disabled, pending or not yet valid.
    Inactive(Status),
    /// The token was rotated already, and this call does not repeat that rotation.
    AlreadyRotated,
    /// The token's predecessor works until this time. End that grace period first: a chain of
    /// rotations has at most two working tokens.
    PredecessorInGrace(Timestamp),
    /// The token was never rotated, so it has no grace period.
    NotRotated,
    /// The token would be allowed more than before.
    Wider,
    /// A token asked for something beyond itself.
    OutsideIssuer(OutsideIssuer),
    /// The issuing token does not work any more, or may no longer issue tokens.
    IssuerEnded(Rejection),
    /// The presented token was rejected. Tell the outside no more than
    /// [`Challenge`](crate::Challenge) does.
    Rejected(Rejection),
    /// The keyring has no pepper, and the operation needs one.
    Unkeyed,
    /// The key still makes new tokens. Promote another key first.
    KeyMints,
    /// Live tokens still use the key.
    KeyInUse {
        /// How many.
        live: u64,
    },
    /// The random number generator failed.
    Rng,
    /// The store failed in some projects. [`Error::partial`](crate::Error::partial) names them.
    Partial,
    /// The store, or the question for the owner, failed and may be tried again.
    Unavailable,
    /// The store failed in another way: [`Error::store`](crate::Error::store) says how.
    Store,
}

//! The kinds of errors.

use super::breach::PolicyBreach;
use super::outside_issuer::OutsideIssuer;
use super::status::Status;
use crate::words::invalid::Invalid;
use crate::words::rejection::Rejection;
use crate::words::timestamp::Timestamp;

/// The kind of an [`Error`](crate::Error).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value from the caller is not valid.
    Invalid(Invalid),
    /// The policy does not allow the operation. [`Error::bound`](crate::Error::bound) returns the
    /// limit that was exceeded, if there is one.
    Policy(PolicyBreach),
    /// The owner, or the issuing token, has as many live tokens as the policy allows.
    /// [`Error::limit`](crate::Error::limit) returns that number.
    Limit,
    /// There is no such token. An [owner-scoped handle](crate::tokens::OwnerTokens) returns this
    /// for tokens of other owners too.
    NotFound,
    /// Concurrent calls kept changing the token or its issuer. The call can be repeated.
    Conflict,
    /// The token has ended, or would end by this change. To end a token, revoke it.
    Ended(Status),
    /// The token is disabled, pending or not yet valid. Only an active token can be rotated.
    Inactive(Status),
    /// The token was rotated already, and this call does not repeat that rotation.
    AlreadyRotated,
    /// The token's predecessor works until this time. End its grace period first: a family has at
    /// most two working tokens.
    PredecessorInGrace(Timestamp),
    /// The token was never rotated, so it has no grace period.
    NotRotated,
    /// The change would allow the token more than before.
    Wider,
    /// The operation exceeds what the issuing token may do.
    OutsideIssuer(OutsideIssuer),
    /// The issuing token no longer works, or may no longer issue tokens.
    IssuerEnded(Rejection),
    /// The presented token was rejected. Show outsiders no more than a
    /// [`Challenge`](crate::Challenge) does.
    Rejected(Rejection),
    /// The keyring has no pepper, and the operation needs one.
    Unkeyed,
    /// New tokens are issued under the key. Promote another key first.
    KeyMints,
    /// Live tokens still use the key.
    KeyInUse {
        /// The number of these tokens.
        live: u64,
    },
    /// The random number generator failed.
    Rng,
    /// The store failed in some projects. [`Error::partial`](crate::Error::partial) returns them.
    Partial,
    /// The store or the owner hook is unavailable. The call can be repeated.
    Unavailable,
    /// The store failed in another way. [`Error::store`](crate::Error::store) returns its error.
    Store,
}

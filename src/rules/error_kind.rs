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
    /// limit that the operation would break, if there is such a limit.
    Policy(PolicyBreach),
    /// The owner or the issuing token already has the maximum number of live tokens that the policy
    /// allows. [`Error::limit`](crate::Error::limit) returns this number, if it is known.
    Limit,
    /// The token does not exist. An [owner-scoped handle](crate::tokens::OwnerTokens) also returns
    /// this kind of error for tokens of other owners.
    NotFound,
    /// Concurrent calls kept changing the token or its issuer. The caller can repeat the call.
    Conflict,
    /// The token has ended, or the requested change would end it. The status says how the token has
    /// ended or would end. To end a token on purpose, revoke it.
    Ended(Status),
    /// The token is disabled, pending or not yet valid. Only an active token can be rotated.
    Inactive(Status),
    /// The token was already rotated, and this call is not a repeat of that rotation.
    AlreadyRotated,
    /// The token cannot be rotated yet, because its predecessor is still in a grace period. The
    /// grace period ends at the given time. To rotate the token now, end this period first.
    PredecessorInGrace(Timestamp),
    /// The token was never rotated, so it has no grace period.
    NotRotated,
    /// The change would give the token more scopes, more addresses or a later expiry.
    Wider,
    /// The operation would exceed the limits of the issuing token.
    OutsideIssuer(OutsideIssuer),
    /// The issuing token no longer works, or may no longer issue tokens.
    IssuerEnded(Rejection),
    /// The presented token was rejected for this reason. Do not show the reason to the client.
    /// Respond with a [`Challenge`](crate::Challenge), which reveals only as much as the client may
    /// know.
    Rejected(Rejection),
    /// The keyring has no pepper, and the operation needs one.
    Unkeyed,
    /// The keyring has a pepper, and the operation is only for keyrings without one.
    Keyed,
    /// The key cannot be retired, because the keyring still issues new tokens under this key.
    /// Promote another key first.
    KeyMints,
    /// The key cannot be retired, because live tokens still use this key.
    KeyInUse {
        /// The number of live tokens that use the key.
        live: u64,
    },
    /// The random number generator failed.
    Rng,
    /// The store failed in some projects. [`Error::partial`](crate::Error::partial) returns these
    /// projects.
    Partial,
    /// The store, or the hook for the state of owners, is unavailable. The caller can repeat the
    /// call.
    Unavailable,
    /// The store failed in another way. [`Error::store`](crate::Error::store) returns the store's
    /// error.
    Store,
}

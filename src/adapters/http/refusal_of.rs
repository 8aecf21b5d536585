//! Conversions from the crate's errors into refusals.

use super::refusal::Refusal;
use crate::rules::challenge::Challenge;
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::verify_error::VerifyError;
use crate::words::credential::HeaderError;
use crate::words::invalid::Invalid;
use crate::words::rejection::Rejection;
use crate::words::store_error::StoreError;

/// Converts the error of an operation into a refusal. So a handler that returns `Result<_,
/// Refusal>` can use `?` on the operations of the service. The detail of the refusal never contains
/// a token, an input value or a message of the engine.
///
/// | [`ErrorKind`] | status | reason |
/// |---|---|---|
/// | `Invalid` | 400 | `invalid` |
/// | `Policy`, `Wider`, `OutsideIssuer` | 422 | `policy`, `wider`, `outside_issuer` |
/// | `NotFound` | 404 | `not_found` |
/// | `Limit`, `Conflict`, `Ended`, `Inactive`, `AlreadyRotated`, `PredecessorInGrace`, `NotRotated`, `KeyMints`, `KeyInUse` | 409 | the kind in snake case |
/// | `IssuerEnded`, `Rejected` | as the [`Challenge`] of the rejection | |
/// | `Rng`, `Partial`, `Unavailable` | 503 | `unavailable` |
/// | `Store`, `Unkeyed`, `Keyed` | 500 | `internal` |
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (status, reason): (u16, _) = match error.kind() {
            ErrorKind::IssuerEnded(rejection) | ErrorKind::Rejected(rejection) => return rejection.into(),
            ErrorKind::Invalid(_) => (400, "invalid"),
            ErrorKind::Policy(_) => (422, "policy"),
            ErrorKind::Wider => (422, "wider"),
            ErrorKind::OutsideIssuer(_) => (422, "outside_issuer"),
            ErrorKind::NotFound => (404, "not_found"),
            ErrorKind::Limit => (409, "limit"),
            ErrorKind::Conflict => (409, "conflict"),
            ErrorKind::Ended(_) => (409, "ended"),
            ErrorKind::Inactive(_) => (409, "inactive"),
            ErrorKind::AlreadyRotated => (409, "already_rotated"),
            ErrorKind::PredecessorInGrace(_) => (409, "predecessor_in_grace"),
            ErrorKind::NotRotated => (409, "not_rotated"),
            ErrorKind::KeyMints => (409, "key_mints"),
            ErrorKind::KeyInUse { .. } => (409, "key_in_use"),
            ErrorKind::Rng | ErrorKind::Partial | ErrorKind::Unavailable => {
                return Self::fixed(503, "unavailable", "the service is unavailable; try again");
            }
            ErrorKind::Store | ErrorKind::Unkeyed | ErrorKind::Keyed => {
                return Self::fixed(500, "internal", "the service failed");
            }
        };
        Self::new(status, reason, error.to_string())
    }
}

impl From<StoreError> for Refusal {
    /// Converts the store error into an [`Error`], and that error into a refusal.
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<Invalid> for Refusal {
    /// Returns a refusal of status 400 with the reason `invalid`.
    fn from(invalid: Invalid) -> Self {
        Error::from(invalid).into()
    }
}

impl From<Rejection> for Refusal {
    /// Returns a refusal with the [`Challenge`] of the rejection. The realm in the challenge is
    /// empty.
    fn from(rejection: Rejection) -> Self {
        Self::challenge(Challenge::from(rejection), "")
    }
}

impl From<HeaderError> for Refusal {
    /// Returns a refusal with the [`Challenge`] of the error. The realm in the challenge is empty.
    fn from(error: HeaderError) -> Self {
        Self::challenge(Challenge::from(error), "")
    }
}

impl From<VerifyError> for Refusal {
    /// Returns a refusal with the [`Challenge`] of the error. The realm in the challenge is empty.
    /// The [cause](Self::cause) of the refusal is the error.
    fn from(error: VerifyError) -> Self {
        Self::challenge(error.challenge(), "").caused_by(error)
    }
}

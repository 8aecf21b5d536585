//! The error type of operations on tokens.

use core::fmt;
use core::time::Duration;

use super::breach::PolicyBreach;
use super::error_kind::ErrorKind;
use super::outside_issuer::OutsideIssuer;
use super::partial_failure::PartialFailure;
use crate::words::invalid::Invalid;
use crate::words::rng_error::RngError;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The error of the methods of [`Tokens`](crate::Tokens), and of the functions
/// [`mint`](crate::mint()) and [`rotate`](crate::rotation::rotate).
///
/// To handle the error, match on [`kind`](Self::kind), whose variants hold the details. `Display`
/// writes a message for the user who requested the operation. The message shows no input and no
/// part of a token. If the store failed, [`source`](core::error::Error::source) returns the cause,
/// for your logs.
///
/// ```
/// use keyfob::{Error, ErrorKind, policy::PolicyBreach};
///
/// fn status(error: &Error) -> u16 {
///     match error.kind() {
///         ErrorKind::Policy(PolicyBreach::TooLong) | ErrorKind::Invalid(_) => 422,
///         ErrorKind::Limit | ErrorKind::Conflict => 409,
///         ErrorKind::NotFound => 404,
///         ErrorKind::Unavailable => 503,
///         _ => 400,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    detail: Detail,
}

/// The details of an error that are not part of its [`ErrorKind`].
#[derive(Debug)]
enum Detail {
    None,
    /// The policy's limit that the operation would break.
    Bound(Duration),
    /// The maximum number of live tokens that the policy allows.
    Most(u64),
    Store(StoreError),
    Partial(Box<PartialFailure>, StoreError),
}

impl Error {
    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the maximum number of live tokens that the policy allows, if the error is an
    /// [`ErrorKind::Limit`] from issuing a token. If the new token would be bound to an issuer,
    /// this is the limit for the issuer. Otherwise, it is the limit for the owner in the project.
    /// `Display` shows this number too.
    pub fn limit(&self) -> Option<u64> {
        match self.detail {
            Detail::Most(most) => Some(most),
            _ => None,
        }
    }

    /// Returns the policy's limit that the operation would break, if the error is an
    /// [`ErrorKind::Policy`] about a lifetime or a grace period that is too long or too short.
    /// `Display` shows this limit too, in days or seconds.
    pub fn bound(&self) -> Option<Duration> {
        match self.detail {
            Detail::Bound(bound) => Some(bound),
            _ => None,
        }
    }

    /// Returns the error of the store, if the store failed. If the store failed in several projects
    /// ([`ErrorKind::Partial`]), returns the first error.
    pub fn store(&self) -> Option<&StoreError> {
        match &self.detail {
            Detail::Store(error) | Detail::Partial(_, error) => Some(error),
            Detail::None | Detail::Bound(_) | Detail::Most(_) => None,
        }
    }

    /// Returns the details of an [`ErrorKind::Partial`], such as the projects in which the store
    /// failed.
    pub fn partial(&self) -> Option<&PartialFailure> {
        match &self.detail {
            Detail::Partial(partial, _) => Some(partial),
            _ => None,
        }
    }

    pub(crate) fn beyond(breach: PolicyBreach, bound: Duration) -> Self {
        Self { kind: ErrorKind::Policy(breach), detail: Detail::Bound(bound) }
    }

    pub(crate) fn too_many(most: u64) -> Self {
        Self { kind: ErrorKind::Limit, detail: Detail::Most(most) }
    }

    pub(crate) fn partly(failure: PartialFailure, error: StoreError) -> Self {
        Self { kind: ErrorKind::Partial, detail: Detail::Partial(Box::new(failure), error) }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, detail: Detail::None }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Limit => ErrorKind::Limit,
            StoreErrorKind::Conflict | StoreErrorKind::IssuerChanged => ErrorKind::Conflict,
            StoreErrorKind::Unavailable => ErrorKind::Unavailable,
            StoreErrorKind::Corrupt | StoreErrorKind::Schema | StoreErrorKind::Other => ErrorKind::Store,
        };
        Self { kind, detail: Detail::Store(error) }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        ErrorKind::Invalid(invalid).into()
    }
}

impl From<PolicyBreach> for Error {
    fn from(breach: PolicyBreach) -> Self {
        ErrorKind::Policy(breach).into()
    }
}

impl From<OutsideIssuer> for Error {
    fn from(outside: OutsideIssuer) -> Self {
        ErrorKind::OutsideIssuer(outside).into()
    }
}

impl From<RngError> for Error {
    fn from(_: RngError) -> Self {
        ErrorKind::Rng.into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Detail::Bound(bound) => return within(f, self.kind, *bound),
            Detail::Most(most) => {
                return write!(f, "the limit of {most} live tokens is reached; revoke one first");
            }
            Detail::Store(error) => return error.fmt(f),
            Detail::Partial(partial, error) => return partial.describe(f, error),
            Detail::None => {}
        }
        f.write_str(match self.kind {
            ErrorKind::Invalid(invalid) => return invalid.fmt(f),
            ErrorKind::Policy(breach) => breach.refusal(),
            ErrorKind::Limit => "the limit of live tokens is reached; revoke one first",
            ErrorKind::NotFound => "there is no such token",
            ErrorKind::Conflict => "the token was changed at the same time; try again",
            ErrorKind::Ended(status) => return write!(f, "a token that is {status} cannot be changed"),
            ErrorKind::Inactive(status) => {
                return write!(f, "only an active token can be rotated; this one is {status}");
            }
            ErrorKind::AlreadyRotated => "the token was rotated already",
            ErrorKind::PredecessorInGrace(until) => {
                return write!(f, "the token that this one replaced works until {until}; end its grace period first");
            }
            ErrorKind::NotRotated => "the token was not rotated",
            ErrorKind::Wider => "a token can only be narrowed",
            ErrorKind::OutsideIssuer(outside) => outside.refusal(),
            ErrorKind::IssuerEnded(rejection) => {
                return write!(f, "the issuing token does not work any more: {rejection}");
            }
            ErrorKind::Rejected(_) => "the token is not valid",
            ErrorKind::Unkeyed => "the operation needs a keyring with a pepper",
            ErrorKind::Keyed => "the operation needs a keyring without a pepper",
            ErrorKind::KeyMints => "new tokens are still issued under this key; promote another key first",
            ErrorKind::KeyInUse { live } => return write!(f, "{live} live tokens still use this key"),
            ErrorKind::Rng => "the random number generator failed",
            ErrorKind::Partial => "the token store failed in some projects",
            ErrorKind::Unavailable => "the token store is unavailable",
            ErrorKind::Store => "the token store failed",
        })
    }
}

/// Writes a message that names the limit that a token would break. The limit is written in days if
/// it is a whole number of days, and otherwise in seconds.
fn within(f: &mut fmt::Formatter<'_>, kind: ErrorKind, bound: Duration) -> fmt::Result {
    const DAY: u64 = 24 * 60 * 60;
    let must = match kind {
        ErrorKind::Policy(PolicyBreach::TooShort) => "must live for at least",
        ErrorKind::Policy(PolicyBreach::GraceTooLong) => "may work after its rotation for at most",
        _ => "may live for at most",
    };
    match bound.as_secs() {
        days if days > 0 && days % DAY == 0 => write!(f, "a token {must} {} days", days / DAY),
        seconds => write!(f, "a token {must} {seconds} seconds"),
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.store().and_then(core::error::Error::source)
    }
}

#[cfg(test)]
mod tests {
    use core::error::Error as _;

    use super::*;
    use crate::rules::sample::at;
    use crate::rules::status::Status;
    use crate::words::invalid::{InvalidField, InvalidKind};
    use crate::words::rejection::Rejection;

    fn text(error: impl Into<Error>) -> String {
        error.into().to_string()
    }

    #[test]
    fn each_kind_has_a_message() {
        for (kind, sentence) in [
            (ErrorKind::Policy(PolicyBreach::TooLong), "the token would live too long"),
            (ErrorKind::Limit, "the limit of live tokens is reached; revoke one first"),
            (ErrorKind::NotFound, "there is no such token"),
            (ErrorKind::Conflict, "the token was changed at the same time; try again"),
            (ErrorKind::Ended(Status::Revoked), "a token that is revoked cannot be changed"),
            (ErrorKind::Inactive(Status::Pending), "only an active token can be rotated; this one is pending"),
            (ErrorKind::AlreadyRotated, "the token was rotated already"),
            (ErrorKind::NotRotated, "the token was not rotated"),
            (ErrorKind::Wider, "a token can only be narrowed"),
            (ErrorKind::OutsideIssuer(OutsideIssuer::Owner), "a token manages tokens of its own owner only"),
            (ErrorKind::Rejected(Rejection::Tag), "the token is not valid"),
            (ErrorKind::Unkeyed, "the operation needs a keyring with a pepper"),
            (ErrorKind::Keyed, "the operation needs a keyring without a pepper"),
            (ErrorKind::KeyMints, "new tokens are still issued under this key; promote another key first"),
            (ErrorKind::KeyInUse { live: 3 }, "3 live tokens still use this key"),
            (ErrorKind::Rng, "the random number generator failed"),
            (ErrorKind::Partial, "the token store failed in some projects"),
            (ErrorKind::Unavailable, "the token store is unavailable"),
            (ErrorKind::Store, "the token store failed"),
        ] {
            assert_eq!(text(kind), sentence);
            assert_eq!(Error::from(kind).kind(), kind);
        }
        let until = at(0);
        let sentence = text(ErrorKind::PredecessorInGrace(until));
        assert_eq!(
            sentence,
            format!("the token that this one replaced works until {until}; end its grace period first")
        );
        let ended = text(ErrorKind::IssuerEnded(Rejection::Revoked));
        assert_eq!(ended, format!("the issuing token does not work any more: {}", Rejection::Revoked));
    }

    #[test]
    fn each_cause_becomes_a_kind() {
        let invalid = Invalid::new(InvalidField::Name, InvalidKind::Empty);
        assert_eq!(Error::from(invalid).kind(), ErrorKind::Invalid(invalid));
        assert_eq!(text(invalid), invalid.to_string());
        assert_eq!(Error::from(PolicyBreach::Unused).kind(), ErrorKind::Policy(PolicyBreach::Unused));
        assert_eq!(Error::from(OutsideIssuer::Kind).kind(), ErrorKind::OutsideIssuer(OutsideIssuer::Kind));
        for (store, kind) in [
            (StoreErrorKind::Limit, ErrorKind::Limit),
            (StoreErrorKind::Conflict, ErrorKind::Conflict),
            (StoreErrorKind::IssuerChanged, ErrorKind::Conflict),
            (StoreErrorKind::Unavailable, ErrorKind::Unavailable),
            (StoreErrorKind::Corrupt, ErrorKind::Store),
            (StoreErrorKind::Schema, ErrorKind::Store),
            (StoreErrorKind::Other, ErrorKind::Store),
        ] {
            let error = Error::from(StoreError::new(store));
            assert_eq!((error.kind(), error.store().map(StoreError::kind)), (kind, Some(store)));
            assert_eq!(error.to_string(), StoreError::new(store).to_string());
        }
    }

    #[test]
    fn a_bound_of_whole_days_is_shown_in_days() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let bound = |breach, bound| {
            let error = Error::beyond(breach, bound);
            assert_eq!((error.kind(), error.bound()), (ErrorKind::Policy(breach), Some(bound)));
            error.to_string()
        };
        assert_eq!(bound(PolicyBreach::TooLong, DAY), "a token may live for at most 1 days");
        assert_eq!(bound(PolicyBreach::TooLong, 2 * DAY), "a token may live for at most 2 days");
        assert_eq!(bound(PolicyBreach::TooLong, Duration::ZERO), "a token may live for at most 0 seconds");
        let second = Duration::from_secs(1);
        assert_eq!(bound(PolicyBreach::TooShort, DAY + second), "a token must live for at least 86401 seconds");
        assert_eq!(bound(PolicyBreach::TooShort, DAY - second), "a token must live for at least 86399 seconds");
        let grace = bound(PolicyBreach::GraceTooLong, 30 * DAY);
        assert_eq!(grace, "a token may work after its rotation for at most 30 days");
        assert_eq!(Error::from(PolicyBreach::NeverExpires).bound(), None);
        assert_eq!(Error::from(StoreError::new(StoreErrorKind::Other)).bound(), None);
    }

    #[test]
    fn the_cause_of_the_store_is_the_source() {
        let error = Error::from(StoreError::with_source(StoreErrorKind::Other, "disk full"));
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("disk full"));
        assert!(Error::from(StoreError::new(StoreErrorKind::Other)).source().is_none());
        assert!(Error::from(ErrorKind::Limit).source().is_none());
    }
}

//! The error of a verification.

use core::error::Error;
use core::fmt;

use super::challenge::Challenge;
use crate::words::ids::{TokenId, TokenKey};
use crate::words::rejection::Rejection;
use crate::words::store_error::StoreError;

/// The error of a verification: the token was rejected, or could not be checked.
///
/// The `Display` text contains only what the client may know, so you may send it to the client.
/// [`rejection`](Self::rejection) returns the exact reason, for your logs.
#[derive(Debug)]
pub struct VerifyError {
    pub(crate) why: Why,
    pub(crate) key: Option<TokenKey>,
    pub(crate) successor: Option<TokenId>,
}

#[derive(Debug)]
pub(crate) enum Why {
    Rejected(Rejection),
    Unavailable(StoreError),
}

impl VerifyError {
    /// Returns the reason for which the token was rejected. Returns `None` if the store or the
    /// owners hook failed, so that the token was neither rejected nor accepted.
    pub fn rejection(&self) -> Option<Rejection> {
        match self.why {
            Why::Rejected(rejection) => Some(rejection),
            Why::Unavailable(_) => None,
        }
    }

    /// Returns the error of the store if the store failed. If the owners hook failed, returns an
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) error whose source is the error
    /// of the hook. Returns `None` if the token was rejected.
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.why {
            Why::Rejected(_) => None,
            Why::Unavailable(error) => Some(error),
        }
    }

    /// Returns the key of the presented token, for your logs. The key consists of the project and
    /// the id. Returns `None` if the text, key number or tag of the token is wrong. For the text of
    /// an imported token, returns `None` unless the token was found and its hash matches.
    pub fn key(&self) -> Option<TokenKey> {
        self.key
    }

    /// Returns the challenge for the HTTP response. It contains the status, the value of the header
    /// `WWW-Authenticate`, and a description.
    pub fn challenge(&self) -> Challenge {
        match self.why {
            Why::Rejected(rejection) => rejection.into(),
            Why::Unavailable(_) => Challenge::UNAVAILABLE,
        }
    }
}

impl From<Rejection> for Why {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<StoreError> for Why {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

/// Converts a rejection into an error, for a service that calls [`check`](crate::check()) itself.
impl From<Rejection> for VerifyError {
    fn from(rejection: Rejection) -> Self {
        Self { why: rejection.into(), key: None, successor: None }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.challenge().description())
    }
}

impl Error for VerifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.why {
            Why::Rejected(_) => None,
            Why::Unavailable(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::record;
    use crate::words::store_error::StoreErrorKind;

    #[test]
    fn a_rejection_displays_its_challenge() {
        let error = VerifyError { key: Some(record().key()), ..VerifyError::from(Rejection::Expired) };
        assert_eq!((error.rejection(), error.key()), (Some(Rejection::Expired), Some(record().key())));
        assert!(error.store_error().is_none() && error.source().is_none());
        assert_eq!(error.challenge(), Challenge::from(Rejection::Expired));
        assert_eq!(error.to_string(), "the token has expired");
        assert_eq!(VerifyError::from(Rejection::Tag).to_string(), "the token is not valid");
        assert_eq!(VerifyError::from(Rejection::Tag).key(), None);
    }

    #[test]
    fn a_store_failure_is_not_a_rejection() {
        let why = StoreError::new(StoreErrorKind::Unavailable).into();
        let error = VerifyError { why, key: None, successor: None };
        assert_eq!((error.rejection(), error.challenge()), (None, Challenge::UNAVAILABLE));
        assert_eq!(error.store_error().map(StoreError::kind), Some(StoreErrorKind::Unavailable));
        assert!(error.source().is_some());
    }
}

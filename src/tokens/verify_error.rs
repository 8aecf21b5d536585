//! Why a token was not verified.

use core::error::Error;
use core::fmt;

use crate::rules::challenge::Challenge;
use crate::words::ids::{TokenId, TokenKey};
use crate::words::rejection::Rejection;
use crate::words::store_error::StoreError;

/// Why a token was not verified. Display says what the outside may know; [`rejection`](Self::rejection) is for logs.
#[derive(Debug)]
pub struct VerifyError {
    pub(super) why: Why,
    pub(super) key: Option<TokenKey>,
    pub(super) successor: Option<TokenId>,
}

#[derive(Debug)]
pub(super) enum Why {
    Rejected(Rejection),
    Unavailable(StoreError),
}

impl VerifyError {
    /// Returns why the token was rejected; `None` if the store failed, which is neither a rejection nor a pass.
    pub fn rejection(&self) -> Option<Rejection> {
        match self.why {
            Why::Rejected(rejection) => Some(rejection),
            Why::Unavailable(_) => None,
        }
    }

    /// Returns the error of the store, or of the question for the owner, if one of them failed.
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.why {
            Why::Rejected(_) => None,
            Why::Unavailable(error) => Some(error),
        }
    }

    /// Returns the presented token's project and public id, for logs, if its text and tag are right.
    pub fn key(&self) -> Option<TokenKey> {
        self.key
    }

    /// Returns what to answer.
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

/// A refusal by a rule, for hosts that call [`check`](crate::check()) themselves.
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
    fn a_rejection_is_told_as_its_challenge() {
        let error = VerifyError { key: Some(record().key()), ..VerifyError::from(Rejection::Expired) };
        assert_eq!((error.rejection(), error.key()), (Some(Rejection::Expired), Some(record().key())));
        assert!(error.store_error().is_none() && error.source().is_none());
        assert_eq!(error.challenge(), Challenge::from(Rejection::Expired));
        assert_eq!(error.to_string(), "the token has expired");
        assert_eq!(VerifyError::from(Rejection::Tag).to_string(), "the token is not valid");
        assert_eq!(VerifyError::from(Rejection::Tag).key(), None);
    }

    #[test]
    fn a_failure_of_the_store_is_no_rejection() {
        let why = StoreError::new(StoreErrorKind::Unavailable).into();
        let error = VerifyError { why, key: None, successor: None };
        assert_eq!((error.rejection(), error.challenge()), (None, Challenge::UNAVAILABLE));
        assert_eq!(error.store_error().map(StoreError::kind), Some(StoreErrorKind::Unavailable));
        assert!(error.source().is_some());
    }
}

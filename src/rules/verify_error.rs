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
// Every verification returns this type in a `Result`, so it is small. The rejections of a text that
// was not looked up, which any client can cause, allocate nothing.
pub struct VerifyError(Repr);

enum Repr {
    /// The text was rejected, and has no key.
    Text(Rejection),
    Detailed(Box<Detail>),
}

#[derive(Debug)]
struct Detail {
    why: Why,
    key: Option<TokenKey>,
    /// The token that replaced the token by rotation.
    successor: Option<TokenId>,
}

#[derive(Debug)]
pub(crate) enum Why {
    Rejected(Rejection),
    Unavailable(StoreError),
}

impl VerifyError {
    /// Creates the error of a verification that knows the key of the token, or whose store failed.
    #[cold]
    pub(crate) fn new(why: impl Into<Why>, key: Option<TokenKey>, successor: Option<TokenId>) -> Self {
        Self(Repr::Detailed(Box::new(Detail { why: why.into(), key, successor })))
    }

    /// Returns the reason for which the token was rejected. Returns `None` if the store or the
    /// owners hook failed, so that the token was neither rejected nor accepted.
    pub fn rejection(&self) -> Option<Rejection> {
        match &self.0 {
            Repr::Text(rejection) => Some(*rejection),
            Repr::Detailed(detail) => match detail.why {
                Why::Rejected(rejection) => Some(rejection),
                Why::Unavailable(_) => None,
            },
        }
    }

    /// Returns the error of the store if the store failed. If the owners hook failed, returns an
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) error whose source is the error
    /// of the hook. Returns `None` if the token was rejected.
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.detail()?.why {
            Why::Rejected(_) => None,
            Why::Unavailable(error) => Some(error),
        }
    }

    /// Returns the key of the presented token, for your logs. The key consists of the project and
    /// the id. Returns `None` if the text, key number or tag of the token is wrong. For the text of
    /// an imported token, returns `None` unless the token was found and its hash matches.
    pub fn key(&self) -> Option<TokenKey> {
        self.detail()?.key
    }

    /// Returns the challenge for the HTTP response. It contains the status, the value of the header
    /// `WWW-Authenticate`, and a description.
    pub fn challenge(&self) -> Challenge {
        self.rejection().map_or(Challenge::UNAVAILABLE, Challenge::from)
    }

    pub(crate) fn successor(&self) -> Option<TokenId> {
        self.detail()?.successor
    }

    pub(crate) fn into_why(self) -> Why {
        match self.0 {
            Repr::Text(rejection) => Why::Rejected(rejection),
            Repr::Detailed(detail) => detail.why,
        }
    }

    fn detail(&self) -> Option<&Detail> {
        match &self.0 {
            Repr::Text(_) => None,
            Repr::Detailed(detail) => Some(detail),
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
        Self(Repr::Text(rejection))
    }
}

impl fmt::Debug for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error = f.debug_struct("VerifyError");
        match &self.0 {
            Repr::Text(rejection) => error.field("why", &Why::Rejected(*rejection)).finish(),
            Repr::Detailed(detail) => {
                let Detail { why, key, successor } = &**detail;
                error.field("why", why).field("key", key).field("successor", successor).finish()
            }
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.challenge().description())
    }
}

impl Error for VerifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.store_error().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::record;
    use crate::words::store_error::StoreErrorKind;

    #[test]
    fn a_rejection_displays_its_challenge() {
        let error = VerifyError::new(Rejection::Expired, Some(record().key()), None);
        assert_eq!((error.rejection(), error.key()), (Some(Rejection::Expired), Some(record().key())));
        assert!(error.store_error().is_none() && error.source().is_none());
        assert_eq!(error.challenge(), Challenge::from(Rejection::Expired));
        assert_eq!(error.to_string(), "the token has expired");
        assert_eq!(VerifyError::from(Rejection::Tag).to_string(), "the token is not valid");
        assert_eq!(VerifyError::from(Rejection::Tag).key(), None);
    }

    #[test]
    fn a_store_failure_is_not_a_rejection() {
        let error = VerifyError::new(StoreError::new(StoreErrorKind::Unavailable), None, None);
        assert_eq!((error.rejection(), error.challenge()), (None, Challenge::UNAVAILABLE));
        assert_eq!(error.store_error().map(StoreError::kind), Some(StoreErrorKind::Unavailable));
        assert!(error.source().is_some());
    }
}

//! What a store call can fail with.

use core::error::Error;
use core::fmt;

/// A store call that failed, by meaning, with the cause that the store's engine gave.
///
/// Display names the kind only; the cause is [`source`](Error::source), for logs. A store must put no token text into it,
/// which is easy, as it is never given one.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The meaning of a [`StoreError`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The row is not as the caller expected: the key exists, or the version is another. Read again, and decide anew.
    Conflict,
    /// The owner has as many live tokens as the caller allows.
    Limit,
    /// The issuing token is not as the caller judged it: it is missing, revoked or of another version. Read it again, and judge
    /// anew.
    IssuerChanged,
    /// The engine cannot be reached, is busy or timed out. The act may be tried again.
    Unavailable,
    /// A stored row does not fit its type.
    Corrupt,
    /// Anything else.
    Other,
}

impl StoreError {
    /// An error of this kind, without a cause.
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error of this kind, with its cause.
    pub fn with_source(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// What it means.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl From<StoreErrorKind> for StoreError {
    fn from(kind: StoreErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Conflict => "the stored token is not as expected",
            StoreErrorKind::IssuerChanged => "the issuing token is not as expected",
            StoreErrorKind::Limit => "the owner has too many live tokens",
            StoreErrorKind::Unavailable => "the token store is unavailable",
            StoreErrorKind::Corrupt => "the token store holds a corrupt row",
            StoreErrorKind::Other => "the token store failed",
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

//! The error of a store call.

use core::error::Error;
use core::fmt;

/// The error of a store call: its kind, and the cause from the store's engine.
///
/// Display shows only the kind. [`source`](Error::source) returns the cause, for logs. The cause
/// must not contain the text of a token.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kind of a [`StoreError`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The stored token is not as the caller expected: a record with the new token's key exists, or
    /// the version differs. Read the token again, and decide whether to repeat the operation.
    Conflict,
    /// The owner or the issuer already has as many live tokens as the caller allows.
    Limit,
    /// The issuer is not as the caller expected: it is missing, it is revoked, or its version
    /// differs. Read the issuer again, and decide whether to repeat the operation.
    IssuerChanged,
    /// The engine cannot be reached, is busy or timed out. The operation may be repeated.
    Unavailable,
    /// A value in a stored record does not fit its type.
    Corrupt,
    /// The database does not have the schema that the store needs, or its user lacks a privilege.
    /// Run the migrations of this version of keyfob.
    Schema,
    /// The store failed in another way.
    Other,
}

impl StoreError {
    /// Creates an error of this kind without a cause.
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Creates an error of this kind with a cause.
    pub fn with_source(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// Returns the kind of error.
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
            StoreErrorKind::Conflict => "the stored token already exists or has another version",
            StoreErrorKind::IssuerChanged => "the issuing token is missing, revoked or has another version",
            StoreErrorKind::Limit => "the owner has too many live tokens",
            StoreErrorKind::Unavailable => "the token store is unavailable",
            StoreErrorKind::Corrupt => "the token store holds a record that cannot be read",
            StoreErrorKind::Schema => "the database does not have the schema of the token store",
            StoreErrorKind::Other => "the token store failed",
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

//! What can be wrong with a value. No error echoes its input.

use core::fmt;

/// A value that does not fit its type. Says which and why, never what the value was.
///
/// ```
/// use keyfob::{ProjectId, error::{InvalidField, InvalidKind}};
///
/// let error = ProjectId::new("Not-A-Project").unwrap_err();
/// assert_eq!(error.field(), InvalidField::ProjectId);
/// assert_eq!(error.kind(), InvalidKind::Character);
/// assert_eq!(error.to_string(), "project id: a character that is not allowed there");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Invalid {
    field: InvalidField,
    kind: InvalidKind,
}

impl Invalid {
    pub(crate) const fn new(field: InvalidField, kind: InvalidKind) -> Self {
        Self { field, kind }
    }

    /// Which kind of value it was.
    pub const fn field(&self) -> InvalidField {
        self.field
    }

    /// What is wrong with it.
    pub const fn kind(&self) -> InvalidKind {
        self.kind
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self.field {
            InvalidField::Prefix => "prefix",
            InvalidField::ProjectId => "project id",
            InvalidField::TokenId => "token id",
            InvalidField::KeyNumber => "key number",
            InvalidField::KeyCheck => "key check value",
            InvalidField::Pepper => "pepper",
            InvalidField::Digest => "digest",
            InvalidField::Name => "name",
            InvalidField::FoldedName => "searched name",
            InvalidField::OwnerId => "owner id",
            InvalidField::Actor => "actor",
            InvalidField::Metadata => "metadata",
            InvalidField::RequestId => "request id",
            InvalidField::ClientText => "client text",
            InvalidField::NoticeLead => "notice lead",
            InvalidField::Scope => "scope",
            InvalidField::Scopes => "scopes",
            InvalidField::Address => "address range",
            InvalidField::Timestamp => "time",
            InvalidField::Cursor => "cursor",
            InvalidField::ImportDigest => "import hash",
            InvalidField::ImportShape => "import shape",
            InvalidField::ImportScheme => "import scheme",
            InvalidField::ImportBatch => "import batch",
            InvalidField::LeakReport => "leak report",
            InvalidField::GitHubKeys => "list of GitHub's keys",
            InvalidField::Word => "stored word",
        };
        write!(f, "{field}: ")?;
        match self.kind {
            InvalidKind::Empty => f.write_str("empty"),
            InvalidKind::TooShort { min } => write!(f, "shorter than {min}"),
            InvalidKind::TooLong { max } => write!(f, "longer than {max}"),
            InvalidKind::TooMany { max } => write!(f, "more than {max}"),
            InvalidKind::Character => f.write_str("a character that is not allowed there"),
            InvalidKind::Shape => f.write_str("not of the expected shape"),
            InvalidKind::OutOfRange => f.write_str("out of range"),
            InvalidKind::Duplicate => f.write_str("given twice"),
            InvalidKind::Weak => f.write_str("all bytes are equal"),
        }
    }
}

impl core::error::Error for Invalid {}

/// The kind of value that an [`Invalid`] speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the name of its type")]
pub enum InvalidField {
    Prefix,
    ProjectId,
    TokenId,
    KeyNumber,
    KeyCheck,
    Pepper,
    Digest,
    Name,
    FoldedName,
    OwnerId,
    Actor,
    Metadata,
    RequestId,
    ClientText,
    NoticeLead,
    Scope,
    Scopes,
    Address,
    Timestamp,
    Cursor,
    ImportDigest,
    ImportShape,
    ImportScheme,
    /// The tokens of one call of [`import`](crate::Tokens::import).
    ImportBatch,
    LeakReport,
    GitHubKeys,
    /// A kind, status, order or reason read back as text.
    Word,
}

/// What is wrong with a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidKind {
    /// Nothing is there, or only white space.
    Empty,
    /// Fewer characters (bytes for a pepper) than `min`.
    TooShort {
        /// The fewest that are allowed.
        min: usize,
    },
    /// More characters, bytes or items than `max`.
    TooLong {
        /// The most that are allowed.
        max: usize,
    },
    /// More entries than `max`.
    TooMany {
        /// The most that are allowed.
        max: usize,
    },
    /// A character outside the alphabet of the type.
    Character,
    /// The parts do not stand where they should.
    Shape,
    /// A number or a time outside what the type can hold.
    OutOfRange,
    /// The same key number, pepper or prefix twice in one keyring.
    Duplicate,
    /// A pepper of one repeated byte.
    Weak,
}

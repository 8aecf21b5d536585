//! The error for a value that does not fit its type. It never shows the value.

use core::fmt;

/// The error for a value that does not fit its type. The error names the type and the problem, and
/// never shows the value.
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

    /// Returns the kind of value that is invalid, such as a project id.
    pub const fn field(&self) -> InvalidField {
        self.field
    }

    /// Returns the problem with the value, such as a character that is not allowed.
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
            InvalidField::NoticeSchedule => "notice schedule",
            InvalidField::Scope => "scope",
            InvalidField::Scopes => "scopes",
            InvalidField::Address => "address range",
            InvalidField::Timestamp => "time",
            InvalidField::Cursor => "cursor",
            InvalidField::ImportDigest => "import hash",
            InvalidField::ImportShape => "import shape",
            InvalidField::ImportScheme => "import scheme",
            InvalidField::ImportPublicPart => "public part of an imported token",
            InvalidField::ImportBatch => "import batch",
            InvalidField::LeakReport => "leak report",
            InvalidField::GitHubKeys => "list of GitHub's keys",
            InvalidField::AuthScheme => "authorization scheme",
            InvalidField::HeaderName => "header name",
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
            InvalidKind::Undeclared => f.write_str("its function is not declared"),
            InvalidKind::TooCostly { max } => write!(f, "costs more than {max}"),
        }
    }
}

impl core::error::Error for Invalid {}

/// The kind of value that is invalid. Most kinds are named after the type of the value.
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
    NoticeSchedule,
    Scope,
    Scopes,
    Address,
    Timestamp,
    Cursor,
    ImportDigest,
    ImportShape,
    ImportScheme,
    /// The public part of an imported token with a salted hash
    /// ([`SaltedImport`](crate::import::SaltedImport)).
    ImportPublicPart,
    /// The list of tokens in one call of [`import`](crate::Tokens::import).
    ImportBatch,
    LeakReport,
    GitHubKeys,
    /// A text that should be the name of an enum variant, such as a kind, a status or a reason.
    AuthScheme,
    HeaderName,
    Word,
}

/// The problem with an invalid value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidKind {
    /// The value is empty, or consists of white space only.
    Empty,
    /// The value has fewer than `min` characters. For a pepper, `min` counts bytes.
    TooShort {
        /// The smallest length that is allowed.
        min: usize,
    },
    /// The value is longer than `max`. The type of the value determines whether `max` counts
    /// characters or bytes.
    TooLong {
        /// The largest length that is allowed.
        max: usize,
    },
    /// A list has more than `max` entries: scopes, addresses, lead times of a notice schedule, or
    /// tokens in an import or a leak report.
    TooMany {
        /// The largest number of entries that is allowed.
        max: usize,
    },
    /// A character is not allowed in a value of this type.
    Character,
    /// The value does not have the form that its type prescribes.
    Shape,
    /// A number or a time is outside the range of the type.
    OutOfRange,
    /// The value is given twice: a lead time in a notice schedule, or the public part of two
    /// imported tokens. Sets such as scopes and addresses drop duplicates instead. For duplicates
    /// in a keyring, keyfob returns a [`KeyringError`](crate::keys::KeyringError).
    Duplicate,
    /// All bytes of a pepper are equal.
    Weak,
    /// An import scheme names an algorithm that the [`Imports`](crate::import::Imports) do not
    /// declare.
    Undeclared,
    /// The parameters of an import scheme make its hash too slow.
    TooCostly {
        /// The highest cost that is declared, in the unit of the declaration.
        max: u64,
    },
}

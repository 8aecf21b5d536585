//! What can be wrong with a value, and why a token was refused. No error echoes its input.

use core::fmt;

/// A value that does not fit its type. Says which and why, never what the value was.
///
/// ```
/// use keyfob::{Field, Flaw, ProjectId};
///
/// let error = ProjectId::new("Not-A-Project").unwrap_err();
/// assert_eq!(error.field(), Field::ProjectId);
/// assert_eq!(error.flaw(), Flaw::Character);
/// assert_eq!(error.to_string(), "project id: a character that is not allowed there");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Invalid {
    field: Field,
    flaw: Flaw,
}

impl Invalid {
    pub(crate) const fn new(field: Field, flaw: Flaw) -> Self {
        Self { field, flaw }
    }

    /// Which kind of value it was.
    pub const fn field(&self) -> Field {
        self.field
    }

    /// What is wrong with it.
    pub const fn flaw(&self) -> Flaw {
        self.flaw
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self.field {
            Field::Prefix => "prefix",
            Field::ProjectId => "project id",
            Field::TokenId => "token id",
            Field::KeyNumber => "key number",
            Field::KeyCheck => "key check value",
            Field::Pepper => "pepper",
            Field::Digest => "digest",
            Field::Name => "name",
            Field::FoldedName => "searched name",
            Field::OwnerId => "owner id",
            Field::Actor => "actor",
            Field::Metadata => "metadata",
            Field::RequestId => "request id",
            Field::Scope => "scope",
            Field::Scopes => "scopes",
            Field::Address => "address range",
            Field::Timestamp => "time",
            Field::Cursor => "cursor",
            Field::ForeignDigest => "foreign hash",
            Field::ForeignShape => "foreign shape",
            Field::Word => "stored word",
        };
        write!(f, "{field}: ")?;
        match self.flaw {
            Flaw::Empty => f.write_str("empty"),
            Flaw::TooShort { min } => write!(f, "shorter than {min}"),
            Flaw::TooLong { max } => write!(f, "longer than {max}"),
            Flaw::Character => f.write_str("a character that is not allowed there"),
            Flaw::Shape => f.write_str("not of the expected shape"),
            Flaw::OutOfRange => f.write_str("out of range"),
            Flaw::Duplicate => f.write_str("given twice"),
            Flaw::Weak => f.write_str("all bytes are equal"),
        }
    }
}

impl core::error::Error for Invalid {}

/// The kind of value that an [`Invalid`] speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the name of its type")]
pub enum Field {
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
    Scope,
    Scopes,
    Address,
    Timestamp,
    Cursor,
    ForeignDigest,
    ForeignShape,
    /// A kind, status, order or reason read back as text.
    Word,
}

/// What is wrong with a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Flaw {
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

/// Why a token was refused: rich, for logs, events and tests.
///
/// Variants stand in the order of the checks. Up to [`Tag`](Self::Tag) the text alone decides and no
/// store is asked; up to [`Digest`](Self::Digest) the outside learns only "invalid token"; after it the
/// holder has proved itself and may be told (see [`Challenge`](crate::Challenge)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// Fewer than 72 or more than 121 bytes.
    Length,
    /// A byte outside ASCII.
    NotAscii,
    /// None of the prefixes that the keyring accepts.
    Prefix,
    /// A separator, the alphabet or the length of a part is wrong.
    Shape,
    /// The public CRC-32 does not fit: a typing or copying error.
    Checksum,
    /// A token without a pepper, at a verifier that has one.
    Unkeyed,
    /// A key number that the keyring does not hold.
    UnknownKey,
    /// The keyed tag does not fit: forged, or made under another pepper.
    Tag,
    /// No such token in the store.
    Unknown,
    /// The secret is not the one that was issued under this id.
    Digest,
    /// Revoked.
    Revoked,
    /// Past its expiry.
    Expired,
    /// Rotated, and the grace time is over.
    Rotated,
    /// Never confirmed within the time for it.
    Lapsed,
    /// Disabled for now.
    Disabled,
    /// Issued but not yet confirmed.
    Pending,
    /// Not valid yet.
    NotYetValid,
    /// Outside what the policy allows today.
    Policy,
    /// The owner is suspended or gone.
    OwnerSuspended,
    /// The owner is not in the token's project any more.
    OwnerOutsideProject,
    /// For another project.
    Project,
    /// From an address that the token does not allow.
    Address,
    /// Lacks a scope that the request needs.
    Scope,
}

/// How far a token came before it was refused.
enum Reached {
    Text,
    Store,
    Proof,
}

impl Rejection {
    /// Returns true if the text alone decided, before any store was asked.
    pub const fn is_before_store(self) -> bool {
        matches!(self.reached(), Reached::Text)
    }

    /// Returns true if the presenter has proved to hold the token, so that the reason may be told
    /// to it.
    pub const fn is_after_proof(self) -> bool {
        matches!(self.reached(), Reached::Proof)
    }

    /// Names every variant, so that a new one does not compile until it is decided what the outside
    /// may learn of it.
    const fn reached(self) -> Reached {
        match self {
            Self::Length
            | Self::NotAscii
            | Self::Prefix
            | Self::Shape
            | Self::Checksum
            | Self::Unkeyed
            | Self::UnknownKey
            | Self::Tag => Reached::Text,
            Self::Unknown | Self::Digest => Reached::Store,
            Self::Revoked
            | Self::Expired
            | Self::Rotated
            | Self::Lapsed
            | Self::Disabled
            | Self::Pending
            | Self::NotYetValid
            | Self::Policy
            | Self::OwnerSuspended
            | Self::OwnerOutsideProject
            | Self::Project
            | Self::Address
            | Self::Scope => Reached::Proof,
        }
    }
}

word_type!(Rejection {
    Length = "length",
    NotAscii = "not_ascii",
    Prefix = "prefix",
    Shape = "shape",
    Checksum = "checksum",
    Unkeyed = "unkeyed",
    UnknownKey = "unknown_key",
    Tag = "tag",
    Unknown = "unknown",
    Digest = "digest",
    Revoked = "revoked",
    Expired = "expired",
    Rotated = "rotated",
    Lapsed = "lapsed",
    Disabled = "disabled",
    Pending = "pending",
    NotYetValid = "not_yet_valid",
    Policy = "policy",
    OwnerSuspended = "owner_suspended",
    OwnerOutsideProject = "owner_outside_project",
    Project = "project",
    Address = "address",
    Scope = "scope",
});

impl core::error::Error for Rejection {}

/// The random number generator failed. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RngError;

impl fmt::Display for RngError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the random number generator failed")
    }
}

impl core::error::Error for RngError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_digest_stand_between_the_text_and_the_proof() {
        let at = |found: Rejection| Rejection::ALL.iter().position(|rejection| *rejection == found).unwrap();
        for (place, rejection) in Rejection::ALL.iter().enumerate() {
            assert_eq!(rejection.is_before_store(), place < at(Rejection::Unknown), "{rejection}");
            assert_eq!(rejection.is_after_proof(), place > at(Rejection::Digest), "{rejection}");
        }
        assert_eq!(
            (at(Rejection::Tag) + 1, at(Rejection::Unknown) + 1),
            (at(Rejection::Unknown), at(Rejection::Digest))
        );
    }
}

//! Why a token was refused.

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
    /// The token that it is bound to, or one further up, has ended, is disabled or is outside the policy.
    IssuerEnded,
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
            | Self::IssuerEnded
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
    IssuerEnded = "issuer_ended",
    OwnerSuspended = "owner_suspended",
    OwnerOutsideProject = "owner_outside_project",
    Project = "project",
    Address = "address",
    Scope = "scope",
});

impl core::error::Error for Rejection {}

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

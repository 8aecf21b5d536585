//! The reasons for rejecting a token.

/// The detailed reason for rejecting a token, for logs, events and tests.
///
/// The variants are in the order of the checks:
/// - From [`Length`](Self::Length) to [`Tag`](Self::Tag), the text of the token is rejected without
///   a store call. The response says only "invalid token".
/// - [`Unknown`](Self::Unknown) and [`Digest`](Self::Digest) are found after a store call. The
///   response still says only "invalid token".
/// - From [`Revoked`](Self::Revoked) on, the caller has proved that it holds the token. The
///   response may name the reason (see [`Challenge`](crate::Challenge)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// The text has fewer than 72 or more than 121 bytes.
    Length,
    /// The text has a byte outside ASCII.
    NotAscii,
    /// The text does not start with a prefix that the keyring accepts.
    Prefix,
    /// A separator, a character or the length of a part is wrong.
    Shape,
    /// The CRC-32 is wrong. The usual cause is a typing or copying error.
    Checksum,
    /// The token was issued without a pepper, and the keyring requires one.
    Unkeyed,
    /// The keyring does not hold the key whose number is in the token's id.
    UnknownKey,
    /// The keyed tag is wrong: the token is forged, or was issued under another pepper.
    Tag,
    /// The store has no token with this project and id.
    Unknown,
    /// The secret differs from the secret that was issued with this id.
    Digest,
    /// The token is revoked.
    Revoked,
    /// The token is expired.
    Expired,
    /// The token was rotated, and its grace period is over.
    Rotated,
    /// The token was not confirmed in time.
    Lapsed,
    /// The token is disabled. It can be enabled again.
    Disabled,
    /// The token was issued, but is not confirmed yet.
    Pending,
    /// The token is not valid yet.
    NotYetValid,
    /// The current policy does not allow the token, or the token has more issuers in its chain than
    /// the policy allows.
    Policy,
    /// The issuer of the token, or an issuer further up the chain, does not work. For example, that
    /// issuer has ended, is disabled, is missing, or is not allowed by the policy.
    IssuerEnded,
    /// The owner is suspended or no longer exists.
    OwnerSuspended,
    /// The owner is no longer in the token's project.
    OwnerOutsideProject,
    /// The token is for another project.
    Project,
    /// The token does not allow the address of the client.
    Address,
    /// The token lacks a scope that the request needs.
    Scope,
}

/// The stage at which a token is rejected.
enum Reached {
    Text,
    Store,
    Proof,
}

impl Rejection {
    /// Returns whether the token was rejected by its text alone, without a store call.
    pub const fn is_before_store(self) -> bool {
        matches!(self.reached(), Reached::Text)
    }

    /// Returns whether the token was rejected after the caller proved that it holds the token. Only
    /// then may the response name the reason.
    pub const fn is_after_proof(self) -> bool {
        matches!(self.reached(), Reached::Proof)
    }

    /// Returns the stage of a rejection.
    ///
    /// The match names every variant, so that the author of a new variant must decide how much the
    /// response may reveal.
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

/// A rejection, as the steps of a verification return it to each other. A `Result` with an error of
/// one byte is written in parts of a word, and reading the whole word after that stalls the
/// processor.
pub(crate) type Refused = &'static Rejection;

impl Rejection {
    /// Returns the rejection as an error of a step of a verification.
    #[cold]
    pub(crate) fn refused(self) -> Refused {
        &Self::ALL[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_digest_are_between_the_text_and_the_proof() {
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

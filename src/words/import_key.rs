//! The key by which the store finds an imported token.

use super::digest::Digest;
use super::invalid::{Invalid, InvalidField, InvalidKind};

/// The look-up key of an imported token. It is a MAC of the hash from the old system, so the store
/// does not need to keep this hash. For a token with a salted hash, it is a MAC of the public part
/// of the token's text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportKey([u8; 32]);

impl ImportKey {
    /// Creates a look-up key from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the key, for a store to write.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the look-up key of an imported token that is found by this digest.
    pub(crate) const fn of(digest: &Digest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl core::fmt::Debug for ImportKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ImportKey(..)")
    }
}

impl TryFrom<&[u8]> for ImportKey {
    type Error = Invalid;

    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(Invalid::new(InvalidField::Digest, InvalidKind::Shape)),
        }
    }
}

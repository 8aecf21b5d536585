//! The pepper: the secret of the server.

use core::fmt;

use zeroize::Zeroizing;

use super::invalid::{Invalid, InvalidField, InvalidKind};
#[cfg(feature = "os-rng")]
use super::keyring_error::KeyringError;

/// The secret of the server, from which the digest of every token is computed. The pepper is never
/// in the store.
///
/// **Keep the pepper apart from the database, and back it up.** If it is lost, no token that was
/// issued with it can be verified again.
///
/// Create a pepper with [`generate`](Self::generate), which draws 32 random bytes, and do not make
/// one up. Every token contains 64 bits that depend on the pepper. With one token, a user can
/// therefore test guesses of the pepper offline.
///
/// Debug shows no byte of the pepper. There is no Display, Clone or Serialize, and the memory of a
/// pepper is wiped when it is dropped.
pub struct Pepper(Zeroizing<Vec<u8>>);

impl Pepper {
    /// The minimum number of bytes in a pepper.
    pub const MIN_BYTES: usize = 32;
    /// The maximum number of bytes in a pepper.
    pub const MAX_BYTES: usize = 1024;

    /// Creates a pepper of 32 random bytes from the operating system.
    ///
    /// # Errors
    /// Returns [`KeyringError::Rng`] if the operating system returns no random bytes.
    #[cfg(feature = "os-rng")]
    pub fn generate() -> Result<Self, KeyringError> {
        let mut bytes = Zeroizing::new(vec![0; Self::MIN_BYTES]);
        rand_core::TryRng::try_fill_bytes(&mut getrandom::SysRng, &mut bytes).map_err(|_| KeyringError::Rng)?;
        Ok(Self(bytes))
    }

    /// Creates a pepper from its stored bytes. All bytes belong to the pepper, including a line
    /// break at the end.
    ///
    /// # Errors
    /// Returns [`Invalid`] if there are fewer than 32 or more than 1,024 bytes, or if all bytes are
    /// equal.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Invalid> {
        let bytes = Zeroizing::new(bytes);
        let flaw = if bytes.len() < Self::MIN_BYTES {
            InvalidKind::TooShort { min: Self::MIN_BYTES }
        } else if bytes.len() > Self::MAX_BYTES {
            InvalidKind::TooLong { max: Self::MAX_BYTES }
        } else if bytes.iter().all(|byte| *byte == bytes[0]) {
            // HMAC pads a key with zeros, so up to 64 zeros are the same key as the empty pepper of
            // key 0.
            InvalidKind::Weak
        } else {
            return Ok(Self(bytes));
        };
        Err(Invalid::new(InvalidField::Pepper, flaw))
    }

    /// Returns the bytes of the pepper. Keep them in a secret store, or in a file that only the
    /// service can read.
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(len: usize) -> Vec<u8> {
        (0..len).map(|at| at as u8).collect()
    }

    #[test]
    fn lengths_at_each_bound() {
        let flaw = |len| Pepper::new(counting(len)).err().map(|invalid| invalid.kind());
        assert_eq!(flaw(0), Some(InvalidKind::TooShort { min: 32 }));
        assert_eq!(flaw(31), Some(InvalidKind::TooShort { min: 32 }));
        assert_eq!(flaw(32), None);
        assert_eq!(flaw(1024), None);
        assert_eq!(flaw(1025), Some(InvalidKind::TooLong { max: 1024 }));
    }

    #[test]
    fn one_repeated_byte_is_weak() {
        assert_eq!(Pepper::new(vec![0; 32]).unwrap_err().kind(), InvalidKind::Weak);
        assert_eq!(Pepper::new(vec![b'x'; 64]).unwrap_err().kind(), InvalidKind::Weak);
    }

    #[cfg(feature = "os-rng")]
    #[test]
    fn generated_peppers_differ() {
        let (a, b) = (Pepper::generate().unwrap(), Pepper::generate().unwrap());
        assert_ne!(a.expose_secret(), b.expose_secret());
        assert_eq!(a.expose_secret().len(), 32);
    }
}

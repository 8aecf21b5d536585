//! The server's secret.

use core::fmt;

use rand_core::TryRng;
use zeroize::Zeroizing;

use super::invalid::{Invalid, InvalidField, InvalidKind};
use super::keyring_error::KeyringError;

/// A server secret, which never stands in the store: 32 bytes from the generator.
///
/// **Keep it, keep it apart from the database, and back it up**: without it no token made with it verifies again.
/// Every token carries 64 bits that depend on it, so a pepper from a person's head could be guessed offline
/// by any one user; [`generate`](Self::generate) makes a good one.
///
/// Debug shows nothing, there is no Display, Clone or Serialize, and the memory is wiped when it is dropped.
pub struct Pepper(Zeroizing<Vec<u8>>);

impl Pepper {
    /// The fewest bytes of a pepper.
    pub const MIN_BYTES: usize = 32;
    /// The most bytes of a pepper.
    pub const MAX_BYTES: usize = 1024;

    /// 32 random bytes from the operating system.
    ///
    /// # Errors
    /// Returns [`KeyringError::Rng`] if the operating system gives no randomness.
    pub fn generate() -> Result<Self, KeyringError> {
        let mut bytes = Zeroizing::new(vec![0; Self::MIN_BYTES]);
        getrandom::SysRng.try_fill_bytes(&mut bytes).map_err(|_| KeyringError::Rng)?;
        Ok(Self(bytes))
    }

    /// A pepper of these bytes, as they were kept: all of them count, a line break at the end too.
    ///
    /// # Errors
    /// [`Invalid`] for fewer than 32 or more than 1,024 bytes, or where all bytes are equal.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Invalid> {
        let bytes = Zeroizing::new(bytes);
        let flaw = if bytes.len() < Self::MIN_BYTES {
            InvalidKind::TooShort { min: Self::MIN_BYTES }
        } else if bytes.len() > Self::MAX_BYTES {
            InvalidKind::TooLong { max: Self::MAX_BYTES }
        } else if bytes.iter().all(|byte| *byte == bytes[0]) {
            // All zeros would equal the empty pepper of key 0 under HMAC.
            InvalidKind::Weak
        } else {
            return Ok(Self(bytes));
        };
        Err(Invalid::new(InvalidField::Pepper, flaw))
    }

    /// The bytes, to be kept in a secret store or a file that only the service may read.
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

    #[test]
    fn generated_ones_differ() {
        let (a, b) = (Pepper::generate().unwrap(), Pepper::generate().unwrap());
        assert_ne!(a.expose_secret(), b.expose_secret());
        assert_eq!(a.expose_secret().len(), 32);
    }
}

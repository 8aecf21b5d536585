//! The check value of a pepper, by which a process detects that it holds the wrong pepper.

use core::fmt;

use hmac::Mac;
use subtle::ConstantTimeEq;

use super::hmac::keyed;
use super::invalid::{Invalid, InvalidField, InvalidKind};

/// The check value of a pepper: the first 16 bytes of `HMAC-SHA-256(pepper, "keyfob/1 key check")`.
/// It identifies the pepper without revealing the pepper.
///
/// A service that starts with a wrong pepper rejects every token that it has issued, as if each
/// were forged. To detect a wrong pepper at start-up, store the check value of each key beside the
/// tokens, and call [`compare_key_checks`](crate::Keyring::compare_key_checks).
///
/// The check value reveals nothing about a pepper from a random number generator. Still, keep it
/// out of logs, because an attacker could use it to test guesses of a weak pepper. Debug shows no
/// byte of the check value, and there is no Display:
/// ```compile_fail,E0277
/// # use keyfob::keys::KeyCheck;
/// println!("{}", KeyCheck::from_bytes([7; 16]));
/// ```
/// [`ct_eq`](Self::ct_eq) compares two check values in constant time. There is no `==`:
/// ```compile_fail,E0369
/// # use keyfob::keys::KeyCheck;
/// assert!(KeyCheck::from_bytes([7; 16]) == KeyCheck::from_bytes([7; 16]));
/// ```
#[derive(Clone, Copy)]
pub struct KeyCheck([u8; 16]);

impl KeyCheck {
    /// Computes the check value of a pepper.
    pub(super) fn of(pepper: &[u8]) -> Self {
        let mut mac = keyed(pepper);
        // No subkey is derived from the same input. The input of a subkey is "keyfob/1 " and a
        // prefix, and a prefix has no space.
        mac.update(b"keyfob/1 key check");
        let mac = mac.finalize().into_bytes();
        Self(core::array::from_fn(|at| mac[at]))
    }

    /// Creates a check value from the stored bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes that your service stores.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns whether both values are equal, in a time that does not depend on their bytes.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCheck(..)")
    }
}

impl TryFrom<&[u8]> for KeyCheck {
    type Error = Invalid;

    /// Creates a check value from the stored bytes.
    ///
    /// # Errors
    /// Returns [`Invalid`] if there are not exactly 16 bytes.
    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(Invalid::new(InvalidField::KeyCheck, InvalidKind::Shape)),
        }
    }
}

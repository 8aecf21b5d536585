//! Whether a process holds the peppers that the stored tokens were made with.

use core::fmt;

use hmac::Mac;
use subtle::ConstantTimeEq;

use super::hmac::keyed;
use super::invalid::{Invalid, InvalidField, InvalidKind};

/// What a pepper is known by without being shown: the first 16 bytes of `HMAC-SHA-256(pepper,
/// "keyfob/1 key check")`.
///
/// A service that starts with another pepper than before refuses every token it has issued, each
/// with the answer that a forged one gets. So store the value of each key beside the tokens, and
/// have the ring [compare](crate::Keyring::compare_key_checks) at each start. The value tells nothing of a
/// pepper from the generator; yet keep it out of logs, as whoever guesses at peppers could test
/// them against it. Debug shows nothing of it, and there is no Display:
/// ```compile_fail,E0277
/// # use keyfob::keys::KeyCheck;
/// println!("{}", KeyCheck::from_bytes([7; 16]));
/// ```
/// Values are compared by [`ct_eq`](Self::ct_eq), in constant time, and there is no `==`:
/// ```compile_fail,E0369
/// # use keyfob::keys::KeyCheck;
/// assert!(KeyCheck::from_bytes([7; 16]) == KeyCheck::from_bytes([7; 16]));
/// ```
#[derive(Clone, Copy)]
pub struct KeyCheck([u8; 16]);

impl KeyCheck {
    /// Computes the value of a pepper.
    pub(super) fn of(pepper: &[u8]) -> Self {
        let mut mac = keyed(pepper);
        // The second space keeps it apart from the subkey of every prefix, "keyfob/1 " and the
        // prefix.
        mac.update(b"keyfob/1 key check");
        let mac = mac.finalize().into_bytes();
        Self(core::array::from_fn(|at| mac[at]))
    }

    /// Takes the bytes that were stored.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for the host to store.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns whether both are the same, in a time that does not depend on their bytes.
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

    /// # Errors
    /// Returns [`Invalid`] if there are not 16 bytes.
    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(Invalid::new(InvalidField::KeyCheck, InvalidKind::Shape)),
        }
    }
}

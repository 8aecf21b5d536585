//! The proof that a key is no longer used.

use super::ids::KeyNumber;

/// The proof that no live token uses a key any more. [`Keyring::without`](crate::Keyring::without)
/// requires this proof to remove the key.
///
/// [`Tokens::retire_key`](crate::Tokens::retire_key) and
/// [`Tokens::retire_key_by_force`](crate::Tokens::retire_key_by_force) return the proof:
///
/// ```
/// use keyfob::{Keyring, MemoryStore, Tokens};
/// use keyfob::Error;
/// use keyfob::keys::{KeyNumber, RetiredKey};
///
/// async fn retired(
///     tokens: &Tokens<MemoryStore>,
///     number: KeyNumber,
/// ) -> Result<RetiredKey, Error> {
///     tokens.retire_key(number).await
/// }
/// ```
///
/// Other code cannot create the proof:
/// ```compile_fail,E0423
/// use keyfob::{Keyring, MemoryStore, Tokens};
/// use keyfob::Error;
/// use keyfob::keys::{KeyNumber, RetiredKey};
///
/// async fn retired(
///     tokens: &Tokens<MemoryStore>,
///     number: KeyNumber,
/// ) -> Result<RetiredKey, Error> {
///     Ok(RetiredKey(number))
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetiredKey(KeyNumber);

impl RetiredKey {
    pub(crate) const fn new(number: KeyNumber) -> Self {
        Self(number)
    }

    /// Returns the number of the key.
    pub const fn number(&self) -> KeyNumber {
        self.0
    }
}

//! The error type of operations on peppers and keyrings.

use core::fmt;

use super::ids::{KeyNumber, Prefix};
use super::invalid::Invalid;
use super::rng_error::RngError;

/// The reason why a pepper or the text of a token could not be created, or why a
/// [`Keyring`](crate::Keyring) could not be built, changed or checked.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KeyringError {
    /// A prefix, a pepper or a key number is not valid. keyfob itself never returns this variant.
    /// If a function of your service reads these values, builds a keyring and returns a
    /// [`KeyringError`], the operator `?` converts an [`Invalid`] into this variant.
    Invalid(Invalid),
    /// Two peppers have this key number.
    DuplicateNumber(KeyNumber),
    /// A pepper has key number 0, which is reserved for tokens without a pepper.
    UnkeyedNumber,
    /// The peppers of these two keys are equal, or HMAC cannot tell them apart.
    DuplicatePepper(KeyNumber, KeyNumber),
    /// This prefix is given twice.
    DuplicatePrefix(Prefix),
    /// All peppers are verify-only, so new tokens would be issued without a pepper.
    NoMintingPepper,
    /// The keyring does not hold this key, so the key cannot be promoted.
    NotHeld(KeyNumber),
    /// This key is the key for new tokens, so it cannot be removed.
    Minting(KeyNumber),
    /// The keyring has the wrong peppers for these keys: the check values of the peppers differ
    /// from the stored check values. The keys are sorted by number.
    WrongPepper(Vec<KeyNumber>),
    /// The random number generator failed, so no pepper or text of a token was created.
    Rng,
}

impl From<Invalid> for KeyringError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<RngError> for KeyringError {
    fn from(_: RngError) -> Self {
        Self::Rng
    }
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::DuplicateNumber(number) => write!(f, "two peppers have the key number {number}"),
            Self::UnkeyedNumber => {
                f.write_str("key number 0 means a token without a pepper (number the peppers from 1)")
            }
            Self::DuplicatePepper(first, second) => write!(f, "the peppers of keys {first} and {second} are the same"),
            Self::DuplicatePrefix(prefix) => write!(f, "the prefix {prefix} is given twice"),
            Self::NoMintingPepper => f.write_str("all peppers are verify-only (add one for new tokens with mint_with)"),
            Self::NotHeld(number) => write!(f, "the keyring does not hold key {number}"),
            Self::Minting(number) => write!(f, "key {number} is the key for new tokens (promote another key first)"),
            Self::WrongPepper(numbers) => {
                for (at, number) in numbers.iter().enumerate() {
                    let before = if at == 0 { "wrong pepper for key " } else { ", " };
                    write!(f, "{before}{number}")?;
                }
                f.write_str(
                    ": the stored check value was made with another pepper (restore the right pepper from its back-up)",
                )
            }
            Self::Rng => f.write_str("the random number generator failed"),
        }
    }
}

impl core::error::Error for KeyringError {}

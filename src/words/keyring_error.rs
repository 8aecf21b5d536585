//! What is wrong with a set of keys.

use core::fmt;

use super::ids::{KeyNumber, Prefix};
use super::invalid::Invalid;
use super::rng_error::RngError;

/// What is wrong with the keys of a [`Keyring`](crate::Keyring).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KeyringError {
    /// A prefix, a pepper or a key number does not fit its type, for functions that read them and build a keyring.
    Invalid(Invalid),
    /// Two peppers have this number.
    DuplicateNumber(KeyNumber),
    /// A pepper has number 0, which stands for tokens without one.
    UnkeyedNumber,
    /// The peppers of these two numbers are the same, or HMAC cannot tell them apart.
    DuplicatePepper(KeyNumber, KeyNumber),
    /// This prefix is given twice.
    DuplicatePrefix(Prefix),
    /// There are peppers to verify with and none to mint with, so tokens would be made without one.
    NoMintingPepper,
    /// The keyring does not hold this key, so it cannot be promoted.
    NotHeld(KeyNumber),
    /// This key makes new tokens, so it cannot be taken out.
    Minting(KeyNumber),
    /// The stored check values of these keys, the lowest first, were made with other peppers.
    WrongPepper(Vec<KeyNumber>),
    /// The operating system gave no randomness for a new pepper.
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
                f.write_str("key number 0 stands for tokens without a pepper; number peppers from 1")
            }
            Self::DuplicatePepper(first, second) => write!(f, "the peppers of keys {first} and {second} are the same"),
            Self::DuplicatePrefix(prefix) => write!(f, "the prefix {prefix} is given twice"),
            Self::NoMintingPepper => f.write_str("no pepper to mint with beside those to verify with"),
            Self::NotHeld(number) => write!(f, "the keyring does not hold key {number}"),
            Self::Minting(number) => write!(f, "key {number} makes new tokens; promote another key first"),
            Self::WrongPepper(numbers) => {
                for (at, number) in numbers.iter().enumerate() {
                    let before = if at == 0 { "wrong pepper for key " } else { ", " };
                    write!(f, "{before}{number}")?;
                }
                f.write_str(
                    ": its stored check value was made with another one (restore the right pepper from its back-up)",
                )
            }
            Self::Rng => f.write_str("the random number generator failed"),
        }
    }
}

impl core::error::Error for KeyringError {}

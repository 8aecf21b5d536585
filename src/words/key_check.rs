//! Whether a process holds the peppers that the stored tokens were made with.

use core::fmt;

use hmac::Mac;
use subtle::ConstantTimeEq;

use super::error::{Field, Flaw, Invalid};
use super::hmac::keyed;
use super::ids::KeyNumber;
use super::keyring::Keyring;

/// What a pepper is known by without being shown: the first 16 bytes of `HMAC-SHA-256(pepper,
/// "keyfob/1 key check")`.
///
/// A service that starts with another pepper than before refuses every token it has issued, each
/// with the answer that a forged one gets. So store the value of each key beside the tokens, and
/// have the ring [compare](Keyring::compare_key_checks) at each start. The value tells nothing of a
/// pepper from the generator; yet keep it out of logs, as whoever guesses at peppers could test
/// them against it. Debug shows nothing of it, and there is no Display:
/// ```compile_fail,E0277
/// # use keyfob::KeyCheck;
/// println!("{}", KeyCheck::from_bytes([7; 16]));
/// ```
/// Values are compared by [`ct_eq`](Self::ct_eq), in constant time, and there is no `==`:
/// ```compile_fail,E0369
/// # use keyfob::KeyCheck;
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
            Err(_) => Err(Invalid::new(Field::KeyCheck, Flaw::Shape)),
        }
    }
}

impl Keyring {
    /// Returns the check value of each pepper of the ring with its key number, the lowest number
    /// first. Key 0 has none.
    pub fn key_checks(&self) -> impl Iterator<Item = (KeyNumber, KeyCheck)> {
        self.checks.iter().copied()
    }

    /// Compares the check values that the host has stored with those of this ring. Call it before
    /// the service accepts its first request.
    ///
    /// 1. Read what is stored, and compare. On an error do not start.
    /// 2. If a value is [new](ComparedKeys::new) and the store has tokens, log a warning: this start cannot be checked.
    ///    Then insert what is new, and **never overwrite** a value that is there.
    /// 3. If anything was inserted, read and compare again: of two processes that start for the
    ///    first time with different peppers, one inserts, and the other finds out here.
    ///
    /// # Errors
    /// Returns [`WrongPepper`] if the value of a key in the ring differs from the stored one.
    ///
    /// ```
    /// use keyfob::{KeyCheck, KeyNumber, Keyring, Pepper, Prefix};
    /// # use std::collections::BTreeMap;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // A table of the host: the number of a key, and 16 bytes.
    /// let mut table: BTreeMap<u8, [u8; 16]> = BTreeMap::new();
    /// let stored = |table: &BTreeMap<u8, [u8; 16]>| {
    ///     let row = |(number, bytes): (&u8, &[u8; 16])| Ok((KeyNumber::new(*number)?, KeyCheck::from_bytes(*bytes)));
    ///     table.iter().map(row).collect::<Result<Vec<_>, keyfob::Invalid>>()
    /// };
    ///
    /// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?)?;
    /// for (number, check) in keyring.compare_key_checks(stored(&table)?)?.new {
    ///     table.entry(number.get()).or_insert(*check.as_bytes());
    /// }
    /// assert!(keyring.compare_key_checks(stored(&table)?)?.new.is_empty());
    ///
    /// let other = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?)?;
    /// let error = other.compare_key_checks(stored(&table)?).unwrap_err();
    /// assert_eq!(error.numbers(), [KeyNumber::FIRST]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn compare_key_checks(
        &self,
        stored: impl IntoIterator<Item = (KeyNumber, KeyCheck)>,
    ) -> Result<ComparedKeys, WrongPepper> {
        let (mut numbers, mut absent, mut new) = (Vec::new(), Vec::new(), self.checks.clone());
        for (number, stored) in stored {
            match self.checks.iter().find(|(held, _)| *held == number) {
                Some((_, check)) if !check.ct_eq(&stored) => numbers.push(number),
                Some(_) => new.retain(|(held, _)| *held != number),
                None => absent.push(number),
            }
        }
        for numbers in [&mut numbers, &mut absent] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        if numbers.is_empty() { Ok(ComparedKeys { new, absent }) } else { Err(WrongPepper { numbers }) }
    }
}

/// How the keys of a ring compare with the stored check values, none of which differs. From
/// [`Keyring::compare_key_checks`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ComparedKeys {
    /// Keys of the ring that no value is stored for, each with the value to store. Beside tokens
    /// that were made with such a key before, this start could not be checked.
    pub new: Vec<(KeyNumber, KeyCheck)>,
    /// Keys that a value is stored for and that the ring lacks. Their tokens are refused by this
    /// process. A key that was [retired](crate::Tokens::retire_key) may lack; delete its value
    /// then.
    pub absent: Vec<KeyNumber>,
}

/// Peppers of a ring are not the ones that the stored check values were made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrongPepper {
    numbers: Vec<KeyNumber>,
}

impl WrongPepper {
    /// Returns the numbers of the keys whose value differs, the lowest first.
    pub fn numbers(&self) -> &[KeyNumber] {
        &self.numbers
    }
}

impl fmt::Display for WrongPepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.numbers.iter().enumerate() {
            let before = if at == 0 { "wrong pepper for key " } else { ", " };
            write!(f, "{before}{number}")?;
        }
        f.write_str(": its stored check value was made with another one (restore the right pepper from its back-up)")
    }
}

impl core::error::Error for WrongPepper {}

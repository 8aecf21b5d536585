//! Comparing a keyring with the check values that were stored.

use super::ids::KeyNumber;
use super::key_check::KeyCheck;
use super::keyring::Keyring;
use super::keyring_error::KeyringError;

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
    /// Returns [`KeyringError::WrongPepper`] if the value of a key in the ring differs from the stored one.
    ///
    /// ```
    /// use keyfob::{Keyring, Pepper, Prefix, keys::{KeyCheck, KeyNumber, KeyringError}};
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
    /// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    /// for (number, check) in keyring.compare_key_checks(stored(&table)?)?.new {
    ///     table.entry(number.get()).or_insert(*check.as_bytes());
    /// }
    /// assert!(keyring.compare_key_checks(stored(&table)?)?.new.is_empty());
    ///
    /// let other = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    /// let error = other.compare_key_checks(stored(&table)?).unwrap_err();
    /// assert_eq!(error, KeyringError::WrongPepper(vec![KeyNumber::FIRST]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn compare_key_checks(
        &self,
        stored: impl IntoIterator<Item = (KeyNumber, KeyCheck)>,
    ) -> Result<ComparedKeys, KeyringError> {
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
        if numbers.is_empty() { Ok(ComparedKeys { new, absent }) } else { Err(KeyringError::WrongPepper(numbers)) }
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

//! Compares the peppers of a keyring with the check values that the service has stored.

use super::ids::KeyNumber;
use super::key_check::KeyCheck;
use super::keyring::Keyring;
use super::keyring_error::KeyringError;

impl Keyring {
    /// Returns the key number and the check value of each pepper in the keyring, sorted by key
    /// number. Key 0 has no pepper and therefore no check value.
    pub fn key_checks(&self) -> impl Iterator<Item = (KeyNumber, KeyCheck)> {
        self.checks.iter().copied()
    }

    /// Compares the check values that your service has stored with the check values of this
    /// keyring.
    ///
    /// Do these steps before the service accepts its first request. The [guide] explains each step
    /// under the same number:
    /// 1. Read the stored values, and call this method. If it returns an error, do not start the
    ///    service.
    /// 2. If the result has [absent](ComparedKeys::absent) keys, do not start the service either.
    ///    Add the missing peppers to the keyring. If a key was retired, delete its stored value
    ///    instead.
    /// 3. If the result has [new](ComparedKeys::new) values and the store already has tokens, log a
    ///    warning that the peppers of the new values could not be checked.
    /// 4. If the result has new values, insert them. **Never overwrite** a stored value. Then read
    ///    the stored values, and call this method again. If two processes start at the same time
    ///    with different peppers, only one of them can insert its value. In the other process,
    ///    this second call returns the error.
    ///
    /// [guide]: crate::guide::operations#check-the-pepper-at-each-start
    ///
    /// # Errors
    /// Returns [`KeyringError::WrongPepper`] if the check value of a key in the keyring differs
    /// from the stored value of the same key.
    ///
    /// ```
    /// use keyfob::{Keyring, Pepper, Prefix, keys::{KeyCheck, KeyNumber, KeyringError}};
    /// # use std::collections::BTreeMap;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // A table of your service, with a key number and 16 bytes in each row.
    /// let mut table: BTreeMap<u8, [u8; 16]> = BTreeMap::new();
    /// let stored = |table: &BTreeMap<u8, [u8; 16]>| {
    ///     let row = |(number, bytes): (&u8, &[u8; 16])| {
    ///         Ok((KeyNumber::new(*number)?, KeyCheck::from_bytes(*bytes)))
    ///     };
    ///     table.iter().map(row).collect::<Result<Vec<_>, keyfob::Invalid>>()
    /// };
    ///
    /// // The table is still empty, so no stored key can be absent from the keyring.
    /// // This example therefore leaves out step 2.
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

/// The result of [`Keyring::compare_key_checks`]: the keys that have no stored check value, and the
/// keys that are missing from the keyring. For all other keys, the stored value equals the check
/// value of the pepper.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ComparedKeys {
    /// The keys of the keyring that have no stored check value yet, each with the value to store.
    /// The pepper of such a key could not be checked.
    pub new: Vec<(KeyNumber, KeyCheck)>,
    /// The keys that have a stored check value but are missing from the keyring. A process with
    /// this keyring rejects the tokens of these keys, so do not start it. If a key was
    /// [retired](crate::Tokens::retire_key), delete the stored value of that key.
    pub absent: Vec<KeyNumber>,
}

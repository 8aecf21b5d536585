//! The keyring: the peppers of a process, prepared to compute digests.

use core::fmt;

use zeroize::Zeroizing;

use super::digest::Digest;
use super::format::TokenText;
use super::ids::{KeyNumber, Prefix, ProjectId, TokenId};
use super::import_mac::ImportMac;
use super::key_check::KeyCheck;
use super::keyring_error::KeyringError;
use super::pepper::Pepper;
use super::rejection::{Refused, Rejection};
use super::retired_key::RetiredKey;
use super::subkey::{Subkey, subkey};

/// The keys with which a process issues and verifies tokens of one or more prefixes.
///
/// New tokens get one of the keys. All other keys only verify tokens. The key of a token never
/// changes, and the token's id contains the number of the key. To rotate a pepper:
/// 1. Add the new pepper as verify-only in every process.
/// 2. [Promote](Self::promoted) the new pepper to the key for new tokens in every process.
/// 3. When no live token uses the old key, [retire](crate::Tokens::retire_key) the old key.
/// 4. [Remove](Self::without) the old key in every process.
///
/// A keyring with a pepper rejects tokens without a pepper, and tokens of unknown keys. See
/// [`Keyring::builder`] for other choices.
///
/// ```
/// use keyfob::{Keyring, Pepper, Prefix, keys::KeyNumber};
///
/// let prefix = Prefix::new("acme_pat")?;
/// // Generate a pepper only at the first start. Store it, and read it at later starts.
/// let pepper = Pepper::generate()?;
/// let keyring = Keyring::new(prefix, pepper);
/// assert_eq!(keyring.minting_key(), KeyNumber::FIRST);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Keyring {
    /// The accepted prefixes. The first one is for new tokens.
    prefixes: Vec<Prefix>,
    minting: Subkey,
    /// The subkeys of all prefixes and keys, including the key for new tokens.
    verifying: Vec<Subkey>,
    /// The keys for the MACs of imported tokens, one for each key. The key for new tokens is first.
    importing: Vec<ImportMac>,
    /// The check value of each pepper, sorted by key number.
    pub(super) checks: Vec<(KeyNumber, KeyCheck)>,
}

impl Keyring {
    /// Creates a keyring with one prefix and one pepper, which becomes key 1.
    pub fn new(prefix: Prefix, pepper: Pepper) -> Self {
        let built = Self::builder(prefix).mint_with(KeyNumber::FIRST, pepper).build();
        built.expect("one prefix and one pepper cannot contradict each other")
    }

    /// Creates a keyring without a pepper.
    ///
    /// Tokens without a pepper are as hard to guess as tokens with one. However, rejecting a forged
    /// token can take a store call, and an attacker that can write to the store can forge tokens.
    pub fn unkeyed(prefix: Prefix) -> Self {
        let minting = Subkey::new(prefix, KeyNumber::UNKEYED, &[]);
        let verifying = vec![minting.clone()];
        let importing = vec![ImportMac::new(KeyNumber::UNKEYED, &[])];
        Self { prefixes: vec![prefix], verifying, minting, importing, checks: Vec::new() }
    }

    /// Returns a builder for a keyring with several peppers or prefixes, or with unkeyed tokens.
    pub fn builder(prefix: Prefix) -> KeyringBuilder {
        KeyringBuilder { prefixes: vec![prefix], minting: KeyNumber::UNKEYED, peppers: Vec::new(), unkeyed: false }
    }

    /// Returns the prefix of new tokens.
    pub fn prefix(&self) -> Prefix {
        self.prefixes[0]
    }

    /// Returns all prefixes that the keyring accepts. The first one is the prefix of new tokens.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// Returns the number of the key for new tokens.
    pub fn minting_key(&self) -> KeyNumber {
        self.minting.number
    }

    /// Returns whether the keyring verifies tokens of this key.
    pub fn holds(&self, number: KeyNumber) -> bool {
        self.verifying.iter().any(|subkey| subkey.number == number)
    }

    /// Returns the keyring with its key `number` as the key for new tokens.
    ///
    /// Call this method after every process has the key `number` in its keyring.
    ///
    /// # Errors
    /// Returns [`KeyringError::NotHeld`] if the keyring does not hold the key.
    pub fn promoted(mut self, number: KeyNumber) -> Result<Self, KeyringError> {
        let minting = self.verifying.iter().find(|subkey| subkey.number == number && subkey.prefix == self.prefixes[0]);
        let minting = minting.cloned().ok_or(KeyringError::NotHeld(number))?;
        self.importing.sort_by_key(|mac| mac.number() != number);
        Ok(Self { minting, ..self })
    }

    /// Returns the keyring without a key that was [retired](crate::Tokens::retire_key).
    ///
    /// # Errors
    /// Returns [`KeyringError::Minting`] if the retired key is the key for new tokens.
    pub fn without(mut self, retired: RetiredKey) -> Result<Self, KeyringError> {
        if self.minting.number == retired.number() {
            return Err(KeyringError::Minting(retired.number()));
        }
        self.verifying.retain(|subkey| subkey.number != retired.number());
        self.importing.retain(|mac| mac.number() != retired.number());
        self.checks.retain(|(number, _)| *number != retired.number());
        Ok(self)
    }

    /// Returns the MAC of a token's text. The prefix and the key number in the text determine the
    /// key of the MAC. The first character of the id encodes the key number.
    ///
    /// Most services call [`PresentedToken::parse`](crate::PresentedToken::parse), which also
    /// checks the tag. A caller of this method compares the MAC with the tag by
    /// [`TokenText::has_tag_of`], and with a stored digest by [`Digest::ct_eq`].
    ///
    /// The running time depends only on the prefix, the id and the project, which are public. The
    /// running time does not depend on the secret or the pepper.
    ///
    /// # Errors
    /// If the keyring does not hold the key of the token, returns [`Rejection::Unkeyed`] for key
    /// number 0, and [`Rejection::UnknownKey`] for any other key number.
    pub fn digest(&self, text: &TokenText<'_>) -> Result<Digest, Rejection> {
        self.subkey_of(text).map(|subkey| subkey.digest_of(text)).map_err(|refused| *refused)
    }

    #[inline(always)]
    pub(super) fn subkey_of(&self, text: &TokenText<'_>) -> Result<&Subkey, Refused> {
        let number = KeyNumber::of_digit(text.handle()[0]);
        let is_it = |subkey: &&Subkey| subkey.number == number && text.has_prefix(&subkey.prefix);
        match self.verifying.iter().find(is_it) {
            Some(subkey) => Ok(subkey),
            None if number == KeyNumber::UNKEYED => Err(&Rejection::Unkeyed),
            None => Err(&Rejection::UnknownKey),
        }
    }

    /// Returns the MAC of a new token's parts. The first character of the id must be the number of
    /// the key for new tokens.
    pub(crate) fn minting_digest(&self, project: &ProjectId, id: &TokenId, secret: &[u8; 33]) -> Digest {
        self.minting.digest(id.as_bytes(), secret, project.padded())
    }

    /// Returns the keys for the MACs of imported tokens. The key for new tokens is first.
    pub(crate) fn import_macs(&self) -> impl Iterator<Item = &ImportMac> {
        self.importing.iter()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers =
            self.verifying.iter().map(|subkey| subkey.number.get()).collect::<std::collections::BTreeSet<_>>();
        f.debug_struct("Keyring")
            .field("prefixes", &self.prefixes)
            .field("minting", &self.minting.number)
            .field("keys", &numbers)
            .finish_non_exhaustive()
    }
}

/// A builder for a [`Keyring`] with several peppers or prefixes. [`Keyring::builder`] creates it.
#[must_use]
pub struct KeyringBuilder {
    prefixes: Vec<Prefix>,
    minting: KeyNumber,
    peppers: Vec<(KeyNumber, Pepper)>,
    unkeyed: bool,
}

impl KeyringBuilder {
    /// Adds the pepper for new tokens. The pepper also verifies tokens. If you call this method
    /// several times, the last pepper is for new tokens, and the others only verify tokens.
    pub fn mint_with(mut self, number: KeyNumber, pepper: Pepper) -> Self {
        self.minting = number;
        self.peppers.push((number, pepper));
        self
    }

    /// Adds a pepper that only verifies tokens: an old one, or a new one that is not promoted yet.
    pub fn verify_with(mut self, number: KeyNumber, pepper: Pepper) -> Self {
        self.peppers.push((number, pepper));
        self
    }

    /// Accepts tokens with one more prefix. Use this method while a service changes its prefix.
    pub fn accept_prefix(mut self, prefix: Prefix) -> Self {
        self.prefixes.push(prefix);
        self
    }

    /// Accepts unkeyed tokens too: tokens without a pepper. Use this method while a service changes
    /// to its first pepper. A store call can then be necessary to reject a forged unkeyed token.
    pub fn accept_unkeyed_for_migration(mut self) -> Self {
        self.unkeyed = true;
        self
    }

    /// Builds the keyring. Without a pepper, the keyring issues and verifies unkeyed tokens.
    ///
    /// # Errors
    /// Returns [`KeyringError`] if a prefix, a key number or a pepper is given twice, if HMAC
    /// cannot tell two peppers apart, if a pepper has key number 0, or if all peppers are
    /// verify-only.
    pub fn build(self) -> Result<Keyring, KeyringError> {
        let first = self.prefixes[0];
        let mut peppers: Vec<(KeyNumber, &[u8])> = Vec::new();
        let mut seen: Vec<(KeyNumber, Zeroizing<[u8; 32]>)> = vec![(KeyNumber::UNKEYED, subkey(&[], first))];
        for (number, pepper) in &self.peppers {
            if *number == KeyNumber::UNKEYED {
                return Err(KeyringError::UnkeyedNumber);
            }
            if peppers.iter().any(|(other, _)| other == number) {
                return Err(KeyringError::DuplicateNumber(*number));
            }
            // HMAC pads a key with zeros, so peppers are compared by the subkeys derived from them.
            let derived = subkey(pepper.expose_secret(), first);
            let same = |other: &Zeroizing<[u8; 32]>| Digest::from_bytes(**other).ct_eq(&Digest::from_bytes(*derived));
            if let Some((other, _)) = seen.iter().find(|(_, other)| same(other)) {
                return Err(KeyringError::DuplicatePepper(*other, *number));
            }
            seen.push((*number, derived));
            peppers.push((*number, pepper.expose_secret()));
        }
        let repeated = |at: usize| self.prefixes[..at].contains(&self.prefixes[at]);
        if let Some(at) = (1..self.prefixes.len()).find(|at| repeated(*at)) {
            return Err(KeyringError::DuplicatePrefix(self.prefixes[at]));
        }
        let mut checks: Vec<_> = peppers.iter().map(|(number, pepper)| (*number, KeyCheck::of(pepper))).collect();
        checks.sort_by_key(|(number, _)| *number);
        if self.unkeyed || peppers.is_empty() {
            peppers.push((KeyNumber::UNKEYED, &[]));
        }
        let mut importing: Vec<_> = peppers.iter().map(|(number, pepper)| ImportMac::new(*number, pepper)).collect();
        importing.sort_by_key(|mac| mac.number() != self.minting);
        let subkeys = |prefix: &Prefix| {
            let prefix = *prefix;
            let subkeys = peppers.iter().map(move |(number, pepper)| Subkey::new(prefix, *number, pepper));
            subkeys.collect::<Vec<_>>()
        };
        let verifying: Vec<Subkey> = self.prefixes.iter().flat_map(subkeys).collect();
        // If all peppers are verify-only, the service would silently issue unkeyed tokens.
        let unaware = self.minting == KeyNumber::UNKEYED && !self.peppers.is_empty();
        let minting = verifying.iter().find(|subkey| subkey.number == self.minting && !unaware).cloned();
        let minting = minting.ok_or(KeyringError::NoMintingPepper)?;
        Ok(Keyring { prefixes: self.prefixes, minting, verifying, importing, checks })
    }
}

impl fmt::Debug for KeyringBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringBuilder").field("prefixes", &self.prefixes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix() -> Prefix {
        Prefix::new("acme_pat").unwrap()
    }

    fn pepper(seed: u8) -> Pepper {
        Pepper::new((0..32).map(|at| seed.wrapping_add(at)).collect()).unwrap()
    }

    fn key(number: u8) -> KeyNumber {
        KeyNumber::new(number).unwrap()
    }

    #[track_caller]
    fn refused(builder: KeyringBuilder, error: KeyringError) {
        assert_eq!(builder.build().unwrap_err(), error);
    }

    #[test]
    fn each_contradiction_has_an_error_of_its_own() {
        let builder = || Keyring::builder(prefix());
        let one = || builder().mint_with(key(1), pepper(1));
        refused(builder().mint_with(key(0), pepper(1)), KeyringError::UnkeyedNumber);
        refused(one().verify_with(key(1), pepper(2)), KeyringError::DuplicateNumber(key(1)));
        refused(one().verify_with(key(2), pepper(1)), KeyringError::DuplicatePepper(key(1), key(2)));
        refused(builder().verify_with(key(1), pepper(1)), KeyringError::NoMintingPepper);
        refused(builder().accept_prefix(prefix()), KeyringError::DuplicatePrefix(prefix()));
        assert_eq!(one().build().unwrap().promoted(key(2)).unwrap_err(), KeyringError::NotHeld(key(2)));
        let minting = one().build().unwrap().without(RetiredKey::new(key(1)));
        assert_eq!(minting.unwrap_err(), KeyringError::Minting(key(1)));
    }

    #[test]
    fn peppers_that_hmac_cannot_tell_apart_are_one() {
        let mut padded = pepper(1).expose_secret().to_vec();
        padded.push(0);
        let padded = Pepper::new(padded).unwrap();
        let builder = Keyring::builder(prefix()).mint_with(key(1), pepper(1)).verify_with(key(2), padded);
        refused(builder, KeyringError::DuplicatePepper(key(1), key(2)));
    }

    #[test]
    fn unkeyed_tokens_need_their_own_switch_beside_a_pepper() {
        let keyed = || Keyring::builder(prefix()).mint_with(key(1), pepper(1));
        assert!(!keyed().build().unwrap().holds(key(0)));
        assert!(keyed().accept_unkeyed_for_migration().build().unwrap().holds(key(0)));
        assert!(Keyring::unkeyed(prefix()).holds(key(0)));
        assert!(Keyring::builder(prefix()).build().unwrap().holds(key(0)));
    }

    #[test]
    fn the_last_minting_key_counts() {
        let keyring =
            Keyring::builder(prefix()).mint_with(key(1), pepper(1)).mint_with(key(2), pepper(2)).build().unwrap();
        assert_eq!(keyring.minting_key(), key(2));
        assert!(keyring.holds(key(1)) && keyring.holds(key(2)) && !keyring.holds(key(3)));
    }

    #[test]
    fn imports_are_under_each_key_and_the_minting_one_is_first() {
        let numbers = |keyring: &Keyring| keyring.import_macs().map(ImportMac::number).collect::<Vec<_>>();
        let builder = || Keyring::builder(prefix()).verify_with(key(1), pepper(1));
        let promoted = || builder().mint_with(key(2), pepper(2)).verify_with(key(3), pepper(3));
        assert_eq!(numbers(&promoted().build().unwrap()), [key(2), key(1), key(3)], "none without a pepper");
        let migrating = promoted().accept_unkeyed_for_migration().build().unwrap();
        assert_eq!(numbers(&migrating), [key(2), key(1), key(3), key(0)]);
        assert_eq!(numbers(&Keyring::unkeyed(prefix())), [key(0)]);
        // The MAC under one pepper does not depend on which pepper is for new tokens.
        let of = |keyring: &Keyring, at: usize| keyring.import_macs().nth(at).unwrap().look_up("old");
        assert_eq!(of(&Keyring::new(prefix(), pepper(1)), 0), of(&migrating, 1));
        let without = promoted().build().unwrap().promoted(key(3)).unwrap().without(RetiredKey::new(key(2)));
        assert_eq!(numbers(&without.unwrap()), [key(3), key(1)]);
    }
}

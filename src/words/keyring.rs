//! The peppers a process holds, ready for use.

use core::fmt;

use hmac::Mac;
use zeroize::Zeroizing;

use super::digest::Digest;
use super::error::{Field, Flaw, Invalid, Rejection};
use super::format::TokenText;
use super::hmac::{PreparedHmac, keyed};
use super::ids::{KeyNumber, Prefix, ProjectId, TokenId};
use super::import_digest::{ForeignDigest, ImportMac};
use super::key_check::KeyCheck;
use super::pepper::Pepper;

/// One minting key and any number of verify-only ones, each with its number, for one or more prefixes.
///
/// A token's digest stays under the key in its id for life; nothing is hashed again. To rotate a pepper,
/// give the new one to every node as verify-only, then make it the minting one, then wait (or revoke) until
/// no live token id starts with the old number.
///
/// A keyring with a pepper refuses unkeyed tokens and unknown key numbers. See [`Keyring::builder`] for all choices.
///
/// ```
/// use keyfob::{KeyNumber, Keyring, Pepper, Prefix};
///
/// let prefix = Prefix::new("acme_pat")?;
/// // On first start; afterwards read back from where it was kept.
/// let pepper = Pepper::generate()?;
/// let keyring = Keyring::new(prefix, pepper)?;
/// assert_eq!(keyring.minting_key(), KeyNumber::FIRST);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Keyring {
    /// The first one mints.
    prefixes: Vec<Prefix>,
    minting: Subkey,
    /// One for each prefix and key, the minting one among them.
    verifying: Vec<Subkey>,
    /// One for each pepper, the minting one first.
    importing: Vec<ImportMac>,
    /// One for each pepper, the lowest number first.
    pub(super) checks: Vec<(KeyNumber, KeyCheck)>,
}

#[derive(Clone)]
struct Subkey {
    prefix: Prefix,
    number: KeyNumber,
    hmac: PreparedHmac,
}

impl Subkey {
    fn new(prefix: Prefix, number: KeyNumber, pepper: &[u8]) -> Self {
        Self { prefix, number, hmac: PreparedHmac::new(&subkey(pepper, prefix)) }
    }

    #[inline]
    fn digest(&self, handle: &[u8; 16], secret: &[u8; 33], project: &[u8]) -> Digest {
        Digest::from_bytes(self.hmac.of([handle, secret, project]))
    }
}

impl Keyring {
    /// The usual keyring: one prefix, one pepper, as key 1.
    ///
    /// # Errors
    /// None with a [`Pepper`] as it is made today; the signature is that of [`KeyringBuilder::build`].
    pub fn new(prefix: Prefix, pepper: Pepper) -> Result<Self, Invalid> {
        Self::builder(prefix).mint_with(KeyNumber::FIRST, pepper).build()
    }

    /// A keyring without a pepper. Tokens are as hard to guess, but a forged one reaches the store before it is refused,
    /// and whoever can write to the store can mint.
    pub fn unkeyed(prefix: Prefix) -> Self {
        let minting = Subkey::new(prefix, KeyNumber::UNKEYED, &[]);
        let verifying = vec![minting.clone()];
        Self { prefixes: vec![prefix], verifying, minting, importing: Vec::new(), checks: Vec::new() }
    }

    /// All choices: several peppers, several prefixes, a way in for unkeyed tokens.
    pub fn builder(prefix: Prefix) -> KeyringBuilder {
        KeyringBuilder { prefixes: vec![prefix], minting: KeyNumber::UNKEYED, peppers: Vec::new(), unkeyed: false }
    }

    /// The prefix of the tokens made with this keyring.
    pub fn prefix(&self) -> Prefix {
        self.prefixes[0]
    }

    /// Every prefix it verifies, the minting one first.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// The number of the key that makes tokens.
    pub fn minting_key(&self) -> KeyNumber {
        self.minting.number
    }

    /// Whether it verifies tokens of this key.
    pub fn holds(&self, number: KeyNumber) -> bool {
        self.verifying.iter().any(|subkey| subkey.number == number)
    }

    /// The same ring with another of its keys making new tokens: the second step of a rotation, once every node holds the
    /// key as verify-only.
    ///
    /// # Errors
    /// [`Invalid`] where the ring does not hold it.
    pub fn promoted(mut self, number: KeyNumber) -> Result<Self, Invalid> {
        let minting = self.verifying.iter().find(|subkey| subkey.number == number && subkey.prefix == self.prefixes[0]);
        let minting = minting.cloned().ok_or(Invalid::new(Field::KeyNumber, Flaw::OutOfRange))?;
        self.importing.sort_by_key(|mac| mac.number() != number);
        Ok(Self { minting, ..self })
    }

    /// The same ring without a key that was [retired](crate::Tokens::retire_key): the last step of a rotation.
    ///
    /// # Errors
    /// [`Invalid`] where it is the key that makes new tokens.
    pub fn without(mut self, retired: RetiredKey) -> Result<Self, Invalid> {
        if self.minting.number == retired.0 {
            return Err(Invalid::new(Field::KeyNumber, Flaw::OutOfRange));
        }
        self.verifying.retain(|subkey| subkey.number != retired.0);
        self.importing.retain(|mac| mac.number() != retired.0);
        self.checks.retain(|(number, _)| *number != retired.0);
        Ok(self)
    }

    /// The MAC of a token's parts under the key that its id names.
    ///
    /// Time depends on the prefix, the id and the project, which are public, and not on the secret or the pepper.
    #[inline]
    pub(crate) fn digest(&self, text: &TokenText<'_>) -> Result<Digest, Rejection> {
        let number = KeyNumber::of_digit(text.handle()[0]);
        let subkey = self
            .verifying
            .iter()
            .find(|subkey| subkey.number == number && subkey.prefix.as_bytes() == text.prefix_bytes());
        match subkey {
            Some(subkey) => Ok(subkey.digest(text.handle(), text.secret(), text.project_bytes())),
            None if number == KeyNumber::UNKEYED => Err(Rejection::Unkeyed),
            None => Err(Rejection::UnknownKey),
        }
    }

    /// The MAC of a new token's parts. Its id starts with the minting key's number.
    pub(crate) fn minting_digest(&self, project: &ProjectId, id: &TokenId, secret: &[u8; 33]) -> Digest {
        self.minting.digest(id.as_bytes(), secret, project.as_bytes())
    }

    /// The MACs of a foreign hash under each pepper, the minting one's first; without a pepper there is none.
    pub(crate) fn import_digests(&self, foreign: &ForeignDigest) -> impl Iterator<Item = (KeyNumber, Digest)> {
        self.importing.iter().map(|mac| (mac.number(), mac.digest(foreign)))
    }
}

/// Proof that no live token stands on a key any more, from [`Tokens::retire_key`](crate::Tokens::retire_key).
///
/// ```
/// use keyfob::{KeyNumber, Keyring, MemoryStore, RetireError, RetiredKey, Tokens};
///
/// async fn retired(tokens: &Tokens<MemoryStore>, number: KeyNumber) -> Result<RetiredKey, RetireError> {
///     tokens.retire_key(number).await
/// }
/// ```
///
/// Nothing else gives one:
/// ```compile_fail,E0423
/// use keyfob::{KeyNumber, Keyring, MemoryStore, RetireError, RetiredKey, Tokens};
///
/// async fn retired(tokens: &Tokens<MemoryStore>, number: KeyNumber) -> Result<RetiredKey, RetireError> {
///     Ok(RetiredKey(number))
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetiredKey(KeyNumber);

impl RetiredKey {
    pub(crate) const fn new(number: KeyNumber) -> Self {
        Self(number)
    }

    /// Which one.
    pub const fn number(&self) -> KeyNumber {
        self.0
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

/// Makes a [`Keyring`] of several peppers or prefixes. From [`Keyring::builder`].
#[must_use]
pub struct KeyringBuilder {
    prefixes: Vec<Prefix>,
    minting: KeyNumber,
    peppers: Vec<(KeyNumber, Pepper)>,
    unkeyed: bool,
}

impl KeyringBuilder {
    /// The pepper that makes new tokens, and verifies its own. The last call counts; earlier ones become verify-only.
    pub fn mint_with(mut self, number: KeyNumber, pepper: Pepper) -> Self {
        self.minting = number;
        self.peppers.push((number, pepper));
        self
    }

    /// A pepper that verifies only: the one before the present, or the next one while it is handed out to all nodes.
    pub fn verify_with(mut self, number: KeyNumber, pepper: Pepper) -> Self {
        self.peppers.push((number, pepper));
        self
    }

    /// Verifies tokens of another prefix too, while a service moves from one to the next.
    pub fn accept_prefix(mut self, prefix: Prefix) -> Self {
        self.prefixes.push(prefix);
        self
    }

    /// Verifies tokens made without a pepper beside those with one, while a service moves to its first pepper.
    /// Forged unkeyed tokens then reach the store.
    pub fn accept_unkeyed_for_migration(mut self) -> Self {
        self.unkeyed = true;
        self
    }

    /// The keyring. Without any pepper it is that of [`Keyring::unkeyed`].
    ///
    /// # Errors
    /// [`Invalid`] where a prefix, a key number or a pepper is given twice (also where HMAC cannot tell two peppers
    /// apart), where a pepper has number 0, or where there are verify-only peppers and none to mint with.
    pub fn build(self) -> Result<Keyring, Invalid> {
        let first = self.prefixes[0];
        let mut peppers: Vec<(KeyNumber, &[u8])> = Vec::new();
        let mut seen: Vec<Zeroizing<[u8; 32]>> = vec![subkey(&[], first)];
        for (number, pepper) in &self.peppers {
            if *number == KeyNumber::UNKEYED {
                return Err(Invalid::new(Field::KeyNumber, Flaw::OutOfRange));
            }
            if peppers.iter().any(|(other, _)| other == number) {
                return Err(Invalid::new(Field::KeyNumber, Flaw::Duplicate));
            }
            // HMAC pads with zeros, so peppers are compared by what they derive.
            let derived = subkey(pepper.expose_secret(), first);
            if seen.iter().any(|other| Digest::from_bytes(**other).ct_eq(&Digest::from_bytes(*derived))) {
                return Err(Invalid::new(Field::Pepper, Flaw::Duplicate));
            }
            seen.push(derived);
            peppers.push((*number, pepper.expose_secret()));
        }
        let repeated = |at: usize| self.prefixes[..at].contains(&self.prefixes[at]);
        if (1..self.prefixes.len()).any(repeated) {
            return Err(Invalid::new(Field::Prefix, Flaw::Duplicate));
        }
        let mut importing: Vec<_> = peppers.iter().map(|(number, pepper)| ImportMac::new(*number, pepper)).collect();
        importing.sort_by_key(|mac| mac.number() != self.minting);
        let mut checks: Vec<_> = peppers.iter().map(|(number, pepper)| (*number, KeyCheck::of(pepper))).collect();
        checks.sort_by_key(|(number, _)| *number);
        if self.unkeyed || peppers.is_empty() {
            peppers.push((KeyNumber::UNKEYED, &[]));
        }
        let subkeys = |prefix: &Prefix| {
            let prefix = *prefix;
            let subkeys = peppers.iter().map(move |(number, pepper)| Subkey::new(prefix, *number, pepper));
            subkeys.collect::<Vec<_>>()
        };
        let verifying: Vec<Subkey> = self.prefixes.iter().flat_map(subkeys).collect();
        // Verify-only peppers beside no minting one: the service would mint unkeyed tokens unawares.
        let unaware = self.minting == KeyNumber::UNKEYED && !self.peppers.is_empty();
        let minting = verifying.iter().find(|subkey| subkey.number == self.minting && !unaware).cloned();
        let minting = minting.ok_or(Invalid::new(Field::Pepper, Flaw::Empty))?;
        Ok(Keyring { prefixes: self.prefixes, minting, verifying, importing, checks })
    }
}

impl fmt::Debug for KeyringBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringBuilder").field("prefixes", &self.prefixes).finish_non_exhaustive()
    }
}

/// `HMAC-SHA-256(pepper, "keyfob/1 " prefix)`
fn subkey(pepper: &[u8], prefix: Prefix) -> Zeroizing<[u8; 32]> {
    let mut mac = keyed(pepper);
    mac.update(b"keyfob/1 ");
    mac.update(prefix.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::import_digest::ForeignHash;

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
    fn refused(builder: KeyringBuilder, field: Field, flaw: Flaw) {
        let error = builder.build().unwrap_err();
        assert_eq!((error.field(), error.flaw()), (field, flaw));
    }

    #[test]
    fn what_a_builder_refuses() {
        let builder = || Keyring::builder(prefix());
        refused(builder().mint_with(key(0), pepper(1)), Field::KeyNumber, Flaw::OutOfRange);
        refused(
            builder().mint_with(key(1), pepper(1)).verify_with(key(1), pepper(2)),
            Field::KeyNumber,
            Flaw::Duplicate,
        );
        refused(builder().mint_with(key(1), pepper(1)).verify_with(key(2), pepper(1)), Field::Pepper, Flaw::Duplicate);
        refused(builder().verify_with(key(1), pepper(1)), Field::Pepper, Flaw::Empty);
        refused(builder().accept_prefix(prefix()), Field::Prefix, Flaw::Duplicate);
    }

    #[test]
    fn peppers_that_hmac_cannot_tell_apart_are_one() {
        let mut padded = pepper(1).expose_secret().to_vec();
        padded.push(0);
        let padded = Pepper::new(padded).unwrap();
        let builder = Keyring::builder(prefix()).mint_with(key(1), pepper(1)).verify_with(key(2), padded);
        refused(builder, Field::Pepper, Flaw::Duplicate);
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
    fn imports_are_under_each_pepper_the_minting_one_first_and_never_unkeyed() {
        let foreign = ForeignDigest::of(ForeignHash::Sha256, b"old");
        let numbers =
            |keyring: &Keyring| keyring.import_digests(&foreign).map(|(number, _)| number).collect::<Vec<_>>();
        let builder = || Keyring::builder(prefix()).verify_with(key(1), pepper(1));
        let promoted = builder().mint_with(key(2), pepper(2)).verify_with(key(3), pepper(3));
        let promoted = promoted.accept_unkeyed_for_migration().build().unwrap();
        assert_eq!(numbers(&promoted), [key(2), key(1), key(3)]);
        assert!(numbers(&Keyring::unkeyed(prefix())).is_empty());
        assert!(numbers(&Keyring::builder(prefix()).build().unwrap()).is_empty());
        // Under a pepper the MAC stays what it was, whichever mints.
        let before = Keyring::new(prefix(), pepper(1)).unwrap();
        let (of_one, of_three) = (before.import_digests(&foreign).next(), promoted.import_digests(&foreign).nth(1));
        let ((one, digest), (other, same)) = (of_one.unwrap(), of_three.unwrap());
        assert!(one == other && digest.ct_eq(&same));
        let promoted = promoted.promoted(key(3)).unwrap();
        assert_eq!(numbers(&promoted), [key(3), key(2), key(1)]);
        assert_eq!(numbers(&promoted.without(RetiredKey::new(key(2))).unwrap()), [key(3), key(1)]);
    }
}

//! The public parts of a token: prefix, project id, token id and key number.

use core::fmt;

use super::inline::Inline;
use super::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::alphabet;

/// The marker with which the tokens of a service begin. It has 2 to 20 characters of the form
/// `[a-z][a-z0-9]*(_[a-z0-9]+)*`.
///
/// The prefix should name the service and the kind of token, such as `acme_pat` or `acme_test_pat`.
///
/// **Choose the prefix once.** It is part of every token, of every stored digest and of the rules
/// in secret scanners. A service that changes its prefix must also accept the old prefix, until no
/// token with the old prefix is live. See
/// [`KeyringBuilder::accept_prefix`](crate::keys::KeyringBuilder::accept_prefix).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Inline<20>);

impl Prefix {
    /// The maximum number of characters in a prefix.
    pub const MAX_LEN: usize = 20;

    /// Creates a prefix.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text does not match the grammar of a prefix, or is shorter than 2
    /// or longer than 20 characters.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let flaw = |flaw| Err(Invalid::new(InvalidField::Prefix, flaw));
        match text.len() {
            0 => return flaw(InvalidKind::Empty),
            1 => return flaw(InvalidKind::TooShort { min: 2 }),
            2..=Self::MAX_LEN => {}
            _ => return flaw(InvalidKind::TooLong { max: Self::MAX_LEN }),
        }
        if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return flaw(InvalidKind::Character);
        }
        if !Self::fits(text.as_bytes()) {
            return flaw(InvalidKind::Shape);
        }
        Ok(Self(Inline::new(text.as_bytes())))
    }

    /// Returns whether the bytes match the grammar and the length of a prefix.
    pub(crate) fn fits(bytes: &[u8]) -> bool {
        (2..=Self::MAX_LEN).contains(&bytes.len())
            && bytes[0].is_ascii_lowercase()
            && bytes.split(|b| *b == b'_').all(|word| !word.is_empty() && alphabet::all_lower(word))
    }

    /// Creates a prefix from bytes that [`fits`](Self::fits) has accepted.
    pub(crate) fn from_checked(bytes: &[u8]) -> Self {
        Self(Inline::new(bytes))
    }

    /// Returns whether a text of at least 20 bytes begins with the prefix.
    #[inline(always)]
    pub(crate) fn begins(&self, text: &[u8]) -> bool {
        text.first_chunk().is_some_and(|window| self.0.begins(window))
    }

    /// Returns the prefix as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The opaque, immutable id that your service gives to a project. It has 1 to 32 characters of
/// `[0-9a-z]`. Examples are `145` and a UUID without dashes.
///
/// An unsigned number converts infallibly, and so do the bits of a UUID:
/// ```
/// use keyfob::ProjectId;
///
/// assert_eq!(ProjectId::from(145u64), ProjectId::new("145")?);
/// assert_eq!(ProjectId::from_uuid(0xff).as_str(), "000000000000000000000000000000ff");
/// // A signed number can be negative, and a project id has no sign.
/// assert_eq!(ProjectId::try_from(145i64)?, ProjectId::from(145u64));
/// assert!(ProjectId::try_from(-1i64).is_err());
/// # Ok::<(), keyfob::Invalid>(())
/// ```
///
/// **Never change the id of a project, and never use it for another project.** The id is part of
/// each token's text and digest, and it is the shard key of every store call. A service without
/// projects should use the id of the user, and not one constant for all users.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(Inline<32>);

impl ProjectId {
    /// The maximum number of characters in a project id.
    pub const MAX_LEN: usize = 32;

    /// Creates a project id.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text is empty, is longer than 32 characters, or holds a character
    /// other than `0-9a-z`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let flaw = |flaw| Err(Invalid::new(InvalidField::ProjectId, flaw));
        match text.len() {
            0 => flaw(InvalidKind::Empty),
            1..=Self::MAX_LEN if Self::fits(text.as_bytes()) => Ok(Self::from_checked(text.as_bytes())),
            1..=Self::MAX_LEN => flaw(InvalidKind::Character),
            _ => flaw(InvalidKind::TooLong { max: Self::MAX_LEN }),
        }
    }

    /// Returns whether the bytes are a project id.
    pub(crate) fn fits(bytes: &[u8]) -> bool {
        (1..=Self::MAX_LEN).contains(&bytes.len()) && alphabet::all_lower(bytes)
    }

    /// Creates a project id from bytes that [`fits`](Self::fits) has accepted.
    pub(crate) const fn from_checked(bytes: &[u8]) -> Self {
        Self(Inline::new(bytes))
    }

    /// Returns whether the first `len` bytes of `window` are a project id.
    #[inline(always)]
    pub(crate) fn begins_with_id(window: &[u8; Self::MAX_LEN], len: usize) -> bool {
        (1..=Self::MAX_LEN).contains(&len) && alphabet::begins_lower(window, len)
    }

    /// Creates a project id from the first `len` bytes of `window`, which
    /// [`begins_with_id`](Self::begins_with_id) has accepted.
    #[inline(always)]
    pub(crate) fn of_window(window: &[u8; Self::MAX_LEN], len: usize) -> Self {
        Self(Inline::of_window(window, len))
    }

    /// Returns whether the first `len` bytes of `window` are this id.
    #[inline(always)]
    pub(crate) fn is_begin_of(&self, window: &[u8; Self::MAX_LEN], len: usize) -> bool {
        self.0.padded().1 == len && self.0.begins(window)
    }

    /// Returns the bytes of the id, padded with zeros, and their number without the padding.
    #[inline]
    pub(crate) fn padded(&self) -> (&[u8; Self::MAX_LEN], usize) {
        self.0.padded()
    }

    /// Returns the project id as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The public look-up id of a token: 16 base62 characters, safe to log and to show. Its first
/// character is the [`KeyNumber`].
///
/// The id is unique within a project. In practice it is also unique across projects, because it has
/// 89 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// The number of characters in a token id.
    pub const LEN: usize = 16;

    /// Creates a token id.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text is not 16 base62 characters.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let bytes: [u8; 16] =
            text.as_bytes().try_into().map_err(|_| Invalid::new(InvalidField::TokenId, InvalidKind::Shape))?;
        if !alphabet::all_base62(&bytes) {
            return Err(Invalid::new(InvalidField::TokenId, InvalidKind::Character));
        }
        Ok(Self(bytes))
    }

    /// Creates a token id from 16 bytes. The caller must have checked that they are base62 digits.
    #[inline]
    pub(crate) fn from_checked(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the token id as text.
    pub fn as_str(&self) -> &str {
        alphabet::as_str(&self.0)
    }

    /// Returns the number of the key with which the token's digest is computed. The number never
    /// changes, because it is part of the id.
    pub fn key_number(&self) -> KeyNumber {
        KeyNumber::of_digit(self.0[0])
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The number of a key in the [`Keyring`](crate::Keyring): 0 for no pepper, 1 to 61 for a pepper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyNumber(u8);

impl KeyNumber {
    /// Key number 0, for tokens without a pepper. Anyone can compute a correct tag for such a
    /// token, so the tag does not detect forged tokens.
    pub const UNKEYED: Self = Self(0);
    /// Key number 1, for the first pepper of a service.
    pub const FIRST: Self = Self(1);
    /// Key number 61, the highest.
    pub const MAX: Self = Self(61);

    /// Creates a key number.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the number is above 61.
    pub const fn new(number: u8) -> Result<Self, Invalid> {
        if number > Self::MAX.0 {
            return Err(Invalid::new(InvalidField::KeyNumber, InvalidKind::OutOfRange));
        }
        Ok(Self(number))
    }

    /// Returns the key number that a base62 digit encodes. The caller must have checked that the
    /// byte is a base62 digit.
    #[inline]
    pub(crate) const fn of_digit(digit: u8) -> Self {
        Self(alphabet::value(digit).expect("a token id is made of base62 digits alone"))
    }

    /// Returns the key number as an integer.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the base62 digit of the key number, which is the first character of every
    /// [`TokenId`] with this key.
    pub const fn as_char(self) -> char {
        alphabet::digit(self.0) as char
    }

    /// Returns the character that follows [`as_char`](Self::as_char) in ASCII. Every token id with
    /// this key sorts before this character.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "redis"))]
    pub(crate) const fn char_behind(self) -> char {
        (alphabet::digit(self.0) + 1) as char
    }
}

impl fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyNumber({})", self.0)
    }
}

/// The key of a token in the store: the project and the id of the token. The project comes first
/// because it is the shard key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenKey {
    /// The project of the token.
    pub project: ProjectId,
    /// The public id of the token.
    pub id: TokenId,
}

text_type!(Prefix);
text_type!(ProjectId);
text_type!(TokenId);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn flaw<T: fmt::Debug>(result: Result<T, Invalid>) -> InvalidKind {
        result.unwrap_err().kind()
    }

    #[test]
    fn prefixes_at_each_bound() {
        for text in ["k9", "ab", "acme_pat", "a0_0_z", "abcdefghijklmnopqrst"] {
            assert_eq!(Prefix::new(text).unwrap().as_str(), text);
        }
        assert_eq!(flaw(Prefix::new("")), InvalidKind::Empty);
        assert_eq!(flaw(Prefix::new("a")), InvalidKind::TooShort { min: 2 });
        assert_eq!(flaw(Prefix::new("abcdefghijklmnopqrstu")), InvalidKind::TooLong { max: 20 });
        for text in ["Acme", "acme-pat", "acmé", "acme pat"] {
            assert_eq!(flaw(Prefix::new(text)), InvalidKind::Character, "{text}");
        }
        for text in ["9k", "_acme", "acme_", "acme__pat"] {
            assert_eq!(flaw(Prefix::new(text)), InvalidKind::Shape, "{text}");
        }
    }

    #[test]
    fn project_ids_at_each_bound() {
        for text in ["0", "145", "5f0c6a1e9b7d4c3a8e2f1b0d6c5a4e3f"] {
            assert_eq!(ProjectId::new(text).unwrap().as_str(), text);
        }
        assert_eq!(flaw(ProjectId::new("")), InvalidKind::Empty);
        assert_eq!(flaw(ProjectId::new(&"a".repeat(33))), InvalidKind::TooLong { max: 32 });
        for text in ["A", "a-b", "a_b", "ä", "a\0"] {
            assert_eq!(flaw(ProjectId::new(text)), InvalidKind::Character, "{text}");
        }
    }

    #[test]
    fn inline_texts_sort_as_text() {
        let mut ids = ["b", "ab", "a", "a0", "abc"].map(|text| ProjectId::new(text).unwrap());
        ids.sort();
        assert_eq!(ids.map(|id| id.to_string()), ["a", "a0", "ab", "abc", "b"]);
    }

    #[test]
    fn a_token_id_starts_with_its_key_number() {
        let number = |text| TokenId::new(text).unwrap().key_number();
        assert_eq!(number("0000000000000000"), KeyNumber::UNKEYED);
        assert_eq!(number("1000000000000000"), KeyNumber::FIRST);
        assert_eq!(number("z000000000000000"), KeyNumber::MAX);
        assert_eq!(KeyNumber::MAX.as_char(), 'z');
        assert_eq!(flaw(KeyNumber::new(62)), InvalidKind::OutOfRange);
        assert_eq!(flaw(TokenId::new("000000000000000")), InvalidKind::Shape);
        assert_eq!(flaw(TokenId::new("00000000000000000")), InvalidKind::Shape);
        assert_eq!(flaw(TokenId::new("000000000000000-")), InvalidKind::Character);
    }
}

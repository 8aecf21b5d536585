//! The public parts of a token: prefix, project id, token id, key number.

use core::fmt;

use super::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::alphabet;

/// A short ASCII text, kept in place so that looking a token up allocates nothing.
///
/// Unused bytes are zero, so the derived order is that of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Inline<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Inline<N> {
    /// The caller has checked that `text` is ASCII and at most `N` bytes.
    fn new(text: &[u8]) -> Self {
        let mut bytes = [0; N];
        bytes[..text.len()].copy_from_slice(text);
        Self { bytes, len: text.len() as u8 }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn as_str(&self) -> &str {
        alphabet::as_str(self.as_bytes())
    }
}

/// The leading marker of a service's tokens: `[a-z][a-z0-9]*(_[a-z0-9]+)*`, 2 to 20 characters.
///
/// **Choose it once.** It is part of every token, of every stored digest, and of the rules that secret
/// scanners hold; a service that changes it verifies the old one too, for as long as its tokens live
/// ([`KeyringBuilder::accept_prefix`](crate::keys::KeyringBuilder::accept_prefix)).
/// Make it tell whose and what: `acme_pat`, `acme_test_pat`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Inline<20>);

impl Prefix {
    /// The most characters that a prefix has.
    pub const MAX_LEN: usize = 20;

    /// A prefix of this text.
    ///
    /// # Errors
    /// [`Invalid`] where the text is not of the grammar above.
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

    /// Whether these bytes are of the grammar.
    pub(crate) fn fits(bytes: &[u8]) -> bool {
        (2..=Self::MAX_LEN).contains(&bytes.len())
            && bytes[0].is_ascii_lowercase()
            && bytes.split(|b| *b == b'_').all(|word| !word.is_empty() && alphabet::all_lower(word))
    }

    /// From bytes that fit.
    pub(crate) fn from_checked(bytes: &[u8]) -> Self {
        Self(Inline::new(bytes))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The host's opaque, immutable id of a project: `[0-9a-z]`, 1 to 32 characters (`145`, a UUID without dashes).
///
/// **It never changes and is never used again**: it stands in the token's text, in its digest, and is the
/// shard key of every store call. A service without projects uses the user's id, never one constant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(Inline<32>);

impl ProjectId {
    /// The most characters that a project id has.
    pub const MAX_LEN: usize = 32;

    /// A project id of this text.
    ///
    /// # Errors
    /// [`Invalid`] where the text is empty, too long or holds other characters than `0-9a-z`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let flaw = |flaw| Err(Invalid::new(InvalidField::ProjectId, flaw));
        match text.len() {
            0 => flaw(InvalidKind::Empty),
            1..=Self::MAX_LEN if Self::fits(text.as_bytes()) => Ok(Self::from_checked(text.as_bytes())),
            1..=Self::MAX_LEN => flaw(InvalidKind::Character),
            _ => flaw(InvalidKind::TooLong { max: Self::MAX_LEN }),
        }
    }

    /// Whether these bytes are a project id.
    pub(crate) fn fits(bytes: &[u8]) -> bool {
        (1..=Self::MAX_LEN).contains(&bytes.len()) && alphabet::all_lower(bytes)
    }

    /// From bytes that fit.
    pub(crate) fn from_checked(bytes: &[u8]) -> Self {
        Self(Inline::new(bytes))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The token's public look-up id, 16 base62 characters, safe to log and to show. Its first character is the [`KeyNumber`].
///
/// Unique within a project, and in practice everywhere (89 random bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// The characters that a token id has.
    pub const LEN: usize = 16;

    /// A token id of this text.
    ///
    /// # Errors
    /// [`Invalid`] where the text is not 16 base62 characters.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let bytes: [u8; 16] =
            text.as_bytes().try_into().map_err(|_| Invalid::new(InvalidField::TokenId, InvalidKind::Shape))?;
        if !alphabet::all_base62(&bytes) {
            return Err(Invalid::new(InvalidField::TokenId, InvalidKind::Character));
        }
        Ok(Self(bytes))
    }

    /// From bytes that are base62.
    pub(crate) fn from_checked(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        alphabet::as_str(&self.0)
    }

    /// The key under which this token's digest was made, for its whole life.
    pub fn key_number(&self) -> KeyNumber {
        KeyNumber::of_digit(self.0[0])
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Which key of the [`Keyring`](crate::Keyring) a token was made with: 0 for none, 1 to 61 for a pepper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyNumber(u8);

impl KeyNumber {
    /// No pepper: anyone can compute the tag, so it filters nothing.
    pub const UNKEYED: Self = Self(0);
    /// The first pepper of a service.
    pub const FIRST: Self = Self(1);
    /// The highest number.
    pub const MAX: Self = Self(61);

    /// The key of this number.
    ///
    /// # Errors
    /// [`Invalid`] above 61.
    pub const fn new(number: u8) -> Result<Self, Invalid> {
        if number > Self::MAX.0 {
            return Err(Invalid::new(InvalidField::KeyNumber, InvalidKind::OutOfRange));
        }
        Ok(Self(number))
    }

    /// Returns the number that a base62 digit stands for. The caller has checked that it is one.
    pub(crate) const fn of_digit(digit: u8) -> Self {
        Self(alphabet::value(digit).expect("a token id is made of base62 digits alone"))
    }

    /// As a number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The character that stands first in each [`TokenId`] made with this key.
    pub const fn as_char(self) -> char {
        alphabet::digit(self.0) as char
    }

    /// Returns the character after [`as_char`](Self::as_char) in ASCII: every id of this key is
    /// below it.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
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

/// What every store call is keyed by. The project comes first: it is the shard key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenKey {
    /// The project that the token is for.
    pub project: ProjectId,
    /// The token's public id.
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
    fn a_token_id_names_its_key() {
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

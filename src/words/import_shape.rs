//! The form of the tokens that a service issued before it used keyfob.

use core::ops::RangeInclusive;

use super::import_digest::{ImportDigest, ImportHash};
use super::invalid::{Invalid, InvalidField, InvalidKind};
use super::leaked::LeakedToken;

/// The form of the tokens that a service issued before it used keyfob, and the part of their text
/// that the service hashed.
///
/// If a presented text matches a shape, keyfob hashes the text and looks up the imported token with
/// this hash. Every text that matches a shape costs a store call, so declare the shape as narrowly
/// as the tokens allow.
///
/// ```
/// use keyfob::import::{ImportAlphabet, ImportHash, ImportShape};
///
/// // acme-0123…cdef: 40 hex digits. All 45 characters were hashed.
/// let alphabet = ImportAlphabet::LowerHex;
/// let shape = ImportShape::new("acme-", 40..=40, alphabet, ImportHash::Sha256)?;
/// assert!(shape.digest_of(b"acme-0123456789abcdef0123456789abcdef01234567").is_some());
/// assert!(shape.digest_of(b"acme-0123456789ABCDEF0123456789abcdef01234567").is_none());
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportShape {
    prefix: Box<str>,
    rest: RangeInclusive<usize>,
    alphabet: ImportAlphabet,
    hash: ImportHash,
    prefix_is_hashed: bool,
}

/// The characters that may follow the prefix of an imported token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ImportAlphabet {
    /// Hexadecimal digits in lower case: `0-9 a-f`.
    LowerHex,
    /// Hexadecimal digits in any case: `0-9 a-f A-F`.
    Hex,
    /// Letters and digits: `0-9 A-Z a-z`.
    Base62,
    /// The characters of URL-safe base64: `0-9 A-Z a-z - _`.
    Base64Url,
    /// Every visible ASCII character, `!` to `~`. Use this variant if no other variant fits, for
    /// example for UUIDs with dashes.
    Visible,
}

impl ImportAlphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::LowerHex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Base62 => byte.is_ascii_alphanumeric(),
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Visible => byte.is_ascii_graphic(),
        }
    }
}

impl ImportShape {
    /// The maximum number of characters in an imported token, including its prefix.
    pub const MAX_LEN: usize = LeakedToken::MAX_LEN;

    /// Creates a shape: a literal prefix, which may be empty, and then characters of `alphabet`.
    /// The number of these characters must be in the range `rest`.
    ///
    /// The stored hash is expected to be the hash of the whole text. If the service hashed only the
    /// part after the prefix, call [`with_only_the_rest_hashed`](Self::with_only_the_rest_hashed).
    ///
    /// # Errors
    /// Returns [`Invalid`] if the prefix has a character other than visible ASCII, if `rest` starts
    /// at 0 or is empty, or if the longest token exceeds [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(
        prefix: &str,
        rest: RangeInclusive<usize>,
        alphabet: ImportAlphabet,
        hash: ImportHash,
    ) -> Result<Self, Invalid> {
        let flaw = if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            InvalidKind::Character
        } else if *rest.start() == 0 {
            InvalidKind::TooShort { min: 1 }
        } else if rest.is_empty() {
            InvalidKind::OutOfRange
        } else if prefix.len().saturating_add(*rest.end()) > Self::MAX_LEN {
            InvalidKind::TooLong { max: Self::MAX_LEN }
        } else {
            return Ok(Self { prefix: prefix.into(), rest, alphabet, hash, prefix_is_hashed: true });
        };
        Err(Invalid::new(InvalidField::ImportShape, flaw))
    }

    /// Returns the shape, changed so that keyfob hashes only the part of a token after the prefix.
    /// Call this method if your service hashed only this part.
    #[must_use]
    pub fn with_only_the_rest_hashed(self) -> Self {
        Self { prefix_is_hashed: false, ..self }
    }

    /// Returns the hash that the service stored for the token with this text. Returns `None`,
    /// without computing a hash, if the text does not match the shape.
    ///
    /// Timing may leak whether the text matches the shape, and the length of the text.
    pub fn digest_of(&self, text: &[u8]) -> Option<ImportDigest> {
        let rest = self.rest_of(text)?;
        Some(ImportDigest::of(self.hash, if self.prefix_is_hashed { text } else { rest }))
    }

    /// Returns the part of a text after the prefix. Returns `None` if the text does not match the
    /// shape.
    pub(crate) fn rest_of<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let rest = text.strip_prefix(self.prefix.as_bytes())?;
        let fits = self.rest.contains(&rest.len()) && rest.iter().all(|byte| self.alphabet.has(*byte));
        fits.then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(prefix: &str, rest: RangeInclusive<usize>) -> Result<ImportShape, InvalidKind> {
        ImportShape::new(prefix, rest, ImportAlphabet::Base62, ImportHash::Sha256).map_err(|error| error.kind())
    }

    #[test]
    fn invalid_shapes_are_refused_at_each_bound() {
        assert!(shape("", 1..=1).is_ok());
        assert_eq!(shape("", 0..=1), Err(InvalidKind::TooShort { min: 1 }));
        assert_eq!(shape("", RangeInclusive::new(2, 1)), Err(InvalidKind::OutOfRange));
        assert!(shape("old-", 1..=508).is_ok());
        assert_eq!(shape("old-", 1..=509), Err(InvalidKind::TooLong { max: 512 }));
        assert_eq!(shape("old-", 1..=usize::MAX), Err(InvalidKind::TooLong { max: 512 }));
        for prefix in ["old ", "old\n", "öld-", "\0"] {
            assert_eq!(shape(prefix, 1..=1), Err(InvalidKind::Character));
        }
    }

    #[test]
    fn lengths_at_each_bound() {
        let shape = shape("old-", 4..=6).unwrap();
        for (text, fits) in [
            ("old-123", false),
            ("old-1234", true),
            ("old-123456", true),
            ("old-1234567", false),
            ("1234", false),
            ("Old-1234", false),
            ("old-", false),
            ("", false),
        ] {
            assert_eq!(shape.digest_of(text.as_bytes()).is_some(), fits, "{text:?}");
        }
    }

    #[test]
    fn each_alphabet_is_its_own_characters() {
        let all = |alphabet: ImportAlphabet| (0..=255u8).filter(|byte| alphabet.has(*byte)).map(char::from).collect();
        let texts: [(_, String); 4] = [
            (ImportAlphabet::LowerHex, all(ImportAlphabet::LowerHex)),
            (ImportAlphabet::Hex, all(ImportAlphabet::Hex)),
            (ImportAlphabet::Base62, all(ImportAlphabet::Base62)),
            (ImportAlphabet::Base64Url, all(ImportAlphabet::Base64Url)),
        ];
        let expected = [
            "0123456789abcdef",
            "0123456789ABCDEFabcdef",
            "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz",
        ];
        for ((alphabet, text), expected) in texts.into_iter().zip(expected) {
            assert_eq!(text, expected, "{alphabet:?}");
        }
        let visible = (0..=255u8).filter(|byte| ImportAlphabet::Visible.has(*byte));
        assert!(visible.eq(b'!'..=b'~'));
    }

    #[test]
    fn the_whole_or_the_rest_is_hashed() {
        let whole = shape("old-", 4..=4).unwrap();
        let of = |text: &[u8]| Some(ImportDigest::of(ImportHash::Sha256, text));
        assert_eq!(whole.digest_of(b"old-1234"), of(b"old-1234"));
        assert_eq!(whole.with_only_the_rest_hashed().digest_of(b"old-1234"), of(b"1234"));
    }
}

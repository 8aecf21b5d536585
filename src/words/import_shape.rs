//! What the tokens from before keyfob looked like.

use core::ops::RangeInclusive;

use super::error::{Field, Flaw, Invalid};
use super::import_digest::{ForeignDigest, ForeignHash};

/// The text of tokens that a service made before keyfob, and what it hashed of them. A presented text that fits no
/// declared shape is neither hashed nor looked up.
///
/// Declare it as narrowly as it was: whoever presents a made-up text of this shape reaches the store with it.
///
/// ```
/// use keyfob::{ForeignAlphabet, ForeignHash, ForeignShape};
///
/// // acme-0123…cdef: 40 hex digits; the stored hash is of all 45 characters.
/// let shape = ForeignShape::new("acme-", 40..=40, ForeignAlphabet::LowerHex, ForeignHash::Sha256)?;
/// assert!(shape.digest_of(b"acme-0123456789abcdef0123456789abcdef01234567").is_some());
/// assert!(shape.digest_of(b"acme-0123456789ABCDEF0123456789abcdef01234567").is_none());
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignShape {
    prefix: Box<str>,
    rest: RangeInclusive<usize>,
    alphabet: ForeignAlphabet,
    hash: ForeignHash,
    prefix_is_hashed: bool,
}

/// Which characters stand behind the prefix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ForeignAlphabet {
    /// `0-9 a-f`.
    LowerHex,
    /// `0-9 a-f A-F`.
    Hex,
    /// `0-9 A-Z a-z`.
    Base62,
    /// `0-9 A-Z a-z - _`.
    Base64Url,
    /// Every visible ASCII character, `!` to `~`: for anything else, such as a UUID with its dashes.
    Visible,
}

impl ForeignAlphabet {
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

impl ForeignShape {
    /// The most characters of such a token.
    pub const MAX_LEN: usize = 512;

    /// A literal prefix, which may be empty, and so many characters of an alphabet behind it. The stored hash is of the
    /// whole text, as the client sends it.
    ///
    /// # Errors
    /// [`Invalid`] where the prefix has a character that is not visible ASCII, the rest may be empty, its longest is
    /// shorter than its shortest, or the whole is longer than [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(
        prefix: &str,
        rest: RangeInclusive<usize>,
        alphabet: ForeignAlphabet,
        hash: ForeignHash,
    ) -> Result<Self, Invalid> {
        let flaw = if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            Flaw::Character
        } else if *rest.start() == 0 {
            Flaw::TooShort { min: 1 }
        } else if rest.is_empty() {
            Flaw::OutOfRange
        } else if prefix.len().saturating_add(*rest.end()) > Self::MAX_LEN {
            Flaw::TooLong { max: Self::MAX_LEN }
        } else {
            return Ok(Self { prefix: prefix.into(), rest, alphabet, hash, prefix_is_hashed: true });
        };
        Err(Invalid::new(Field::ForeignShape, flaw))
    }

    /// The same where only what stands behind the prefix was hashed.
    #[must_use]
    pub fn with_only_the_rest_hashed(self) -> Self {
        Self { prefix_is_hashed: false, ..self }
    }

    /// The hash that the service stored of a text of this shape; `None`, and nothing hashed, where it is of another.
    ///
    /// Which facts may leak through time: whether the text fits, and its length.
    pub fn digest_of(&self, text: &[u8]) -> Option<ForeignDigest> {
        let rest = text.strip_prefix(self.prefix.as_bytes())?;
        let fits = self.rest.contains(&rest.len()) && rest.iter().all(|byte| self.alphabet.has(*byte));
        fits.then(|| ForeignDigest::of(self.hash, if self.prefix_is_hashed { text } else { rest }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(prefix: &str, rest: RangeInclusive<usize>) -> Result<ForeignShape, Flaw> {
        ForeignShape::new(prefix, rest, ForeignAlphabet::Base62, ForeignHash::Sha256).map_err(|error| error.flaw())
    }

    #[test]
    fn nonsense_is_refused_at_each_bound() {
        assert!(shape("", 1..=1).is_ok());
        assert_eq!(shape("", 0..=1), Err(Flaw::TooShort { min: 1 }));
        assert_eq!(shape("", RangeInclusive::new(2, 1)), Err(Flaw::OutOfRange));
        assert!(shape("old-", 1..=508).is_ok());
        assert_eq!(shape("old-", 1..=509), Err(Flaw::TooLong { max: 512 }));
        assert_eq!(shape("old-", 1..=usize::MAX), Err(Flaw::TooLong { max: 512 }));
        for prefix in ["old ", "old\n", "öld-", "\0"] {
            assert_eq!(shape(prefix, 1..=1), Err(Flaw::Character));
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
        let all = |alphabet: ForeignAlphabet| (0..=255u8).filter(|byte| alphabet.has(*byte)).map(char::from).collect();
        let texts: [(_, String); 4] = [
            (ForeignAlphabet::LowerHex, all(ForeignAlphabet::LowerHex)),
            (ForeignAlphabet::Hex, all(ForeignAlphabet::Hex)),
            (ForeignAlphabet::Base62, all(ForeignAlphabet::Base62)),
            (ForeignAlphabet::Base64Url, all(ForeignAlphabet::Base64Url)),
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
        let visible = (0..=255u8).filter(|byte| ForeignAlphabet::Visible.has(*byte));
        assert!(visible.eq(b'!'..=b'~'));
    }

    #[test]
    fn the_whole_or_the_rest_is_hashed() {
        let whole = shape("old-", 4..=4).unwrap();
        let of = |text: &[u8]| Some(ForeignDigest::of(ForeignHash::Sha256, text));
        assert_eq!(whole.digest_of(b"old-1234"), of(b"old-1234"));
        assert_eq!(whole.with_only_the_rest_hashed().digest_of(b"old-1234"), of(b"1234"));
    }
}

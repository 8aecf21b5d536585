//! The hash of a token that another system issued.

use core::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256, Sha512};

use super::invalid::{Invalid, InvalidField, InvalidKind};

/// The unsalted hash function that a service used for its tokens before it used keyfob.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ImportHash {
    /// SHA-256, whose hashes have 32 bytes.
    Sha256,
    /// SHA-512, whose hashes have 64 bytes.
    Sha512,
}

impl ImportHash {
    const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// The hash of a token that your service issued before it used keyfob. An import reads this hash
/// from the table in which your service stored it. A hash has 16 to 64 bytes.
///
/// keyfob does not store this hash. It stores a MAC of the hash under the pepper. Debug shows no
/// part of the hash.
///
/// ```
/// use keyfob::import::{ImportDigest, ImportHash};
///
/// let hex = "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824";
/// let base64 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
/// let of = |text| ImportDigest::from_text(ImportHash::Sha256, text);
/// assert_eq!(of(hex)?, of(base64)?);
/// assert_eq!(format!("{:?}", of(hex)?), "ImportDigest(..)");
/// // A hash of another function, which has 32 bytes:
/// assert_eq!(ImportDigest::parse(32, hex)?, of(base64)?);
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ImportDigest {
    bytes: [u8; Self::MAX_BYTES],
    len: u8,
}

impl ImportDigest {
    /// The minimum number of bytes in a hash. The MACs under a pepper have inputs for other
    /// purposes too, and all of these inputs are shorter than that of a hash with 16 bytes.
    pub const MIN_BYTES: usize = 16;
    /// The maximum number of bytes in a hash.
    pub const MAX_BYTES: usize = 64;

    /// Creates a hash of any function from its bytes.
    ///
    /// # Errors
    /// Returns [`Invalid`] if there are fewer than 16 or more than 64 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() < Self::MIN_BYTES {
            return Err(invalid(InvalidKind::TooShort { min: Self::MIN_BYTES }));
        }
        if bytes.len() > Self::MAX_BYTES {
            return Err(invalid(InvalidKind::TooLong { max: Self::MAX_BYTES }));
        }
        Ok(Self::of_checked(bytes))
    }

    /// Creates a SHA-2 hash from its bytes.
    ///
    /// # Errors
    /// Returns [`Invalid`] unless there are exactly 32 bytes for SHA-256, or exactly 64 for
    /// SHA-512.
    pub fn from_bytes(hash: ImportHash, bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() == hash.len() { Self::new(bytes) } else { Err(invalid(InvalidKind::Shape)) }
    }

    /// Parses a SHA-2 hash from text, in the same encodings as [`parse`](Self::parse).
    ///
    /// # Errors
    /// Returns [`Invalid`] if the length of the text fits neither hex nor base64, or if the text
    /// contains a character that is not allowed, such as white space.
    pub fn from_text(hash: ImportHash, text: &str) -> Result<Self, Invalid> {
        Self::parse(hash.len(), text)
    }

    /// Parses a hash of `len` bytes from text: hex in any case, or base64. The base64 may use the
    /// standard or the URL-safe alphabet, with or without padding.
    ///
    /// The length of the text decides between hex and base64.
    ///
    /// # Errors
    /// Returns [`Invalid`] if `len` is below 16 or above 64, if the length of the text fits neither
    /// hex nor base64, or if the text contains a character that is not allowed, such as white
    /// space.
    pub fn parse(len: usize, text: &str) -> Result<Self, Invalid> {
        let mut bytes = [0; Self::MAX_BYTES];
        let Some(bytes) = bytes.get_mut(..len) else {
            return Err(invalid(InvalidKind::TooLong { max: Self::MAX_BYTES }));
        };
        let text = text.as_bytes();
        if text.len() == len * 2 {
            for (byte, digits) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
                *byte = nibble(digits[0])? << 4 | nibble(digits[1])?;
            }
        } else if text.len() == (len * 4).div_ceil(3) || text.len() == len.div_ceil(3) * 4 {
            let url_safe = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
            let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let engine = GeneralPurpose::new(if url_safe { &URL_SAFE } else { &STANDARD }, config);
            // The decoder's own error would show a byte of the input.
            let decoded = engine.decode(text).map_err(|_| invalid(InvalidKind::Character))?;
            if decoded.len() != len {
                return Err(invalid(InvalidKind::Shape));
            }
            bytes.copy_from_slice(&decoded);
        } else {
            return Err(invalid(InvalidKind::Shape));
        }
        Self::new(bytes)
    }

    /// Computes the hash of a text.
    pub(crate) fn of(hash: ImportHash, text: &[u8]) -> Self {
        match hash {
            ImportHash::Sha256 => Self::of_checked(&Sha256::digest(text)),
            ImportHash::Sha512 => Self::of_checked(&Sha512::digest(text)),
        }
    }

    fn of_checked(hash: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX_BYTES];
        bytes[..hash.len()].copy_from_slice(hash);
        Self { bytes, len: hash.len() as u8 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Creates a hash of any function from an array, whose length must be 16 to 64. Another length does
/// not compile:
///
/// ```compile_fail,E0080
/// # use keyfob::import::ImportDigest;
/// let too_short = ImportDigest::from([7; 15]);
/// ```
impl<const N: usize> From<[u8; N]> for ImportDigest {
    fn from(bytes: [u8; N]) -> Self {
        const { assert!(N >= Self::MIN_BYTES && N <= Self::MAX_BYTES, "a hash has 16 to 64 bytes") };
        Self::of_checked(&bytes)
    }
}

impl fmt::Debug for ImportDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportDigest(..)")
    }
}

const fn invalid(flaw: InvalidKind) -> Invalid {
    Invalid::new(InvalidField::ImportDigest, flaw)
}

fn nibble(digit: u8) -> Result<u8, Invalid> {
    let value = char::from(digit).to_digit(16).ok_or(invalid(InvalidKind::Character))?;
    Ok(value as u8)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    const BOTH: [ImportHash; 2] = [ImportHash::Sha256, ImportHash::Sha512];

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn every_encoding_is_read() {
        for hash in BOTH {
            // The base64 of these bytes has both characters in which the two alphabets differ.
            let bytes: Vec<u8> = [0xfb, 0xff, 0xbe, 0x00].into_iter().cycle().take(hash.len()).collect();
            let expected = ImportDigest::from_bytes(hash, &bytes).unwrap();
            let texts = [
                hex(&bytes),
                hex(&bytes).to_uppercase(),
                STANDARD.encode(&bytes),
                STANDARD_NO_PAD.encode(&bytes),
                URL_SAFE.encode(&bytes),
                URL_SAFE_NO_PAD.encode(&bytes),
            ];
            for text in texts {
                assert!(ImportDigest::from_text(hash, &text) == Ok(expected.clone()), "{hash:?} {text}");
            }
        }
    }

    #[test]
    fn malformed_hashes_are_refused() {
        let flaw = |hash, text: &str| ImportDigest::from_text(hash, text).unwrap_err().kind();
        for hash in BOTH {
            let bytes = vec![0xfb; hash.len()];
            let (hex, base64) = (hex(&bytes), STANDARD.encode(&bytes));
            for text in ["", &hex[1..], &hex[2..], &format!("{hex}0"), &format!(" {hex}"), &base64[3..], "sha256:00"] {
                assert_eq!(flaw(hash, text), InvalidKind::Shape, "{text}");
            }
            for text in [hex.replacen('f', "g", 1), base64.replacen('+', "-", 1), base64.replacen('+', " ", 1)] {
                assert_eq!(flaw(hash, &text), InvalidKind::Character, "{text}");
            }
            assert!(ImportDigest::from_bytes(hash, &bytes[1..]).is_err());
        }
        assert_eq!(flaw(ImportHash::Sha256, &hex(&[0; 64])), InvalidKind::Shape);
        assert_eq!(flaw(ImportHash::Sha512, &hex(&[0; 32])), InvalidKind::Shape);
        // The text has the length of a padded SHA-256 hash, but it decodes to 33 bytes.
        assert!(ImportDigest::from_text(ImportHash::Sha256, &"A".repeat(44)).is_err());
    }

    #[test]
    fn hashes_of_other_functions_have_16_to_64_bytes() {
        let kind = |len: usize| ImportDigest::new(&vec![7; len]).map(drop).map_err(|error| error.kind());
        assert_eq!(kind(15), Err(InvalidKind::TooShort { min: 16 }));
        assert_eq!((kind(16), kind(64)), (Ok(()), Ok(())));
        assert_eq!(kind(65), Err(InvalidKind::TooLong { max: 64 }));
        let parsed = |len: usize| ImportDigest::parse(len, &hex(&vec![7; len])).map_err(|error| error.kind());
        assert_eq!(parsed(15), Err(InvalidKind::TooShort { min: 16 }));
        assert_eq!(parsed(23), Ok(ImportDigest::from([7; 23])));
        assert_eq!(parsed(64), Ok(ImportDigest::from([7; 64])));
        assert_eq!(parsed(65), Err(InvalidKind::TooLong { max: 64 }));
        assert_eq!(ImportDigest::parse(23, &STANDARD.encode([0xfb; 23])), Ok(ImportDigest::from([0xfb; 23])));
        // A longer hash is another hash, even if its further bytes are zeros.
        assert_ne!(ImportDigest::from([0; 16]), ImportDigest::from([0; 17]));
    }
}

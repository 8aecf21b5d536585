//! The hash of a token that another system issued, and the MAC that keyfob stores instead of this
//! hash.

use core::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256, Sha512};

use super::digest::Digest;
use super::hmac::keyed;
use super::ids::KeyNumber;
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
/// from the table in which your service stored it.
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
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ImportDigest(Bytes);

#[derive(Clone, PartialEq, Eq)]
enum Bytes {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

impl ImportDigest {
    /// Creates a hash from its bytes.
    ///
    /// # Errors
    /// Returns [`Invalid`] unless there are exactly 32 bytes for SHA-256, or exactly 64 for
    /// SHA-512.
    pub fn from_bytes(hash: ImportHash, bytes: &[u8]) -> Result<Self, Invalid> {
        let bytes = match hash {
            ImportHash::Sha256 => bytes.try_into().map(Bytes::Sha256),
            ImportHash::Sha512 => bytes.try_into().map(Bytes::Sha512),
        };
        bytes.map(Self).map_err(|_| invalid(InvalidKind::Shape))
    }

    /// Parses a hash from text: hex in any case, or base64. The base64 may use the standard or the
    /// URL-safe alphabet, with or without padding.
    ///
    /// The length of the text decides between hex and base64.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the length of the text fits neither hex nor base64, or if the text
    /// contains a character that is not allowed, such as white space.
    pub fn from_text(hash: ImportHash, text: &str) -> Result<Self, Invalid> {
        let (len, text) = (hash.len(), text.as_bytes());
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..len];
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
            return Self::from_bytes(hash, &decoded);
        } else {
            return Err(invalid(InvalidKind::Shape));
        }
        Self::from_bytes(hash, bytes)
    }

    /// Computes the hash of a text.
    pub(crate) fn of(hash: ImportHash, text: &[u8]) -> Self {
        Self(match hash {
            ImportHash::Sha256 => Bytes::Sha256(Sha256::digest(text).into()),
            ImportHash::Sha512 => Bytes::Sha512(Sha512::digest(text).into()),
        })
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Sha256(bytes) => bytes,
            Bytes::Sha512(bytes) => bytes,
        }
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

/// A pepper that is prepared to compute the MACs of imported tokens.
///
/// The MAC is `HMAC-SHA-256(pepper, "keyfob/1 import" digest)`. The store holds the MAC as the
/// digest of the imported token, and finds the token by this digest.
#[derive(Clone)]
pub(crate) struct ImportMac {
    number: KeyNumber,
    hmac: Hmac<Sha256>,
}

impl ImportMac {
    pub(crate) fn new(number: KeyNumber, pepper: &[u8]) -> Self {
        let mut hmac = keyed(pepper);
        // HMAC with this pepper never gets the same input for two purposes. The input for an import
        // has 47 bytes for SHA-256 and 79 bytes for SHA-512. The input of a subkey has at most 29
        // bytes, and the input of the key check has 18.
        hmac.update(b"keyfob/1 import");
        Self { number, hmac }
    }

    pub(crate) fn number(&self) -> KeyNumber {
        self.number
    }

    pub(crate) fn digest(&self, foreign: &ImportDigest) -> Digest {
        let hmac = self.hmac.clone().chain_update(foreign.as_bytes());
        Digest::from_bytes(hmac.finalize().into_bytes().into())
    }
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
    fn the_mac_matches_its_definition() {
        let pepper: Vec<u8> = (0..32).collect();
        for hash in BOTH {
            let foreign = ImportDigest::of(hash, b"old");
            let mut mac = keyed(&pepper);
            mac.update(b"keyfob/1 import");
            mac.update(&match hash {
                ImportHash::Sha256 => Sha256::digest(b"old").to_vec(),
                ImportHash::Sha512 => Sha512::digest(b"old").to_vec(),
            });
            let expected: [u8; 32] = mac.finalize().into_bytes().into();
            let made = ImportMac::new(KeyNumber::FIRST, &pepper).digest(&foreign);
            assert_eq!(made.as_bytes(), &expected);
        }
    }
}

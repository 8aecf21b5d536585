//! The digest of a token: the 32-byte MAC that the store holds.

use core::fmt;
use core::hint::black_box;

use subtle::ConstantTimeEq;

use super::format::TokenText;
use super::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::alphabet;

/// The digest of a token: the 32-byte MAC that the store holds.
///
/// An attacker that can read the store cannot compute the token from the digest. If the keyring has
/// a pepper, an attacker that can write to the store cannot forge a token either.
///
/// Debug shows no byte of the digest. [`ct_eq`](Self::ct_eq) compares two digests in constant time:
/// ```
/// use keyfob::record::Digest;
///
/// assert!(Digest::from_bytes([7; 32]).ct_eq(&Digest::from_bytes([7; 32])));
/// ```
/// There is no `==`, which would not compare in constant time:
/// ```compile_fail,E0369
/// use keyfob::record::Digest;
///
/// assert!(Digest::from_bytes([7; 32]) == Digest::from_bytes([7; 32]));
/// ```
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Creates a digest from the bytes that a store holds.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes that a store keeps.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns whether both digests are equal, in a time that does not depend on their bytes.
    #[inline]
    pub fn ct_eq(&self, other: &Self) -> bool {
        // Compares four 64-bit words. Comparing byte by byte takes thirty times as long.
        let differing = self.0.as_chunks::<8>().0.iter().zip(other.0.as_chunks::<8>().0);
        let differing = differing.fold(0, |bits, (a, b)| bits | (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)));
        is_zero(differing)
    }

    /// Returns whether `stored` is equal to this digest. Does the same work if there is no stored
    /// digest, and then returns false.
    #[inline]
    pub(crate) fn fits(&self, stored: Option<&Self>) -> bool {
        const ABSENT: Digest = Digest([0; 32]);
        let equal = self.ct_eq(stored.unwrap_or(&ABSENT));
        equal & stored.is_some()
    }

    /// Returns the tag of the token with this digest: the first 64 bits of the digest in base62.
    pub(crate) fn tag(&self) -> [u8; 11] {
        alphabet::encode_u64(self.first_word())
    }

    /// Returns whether a presented tag belongs to this digest, in constant time. The tag is the
    /// first 11 of these bytes, and the caller must have checked that it is base62.
    #[inline(always)]
    fn has_tag(&self, presented: &[u8; 16]) -> bool {
        // Decodes the tag instead of encoding the digest, because decoding takes half the time. If
        // the 11 digits encode more than 64 bits, `rest` is not zero and the tag does not match.
        let presented = alphabet::decode_first_11(presented);
        let (low, rest) = (presented as u64, (presented >> 64) as u64);
        // The black box keeps the compiler from splitting the digest into words. The processor
        // would have to wait until these are written before it reads the digest as a whole.
        is_zero((low ^ black_box(self).first_word()) | rest)
    }

    #[inline]
    fn first_word(&self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().expect("a digest has 32 bytes"))
    }
}

/// Returns whether a word has no bit set, in constant time.
#[inline(always)]
fn is_zero(word: u64) -> bool {
    black_box(word).ct_eq(&0).into()
}

impl TokenText<'_> {
    /// Returns whether the tag in the text belongs to `digest`. The comparison takes constant time.
    #[inline(always)]
    pub fn has_tag_of(&self, digest: &Digest) -> bool {
        digest.has_tag(self.tag_window())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = Invalid;

    /// Creates a digest from the bytes that a store holds.
    ///
    /// # Errors
    /// Returns [`Invalid`] if there are not exactly 32 bytes.
    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(Invalid::new(InvalidField::Digest, InvalidKind::Shape)),
        }
    }
}

/// The serde traits of a digest. A serialized digest is base64 text with padding.
#[cfg(feature = "serde")]
mod in_serde {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::Digest;

    impl serde::Serialize for Digest {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(&STANDARD.encode(self.0))
        }
    }

    impl<'de> serde::Deserialize<'de> for Digest {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            // The decoder's own error would show a byte of the input.
            let bytes = STANDARD.decode(text.as_bytes());
            let bytes = bytes.map_err(|_| serde::de::Error::custom("digest: not base64"))?;
            Self::try_from(bytes.as_slice()).map_err(serde::de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts() {
        let digest = Digest::from_bytes([0x5a; 32]);
        assert!(digest.ct_eq(&Digest::from_bytes([0x5a; 32])));
        for bit in 0..256 {
            let mut bytes = [0x5a; 32];
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!digest.ct_eq(&Digest::from_bytes(bytes)), "bit {bit}");
        }
    }

    #[test]
    fn equal_differences_in_two_words_do_not_cancel() {
        let mut bytes = [0x5a; 32];
        bytes[0] ^= 1;
        bytes[8] ^= 1;
        assert!(!Digest::from_bytes([0x5a; 32]).ct_eq(&Digest::from_bytes(bytes)));
    }

    /// Returns whether the digest has this tag, with a checksum after the tag.
    fn has_tag(digest: Digest, tag: [u8; 11]) -> bool {
        digest.has_tag(&[&tag[..], b"34567"].concat().try_into().unwrap())
    }

    #[test]
    fn every_character_of_the_tag_counts() {
        let digest = Digest::from_bytes([0xa5; 32]);
        assert!(has_tag(digest, digest.tag()));
        for at in 0..11 {
            let mut tag = digest.tag();
            tag[at] = if tag[at] == b'0' { b'1' } else { b'0' };
            assert!(!has_tag(digest, tag), "character {at}");
        }
    }

    #[test]
    fn a_tag_whose_number_exceeds_64_bits_is_rejected() {
        let digest = Digest::from_bytes([0xa5; 32]);
        let mut number = u128::from(digest.first_word()) + (1 << 64);
        let mut tag = [0; 11];
        for place in tag.iter_mut().rev() {
            *place = alphabet::digit((number % 62) as u8);
            number /= 62;
        }
        assert_eq!(number, 0);
        assert!(!has_tag(digest, tag));
    }

    #[test]
    fn only_32_bytes_are_a_digest() {
        assert!(Digest::try_from([0; 32].as_slice()).is_ok());
        assert!(Digest::try_from([0; 31].as_slice()).is_err());
        assert!(Digest::try_from([0; 33].as_slice()).is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Digest::from_bytes([0x5a; 32])), "Digest(..)");
    }

    #[test]
    fn an_absent_digest_fits_nothing() {
        for bytes in [[0; 32], [7; 32]] {
            let presented = Digest::from_bytes(bytes);
            assert!(presented.fits(Some(&presented)));
            assert!(!presented.fits(Some(&Digest::from_bytes([1; 32]))));
            assert!(!presented.fits(None));
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn in_serde_it_is_base64() {
        let digest = Digest::from_bytes(core::array::from_fn(|at| at as u8));
        let text = "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"";
        assert_eq!(serde_json::to_string(&digest).unwrap(), text);
        assert_eq!(serde_json::from_str::<Digest>(text).unwrap().as_bytes(), digest.as_bytes());
        for bad in ["\"AAEC\"", "\"%%%%\"", "7"] {
            assert!(serde_json::from_str::<Digest>(bad).is_err(), "{bad}");
        }
    }
}

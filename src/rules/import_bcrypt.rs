//! Reads the hashes that bcrypt writes.

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::import_scheme::ImportScheme;
use crate::words::import_digest::ImportDigest;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// The decoder for the base64 of bcrypt. Some implementations set the unused bits of the last
/// character.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

impl ImportScheme {
    /// Parses a hash that bcrypt wrote: `$2b$`, the cost of two digits, `$`, 22 characters of salt
    /// and 31 characters of hash. The versions `2a`, `2b` and `2y` name one algorithm. Returns the
    /// scheme and the hash: the algorithm is `bcrypt`, the parameters are the cost in decimal
    /// digits without leading zeros, and the salt has 16 bytes.
    ///
    /// The function that you declare for `bcrypt` can use this function too, to read the text that
    /// it computes for a presented token.
    ///
    /// ```
    /// use keyfob::record::ImportScheme;
    ///
    /// let stored = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
    /// let (scheme, digest) = ImportScheme::of_bcrypt(stored)?;
    /// assert_eq!((scheme.algorithm(), scheme.parameters()), ("bcrypt", "6"));
    /// assert_eq!(scheme.salt().len(), 16);
    /// # Ok::<(), keyfob::Invalid>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text does not have this form, or if the cost is not 4 to 31. The
    /// version `2x` is refused, because its hashes come from a faulty algorithm.
    pub fn of_bcrypt(stored: &str) -> Result<(Self, ImportDigest), Invalid> {
        let shape = Invalid::new(InvalidField::ImportDigest, InvalidKind::Shape);
        let mut parts = stored.split('$');
        let (Some(""), Some("2a" | "2b" | "2y"), Some(cost), Some(rest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(shape);
        };
        let (true, [tens @ b'0'..=b'9', ones @ b'0'..=b'9']) = (rest.is_ascii() && rest.len() == 53, cost.as_bytes())
        else {
            return Err(shape);
        };
        let cost = (tens - b'0') * 10 + (ones - b'0');
        if !(4..=31).contains(&cost) {
            return Err(Invalid::new(InvalidField::ImportScheme, InvalidKind::OutOfRange));
        }
        let (salt, hash) = rest.split_at(22);
        let (mut salt_bytes, mut hash_bytes) = ([0; 16], [0; 23]);
        let decode = |text: &str, bytes: &mut [u8]| {
            // The decoder's own error would show a byte of the input.
            let decoded = DECODER.decode_slice(text, bytes);
            decoded.map_err(|_| Invalid::new(InvalidField::ImportDigest, InvalidKind::Character))
        };
        let decoded = (decode(salt, &mut salt_bytes)?, decode(hash, &mut hash_bytes)?);
        assert_eq!(decoded, (16, 23), "22 and 31 characters of base64 are 16 and 23 bytes");
        Ok((Self::new("bcrypt", &cost.to_string(), &salt_bytes)?, ImportDigest::from(hash_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash from the tests of jBCrypt.
    const STORED: &str = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";

    #[test]
    fn a_hash_of_bcrypt_has_its_cost_and_salt() {
        let salt = [0xa3, 0x61, 0x2d, 0x8c, 0x9a, 0x37, 0xda, 0xc2, 0xf9, 0x9d, 0x94, 0xda, 0x03, 0xbd, 0x45, 0x21];
        let hash = [
            0xe6, 0xd5, 0x38, 0x31, 0xf8, 0x20, 0x60, 0xdc, 0x08, 0xa2, 0xe8, 0x48, 0x9c, 0xe8, 0x50, 0xce, 0x48, 0xfb,
            0xf9, 0x76, 0x97, 0x87, 0x38,
        ];
        for version in ["$2a$", "$2b$", "$2y$"] {
            let (scheme, digest) = ImportScheme::of_bcrypt(&STORED.replace("$2a$", version)).unwrap();
            assert_eq!(scheme, ImportScheme::new("bcrypt", "6", &salt).unwrap());
            assert_eq!(digest, ImportDigest::from(hash));
        }
        assert_eq!(ImportScheme::of_bcrypt(&STORED.replace("$06$", "$12$")).unwrap().0.parameters(), "12");
    }

    #[test]
    fn other_texts_are_refused() {
        let kind = |text: &str| ImportScheme::of_bcrypt(text).map(drop).map_err(|error| error.kind());
        for text in [
            "",
            "$",
            &STORED[1..],
            &STORED[..59],
            &format!("{STORED}a"),
            &format!("{STORED}$"),
            &format!(" {STORED}"),
            &STORED.replace("$2a$", "$2x$"),
            &STORED.replace("$2a$", "$1$"),
            &STORED.replace("$06$", "$6$"),
            &STORED.replace("$06$", "$+6$"),
            &STORED.replace("m0", "ü"),
        ] {
            assert_eq!(kind(text), Err(InvalidKind::Shape), "{text}");
        }
        for cost in ["$03$", "$32$", "$99$"] {
            assert_eq!(kind(&STORED.replace("$06$", cost)), Err(InvalidKind::OutOfRange));
        }
        assert_eq!(kind(&STORED.replace("m0C", "m-C")), Err(InvalidKind::Character));
        assert_eq!(kind(&STORED.replace("fxe", "fx=")), Err(InvalidKind::Character));
    }
}

//! The characters of imported tokens.

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
    /// The characters of base64: `0-9 A-Z a-z + /`, with up to two `=` at the end, which count
    /// towards the length.
    Base64,
    /// A UUID of 36 characters: hexadecimal digits in any case, and dashes at their places.
    Uuid,
    /// The characters of any value after `Bearer ` in a header (RFC 7235): `0-9 A-Z a-z - . _ ~ +
    /// /`, with any number of `=` at the end. Use this variant for texts of several parts, such as
    /// `ID.SECRET`.
    Token68,
    /// Every visible ASCII character, `!` to `~`. Use this variant if no other variant fits.
    ///
    /// If a token begins or ends with a character that a [`Credential`](crate::Credential) leaves
    /// out, such as a quote or a semicolon, use it in a shape of only one length. In a shape of
    /// several lengths, the shorter text would also fit, and the token would be rejected.
    Visible,
}

impl ImportAlphabet {
    pub(super) fn has_all(self, text: &[u8]) -> bool {
        let all = |has: fn(u8) -> bool| text.iter().all(|byte| has(*byte));
        match self {
            Self::LowerHex => all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            Self::Hex => all(|byte| byte.is_ascii_hexdigit()),
            Self::Base62 => all(|byte| byte.is_ascii_alphanumeric()),
            Self::Base64Url => all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
            Self::Base64 => {
                let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
                let body = &text[..text.len() - padding];
                padding <= 2 && body.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
            }
            Self::Uuid => {
                let fits = |(at, byte): (usize, &u8)| match at {
                    8 | 13 | 18 | 23 => *byte == b'-',
                    _ => byte.is_ascii_hexdigit(),
                };
                text.len() == UUID && text.iter().enumerate().all(fits)
            }
            Self::Token68 => {
                let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
                let is_body =
                    |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
                text[..text.len() - padding].iter().all(is_body)
            }
            Self::Visible => all(|byte| byte.is_ascii_graphic()),
        }
    }
}

/// The number of characters in a UUID with dashes.
pub(super) const UUID: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alphabet_is_its_own_characters() {
        let all =
            |alphabet: ImportAlphabet| (0..=255u8).filter(|byte| alphabet.has_all(&[*byte])).map(char::from).collect();
        let texts: [(_, String); 6] = [
            (ImportAlphabet::LowerHex, all(ImportAlphabet::LowerHex)),
            (ImportAlphabet::Hex, all(ImportAlphabet::Hex)),
            (ImportAlphabet::Base62, all(ImportAlphabet::Base62)),
            (ImportAlphabet::Base64Url, all(ImportAlphabet::Base64Url)),
            (ImportAlphabet::Base64, all(ImportAlphabet::Base64)),
            (ImportAlphabet::Token68, all(ImportAlphabet::Token68)),
        ];
        let expected = [
            "0123456789abcdef",
            "0123456789ABCDEFabcdef",
            "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz",
            "+/0123456789=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "+-./0123456789=ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~",
        ];
        for ((alphabet, text), expected) in texts.into_iter().zip(expected) {
            assert_eq!(text, expected, "{alphabet:?}");
        }
        let visible = (0..=255u8).filter(|byte| ImportAlphabet::Visible.has_all(&[*byte]));
        assert!(visible.eq(b'!'..=b'~'));
    }

    #[test]
    fn padding_and_dashes_have_their_places() {
        for (alphabet, text, fits) in [
            (ImportAlphabet::Base64, "aGVs+/8=", true),
            (ImportAlphabet::Base64, "aGVs+w==", true),
            (ImportAlphabet::Base64, "aGVs====", false),
            (ImportAlphabet::Base64, "aG=s+/8=", false),
            (ImportAlphabet::Base64, "aG-s+/8=", false),
            (ImportAlphabet::Token68, "17.a-b_c~d+e/f===", true),
            (ImportAlphabet::Token68, "17.a=b", false),
            (ImportAlphabet::Token68, "17|ab", false),
            (ImportAlphabet::Uuid, "67e55044-10b1-426f-9247-bb680e5fe0C8", true),
            (ImportAlphabet::Uuid, "67e55044-10b1-426f-9247-bb680e5fe0c", false),
            (ImportAlphabet::Uuid, "67e55044010b1-426f-9247-bb680e5fe0c8", false),
            (ImportAlphabet::Uuid, "67e5504-410b1-426f-9247-bb680e5fe0c8", false),
            (ImportAlphabet::Uuid, "g7e55044-10b1-426f-9247-bb680e5fe0c8", false),
        ] {
            assert_eq!(alphabet.has_all(text.as_bytes()), fits, "{alphabet:?} {text}");
        }
    }
}

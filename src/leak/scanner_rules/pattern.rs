//! Builds the regular expression for a token from the constants of the grammar.
//!
//! The expression consists only of characters, classes and counts. They mean the same in every
//! dialect that scanners use: PCRE, RE2, Hyperscan, Rust, Python, JavaScript and POSIX extended.
//! The expression has no groups, so each prefix needs its own expression.
//!
//! A prefix is written into the expression unchanged. The characters `[a-z0-9_]` of a prefix have
//! no special meaning in an expression, in Git's configuration, or within the quotes of YAML, TOML,
//! JSON, Python and a shell.

use crate::words::format::{CRC, TAIL};
use crate::words::ids::{Prefix, ProjectId, TokenId};

/// Returns the expression for a whole token.
pub(super) fn token(prefix: &Prefix) -> String {
    format!("{}{}", head(prefix), base62(TAIL))
}

/// Returns the expression for everything in a token before the checksum. The checksum covers this
/// part.
pub(super) fn body(prefix: &Prefix) -> String {
    format!("{}{}", head(prefix), base62(TAIL - CRC))
}

/// Returns the expression for the checksum of a token, which follows the body.
pub(super) fn checksum() -> String {
    base62(CRC)
}

fn head(prefix: &Prefix) -> String {
    format!("{prefix}_[0-9a-z]{{1,{}}}_{}_", ProjectId::MAX_LEN, base62(TokenId::LEN))
}

fn base62(digits: usize) -> String {
    format!("[0-9A-Za-z]{{{digits}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expression_matches_the_grammar() {
        let prefix = Prefix::new("acme_pat").unwrap();
        assert_eq!(token(&prefix), "acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{50}");
        assert_eq!(
            body(&prefix) + &checksum(),
            "acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{44}[0-9A-Za-z]{6}"
        );
    }

    #[test]
    fn no_prefix_has_a_character_with_a_special_meaning() {
        for byte in 0..=u8::MAX {
            let is_plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            let text = format!("a{}a", char::from(byte));
            assert_eq!(Prefix::new(&text).is_ok(), is_plain, "{byte}");
        }
    }
}

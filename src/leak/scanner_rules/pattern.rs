//! The shape of a token as a regular expression, from the constants of the grammar.
//!
//! Nothing but characters, classes and counts, and no group: these mean the same in every dialect that scanners have, PCRE,
//! RE2, Hyperscan, Rust, Python, JavaScript and POSIX's extended one. So several prefixes are several expressions. A prefix
//! stands in it as it is: its grammar is `[a-z0-9_]`, none of which means anything but itself, nor is anything in the quotes
//! of YAML, TOML, JSON, Python, a shell or git's configuration.

use crate::words::format::{CRC, TAIL};
use crate::words::ids::{Prefix, ProjectId, TokenId};

/// A whole token.
pub(super) fn token(prefix: &Prefix) -> String {
    format!("{}{}", head(prefix), base62(TAIL))
}

/// All of a token that its checksum is over.
pub(super) fn body(prefix: &Prefix) -> String {
    format!("{}{}", head(prefix), base62(TAIL - CRC))
}

/// What follows the body.
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
    fn it_is_the_shape_of_the_grammar() {
        let prefix = Prefix::new("acme_pat").unwrap();
        assert_eq!(token(&prefix), "acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{50}");
        assert_eq!(
            body(&prefix) + &checksum(),
            "acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{44}[0-9A-Za-z]{6}"
        );
    }

    #[test]
    fn no_prefix_has_a_character_that_means_more_than_itself() {
        for byte in 0..=u8::MAX {
            let is_plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            let text = format!("a{}a", char::from(byte));
            assert_eq!(Prefix::new(&text).is_ok(), is_plain, "{byte}");
        }
    }
}

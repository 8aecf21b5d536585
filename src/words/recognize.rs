//! The recognition of texts that begin like a token.

use super::ids::Prefix;
use super::keyring::Keyring;

impl Keyring {
    /// Returns whether a text begins like a token of this keyring: with one of its prefixes and
    /// `_`. Such a text is a credential of the service, even if it is malformed or forged.
    pub fn recognizes(&self, text: &[u8]) -> bool {
        let follows = |prefix: &Prefix| text.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.starts_with(b"_"));
        self.prefixes().iter().any(follows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_recognized_by_each_prefix() {
        let (old, new) = (Prefix::new("k9").unwrap(), Prefix::new("k9_new").unwrap());
        let keyring = Keyring::builder(new).accept_prefix(old).build().unwrap();
        for text in ["k9_", "k9_x", "k9_new_145_x", "k9_newer"] {
            assert!(keyring.recognizes(text.as_bytes()), "{text}");
        }
        let keyring = Keyring::unkeyed(new);
        for text in ["", "k9_new", "k9_newer_x", "K9_new_x", " k9_new_x", "k9_x"] {
            assert!(!keyring.recognizes(text.as_bytes()), "{text}");
        }
    }
}

//! The hash algorithm of an imported token whose hash depends on its row.

use core::fmt;

use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// The way in which an imported token's old hash is computed from the text of the token: the
/// algorithm, its parameters and the salt. The digest in the token's record is the MAC of this
/// hash. [`Imports`](crate::import::Imports) has the function of each algorithm.
///
/// A token whose hash can be computed from its text alone needs no scheme.
///
/// `Debug` does not show the salt.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "Parts", into = "Parts"))]
pub struct ImportScheme(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Parts {
    algorithm: String,
    #[cfg_attr(feature = "serde", serde(default))]
    parameters: String,
    #[cfg_attr(feature = "serde", serde(default))]
    salt: Vec<u8>,
}

impl ImportScheme {
    /// The maximum number of characters in the name of an algorithm.
    pub const MAX_ALGORITHM: usize = 32;
    /// The maximum number of characters in the parameters.
    pub const MAX_PARAMETERS: usize = 255;
    /// The maximum number of bytes in a salt.
    pub const MAX_SALT: usize = 64;

    /// Creates a scheme from the name of an algorithm, its parameters and a salt. The name consists
    /// of 1 to 32 lower-case ASCII letters, digits and `-`. The parameters have at most 255 visible
    /// ASCII characters, and the salt at most 64 bytes. Parameters and salt may be empty.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the name is empty, if an argument is too long, or if the name or the
    /// parameters contain a character that is not allowed.
    pub fn new(algorithm: &str, parameters: &str, salt: &[u8]) -> Result<Self, Invalid> {
        let invalid = |kind| Err(Invalid::new(InvalidField::ImportScheme, kind));
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if algorithm.is_empty() {
            return invalid(InvalidKind::Empty);
        }
        for (length, max) in [
            (algorithm.len(), Self::MAX_ALGORITHM),
            (parameters.len(), Self::MAX_PARAMETERS),
            (salt.len(), Self::MAX_SALT),
        ] {
            if length > max {
                return invalid(InvalidKind::TooLong { max });
            }
        }
        if !algorithm.bytes().all(is_name) || !parameters.bytes().all(|byte| byte.is_ascii_graphic()) {
            return invalid(InvalidKind::Character);
        }
        let parts = Parts { algorithm: algorithm.into(), parameters: parameters.into(), salt: salt.into() };
        Ok(Self(Box::new(parts)))
    }

    /// Returns the name of the algorithm.
    pub fn algorithm(&self) -> &str {
        &self.0.algorithm
    }

    /// Returns the parameters of the algorithm, in a format that the algorithm defines. The text
    /// may be empty.
    pub fn parameters(&self) -> &str {
        &self.0.parameters
    }

    /// Returns the salt, which may be empty.
    pub fn salt(&self) -> &[u8] {
        &self.0.salt
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for ImportScheme {
    type Error = Invalid;

    fn try_from(Parts { algorithm, parameters, salt }: Parts) -> Result<Self, Invalid> {
        Self::new(&algorithm, &parameters, &salt)
    }
}

#[cfg(feature = "serde")]
impl From<ImportScheme> for Parts {
    fn from(scheme: ImportScheme) -> Self {
        *scheme.0
    }
}

impl fmt::Debug for ImportScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (algorithm, parameters) = (self.algorithm(), self.parameters());
        let mut scheme = f.debug_struct("ImportScheme");
        scheme.field("algorithm", &algorithm).field("parameters", &parameters).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_has_what_it_was_given() {
        let scheme = ImportScheme::new("pbkdf2-sha256", "i=100000,l=32", b"salt").unwrap();
        assert_eq!(
            (scheme.algorithm(), scheme.parameters(), scheme.salt()),
            ("pbkdf2-sha256", "i=100000,l=32", &b"salt"[..])
        );
        let plain = ImportScheme::new("blake3", "", b"").unwrap();
        assert_eq!((plain.parameters(), plain.salt()), ("", &b""[..]));
        assert!(!format!("{scheme:?}").contains("115"), "no byte of the salt");
    }

    #[test]
    fn a_scheme_out_of_bounds_is_refused() {
        let kind = |algorithm: &str, parameters: &str, salt: usize| {
            ImportScheme::new(algorithm, parameters, &vec![0; salt]).map(drop).map_err(|invalid| invalid.kind())
        };
        assert_eq!(kind("", "", 0), Err(InvalidKind::Empty));
        assert_eq!(kind(&"a".repeat(33), "", 0), Err(InvalidKind::TooLong { max: 32 }));
        assert_eq!(kind("a", &"a".repeat(256), 0), Err(InvalidKind::TooLong { max: 255 }));
        assert_eq!(kind("a", "", 65), Err(InvalidKind::TooLong { max: 64 }));
        for (algorithm, parameters) in [("A", ""), ("a b", ""), ("a", " "), ("a", "ü")] {
            assert_eq!(kind(algorithm, parameters, 0), Err(InvalidKind::Character));
        }
        assert_eq!(kind(&"a".repeat(32), &"~".repeat(255), 64), Ok(()));
    }
}

//! The places of a request in which a token may be.

use super::invalid::{Invalid, InvalidField, InvalidKind};

/// The places of a request in which a token may be. [`new`](Self::new) gives the scheme Bearer and
/// the scheme Basic of the header `Authorization`. Each method adds a place.
///
/// | a client sends | setting |
/// |---|---|
/// | `Authorization: Bearer TOKEN` | none |
/// | `Authorization: Basic …` with the token as user name or password (git, curl, Docker, Maven) | none |
/// | `Authorization: token TOKEN` | [`with_scheme("token")`](Self::with_scheme) |
/// | `Authorization: TOKEN` (Cargo) | [`with_bare_token`](Self::with_bare_token) |
/// | `X-API-Key: TOKEN`, `Private-Token: TOKEN` | [`with_header("x-api-key")`](Self::with_header) |
///
/// A text in one of these places is a **credential** if it begins with a prefix of the keyring and
/// `_`, or has the shape of an imported token. A service must judge such a text, and must never
/// leave it to another authentication. A request may have only one credential.
///
/// ```
/// use keyfob::http::{CredentialPlaces, FoundCredential};
/// use keyfob::{Keyring, Prefix};
///
/// let keyring = Keyring::unkeyed(Prefix::new("acme_pat")?);
/// let places = CredentialPlaces::new().with_bare_token().with_header("X-API-Key")?;
///
/// // The headers of a request. In a service, they come from the web framework.
/// let find = |headers: &'static [(&str, &str)]| {
///     let values = |name| {
///         let named = headers.iter().filter(move |(key, _)| *key == name);
///         named.map(|(_, value)| value.as_bytes())
///     };
///     places.find(values, |text| keyring.recognizes(text))
/// };
/// let token = find(&[("authorization", "acme_pat_145_...")])?;
/// assert!(matches!(token, FoundCredential::Token(_)));
/// let other = find(&[("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln")])?;
/// assert!(matches!(other, FoundCredential::Other(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialPlaces {
    /// The schemes, besides Basic, that are followed by a token.
    pub(super) schemes: Vec<Box<str>>,
    pub(super) bare: bool,
    /// The names, in lower case, of the headers whose whole value is a token.
    pub(super) headers: Vec<Box<str>>,
}

/// The maximum length of a header value in bytes. A longer value is refused.
pub(super) const MAX_VALUE: usize = 8 * 1024;

pub(super) const AUTHORIZATION: &str = "authorization";

impl CredentialPlaces {
    /// The maximum number of characters in the name of a scheme or of a header.
    pub const MAX_NAME: usize = 64;

    /// Creates the places that every service has: `Authorization: Bearer` and `Authorization:
    /// Basic`.
    pub fn new() -> Self {
        Self { schemes: vec!["bearer".into()], bare: false, headers: Vec::new() }
    }

    /// Adds a scheme of the header `Authorization`, such as `token` for `Authorization: token
    /// TOKEN`. The case of the name does not matter.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the name is empty, longer than 64 characters, or has a character that
    /// RFC 9110 section 5.6.2 does not allow.
    pub fn with_scheme(mut self, scheme: &str) -> Result<Self, Invalid> {
        self.schemes.push(header_name(scheme, InvalidField::AuthScheme)?);
        Ok(self)
    }

    /// Adds the header `Authorization` with the token alone, without a scheme. Cargo sends its
    /// token in this way.
    #[must_use]
    pub fn with_bare_token(self) -> Self {
        Self { bare: true, ..self }
    }

    /// Adds a header whose whole value is the token, such as `X-API-Key`. The case of the name does
    /// not matter.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the name is empty, longer than 64 characters, or has a character that
    /// RFC 9110 section 5.6.2 does not allow. Returns `Invalid` for `Authorization` too: use
    /// [`with_bare_token`](Self::with_bare_token).
    pub fn with_header(mut self, header: &str) -> Result<Self, Invalid> {
        let name = header_name(header, InvalidField::HeaderName)?;
        if &*name == AUTHORIZATION {
            return Err(Invalid::new(InvalidField::HeaderName, InvalidKind::Duplicate));
        }
        if !self.headers.contains(&name) {
            self.headers.push(name);
        }
        Ok(self)
    }

    /// Returns the names, in lower case, of all headers that may hold a token. Mark their values as
    /// sensitive, and keep them out of logs.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        core::iter::once(AUTHORIZATION).chain(self.headers.iter().map(|name| &**name))
    }

    /// Returns the names, in lower case, of the schemes of `Authorization` besides Basic. The first
    /// is `bearer`.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().map(|name| &**name)
    }

    /// Returns whether the header `Authorization` may hold a token without a scheme.
    pub fn has_bare_token(&self) -> bool {
        self.bare
    }
}

impl Default for CredentialPlaces {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the name of a scheme or a header in lower case.
pub(crate) fn header_name(text: &str, field: InvalidField) -> Result<Box<str>, Invalid> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let flaw = match text.len() {
        0 => InvalidKind::Empty,
        1..=CredentialPlaces::MAX_NAME if text.bytes().all(is_token) => return Ok(text.to_ascii_lowercase().into()),
        1..=CredentialPlaces::MAX_NAME => InvalidKind::Character,
        _ => InvalidKind::TooLong { max: CredentialPlaces::MAX_NAME },
    };
    Err(Invalid::new(field, flaw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_schemes_and_headers_are_bounded() {
        let kind = |name: &str| CredentialPlaces::new().with_header(name).map(drop).map_err(|error| error.kind());
        assert_eq!(kind(&"a".repeat(64)), Ok(()));
        assert_eq!(kind(&"a".repeat(65)), Err(InvalidKind::TooLong { max: 64 }));
        assert_eq!(kind(""), Err(InvalidKind::Empty));
        for name in ["a b", "a:", "é", "a\n"] {
            assert_eq!(kind(name), Err(InvalidKind::Character), "{name:?}");
        }
        assert_eq!(kind("Authorization"), Err(InvalidKind::Duplicate));
        let twice = CredentialPlaces::new().with_header("X-Key").unwrap().with_header("x-key").unwrap();
        assert_eq!(twice.headers().collect::<Vec<_>>(), ["authorization", "x-key"]);
        let scheme = CredentialPlaces::new().with_scheme("a b").unwrap_err();
        assert_eq!(scheme.field(), InvalidField::AuthScheme);
    }
}

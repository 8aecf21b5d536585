//! The search for the credential of a request.

use super::authorization::Authorization;
use super::credential::{BasicPair, BasicPart, Credential, HeaderError};
use super::places::{AUTHORIZATION, CredentialPlaces, MAX_VALUE};

/// The result of the search for a credential in a request. It will never have other variants.
#[derive(Debug)]
pub enum FoundCredential<'h> {
    /// The request has a credential of the service. Verify it, and never leave it to another
    /// authentication.
    Token(Credential<'h>),
    /// The request has no credential of the service. Another authentication may judge the request.
    /// The value is what a service without another authentication makes of the request: a text to
    /// verify, which is then rejected, or the error for the header.
    Other(Result<Credential<'h>, HeaderError>),
}

impl<'h> FoundCredential<'h> {
    /// Returns the text that a service without another authentication verifies.
    ///
    /// # Errors
    /// Returns the [`HeaderError`] of [`Other`](Self::Other).
    pub fn judged(self) -> Result<Credential<'h>, HeaderError> {
        match self {
            Self::Token(credential) => Ok(credential),
            Self::Other(other) => other,
        }
    }
}

/// A value in one of the places.
#[derive(Clone, Copy)]
enum Value<'h> {
    Authorization(&'h [u8]),
    /// A value that is a token without a scheme.
    Text(&'h [u8]),
}

impl CredentialPlaces {
    /// Finds the credential of a request. `values` returns all values of the header with a name,
    /// which is in lower case. `recognizes` returns whether a text begins like a token of the
    /// service: pass [`Tokens::recognizes`](crate::Tokens::recognizes) or
    /// [`Keyring::recognizes`](crate::Keyring::recognizes).
    ///
    /// # Errors
    /// - Returns [`HeaderError::Repeated`] if the request has a credential and another value in one
    ///   of the places, or a Basic credential whose two parts both begin like a token.
    /// - Returns [`HeaderError::Malformed`] if the value of the credential is longer than 8 KiB, or
    ///   if a Basic credential cannot be decoded: it may be a token.
    ///
    /// After such an error, refuse the request. Do not leave it to another authentication.
    pub fn find<'n, 'h, I>(
        &'n self,
        values: impl FnMut(&'n str) -> I,
        recognizes: impl Fn(&[u8]) -> bool,
    ) -> Result<FoundCredential<'h>, HeaderError>
    where
        I: IntoIterator<Item = &'h [u8]>,
    {
        self.find_with(None, values, recognizes)
    }

    /// Finds the credential of a request in the same way as [`find`](Self::find). `own` is one more
    /// text, which the service itself read from the request.
    pub(crate) fn find_with<'n, 'h, I>(
        &'n self,
        own: Option<&'h [u8]>,
        mut values: impl FnMut(&'n str) -> I,
        recognizes: impl Fn(&[u8]) -> bool,
    ) -> Result<FoundCredential<'h>, HeaderError>
    where
        I: IntoIterator<Item = &'h [u8]>,
    {
        let authorization = values(AUTHORIZATION).into_iter().map(Value::Authorization);
        let headers = self.headers.iter().flat_map(|name| values(name)).map(Value::Text);
        self.only(authorization.chain(headers).chain(own.map(Value::Text)), recognizes)
    }

    /// Finds the credential in the values of `Authorization` alone.
    pub(super) fn find_in<'h>(
        &self,
        authorization: impl IntoIterator<Item = &'h [u8]>,
        recognizes: impl Fn(&[u8]) -> bool,
    ) -> Result<FoundCredential<'h>, HeaderError> {
        self.only(authorization.into_iter().map(Value::Authorization), recognizes)
    }

    fn only<'h>(
        &self,
        mut values: impl Iterator<Item = Value<'h>>,
        recognizes: impl Fn(&[u8]) -> bool,
    ) -> Result<FoundCredential<'h>, HeaderError> {
        let Some(first) = values.next() else { return Ok(FoundCredential::Other(Err(HeaderError::Missing))) };
        let Some(second) = values.next() else { return self.read(first, &recognizes) };
        for value in [first, second].into_iter().chain(values) {
            if !matches!(self.read(value, &recognizes), Ok(FoundCredential::Other(_))) {
                return Err(HeaderError::Repeated);
            }
        }
        Ok(FoundCredential::Other(Err(HeaderError::Repeated)))
    }

    fn read<'h>(
        &self,
        value: Value<'h>,
        recognizes: &impl Fn(&[u8]) -> bool,
    ) -> Result<FoundCredential<'h>, HeaderError> {
        let (text, bytes) = match value {
            Value::Text(text) => (Ok(text), text.len()),
            Value::Authorization(value) => match self.after_scheme(value, recognizes) {
                Ok(Authorization::Basic(encoded)) => return basic(encoded, value.len(), recognizes),
                Ok(Authorization::Text(text)) => (Ok(text), value.len()),
                Err(error) => (Err(error), value.len()),
            },
        };
        let credential = text.and_then(Credential::of_text);
        if credential.as_ref().is_ok_and(|credential| recognizes(credential.as_ref())) {
            return found_in(credential, true, bytes);
        }
        // An imported token may begin or end with a character that is often pasted around a token.
        match text.map(<[u8]>::trim_ascii) {
            Ok(text) if recognizes(text) => found_in(Ok(Credential::of_trimmed(text)), true, bytes),
            _ => found_in(credential, false, bytes),
        }
    }
}

/// Reads a Basic credential. The token is the part that begins like one.
fn basic<'h>(
    encoded: &[u8],
    bytes: usize,
    recognizes: &impl Fn(&[u8]) -> bool,
) -> Result<FoundCredential<'h>, HeaderError> {
    // A longer value is not decoded. Like a value that cannot be decoded, it may hold a token.
    if bytes > MAX_VALUE {
        return Err(HeaderError::Malformed);
    }
    let pair = BasicPair::decode(encoded)?;
    let token = |part| pair.places(part).into_iter().find(|place| recognizes(pair.text(place)));
    match (token(BasicPart::User), token(BasicPart::Password)) {
        (Some(_), Some(_)) => Err(HeaderError::Repeated),
        (Some(place), None) | (None, Some(place)) => Ok(FoundCredential::Token(Credential::of_pair(pair, place))),
        (None, None) => {
            let trimmed = [BasicPart::User, BasicPart::Password].map(|part| pair.places(part)[0].clone());
            let first = trimmed.into_iter().find(|place| !place.is_empty()).ok_or(HeaderError::Malformed);
            Ok(FoundCredential::Other(first.map(|place| Credential::of_pair(pair, place))))
        }
    }
}

fn found_in<'h>(
    credential: Result<Credential<'h>, HeaderError>,
    recognized: bool,
    bytes: usize,
) -> Result<FoundCredential<'h>, HeaderError> {
    match (recognized, bytes > MAX_VALUE) {
        (true, true) => Err(HeaderError::Malformed),
        (false, true) => Ok(FoundCredential::Other(Err(HeaderError::Malformed))),
        (true, false) => credential.map(FoundCredential::Token),
        (false, false) => Ok(FoundCredential::Other(credential)),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// Returns the text of the credential, or the reason why the request has no credential. The
    /// outer error must not be left to another authentication.
    fn find(places: &CredentialPlaces, headers: &[(&str, &str)]) -> Result<Result<String, String>, HeaderError> {
        let text = |credential: &Credential<'_>| String::from_utf8_lossy(credential.as_ref()).into_owned();
        let values = |name: &str| {
            let named = headers.iter().filter(|(key, _)| *key == name);
            named.map(|(_, value)| value.as_bytes()).collect::<Vec<_>>()
        };
        Ok(match places.find(values, |text| text.starts_with(b"k9_"))? {
            FoundCredential::Token(credential) => Ok(text(&credential)),
            FoundCredential::Other(Ok(credential)) => Err(text(&credential)),
            FoundCredential::Other(Err(error)) => Err(format!("{error:?}")),
        })
    }

    fn authorization(value: &str) -> Result<Result<String, String>, HeaderError> {
        find(&CredentialPlaces::new(), &[("authorization", value)])
    }

    fn basic(pair: &str) -> Result<Result<String, String>, HeaderError> {
        authorization(&format!("Basic {}", STANDARD.encode(pair)))
    }

    fn token(text: &str) -> Result<Result<String, String>, HeaderError> {
        Ok(Ok(text.into()))
    }

    fn other(text: &str) -> Result<Result<String, String>, HeaderError> {
        Ok(Err(text.into()))
    }

    #[test]
    fn bearer_is_read_in_any_case_and_with_pasted_characters_around() {
        for value in [
            "Bearer k9_t",
            "bearer k9_t",
            "BEARER\tk9_t",
            "  Bearer   k9_t  ",
            "Bearer \"k9_t\"",
            "Bearer 'k9_t',",
            "Bearer <k9_t>;",
            "Bearer \u{feff}k9_t\u{200b}",
            "Bearer \u{201c}k9_t\u{201d}",
            "Bearer \u{a0}k9_t\r\n",
            "Bearer\u{a0}k9_t",
            "'Bearer k9_t'",
        ] {
            assert_eq!(authorization(value), token("k9_t"), "{value:?}");
        }
        assert_eq!(authorization("Bearer k9_ken x"), token("k9_ken x"), "the parser refuses the inside");
    }

    #[test]
    fn an_imported_token_may_begin_and_end_with_characters_that_are_pasted_around_tokens() {
        let places = CredentialPlaces::new().with_bare_token();
        let is_token = |value: &str| {
            let found = places.find_in([value.as_bytes()], |text| [&b"<old;"[..], b"new", b"old,"].contains(&text));
            matches!(found, Ok(FoundCredential::Token(_)))
        };
        for value in ["Bearer  <old; ", "Bearer 'new';", " <old; ", "'new';", "'old, "] {
            assert!(is_token(value), "{value:?}");
        }
        for pair in ["ada: <old; ", "<old;:x", "'new';:x"] {
            assert!(is_token(&format!("Basic {}", STANDARD.encode(pair))), "{pair:?}");
        }
        for value in ["Bearer '<old;", "Bearer <old", "'<old;", "old;"] {
            assert!(!is_token(value), "{value:?}");
        }
    }

    #[test]
    fn the_token_is_the_part_of_basic_that_begins_like_one() {
        assert_eq!(basic("k9_t:"), token("k9_t"));
        assert_eq!(basic("k9_t:x-oauth-basic"), token("k9_t"));
        assert_eq!(basic(" k9_t :a:b"), token("k9_t"));
        assert_eq!(basic("ada:k9_t"), token("k9_t"));
        assert_eq!(basic(":'k9_t' "), token("k9_t"));
        assert_eq!(basic("k9_t:k9_t"), Err(HeaderError::Repeated));
        assert_eq!(basic("ada:secret"), other("ada"));
        assert_eq!(basic(":secret"), other("secret"));
        assert_eq!(basic(":"), other("Malformed"));
        assert_eq!(basic("k9_t"), Err(HeaderError::Malformed), "no colon");
        assert_eq!(basic("other"), Err(HeaderError::Malformed), "no colon");
        assert_eq!(authorization("Basic %%%"), Err(HeaderError::Malformed));
        assert_eq!(authorization("Basic azlfd"), Err(HeaderError::Malformed), "cut");
        assert_eq!(authorization("\"basic\u{a0}azlfdDp4\""), token("k9_t"));
        assert_eq!(authorization("Basic azlfdDp4"), token("k9_t"));
        assert_eq!(authorization("Basic azlfdDo"), token("k9_t"), "without padding");
        let long = format!("k9_{}:{}", "t".repeat(400), "p".repeat(4000));
        assert_eq!(basic(&long), token(&long[..403]));
    }

    #[test]
    fn other_values_are_not_tokens() {
        assert_eq!(find(&CredentialPlaces::new(), &[]), other("Missing"));
        for (value, found) in [
            ("", "Scheme"),
            ("Bearer", "Malformed"),
            ("Bearer  ", "Malformed"),
            ("Bearer ''", "Malformed"),
            ("Digest username=x", "Scheme"),
            ("k9_t", "Scheme"),
            ("token k9_t", "Scheme"),
            ("Bearer K9_t", "K9_t"),
            ("Bearer xk9_t", "xk9_t"),
        ] {
            assert_eq!(authorization(value), other(found), "{value:?}");
        }
    }

    #[test]
    fn a_value_of_more_than_8_kib_is_refused_if_it_may_be_a_token() {
        let fits = "t".repeat(MAX_VALUE - "Bearer k9_".len());
        assert_eq!(authorization(&format!("Bearer k9_{fits}")), token(&format!("k9_{fits}")));
        assert_eq!(authorization(&format!("Bearer k9_{fits}t")), Err(HeaderError::Malformed));
        assert_eq!(authorization(&format!("Bearer abc{fits}t")), other("Malformed"));
        assert_eq!(basic(&"p".repeat(MAX_VALUE)), Err(HeaderError::Malformed));
    }

    #[test]
    fn a_place_is_read_only_if_it_was_added() {
        let places = CredentialPlaces::new().with_scheme("Token").unwrap().with_header("X-API-Key").unwrap();
        assert_eq!(find(&places, &[("authorization", "token k9_t")]), token("k9_t"));
        assert_eq!(find(&places, &[("authorization", "k9_t")]), other("Scheme"));
        assert_eq!(find(&places, &[("x-api-key", " 'k9_t' ")]), token("k9_t"));
        assert_eq!(find(&places, &[("x-api-key", "")]), other("Malformed"));
        assert_eq!(find(&places, &[("private-token", "k9_t")]), other("Missing"));
        assert_eq!(places.headers().collect::<Vec<_>>(), ["authorization", "x-api-key"]);
        let bare = CredentialPlaces::new().with_bare_token();
        assert_eq!(find(&bare, &[("authorization", " k9_t ")]), token("k9_t"));
        assert_eq!(find(&bare, &[("authorization", "k9_t x")]), token("k9_t x"), "the parser refuses it");
        assert_eq!(find(&bare, &[("authorization", "' k9_t '")]), token("k9_t"));
        assert_eq!(find(&bare, &[("authorization", "Bearer k9_t")]), token("k9_t"));
        assert_eq!(find(&bare, &[("authorization", "Bearer")]), other("Malformed"));
        assert_eq!(find(&bare, &[("authorization", "Digest x")]), other("Scheme"));
        assert_eq!(find(&bare, &[("authorization", "")]), other("Scheme"));
    }

    #[test]
    fn a_credential_beside_another_value_is_refused() {
        let places = CredentialPlaces::new().with_header("x-api-key").unwrap();
        let both = |authorization, key| find(&places, &[("authorization", authorization), ("x-api-key", key)]);
        assert_eq!(both("Bearer k9_t", "k9_t"), Err(HeaderError::Repeated));
        assert_eq!(both("Basic eDp5", "k9_t"), Err(HeaderError::Repeated));
        assert_eq!(both("Bearer k9_t", "other"), Err(HeaderError::Repeated));
        assert_eq!(both("Bearer x", "other"), other("Repeated"));
        let twice = |value| find(&places, &[("authorization", "Bearer x"), ("authorization", value)]);
        assert_eq!(twice("Bearer k9_t"), Err(HeaderError::Repeated));
        assert_eq!(twice("Bearer y"), other("Repeated"));
    }
}

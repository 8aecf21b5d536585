//! The reading of a credential from one header, or from a pasted text.

use super::authorization::Authorization;
use super::credential::{BasicPair, BasicPart, Credential, HeaderError};
use super::find_credential::FoundCredential;
use super::keyring::Keyring;
use super::paste::trim_paste;
use super::places::{CredentialPlaces, MAX_VALUE};

impl<'h> Credential<'h> {
    /// Reads the credential from the `Authorization` header, with the scheme Bearer or Basic. Pass
    /// all values of the header. Only one value is allowed. The keyring decides which part of a
    /// Basic credential is the token: the part that begins with a prefix of the keyring and `_`.
    ///
    /// For other schemes and headers, and for a service that also has another authentication, use
    /// [`CredentialPlaces::find`](crate::http::CredentialPlaces::find).
    ///
    /// # Errors
    /// - Returns [`HeaderError::Missing`] if there is no value.
    /// - Returns [`HeaderError::Repeated`] if there is more than one value, or if both parts of a
    ///   Basic credential begin like a token.
    /// - Returns [`HeaderError::Scheme`] if the scheme is neither Bearer nor Basic.
    /// - Returns [`HeaderError::Malformed`] if the value is longer than 8 KiB or no token can be
    ///   read from it.
    pub fn from_authorization<I, V>(authorization: I, keyring: &Keyring) -> Result<Self, HeaderError>
    where
        I: IntoIterator<Item = &'h V>,
        V: AsRef<[u8]> + ?Sized + 'h,
    {
        let authorization = authorization.into_iter().map(AsRef::as_ref);
        let found = CredentialPlaces::new().find_in(authorization, |text| keyring.recognizes(text));
        found.and_then(FoundCredential::judged)
    }

    /// Returns the texts that may be the token in a text that was pasted, or that was sent outside
    /// a header. There are at most four.
    ///
    /// The text may be the token alone, or the value of an `Authorization` header such as `Bearer
    /// TOKEN`. The token may be either part of a Basic credential. Characters that are often pasted
    /// together with a token are removed from both ends. An imported token may have such characters
    /// itself. So if they are more than white space, the text with them is returned too.
    pub(crate) fn all_in(text: &'h [u8]) -> Vec<Self> {
        let rest = match CredentialPlaces::new().after_scheme(text, &|_| false) {
            Ok(Authorization::Basic(encoded)) if encoded.len() <= MAX_VALUE => match BasicPair::decode(encoded) {
                Ok(pair) => return Self::all_of(&pair),
                Err(_) => text,
            },
            Ok(Authorization::Text(rest)) if !trim_paste(rest).is_empty() => rest,
            // The text has no scheme, or no token after the scheme.
            _ => text,
        };
        let mut texts = vec![trim_paste(rest), rest.trim_ascii()];
        texts.dedup();
        texts.into_iter().map(Self::of_trimmed).collect()
    }

    fn all_of(pair: &BasicPair) -> Vec<Self> {
        let mut places = [BasicPart::User, BasicPart::Password].map(|part| pair.places(part)).concat();
        places.dedup();
        places.retain(|place| !place.is_empty());
        places.into_iter().map(|place| Self::of_pair(pair.clone(), place)).collect()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;

    use super::*;
    use crate::words::ids::Prefix;

    fn read(values: &[&str]) -> Result<String, HeaderError> {
        let keyring = Keyring::unkeyed(Prefix::new("k9").unwrap());
        let credential = Credential::from_authorization(values.iter().copied(), &keyring)?;
        Ok(String::from_utf8_lossy(credential.as_ref()).into_owned())
    }

    #[test]
    fn one_value_of_authorization_is_read() {
        assert_eq!(read(&["Bearer k9_t"]), Ok("k9_t".into()));
        assert_eq!(read(&["Bearer other"]), Ok("other".into()), "the parser refuses it");
        assert_eq!(read(&[]), Err(HeaderError::Missing));
        assert_eq!(read(&["Bearer k9_t", "Bearer k9_t"]), Err(HeaderError::Repeated));
        assert_eq!(read(&["Bearer a", "Bearer a"]), Err(HeaderError::Repeated));
        assert_eq!(read(&["Digest k9_t"]), Err(HeaderError::Scheme));
        assert_eq!(read(&["Basic k9_t"]), Err(HeaderError::Malformed));
    }

    #[test]
    fn a_paste_is_read_with_and_without_its_scheme() {
        let pasted = |text: &str| {
            let all = Credential::all_in(text.as_bytes());
            all.iter().map(|one| String::from_utf8_lossy(one.as_ref()).into_owned()).collect::<Vec<_>>()
        };
        let token = "k9_0_100000000000000z_0000000000000000000000000000000006H8L9pYffcT3vAP6Y";
        let basic = |pair: &str| {
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Basic {encoded}")
        };
        let wrapped = [" {}\r\n", "'{}'", "Bearer {}", "\"bearer  '{}'\"", "\u{feff}Bearer {};"];
        let wrapped = wrapped.map(|form| form.replace("{}", token));
        for text in &wrapped {
            assert_eq!(pasted(text)[0], token, "{text:?}");
        }
        for (text, read) in [("", ""), ("Bearer", "Bearer"), ("Basic %%%", "Basic %%%"), (" a b ", "a b")] {
            assert_eq!(pasted(text), [read], "{text:?}");
        }
        assert_eq!(pasted("Bearer <old;"), ["old", "<old;"]);
        assert_eq!(pasted(&basic("'a' : <b ")), ["a", "'a'", "b", "<b"]);
        assert_eq!((pasted(&basic("a:")), pasted(&basic(":b"))), (vec!["a".to_owned()], vec!["b".to_owned()]));
        assert!(pasted(&basic(":")).is_empty());
    }
}

//! The reading of a credential from one header, or from a pasted text.

use super::credential::{Credential, HeaderError};
use super::find_credential::FoundCredential;
use super::keyring::Keyring;
use super::paste::trim_paste;
use super::places::CredentialPlaces;

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

    /// Reads a token that was pasted, or that was sent outside a header. `is_token` returns whether
    /// a text has the shape of a token.
    ///
    /// The text may be the token alone, or the value of an `Authorization` header such as
    /// `Bearer TOKEN`. Characters that are often pasted together with a token are removed from both
    /// ends.
    pub(crate) fn pasted(text: &'h [u8], is_token: impl Fn(&[u8]) -> bool) -> Self {
        match CredentialPlaces::new().find_in([text], is_token).and_then(FoundCredential::judged) {
            Ok(credential) => credential,
            // The text has no scheme, or no readable token after the scheme.
            Err(_) => Self::of_trimmed(trim_paste(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;

    use super::*;
    use crate::words::format::TokenText;
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
        let token = "k9_0_100000000000000z_0000000000000000000000000000000006H8L9pYffcT3vAP6Y";
        let basic = |pair: String| {
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Basic {encoded}")
        };
        let (user, password) = (basic(format!("{token}:x")), basic(format!("ada:{token}")));
        let wrapped = [" {}\r\n", "'{}'", "Bearer {}", "\"bearer  '{}'\"", "\u{feff}Bearer {};"];
        let wrapped = wrapped.map(|form| form.replace("{}", token));
        let pasted =
            |text: &str| Credential::pasted(text.as_bytes(), |text| TokenText::parse(text).is_ok()).as_ref().to_vec();
        for text in wrapped.iter().chain([&user, &password]) {
            assert_eq!(pasted(text), token.as_bytes(), "{text:?}");
        }
        for (text, read) in [("", ""), ("Bearer", "Bearer"), ("Basic %%%", "Basic %%%"), ("a b", "a b")] {
            assert_eq!(pasted(text), read.as_bytes(), "{text:?}");
        }
    }
}

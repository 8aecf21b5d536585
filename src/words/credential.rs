//! Reads the token from the headers of a request.

use core::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// The token text that a request presents, trimmed and not yet parsed. Debug shows no part of it.
///
/// The text is read from one of these headers:
/// - `Authorization: Bearer TOKEN` (RFC 6750).
/// - `Authorization: Basic …` with the token as the user name and any password. Git, curl and Maven
///   can send this header.
/// - `X-API-Key: TOKEN`, if your service calls
///   [`from_authorization_or_api_key`](Self::from_authorization_or_api_key).
///
/// The scheme is case-insensitive. Characters that are often pasted together with a token are
/// removed from both ends: white space, quotes, angle brackets, commas, semicolons and invisible
/// characters.
///
/// ```
/// use keyfob::{Credential, error::HeaderError};
///
/// let credential = Credential::from_authorization([b"bearer  'acme_pat_1_...' "])?;
/// assert_eq!(credential.as_ref(), b"acme_pat_1_...");
///
/// let none: [&[u8]; 0] = [];
/// assert_eq!(Credential::from_authorization(none).unwrap_err(), HeaderError::Missing);
/// # Ok::<(), HeaderError>(())
/// ```
///
/// Timing may leak the whole token, because base64 is decoded with tables. The token leaks only to
/// the caller that presents it and therefore knows it already.
pub struct Credential<'h>(Source<'h>);

enum Source<'h> {
    Header(&'h [u8]),
    Decoded { user: Zeroizing<[u8; DECODED]>, start: usize, end: usize },
}

/// The maximum length of a header value in bytes. A longer value is refused before it is parsed.
const MAX_VALUE: usize = 8 * 1024;
/// The maximum number of bytes that are decoded from a Basic credential. A user name fits if it is
/// a token with some characters pasted around it.
const DECODED: usize = 192;
/// The length of the base64 text that encodes `DECODED` bytes.
const ENCODED: usize = DECODED / 3 * 4;

/// The base64 decoder for Basic credentials. It accepts missing padding, and any value of the
/// unused bits in the last character.
pub(crate) const BASIC: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl<'h> Credential<'h> {
    /// Reads the credential from the `Authorization` header. Pass all values of the header. Only
    /// one value is allowed.
    ///
    /// # Errors
    /// - Returns [`HeaderError::Missing`] if there is no value.
    /// - Returns [`HeaderError::Repeated`] if there is more than one value.
    /// - Returns [`HeaderError::Scheme`] if the scheme is neither Bearer nor Basic.
    /// - Returns [`HeaderError::Malformed`] if the value is longer than 8 KiB or no token can be
    ///   read from it.
    pub fn from_authorization<I, V>(authorization: I) -> Result<Self, HeaderError>
    where
        I: IntoIterator<Item = &'h V>,
        V: AsRef<[u8]> + ?Sized + 'h,
    {
        let none: [&[u8; 0]; 0] = [];
        Self::from_authorization_or_api_key(authorization, none)
    }

    /// Reads the credential from the `Authorization` or the `X-API-Key` header. Pass all values of
    /// both headers. The two headers together may have only one value.
    ///
    /// # Errors
    /// - Returns [`HeaderError::Missing`] if neither header has a value.
    /// - Returns [`HeaderError::Repeated`] if there is more than one value.
    /// - Returns [`HeaderError::Scheme`] if the scheme of `Authorization` is neither Bearer nor
    ///   Basic.
    /// - Returns [`HeaderError::Malformed`] if the value is longer than 8 KiB or no token can be
    ///   read from it.
    pub fn from_authorization_or_api_key<I, V, J, W>(authorization: I, api_key: J) -> Result<Self, HeaderError>
    where
        I: IntoIterator<Item = &'h V>,
        V: AsRef<[u8]> + ?Sized + 'h,
        J: IntoIterator<Item = &'h W>,
        W: AsRef<[u8]> + ?Sized + 'h,
    {
        let (mut authorization, mut api_key) = (authorization.into_iter(), api_key.into_iter());
        let credential = match (authorization.next(), api_key.next()) {
            (None, None) => return Err(HeaderError::Missing),
            (Some(_), Some(_)) => return Err(HeaderError::Repeated),
            (Some(value), None) => Self::read_authorization(bounded(value.as_ref())?),
            (None, Some(value)) => Self::read_token(bounded(value.as_ref())?),
        };
        if authorization.next().is_some() || api_key.next().is_some() {
            return Err(HeaderError::Repeated);
        }
        credential
    }

    /// Reads a token that was pasted, or that was sent outside a header.
    ///
    /// The text may be the token alone, or the value of an `Authorization` header such as
    /// `Bearer TOKEN`. Characters that are often pasted together with a token are removed from both
    /// ends.
    pub(crate) fn pasted(text: &'h [u8]) -> Self {
        let text = trim_paste(text);
        match Self::read_authorization(text) {
            Ok(credential) => credential,
            // The text has no scheme, or no readable token after the scheme.
            Err(_) => Self(Source::Header(text)),
        }
    }

    fn read_authorization(value: &'h [u8]) -> Result<Self, HeaderError> {
        let value = value.trim_ascii();
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        if scheme.eq_ignore_ascii_case(b"bearer") {
            Self::read_token(rest)
        } else if scheme.eq_ignore_ascii_case(b"basic") {
            Self::read_basic(rest.trim_ascii())
        } else {
            Err(HeaderError::Scheme)
        }
    }

    fn read_token(value: &'h [u8]) -> Result<Self, HeaderError> {
        match trim_paste(value) {
            [] => Err(HeaderError::Malformed),
            token => Ok(Self(Source::Header(token))),
        }
    }

    /// Reads the token from a Basic credential, which is the base64 of `user:password` (RFC 7617).
    /// The token is the user name.
    ///
    /// At most 192 bytes are decoded. If these bytes include a part of the password, this part is
    /// ignored. All decoded bytes are wiped from memory when the credential is dropped.
    fn read_basic(encoded: &[u8]) -> Result<Self, HeaderError> {
        let encoded = encoded.get(..ENCODED).unwrap_or(encoded);
        let mut user = Zeroizing::new([0; DECODED]);
        let decoded = BASIC.decode_slice(encoded, user.as_mut_slice()).map_err(|_| HeaderError::Malformed)?;
        let colon = user[..decoded].iter().position(|byte| *byte == b':').ok_or(HeaderError::Malformed)?;
        let name = &user[..colon];
        let after_start = trim_start(name);
        let start = name.len() - after_start.len();
        let end = start + trim_end(after_start).len();
        if start == end {
            return Err(HeaderError::Malformed);
        }
        Ok(Self(Source::Decoded { user, start, end }))
    }
}

impl AsRef<[u8]> for Credential<'_> {
    /// Returns the text of the token, which is a secret.
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Source::Header(token) => token,
            Source::Decoded { user, start, end } => &user[*start..*end],
        }
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// The reason why no token could be read from the headers of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum HeaderError {
    /// The request has none of the headers that can hold a token. It is an anonymous request.
    Missing,
    /// The request has more than one credential. RFC 6750 section 2 allows a client to send its
    /// token in only one way in each request.
    Repeated,
    /// The scheme of the `Authorization` header is neither Bearer nor Basic.
    Scheme,
    /// The value of the header cannot be read: it is longer than 8 KiB, or has no token, or is a
    /// malformed Basic credential. A Basic credential must be the base64 of a user name of 1 to 191
    /// bytes, a colon and a password.
    Malformed,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no token was sent",
            Self::Repeated => "more than one credential was sent",
            Self::Scheme => "the authorization scheme is neither Bearer nor Basic",
            Self::Malformed => "the authorization header cannot be read",
        })
    }
}

impl core::error::Error for HeaderError {}

fn bounded(value: &[u8]) -> Result<&[u8], HeaderError> {
    if value.len() > MAX_VALUE { Err(HeaderError::Malformed) } else { Ok(value) }
}

/// The characters that are often pasted together with a token, before or after it. No token that
/// keyfob issues contains any of them.
const AROUND: [&str; 19] = [
    " ", "\t", "\r", "\n", "\"", "'", "`", "<", ">", ",", ";", "\u{a0}", "\u{200b}", "\u{2060}", "\u{feff}",
    "\u{2018}", "\u{2019}", "\u{201c}", "\u{201d}",
];

fn trim_paste(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = AROUND.iter().find_map(|around| text.strip_prefix(around.as_bytes())) {
        text = rest;
    }
    text
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = AROUND.iter().find_map(|around| text.strip_suffix(around.as_bytes())) {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<String, HeaderError> {
        let credential = Credential::from_authorization([value])?;
        Ok(String::from_utf8_lossy(credential.as_ref()).into_owned())
    }

    fn basic(user_and_password: &str) -> String {
        let encoded = base64::engine::general_purpose::STANDARD.encode(user_and_password);
        format!("Basic {encoded}")
    }

    #[test]
    fn bearer_is_read_in_any_case_and_with_pasted_characters_around() {
        for value in [
            "Bearer token",
            "bearer token",
            "BEARER\ttoken",
            "  Bearer   token  ",
            "Bearer \"token\"",
            "Bearer 'token',",
            "Bearer <token>;",
            "Bearer \u{feff}token\u{200b}",
            "Bearer \u{201c}token\u{201d}",
            "Bearer \u{a0}token\r\n",
        ] {
            assert_eq!(read(value), Ok("token".into()), "{value:?}");
        }
        assert_eq!(read("Bearer to ken"), Ok("to ken".into()), "the inside is the parser's to refuse");
    }

    #[test]
    fn basic_is_read_with_the_token_as_user_name() {
        assert_eq!(read(&basic("token:")), Ok("token".into()));
        assert_eq!(read(&basic("token:x-oauth-basic")), Ok("token".into()));
        assert_eq!(read(&basic(" token :a:b")), Ok("token".into()));
        let long = format!("{}:{}", "t".repeat(121), "p".repeat(4000));
        assert_eq!(read(&basic(&long)), Ok("t".repeat(121)));
        assert_eq!(read(basic("token:p").trim_end_matches('=')), Ok("token".into()), "without padding");
        assert_eq!(read(&basic("token")), Err(HeaderError::Malformed), "no colon");
        assert_eq!(read(&basic(":password")), Err(HeaderError::Malformed));
        assert_eq!(read(&basic(&format!("{}:", "t".repeat(192)))), Err(HeaderError::Malformed));
        assert_eq!(read("Basic %%%"), Err(HeaderError::Malformed));
    }

    #[test]
    fn a_paste_is_read_with_and_without_its_scheme() {
        let basic = basic("token:x");
        for text in
            ["token", " token\r\n", "'token'", "Bearer token", "\"bearer  'token'\"", "\u{feff}Bearer token;", &basic]
        {
            assert_eq!(Credential::pasted(text.as_bytes()).as_ref(), b"token", "{text:?}");
        }
        for (text, read) in [("", ""), ("Bearer", "Bearer"), ("Basic %%%", "Basic %%%"), ("a b", "a b")] {
            assert_eq!(Credential::pasted(text.as_bytes()).as_ref(), read.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn unreadable_values_are_refused() {
        assert_eq!(read(""), Err(HeaderError::Scheme));
        assert_eq!(read("Bearer"), Err(HeaderError::Malformed));
        assert_eq!(read("Bearer  "), Err(HeaderError::Malformed));
        assert_eq!(read("Bearer ''"), Err(HeaderError::Malformed));
        assert_eq!(read("Digest username=x"), Err(HeaderError::Scheme));
        assert_eq!(read("token"), Err(HeaderError::Scheme));
        assert_eq!(read(&format!("Bearer {}", "t".repeat(8 * 1024 - 7))), Ok("t".repeat(8 * 1024 - 7)));
        assert_eq!(read(&format!("Bearer {}", "t".repeat(8 * 1024 - 6))), Err(HeaderError::Malformed));
    }

    #[test]
    fn only_one_header_is_accepted() {
        let none: [&str; 0] = [];
        let both = |auth: &[&'static str], key: &[&'static str]| {
            let credential = Credential::from_authorization_or_api_key(auth.iter().copied(), key.iter().copied())?;
            Ok(credential.as_ref().to_vec())
        };
        assert_eq!(Credential::from_authorization(none).unwrap_err(), HeaderError::Missing);
        assert_eq!(both(&["Bearer a", "Bearer a"], &[]), Err(HeaderError::Repeated));
        assert_eq!(both(&["Bearer a"], &["a"]), Err(HeaderError::Repeated));
        assert_eq!(both(&[], &["a", "a"]), Err(HeaderError::Repeated));
        assert_eq!(both(&[], &[" 'a' "]), Ok(b"a".to_vec()));
        assert_eq!(both(&[], &[""]), Err(HeaderError::Malformed));
    }
}

//! The text of a token that a request presents.

use core::fmt;
use core::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::paste::{trim_end, trim_paste, trim_start};

/// The token text that a request presents, trimmed and not yet parsed. Debug shows no part of it.
///
/// [`CredentialPlaces`](crate::http::CredentialPlaces) lists the places of a request in which the
/// text may be. Without further settings, it is in the header `Authorization`:
/// - `Bearer TOKEN` (RFC 6750).
/// - `Basic …` (RFC 7617) with the token as the user name or as the password. The other part is
///   ignored. Git, curl, Docker and Maven can send this header.
///
/// The scheme is case-insensitive. Characters that are often pasted together with a token are
/// removed from both ends: white space, quotes, angle brackets, commas, semicolons and invisible
/// characters.
///
/// ```
/// use keyfob::{Credential, Keyring, Prefix, error::HeaderError};
///
/// let keyring = Keyring::unkeyed(Prefix::new("acme_pat")?);
/// let header = b"bearer  'acme_pat_1_...' ";
/// let credential = Credential::from_authorization([header], &keyring)?;
/// assert_eq!(credential.as_ref(), b"acme_pat_1_...");
///
/// let none: [&[u8]; 0] = [];
/// let missing = Credential::from_authorization(none, &keyring).unwrap_err();
/// assert_eq!(missing, HeaderError::Missing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Timing may leak the whole token, because base64 is decoded with tables. The token leaks only to
/// the caller that presents it and therefore knows it already.
pub struct Credential<'h>(Source<'h>);

enum Source<'h> {
    Header(&'h [u8]),
    Decoded { pair: Zeroizing<Vec<u8>>, place: Range<usize> },
}

/// The base64 decoder for Basic credentials. It accepts missing padding, and any value of the
/// unused bits in the last character.
pub(crate) const BASIC: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl<'h> Credential<'h> {
    /// Creates a credential from the text of a header.
    ///
    /// # Errors
    /// Returns [`HeaderError::Malformed`] if only characters around a token are left.
    pub(super) fn of_text(text: &'h [u8]) -> Result<Self, HeaderError> {
        match trim_paste(text) {
            [] => Err(HeaderError::Malformed),
            token => Ok(Self(Source::Header(token))),
        }
    }

    /// Creates a credential from a text without characters around it.
    pub(super) fn of_trimmed(text: &'h [u8]) -> Self {
        Self(Source::Header(text))
    }

    /// Creates a credential from the text at a place in a Basic credential.
    pub(super) fn of_pair(pair: BasicPair, place: Range<usize>) -> Self {
        Self(Source::Decoded { pair: pair.decoded, place })
    }
}

/// The two parts of a Basic credential, which is the base64 of `user:password` (RFC 7617). The
/// decoded bytes are wiped from memory when the value is dropped.
#[derive(Clone)]
pub(super) struct BasicPair {
    decoded: Zeroizing<Vec<u8>>,
    colon: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BasicPart {
    User,
    Password,
}

impl BasicPair {
    pub(super) fn decode(encoded: &[u8]) -> Result<Self, HeaderError> {
        // The buffer has its full length from the start, so that no copy of the secret is left.
        let mut decoded = Zeroizing::new(vec![0; base64::decoded_len_estimate(encoded.len())]);
        let length = BASIC.decode_slice(encoded, decoded.as_mut_slice()).map_err(|_| HeaderError::Malformed)?;
        decoded.truncate(length);
        let colon = decoded.iter().position(|byte| *byte == b':').ok_or(HeaderError::Malformed)?;
        Ok(Self { decoded, colon })
    }

    pub(super) fn text(&self, place: &Range<usize>) -> &[u8] {
        &self.decoded[place.clone()]
    }

    /// Returns the places of the two texts that a part may mean: the part without the characters
    /// pasted around it, and the part without the white space around it. An imported token may
    /// begin or end with a character that is often pasted around a token.
    pub(super) fn places(&self, part: BasicPart) -> [Range<usize>; 2] {
        let part = match part {
            BasicPart::User => 0..self.colon,
            BasicPart::Password => self.colon + 1..self.decoded.len(),
        };
        let trimmed = |trim_start: Trim, trim_end: Trim| {
            let rest = trim_start(self.text(&part));
            let start = part.end - rest.len();
            start..start + trim_end(rest).len()
        };
        [trimmed(trim_start, trim_end), trimmed(<[u8]>::trim_ascii_start, <[u8]>::trim_ascii_end)]
    }
}

type Trim = fn(&[u8]) -> &[u8];

impl AsRef<[u8]> for Credential<'_> {
    /// Returns the text of the token, which is a secret.
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Source::Header(token) => token,
            Source::Decoded { pair, place } => &pair[place.clone()],
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
    /// The request has more than one credential, or a Basic credential with two tokens. RFC 6750
    /// section 2 allows a client to send its token in only one way in each request.
    Repeated,
    /// The scheme of the `Authorization` header is not one of those that can hold a token.
    Scheme,
    /// The value of the header cannot be read: it is longer than 8 KiB, or has no token, or is a
    /// malformed Basic credential. A Basic credential must be the base64 of a user name, a colon
    /// and a password.
    Malformed,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no token was sent",
            Self::Repeated => "more than one credential was sent",
            Self::Scheme => "the authorization scheme is not supported",
            Self::Malformed => "the authorization header cannot be read",
        })
    }
}

impl core::error::Error for HeaderError {}

//! The schemes of the header `Authorization`.

use super::credential::HeaderError;
use super::paste::{trim_paste, trim_start};
use super::places::CredentialPlaces;

/// The part of an `Authorization` value after its scheme.
pub(super) enum Authorization<'h> {
    Basic(&'h [u8]),
    Text(&'h [u8]),
}

impl CredentialPlaces {
    /// Reads the scheme of a value. The returned text may have pasted characters around it.
    pub(super) fn after_scheme<'h>(
        &self,
        whole: &'h [u8],
        recognizes: &impl Fn(&[u8]) -> bool,
    ) -> Result<Authorization<'h>, HeaderError> {
        let value = trim_start(whole).trim_ascii_end();
        // A malformed token may contain white space, so this check comes first.
        for text in [value, whole] {
            if self.bare && recognizes(text.trim_ascii()) {
                return Ok(Authorization::Text(text));
            }
        }
        // The space after the scheme may be a pasted one, such as a no-break space.
        let ends = |byte: &u8| byte.is_ascii_whitespace() || !byte.is_ascii();
        let end = value.iter().position(ends).unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        if scheme.eq_ignore_ascii_case(b"basic") {
            return Ok(Authorization::Basic(trim_paste(rest)));
        }
        if self.schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes())) {
            return Ok(Authorization::Text(rest));
        }
        // A token has no white space, so a value of one word has no scheme.
        if self.bare && rest.is_empty() && !value.is_empty() {
            return Ok(Authorization::Text(value));
        }
        Err(HeaderError::Scheme)
    }
}

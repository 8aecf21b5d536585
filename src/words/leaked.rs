//! A token that was found or reported as leaked.

use core::fmt;

use zeroize::Zeroizing;

use super::format::TokenText;
use super::ids::TokenKey;
use super::paste::trim_paste;
use super::rejection::Rejection;

/// A text that was found or reported as a leaked token.
///
/// Pass the text to [`Tokens::report_leak`](crate::Tokens::report_leak), which revokes the token if
/// your service issued it. No method returns the text, and its memory is wiped on drop.
///
/// ```
/// use keyfob::leak::LeakedToken;
///
/// let leaked = LeakedToken::new(
///     "acme_pat_145_00123456789ABCDE_\
///      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o",
/// )?;
/// assert_eq!(leaked.public_part(), Some("acme_pat_145_00123456789ABCDE"));
/// // A token from before keyfob has no public part.
/// let earlier = LeakedToken::new("acme-0123456789abcdef0123456789abcdef01234567")?;
/// assert_eq!(earlier.public_part(), None);
/// # Ok::<(), keyfob::Rejection>(())
/// ```
pub struct LeakedToken {
    text: Zeroizing<Box<[u8]>>,
}

impl LeakedToken {
    /// The maximum length of a text in bytes for [`new`](Self::new). It equals the length of the
    /// longest token that a service can import.
    pub const MAX_LEN: usize = 512;

    /// Creates a leaked token from any text.
    ///
    /// # Errors
    /// Returns [`Rejection::Length`] if the text is longer than [`MAX_LEN`](Self::MAX_LEN).
    pub fn new<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<Self, Rejection> {
        let text = text.as_ref();
        if text.len() > Self::MAX_LEN {
            return Err(Rejection::Length);
        }
        Ok(Self::of_report(text))
    }

    /// Creates a leaked token from a reported text. The text may be longer than the token in it.
    pub(crate) fn of_report(text: &[u8]) -> Self {
        Self { text: Zeroizing::new(text.into()) }
    }

    /// Returns the public part: everything left of the last `_` of the token. The public part may
    /// be logged and shown.
    ///
    /// Returns `None` if the text does not have the shape of a token, or if its checksum is wrong.
    pub fn public_part(&self) -> Option<&str> {
        self.parsed().map(|text| text.public_part())
    }

    /// Returns the project and the id in the text, or `None` if the text has no
    /// [`public_part`](Self::public_part).
    ///
    /// Anyone can write a text with the project and the id of a token. Only a check of the secret
    /// proves that the text is the token.
    pub fn key(&self) -> Option<TokenKey> {
        self.parsed().map(|text| TokenKey { project: text.project(), id: text.id() })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    fn parsed(&self) -> Option<TokenText<'_>> {
        TokenText::parse(trim_paste(&self.text)).ok()
    }
}

impl fmt::Debug for LeakedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.public_part() {
            Some(public_part) => write!(f, "LeakedToken({public_part}_..)"),
            None => f.write_str("LeakedToken(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_more_than_the_public_part() {
        let text = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o";
        let leaked = LeakedToken::new(text).unwrap();
        assert_eq!(format!("{leaked:?}"), "LeakedToken(acme_pat_145_00123456789ABCDE_..)");
        let mistyped = LeakedToken::new(&text.replace("27433o", "27433p")).unwrap();
        assert_eq!((format!("{mistyped:?}").as_str(), mistyped.key()), ("LeakedToken(..)", None));
    }

    #[test]
    fn a_text_longer_than_512_bytes_is_refused() {
        assert!(LeakedToken::new(&[b'a'; 512]).is_ok());
        assert_eq!(LeakedToken::new(&[b'a'; 513]).unwrap_err(), Rejection::Length);
    }
}

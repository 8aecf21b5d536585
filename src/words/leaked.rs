//! A token that was found where it should not be.

use core::fmt;

use zeroize::Zeroizing;

use super::format::TokenText;
use super::ids::TokenKey;
use super::import_shape::ImportShape;
use super::rejection::Rejection;

/// What somebody found or reported as a token. It is to be acted on ([`Tokens::report_leak`](crate::Tokens::report_leak)), not to
/// be read: nothing gives its text, and its memory is wiped when it is dropped.
///
/// ```
/// use keyfob::leak::LeakedToken;
///
/// let leaked = LeakedToken::new("acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o")?;
/// assert_eq!(leaked.public_part(), Some("acme_pat_145_00123456789ABCDE"));
/// // It may be one from before keyfob, which has no public part.
/// assert_eq!(LeakedToken::new("acme-0123456789abcdef0123456789abcdef01234567")?.public_part(), None);
/// # Ok::<(), keyfob::Rejection>(())
/// ```
pub struct LeakedToken {
    text: Zeroizing<Box<[u8]>>,
}

impl LeakedToken {
    /// The most bytes: those of the longest token that a service may have imported.
    pub const MAX_LEN: usize = ImportShape::MAX_LEN;

    /// Takes a text, whatever it is.
    ///
    /// # Errors
    /// [`Rejection::Length`] where it is longer than any token.
    pub fn new<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<Self, Rejection> {
        let text = text.as_ref();
        if text.len() > Self::MAX_LEN {
            return Err(Rejection::Length);
        }
        Ok(Self { text: Zeroizing::new(text.into()) })
    }

    /// All left of the last `_`, which may be logged and shown, where the text is of a token's shape and has a right checksum.
    pub fn public_part(&self) -> Option<&str> {
        self.parsed().map(|text| text.public_part())
    }

    /// What such a text says that a store knows it by. Whether it is that token only its secret tells.
    pub fn key(&self) -> Option<TokenKey> {
        self.parsed().map(|text| TokenKey { project: text.project(), id: text.id() })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    fn parsed(&self) -> Option<TokenText<'_>> {
        TokenText::parse(&*self.text).ok()
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
    fn what_is_longer_than_any_token_is_refused() {
        assert!(LeakedToken::new(&[b'a'; 512]).is_ok());
        assert_eq!(LeakedToken::new(&[b'a'; 513]).unwrap_err(), Rejection::Length);
    }
}

//! A presented token that was parsed and has a correct tag, but is not trusted yet.

use core::fmt;

use super::digest::Digest;
use super::format::TokenText;
use super::ids::TokenKey;
use super::keyring::Keyring;
use super::rejection::Rejection;

/// A presented token with a well-formed text and a correct tag. Its record can be looked up in the
/// store.
///
/// **The token is not trusted yet.** [`check`](crate::check()) compares it with the stored record.
/// Only this comparison shows whether the token was issued and is still live.
///
/// The value keeps the MAC of the presented text, so that a verification computes only one HMAC.
///
/// ```
/// use keyfob::{Keyring, Prefix, PresentedToken, Rejection};
///
/// let keyring = Keyring::unkeyed(Prefix::new("acme_pat")?);
/// let text = "acme_pat_145_00123456789ABCDE_\
///             AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o";
/// let token = PresentedToken::parse(text, &keyring)?;
/// assert_eq!(token.key().project.as_str(), "145");
///
/// let typo = text.replace("AAA5", "AAB5");
/// assert_eq!(PresentedToken::parse(&typo, &keyring).unwrap_err(), Rejection::Checksum);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct PresentedToken<'a> {
    text: TokenText<'a>,
    digest: Digest,
}

impl<'a> PresentedToken<'a> {
    /// Parses a token and checks its tag.
    ///
    /// The checks run in this order: length, ASCII, prefix, shape and alphabet, checksum, key
    /// number, tag.
    ///
    /// # Errors
    /// Returns the [`Rejection`] of the first check that fails. For each of these rejections,
    /// [`is_before_store`](Rejection::is_before_store) is true.
    pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &'a T, keyring: &Keyring) -> Result<Self, Rejection> {
        Self::parse_bytes(text.as_ref(), keyring)
    }

    fn parse_bytes(text: &'a [u8], keyring: &Keyring) -> Result<Self, Rejection> {
        let text = TokenText::parse_under(text, keyring.prefixes())?;
        let digest = keyring.digest(&text)?;
        if !text.has_tag_of(&digest) {
            return Err(Rejection::Tag);
        }
        Ok(Self { text, digest })
    }

    /// Returns the key under which the store holds the token.
    pub fn key(&self) -> TokenKey {
        TokenKey { project: self.text.project(), id: self.text.id() }
    }

    /// Returns the text of the token, split into its parts.
    pub fn text(&self) -> TokenText<'a> {
        self.text
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedToken({}_..)", self.text.public_part())
    }
}

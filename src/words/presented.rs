//! A token as somebody presents it: parsed, its tag checked, not trusted yet.

use core::fmt;

use super::digest::Digest;
use super::format::TokenText;
use super::ids::TokenKey;
use super::keyring::Keyring;
use super::rejection::Rejection;

/// A presented token that may be looked up: its text and its keyed tag are right. **Not trusted yet**: whether it
/// was issued, and still lives, only [`check`](crate::check()) says, with the stored record.
///
/// It holds the MAC of what was presented, computed once: a verification costs one HMAC.
///
/// ```
/// use keyfob::{Keyring, Prefix, PresentedToken, Rejection};
///
/// let keyring = Keyring::unkeyed(Prefix::new("acme_pat")?);
/// let text = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o";
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
    /// Parses a token and checks its tag, in the order length, ASCII, prefix, shape and alphabet, checksum, key number, tag.
    ///
    /// # Errors
    /// The [`Rejection`] of the first check that fails, one for which
    /// [`is_before_store`](Rejection::is_before_store) holds.
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

    /// What to ask the store for.
    pub fn key(&self) -> TokenKey {
        TokenKey { project: self.text.project(), id: self.text.id() }
    }

    /// The text, taken apart.
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

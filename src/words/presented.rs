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
        if !digest.has_tag(text.tag()) {
            return Err(Rejection::Tag);
        }
        Ok(Self { text, digest })
    }

    /// The MAC of a token's text under the key that its id names: the first half of [`parse`](Self::parse), for
    /// code that must not branch on the tag.
    ///
    /// Which facts may leak through time: prefix, project, id. Not the secret, not the pepper.
    ///
    /// Not for services: it is public for the constant-time check and for test data, and no part of what is kept stable.
    ///
    /// # Errors
    /// [`Rejection::Unkeyed`] or [`Rejection::UnknownKey`].
    #[doc(hidden)]
    pub fn digest_of(text: &TokenText<'_>, keyring: &Keyring) -> Result<Digest, Rejection> {
        keyring.digest(text)
    }

    /// Whether the text carries the tag of this digest, compared in constant time. As little for services.
    #[doc(hidden)]
    pub fn tag_fits(text: &TokenText<'_>, digest: &Digest) -> bool {
        digest.has_tag(text.tag())
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

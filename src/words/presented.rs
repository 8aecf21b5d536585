//! A presented token that was parsed and has a correct tag, but is not trusted yet.

use core::fmt;

use super::digest::Digest;
use super::format::TokenText;
use super::ids::TokenKey;
use super::keyring::Keyring;
use super::rejection::{Refused, Rejection};

/// A presented token with a well-formed text and a correct tag. Its record can be looked up in the
/// store.
///
/// **The token is not trusted yet.** [`check`](crate::check()) compares it with the stored record.
/// Only this comparison shows whether the token was issued and is still live. A service that stores
/// no records calls [`fits`](Self::fits), which shows only that the token was issued.
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
        Self::parse_bytes(text.as_ref(), keyring).map_err(|refused| *refused)
    }

    #[inline(always)]
    pub(crate) fn parse_bytes(text: &'a [u8], keyring: &Keyring) -> Result<Self, Refused> {
        let text = TokenText::parse_under(text, keyring.prefixes())?;
        let digest = keyring.subkey_of(&text)?.digest_of(&text);
        if !text.has_tag_of(&digest) {
            return Err(&Rejection::Tag);
        }
        Ok(Self { text, digest })
    }

    /// Returns the key under which the store holds the token.
    #[inline(always)]
    pub fn key(&self) -> TokenKey {
        TokenKey { project: self.text.project(), id: self.text.id() }
    }

    /// Returns the text of the token, split into its parts.
    pub fn text(&self) -> TokenText<'a> {
        self.text
    }

    /// Returns whether the token has the digest that your service stored under its
    /// [`key`](Self::key). Pass `None` if your service stores nothing under this key: the method
    /// then does the same work, and returns false.
    ///
    /// If the digest fits, the token was issued with this prefix, project and id, and the caller
    /// holds its secret. **Nothing else is checked**: whether the token has expired or was revoked,
    /// and what it may do, are for your service to check.
    ///
    /// The running time does not depend on the secret, on the stored digest, or on whether there is
    /// one.
    ///
    /// ```
    /// use keyfob::{Keyring, Pepper, Prefix, PresentedToken, ProjectId, text::mint_text};
    ///
    /// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    /// let minted = mint_text(&keyring, &ProjectId::from(145u64))?;
    /// let token = PresentedToken::parse(minted.token.expose_secret(), &keyring)?;
    /// assert!(token.fits(Some(&minted.digest)));
    /// assert!(!token.fits(None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn fits(&self, stored: Option<&Digest>) -> bool {
        self.digest.fits(stored)
    }

    /// Returns the digest of the presented text, to look up the token in an index of digests. The
    /// example [`hash_index`] is such a store.
    ///
    /// **Use such an index only with a pepper, and compare all 32 bytes.** An index compares its
    /// keys byte by byte, so its running time may leak how many bytes of a stored digest agree with
    /// the presented digest. Without the pepper, a caller cannot choose the digest of its text, so
    /// the leak is of no use. With [`Keyring::unkeyed`], it can: look up the token by its
    /// [`key`](Self::key) instead, and call [`fits`](Self::fits).
    ///
    /// The digest does not reveal the token. To name a token in a log, use its
    /// [public part](TokenText::public_part).
    ///
    /// [`hash_index`]: crate::text#an-index-of-digests
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedToken({}_..)", self.text.public_part())
    }
}

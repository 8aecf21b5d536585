//! The creation of a token's text, without a record.

use rand_core::TryCryptoRng;

use super::digest::Digest;
use super::format;
use super::ids::{ProjectId, TokenId};
use super::keyring::Keyring;
use super::keyring_error::KeyringError;
use super::random::{self, Wiped};
use super::rng_error::RngError;
use super::secret::PlaintextToken;
use crate::words::alphabet;

/// A token that was just created without a record: its text, its public id and its digest.
#[derive(Debug)]
pub struct MintedText {
    /// The text of the token. Show it to the user once, and do not store it.
    pub token: PlaintextToken,
    /// The public id of the token. Store it with the digest: lists and logs show it, and it says
    /// which key the token uses.
    pub id: TokenId,
    /// The digest of the token, to be stored.
    pub digest: Digest,
}

/// Creates the text of a token for a project, with random numbers from the operating system. **This
/// function stores nothing and knows no expiry**: your service stores the digest with all that it
/// has to know about the token.
///
/// [`mint`](crate::mint()) creates a whole record too, and checks it against a policy.
///
/// # Errors
/// Returns [`KeyringError::Rng`] if the operating system returns no random bytes.
///
/// ```
/// use keyfob::{Keyring, Pepper, Prefix, PresentedToken, ProjectId, text::mint_text};
///
/// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
/// let minted = mint_text(&keyring, &ProjectId::from(145u64))?;
/// // Store the id and the digest. Show this text once.
/// let text = minted.token.expose_secret();
///
/// let presented = PresentedToken::parse(text, &keyring)?;
/// assert_eq!(presented.key().id, minted.id);
/// assert!(presented.fits(Some(&minted.digest)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "os-rng")]
pub fn mint_text(keyring: &Keyring, project: &ProjectId) -> Result<MintedText, KeyringError> {
    mint_text_with(&mut getrandom::SysRng, keyring, project)
}

/// Creates the text of a token in the same way as [`mint_text`], but with random numbers from
/// `rng`. The generator must be cryptographically secure.
///
/// # Errors
/// Returns [`KeyringError::Rng`] if the generator fails.
pub fn mint_text_with<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    keyring: &Keyring,
    project: &ProjectId,
) -> Result<MintedText, KeyringError> {
    Ok(draw(rng, keyring, project)?)
}

/// Draws the id and the secret of a token, and returns the token with its digest.
///
/// # Errors
/// Returns [`RngError`] if the generator fails.
pub(crate) fn draw<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    keyring: &Keyring,
    project: &ProjectId,
) -> Result<MintedText, RngError> {
    let mut digits = Wiped([0; 15 + 33]);
    random::digits(rng, &mut digits.0)?;
    let (public, secret) = digits.0.split_first_chunk::<15>().expect("48 digits were drawn");
    let mut handle = [alphabet::digit(keyring.minting_key().get()); TokenId::LEN];
    handle[1..].copy_from_slice(public);
    let id = TokenId::from_checked(handle);
    let secret: &[u8; 33] = secret.try_into().expect("33 of 48 digits are left");

    let digest = keyring.minting_digest(project, &id, secret);
    let text = format::render(keyring.prefix(), project, &id, secret, &digest.tag());
    Ok(MintedText { token: PlaintextToken::rendered(text), id, digest })
}

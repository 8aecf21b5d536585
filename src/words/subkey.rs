//! The HMAC key for the digests of tokens, which is derived from a pepper for one prefix.

use hmac::Mac;
use zeroize::Zeroizing;

use super::digest::Digest;
use super::format::TokenText;
use super::hmac::{BLOCK, PreparedHmac, keyed};
use super::ids::{KeyNumber, Prefix};
use crate::words::alphabet;

/// The HMAC key that is derived from a pepper for one prefix. The inner and the outer block of the
/// key are hashed in advance.
#[derive(Clone)]
pub(super) struct Subkey {
    pub(super) prefix: Prefix,
    pub(super) number: KeyNumber,
    hmac: PreparedHmac,
}

impl Subkey {
    pub(super) fn new(prefix: Prefix, number: KeyNumber, pepper: &[u8]) -> Self {
        Self { prefix, number, hmac: PreparedHmac::new(&subkey(pepper, prefix)) }
    }

    /// Returns the MAC of the token in this text.
    #[inline(always)]
    pub(super) fn digest_of(&self, text: &TokenText<'_>) -> Digest {
        self.digest(text.handle(), text.secret(), text.project_window())
    }

    /// Returns the MAC of a token. Its project is the first bytes of a text, as many as the number
    /// says.
    #[inline(always)]
    pub(super) fn digest(&self, handle: &[u8; 16], secret: &[u8; 33], project: (&[u8; 32], usize)) -> Digest {
        let (project, len) = project;
        let mask = alphabet::first_bytes::<32>(len);
        let mut blocks = [[0; BLOCK]; 2];
        let text = blocks.as_flattened_mut();
        text[..16].copy_from_slice(handle);
        text[16..49].copy_from_slice(secret);
        for at in 0..32 {
            text[49 + at] = project[at] & mask[at];
        }
        Digest::from_bytes(self.hmac.of(blocks, 49 + len))
    }
}

/// Derives the HMAC key from a pepper for one prefix: `HMAC-SHA-256(pepper, "keyfob/1 " prefix)`.
pub(super) fn subkey(pepper: &[u8], prefix: Prefix) -> Zeroizing<[u8; 32]> {
    let mut mac = keyed(pepper);
    mac.update(b"keyfob/1 ");
    mac.update(prefix.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

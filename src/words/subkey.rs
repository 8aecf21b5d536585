//! The HMAC key for the digests of tokens, which is derived from a pepper for one prefix.

use hmac::Mac;
use zeroize::Zeroizing;

use super::digest::Digest;
use super::hmac::{BLOCK, PreparedHmac, keyed};
use super::ids::{KeyNumber, Prefix, ProjectId};

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

    #[inline]
    pub(super) fn digest(&self, handle: &[u8; 16], secret: &[u8; 33], project: &ProjectId) -> Digest {
        let (project, len) = project.padded();
        let mut blocks = [[0; BLOCK]; 2];
        let text = blocks.as_flattened_mut();
        text[..16].copy_from_slice(handle);
        text[16..49].copy_from_slice(secret);
        text[49..81].copy_from_slice(project);
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

//! Computes HMAC-SHA-256 over a short text, with a key that is prepared once.

use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use sha2::block_api::compress256;
use zeroize::Zeroizing;

/// The block size of SHA-256 in bytes.
pub(super) const BLOCK: usize = 64;
/// The initial hash value of SHA-256 (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// Creates a general HMAC-SHA-256, for texts of any length and for keys that are used once.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length, so this never fails. Do not fall back to a fixed key instead:
    // everyone could read such a key in this source.
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)")
}

/// A key for HMAC-SHA-256 (RFC 2104) over up to 119 bytes. The inner and the outer block of the key
/// are hashed in advance.
///
/// `sha2` computes the hash. HMAC is implemented here because the general implementation copies and
/// wipes a buffer on each use. For a token, copying and wiping take up to a third of the time that
/// the hash takes.
#[derive(Clone)]
pub(crate) struct PreparedHmac {
    inner: Zeroizing<[u32; 8]>,
    outer: Zeroizing<[u32; 8]>,
}

impl PreparedHmac {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let after = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = Zeroizing::new(INITIAL);
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        Self { inner: after(0x36), outer: after(0x5c) }
    }

    /// Returns the MAC of the first `len` bytes of `blocks`, which must be at most 119. All bytes
    /// after them must be zero.
    ///
    /// The bytes are not wiped. The text of a presented token is in the memory of the request
    /// anyway, and SECURITY.md names the copy that minting leaves.
    #[inline(always)]
    pub(crate) fn of(&self, mut blocks: [[u8; BLOCK]; 2], len: usize) -> [u8; 32] {
        // Pads the text (FIPS 180-4 section 5.1.1). The padded text fills one or two blocks.
        let used = (len + 1 + 8).div_ceil(BLOCK);
        let text = blocks.as_flattened_mut();
        text[len] = 0x80;
        text[used * BLOCK - 8..used * BLOCK].copy_from_slice(&bits_after_key(len));
        let inner = hash(*self.inner, &blocks[..used]);
        let mut block = [OUTER];
        block[0][..32].copy_from_slice(&inner);
        hash(*self.outer, &block)
    }
}

/// The block after the block of the key in the outer hash: the inner hash, here zero, and the
/// padding.
const OUTER: [u8; BLOCK] = {
    let mut block = [0; BLOCK];
    block[32] = 0x80;
    block.split_at_mut(BLOCK - 8).1.copy_from_slice(&bits_after_key(32));
    block
};

/// Returns the length in bits of the block of a key and of a text after it, as the padding holds
/// it.
const fn bits_after_key(len: usize) -> [u8; 8] {
    (((BLOCK + len) * 8) as u64).to_be_bytes()
}

/// Completes a hash with padded blocks, and returns it. `state` must already include the block of
/// the key.
#[inline(always)]
fn hash(mut state: [u32; 8], blocks: &[[u8; BLOCK]]) -> [u8; 32] {
    compress256(&mut state, blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use hmac::Mac;

    use super::*;

    /// Covers every text length that `PreparedHmac` accepts: 0 to 119 bytes. With its padding, such
    /// a text fills one or two blocks of the hash.
    #[test]
    fn prepared_hmac_equals_the_general_hmac_at_every_length() {
        let text: Vec<u8> = (0..119).map(|at| (at * 7) as u8).collect();
        for seed in 0..8 {
            let key: [u8; 32] = core::array::from_fn(|at| (at as u8).wrapping_mul(31) ^ seed);
            let prepared = PreparedHmac::new(&key);
            for len in 0..=119 {
                let mut general = keyed(&key);
                general.update(&text[..len]);
                let mut blocks = [[0; BLOCK]; 2];
                blocks.as_flattened_mut()[..len].copy_from_slice(&text[..len]);
                let mac: [u8; 32] = general.finalize().into_bytes().into();
                assert_eq!(prepared.of(blocks, len), mac, "{len} bytes");
            }
        }
    }
}

//! The MACs by which imported tokens are stored and found.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::digest::Digest;
use super::hmac::keyed;
use super::ids::KeyNumber;
use super::import_digest::ImportDigest;
use super::import_key::ImportKey;

/// A pepper that is prepared to compute the MACs of imported tokens.
///
/// - The digest of an imported token is `HMAC-SHA-256(pepper, "keyfob/1 import" hash)`.
/// - A token whose hash can be computed from its text alone is found by its digest.
/// - A token with a salted hash is found by `HMAC-SHA-256(pepper, "keyfob/1 look-up " part)`, where
///   `part` is the public part of the old text.
///
/// HMAC with this pepper never gets the same input for two purposes. The input for a hash has at
/// least 31 bytes. The input of a subkey is "keyfob/1 " and a prefix: it has at most 29 bytes and
/// no `-`. The input of the key check has 18 bytes. The input for a public part differs from that
/// of a hash in its tenth byte.
#[derive(Clone)]
pub(crate) struct ImportMac {
    number: KeyNumber,
    of_hash: Hmac<Sha256>,
    of_public_part: Hmac<Sha256>,
}

impl ImportMac {
    pub(super) fn new(number: KeyNumber, pepper: &[u8]) -> Self {
        let (mut of_hash, mut of_public_part) = (keyed(pepper), keyed(pepper));
        of_hash.update(b"keyfob/1 import");
        of_public_part.update(b"keyfob/1 look-up ");
        Self { number, of_hash, of_public_part }
    }

    pub(crate) fn number(&self) -> KeyNumber {
        self.number
    }

    /// Returns the digest of the token with this hash.
    pub(crate) fn digest(&self, hash: &ImportDigest) -> Digest {
        Digest::from_bytes(self.of_hash.clone().chain_update(hash.as_bytes()).finalize().into_bytes().into())
    }

    /// Returns the look-up key of the token with this public part.
    pub(crate) fn look_up(&self, public_part: &str) -> ImportKey {
        ImportKey::from_bytes(self.of_public_part.clone().chain_update(public_part).finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha512};

    use super::*;
    use crate::words::import_digest::ImportHash;

    fn mac(pepper: &[u8], parts: [&[u8]; 2]) -> [u8; 32] {
        let mut mac = keyed(pepper);
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    #[test]
    fn the_macs_match_their_definition() {
        let pepper: Vec<u8> = (0..32).collect();
        for pepper in [&pepper[..], &[]] {
            let made = ImportMac::new(KeyNumber::FIRST, pepper);
            let digest = |hash: ImportDigest| *made.digest(&hash).as_bytes();
            let of = |hash: &[u8]| mac(pepper, [b"keyfob/1 import", hash]);
            assert_eq!(digest(ImportDigest::of(ImportHash::Sha256, b"old")), of(&Sha256::digest(b"old")));
            assert_eq!(digest(ImportDigest::of(ImportHash::Sha512, b"old")), of(&Sha512::digest(b"old")));
            assert_eq!(digest(ImportDigest::from([7; 23])), of(&[7; 23]));
            assert_eq!(made.look_up("old_17").as_bytes(), &mac(pepper, [b"keyfob/1 look-up ", b"old_17"]));
        }
    }
}

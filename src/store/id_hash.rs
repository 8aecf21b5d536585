//! The hashes of token ids and of token keys, for maps in memory.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::words::ids::TokenId;
#[cfg(feature = "service")]
use crate::words::ids::TokenKey;

/// Hashes token ids and keys by multiplications of 128 bits, with random seeds for each map. The
/// seeds keep a client from choosing keys that collide: the keys that it presents can get into the
/// map of a cache.
///
/// [`Self::of`] multiplies once, which is enough for the ids of tokens that were issued, because
/// they are random. A map takes keys that differ in a few digits, too. With one multiplication and
/// one seed in 50, these would fill some places several times as often as others, so its hasher
/// multiplies each word, and at the end the hash.
#[derive(Clone, Debug)]
pub(crate) struct IdHash([[u64; 2]; 4]);

impl Default for IdHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self(core::array::from_fn(|part| core::array::from_fn(|half| random.hash_one((part, half)))))
    }
}

impl IdHash {
    /// Returns the hash of a random id.
    #[inline]
    pub(crate) fn of(&self, id: &TokenId) -> u64 {
        fold(u128::from_ne_bytes(*id.as_bytes()), self.0[0])
    }

    /// Returns the hash of a key, with its project.
    #[cfg(feature = "service")]
    #[inline]
    pub(crate) fn of_key(&self, key: &TokenKey) -> u64 {
        self.hash_one(ByKey(*key))
    }
}

/// Returns a product of 128 bits, with its upper half folded onto its lower half.
#[inline]
fn fold(word: u128, seed: [u64; 2]) -> u64 {
    let product = u128::from(word as u64 ^ seed[0]) * u128::from((word >> 64) as u64 ^ seed[1]);
    product as u64 ^ (product >> 64) as u64
}

/// A key whose hash is the hash of its token id and its project. A map needs it if its keys come
/// from clients: without a pepper, a client can present one id in many projects.
#[cfg(feature = "service")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ByKey(pub(crate) TokenKey);

#[cfg(feature = "service")]
impl std::hash::Hash for ByKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_id(&self.0.id, state);
        let (halves, _) = self.0.project.padded().0.as_chunks::<16>();
        halves.iter().for_each(|half| state.write_u128(u128::from_ne_bytes(*half)));
    }
}

/// Hashes an id with the hasher of an [`IdHash`].
#[inline]
pub(crate) fn hash_id<H: Hasher>(id: &TokenId, state: &mut H) {
    state.write_u128(u128::from_ne_bytes(*id.as_bytes()));
}

/// The hasher of an [`IdHash`]. It hashes one id, or one key.
pub(crate) struct IdHasher {
    seeds: [[u64; 2]; 4],
    /// The number of words that were hashed.
    words: usize,
    hash: u64,
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    #[inline]
    fn build_hasher(&self) -> IdHasher {
        IdHasher { seeds: self.0, words: 0, hash: 0 }
    }
}

impl Hasher for IdHasher {
    #[inline]
    fn write_u128(&mut self, word: u128) {
        // The products do not depend on each other, so the processor computes them together.
        self.hash ^= fold(word, self.seeds[self.words % 3]);
        self.words += 1;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = fold(u128::from(self.hash ^ u64::from(*byte)), self.seeds[0]);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        fold(u128::from(self.hash), self.seeds[3])
    }
}

#[cfg(all(test, feature = "service"))]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::words::ids::ProjectId;

    fn key(project: &str, number: u64) -> TokenKey {
        let id = format!("1{number:015}").parse().unwrap();
        TokenKey { project: ProjectId::new(project).unwrap(), id }
    }

    /// Hashes keys with the seeds of 100 maps, and counts the hashes by some of their bits.
    #[track_caller]
    fn assert_spread(keys: &[TokenKey], hash: impl Fn(&IdHash, &TokenKey) -> u64) {
        let expected = keys.len() / 64;
        for _ in 0..100 {
            let map = IdHash::default();
            let hashes: Vec<u64> = keys.iter().map(|key| hash(&map, key)).collect();
            assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), keys.len(), "hashes of their own");
            for shift in [0, 7, 32, 57] {
                let mut counts = [0_usize; 64];
                hashes.iter().for_each(|hash| counts[(hash >> shift) as usize % 64] += 1);
                // A fair hash is outside these bounds less than once in 10^9 runs.
                let bounds = expected / 3..expected * 2;
                assert!(counts.iter().all(|count| bounds.contains(count)), "{shift}: {counts:?}");
            }
        }
    }

    #[test]
    fn hashes_of_random_ids_spread_over_all_bits() {
        let seed = IdHash::default();
        let random = |number| key("145", seed.hash_one(number) % 10_u64.pow(15));
        let keys: Vec<TokenKey> = (0..6400_u64).map(random).collect();
        assert_spread(&keys, |map, key| map.of(&key.id));
    }

    #[test]
    fn hashes_of_similar_keys_spread_over_all_bits() {
        let keys: Vec<TokenKey> = (0..6400).map(|number| key("145", number)).collect();
        assert_spread(&keys, IdHash::of_key);
    }

    #[test]
    fn keys_of_one_id_in_many_projects_have_hashes_of_their_own() {
        for (before, after) in [("", ""), ("p000000000000000", ""), ("", "0000000000000000")] {
            let key = |number| key(&format!("{before}{number}{after}"), 7);
            let keys: Vec<TokenKey> = (0..6400).map(key).collect();
            assert_spread(&keys, IdHash::of_key);
        }
    }

    #[test]
    fn two_maps_hash_in_different_ways() {
        let id = key("145", 7).id;
        assert_ne!(IdHash::default().of(&id), IdHash::default().of(&id));
    }
}

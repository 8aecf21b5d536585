//! The hashes of token ids and of token keys, for maps in memory.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::words::ids::TokenId;
#[cfg(feature = "service")]
use crate::words::ids::TokenKey;

/// Hashes token ids by one multiplication of 128 bits, with a random seed for each map. A map of
/// [`ByKey`] also multiplies each half of the project, with a seed of its own.
///
/// Ids are random, so they need no strong hash. The seeds keep a client from choosing keys that
/// collide: the keys that it presents can get into the map of a cache.
#[derive(Clone, Debug)]
pub(crate) struct IdHash([[u64; 2]; 3]);

impl Default for IdHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self(core::array::from_fn(|part| core::array::from_fn(|half| random.hash_one((part, half)))))
    }
}

impl IdHash {
    /// Returns the hash of an id.
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
    seeds: [[u64; 2]; 3],
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
        self.hash
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

    #[test]
    fn hashes_of_similar_ids_spread_over_all_bits() {
        let hash = IdHash::default();
        for shift in [0, 7, 32, 57] {
            let mut counts = [0_u32; 128];
            (0..12_800).for_each(|number| counts[(hash.of(&key("145", number).id) >> shift) as usize % 128] += 1);
            // 100 are expected. A fair hash is outside these bounds once in 10^9 runs.
            assert!(counts.iter().all(|count| (30..200).contains(count)), "{shift}: {counts:?}");
        }
    }

    #[test]
    fn keys_of_one_id_in_many_projects_have_hashes_of_their_own() {
        let hash = IdHash::default();
        for (before, after) in [("", ""), ("p000000000000000", ""), ("", "0000000000000000")] {
            let key = |number: u64| key(&format!("{before}{number}{after}"), 7);
            let hashes: HashSet<u64> = (0..1000).map(|number| hash.hash_one(ByKey(key(number)))).collect();
            assert_eq!(hashes.len(), 1000, "{before} {after}");
            let mut counts = [0_u32; 64];
            (0..6400).for_each(|number| counts[(hash.of_key(&key(number)) >> 32) as usize % 64] += 1);
            assert!(counts.iter().all(|count| (30..200).contains(count)), "{counts:?}");
        }
    }

    #[test]
    fn two_maps_hash_in_different_ways() {
        let id = key("145", 7).id;
        assert_ne!(IdHash::default().of(&id), IdHash::default().of(&id));
    }
}

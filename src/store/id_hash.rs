//! The hashes of token ids and of token keys, for maps in memory.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::words::ids::TokenId;
#[cfg(feature = "service")]
use crate::words::ids::TokenKey;

/// Hashes token ids and token keys by multiplications of 128 bits, with random seeds for each map.
/// The seeds keep a client from choosing keys that collide.
#[derive(Clone, Debug)]
pub(crate) struct IdHash([[u64; 2]; 4]);

impl Default for IdHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self(core::array::from_fn(|part| core::array::from_fn(|half| random.hash_one((part, half)))))
    }
}

impl IdHash {
    /// Returns the hash of the id of a token that was issued.
    ///
    /// One multiplication is enough, because these ids are random. With one seed in 50, it would
    /// spread ids that differ in a few digits badly over the places of a map.
    #[inline]
    pub(crate) fn of(&self, id: &TokenId) -> u64 {
        fold(word(id.as_bytes()), self.0[0])
    }

    /// Returns a key with its hash, for a map whose keys may come from clients. The hash also
    /// depends on the project, because without a pepper, a client can present one id in many
    /// projects.
    #[cfg(feature = "service")]
    #[inline]
    pub(crate) fn hashed(&self, key: &TokenKey) -> HashedKey {
        let [_, low, high, last] = self.0;
        let (halves, _) = key.project.padded().0.as_chunks::<16>();
        // These products do not depend on each other, so the processor computes them together.
        let parts = self.of(&key.id) ^ fold(word(&halves[0]), low) ^ fold(word(&halves[1]), high);
        HashedKey { key: *key, hash: fold(u128::from(parts), last) }
    }
}

#[inline]
fn word(bytes: &[u8; 16]) -> u128 {
    u128::from_ne_bytes(*bytes)
}

/// Returns a product of 128 bits, with its upper half folded onto its lower half.
#[inline]
fn fold(word: u128, seed: [u64; 2]) -> u64 {
    let product = u128::from(word as u64 ^ seed[0]) * u128::from((word >> 64) as u64 ^ seed[1]);
    product as u64 ^ (product >> 64) as u64
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    #[inline]
    fn build_hasher(&self) -> IdHasher {
        IdHasher { seed: self.0[0], hash: 0 }
    }
}

/// A hasher for [`hash_id`]. The result is the same as that of [`IdHash::of`].
pub(crate) struct IdHasher {
    seed: [u64; 2],
    hash: u64,
}

impl Hasher for IdHasher {
    #[inline]
    fn write_u128(&mut self, word: u128) {
        self.hash = fold(word, self.seed);
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("`hash_id` writes one word");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.hash
    }
}

/// Hashes the id of a token that was issued, for a map whose hasher is an [`IdHash`].
#[inline]
pub(crate) fn hash_id<H: Hasher>(id: &TokenId, state: &mut H) {
    state.write_u128(word(id.as_bytes()));
}

/// A token key with its hash, which is computed once, for the choice of a shard and for the map in
/// the shard. The hasher of the map is [`GivenHash`].
#[cfg(feature = "service")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashedKey {
    pub(crate) key: TokenKey,
    hash: u64,
}

#[cfg(feature = "service")]
impl HashedKey {
    /// Returns the shard of the key, one of so many. The map in the shard uses the lowest and
    /// highest bits of the hash, so this method uses other bits.
    #[inline]
    pub(crate) fn shard(&self, shards: usize) -> usize {
        (self.hash >> 32) as usize % shards
    }
}

#[cfg(feature = "service")]
impl PartialEq for HashedKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

#[cfg(feature = "service")]
impl Eq for HashedKey {}

#[cfg(feature = "service")]
impl std::hash::Hash for HashedKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The hasher of a map with [`HashedKey`]s. It returns the hash that the key holds.
#[cfg(feature = "service")]
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct GivenHash(u64);

#[cfg(feature = "service")]
impl BuildHasher for GivenHash {
    type Hasher = Self;

    #[inline]
    fn build_hasher(&self) -> Self {
        *self
    }
}

#[cfg(feature = "service")]
impl Hasher for GivenHash {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a `HashedKey` writes one word");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
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
        let seed = RandomState::new();
        let random = |number| key("145", seed.hash_one(number) % 10_u64.pow(15));
        let keys: Vec<TokenKey> = (0..6400_u64).map(random).collect();
        assert_spread(&keys, |map, key| map.of(&key.id));
    }

    #[test]
    fn hashes_of_similar_keys_spread_over_all_bits() {
        let keys: Vec<TokenKey> = (0..6400).map(|number| key("145", number)).collect();
        assert_spread(&keys, |map, key| map.hashed(key).hash);
    }

    #[test]
    fn keys_of_one_id_in_many_projects_have_hashes_of_their_own() {
        for (before, after) in [("", ""), ("p000000000000000", ""), ("", "0000000000000000")] {
            let key = |number| key(&format!("{before}{number}{after}"), 7);
            let keys: Vec<TokenKey> = (0..6400).map(key).collect();
            assert_spread(&keys, |map, key| map.hashed(key).hash);
        }
    }

    #[test]
    fn two_maps_hash_in_different_ways() {
        let id = key("145", 7).id;
        assert_ne!(IdHash::default().of(&id), IdHash::default().of(&id));
    }
}

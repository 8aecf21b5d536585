//! The hash of a token id, for maps in memory.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::words::ids::{TokenId, TokenKey};

/// Hashes token ids by one multiplication of 128 bits, with a random seed for each map.
///
/// Ids are random, so they need no strong hash. The seed keeps a client from choosing ids that
/// collide: the ids that it presents can get into the map of a cache.
#[derive(Clone, Debug)]
pub(crate) struct IdHash([u64; 2]);

impl Default for IdHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(0_u8), random.hash_one(1_u8)])
    }
}

impl IdHash {
    #[inline]
    pub(crate) fn of(&self, id: &TokenId) -> u64 {
        let id = u128::from_ne_bytes(*id.as_bytes());
        fold(id as u64 ^ self.0[0], (id >> 64) as u64 ^ self.0[1])
    }
}

/// Returns a product of 128 bits, with its upper half folded onto its lower half.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

/// A key whose hash is the hash of its token id. Two projects seldom have the same id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ById(pub(crate) TokenKey);

impl std::hash::Hash for ById {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_id(&self.0.id, state);
    }
}

/// Hashes an id with the hasher of an [`IdHash`].
#[inline]
pub(crate) fn hash_id<H: Hasher>(id: &TokenId, state: &mut H) {
    state.write_u128(u128::from_ne_bytes(*id.as_bytes()));
}

/// The hasher of an [`IdHash`]. It hashes one id.
pub(crate) struct IdHasher {
    seed: [u64; 2],
    hash: u64,
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    #[inline]
    fn build_hasher(&self) -> IdHasher {
        IdHasher { seed: self.0, hash: 0 }
    }
}

impl Hasher for IdHasher {
    #[inline]
    fn write_u128(&mut self, id: u128) {
        self.hash = fold(id as u64 ^ self.seed[0], (id >> 64) as u64 ^ self.seed[1]);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = fold(self.hash ^ u64::from(*byte), self.seed[0] | 1);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::ids::ProjectId;

    fn key(project: &str, number: u64) -> ById {
        let id = format!("1{number:015}").parse().unwrap();
        ById(TokenKey { project: ProjectId::new(project).unwrap(), id })
    }

    #[test]
    fn one_hash_does_not_depend_on_how_it_is_computed() {
        let hash = IdHash::default();
        assert_eq!(hash.hash_one(key("145", 7)), hash.of(&key("146", 7).0.id));
    }

    #[test]
    fn hashes_of_similar_ids_spread_over_all_bits() {
        let hash = IdHash::default();
        for shift in [0, 7, 32, 57] {
            let mut counts = [0_u32; 128];
            (0..12_800).for_each(|number| counts[(hash.of(&key("145", number).0.id) >> shift) as usize % 128] += 1);
            // 100 are expected. A fair hash is outside these bounds once in 10^9 runs.
            assert!(counts.iter().all(|count| (30..200).contains(count)), "{shift}: {counts:?}");
        }
    }

    #[test]
    fn two_maps_hash_in_different_ways() {
        let id = key("145", 7).0.id;
        assert_ne!(IdHash::default().of(&id), IdHash::default().of(&id));
    }
}

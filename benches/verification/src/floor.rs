//! The floor: work that no implementation of a verification can avoid.
//!
//! This file is frozen. A change here would make the ratios of different commits incomparable.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::hint::black_box;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use keyfob::{TokenKey, TokenRecord};
use sha2::Sha256;

/// The length of a token in bytes: `acme_pat_145_` (13), the id and the separator after it (17),
/// and the rest (50).
pub const TEXT: usize = 80;

/// The MAC of a token: HMAC-SHA-256 of its id, secret and project, with a key that is prepared
/// once.
pub struct Floor(Hmac<Sha256>);

impl Floor {
    /// Prepares the key.
    pub fn new() -> Self {
        Self(Hmac::new_from_slice(&[7; 32]).expect("HMAC takes a key of any length"))
    }

    /// Returns the MAC of the bytes of this token.
    #[inline]
    pub fn hmac(&self, text: &[u8; TEXT]) -> [u8; 32] {
        let (public, secret) = text.split_at(TEXT - 50);
        let (handle, secret) = (&public[public.len() - 17..public.len() - 1], &secret[..33]);
        let mut mac = self.0.clone();
        mac.update(black_box(handle));
        mac.update(black_box(secret));
        mac.update(black_box(b"145"));
        mac.finalize().into_bytes().into()
    }
}

/// A map from keys to records, and a walk through these keys.
///
/// Each look-up depends on the result of the look-up before it. Without this dependency, the
/// processor would run several look-ups at the same time. In a service it cannot do so, because
/// each request has only one look-up.
pub struct LookUps<K, S> {
    map: HashMap<K, Arc<TokenRecord>, S>,
    keys: Vec<K>,
    at: usize,
    /// Zero, which the compiler does not know.
    zero: u8,
}

impl<K: Hash + Eq + From<TokenKey>, S: BuildHasher + Default> LookUps<K, S> {
    /// Creates a map of these records. The walk follows `keys`, and begins at the index `at`.
    pub fn new(records: &[Arc<TokenRecord>], keys: &[TokenKey], at: usize) -> Self {
        let map = records.iter().map(|record| (record.key().into(), Arc::clone(record))).collect();
        Self { map, keys: keys.iter().map(|key| (*key).into()).collect(), at, zero: black_box(0) }
    }

    /// Returns the index of the key that is looked up next.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Looks up the next key, and returns the digest in its record.
    #[inline]
    pub fn next(&mut self) -> [u8; 32] {
        let record = self.map.get(&self.keys[self.at]).expect("each key has a record");
        let digest = *black_box(record.digest.as_bytes());
        self.at += 1 + usize::from(digest[0] & self.zero);
        if self.at == self.keys.len() {
            self.at = 0;
        }
        digest
    }
}

/// The look-ups with the default hasher of the standard library.
pub type Standard = LookUps<TokenKey, RandomState>;
/// The look-ups with a multiplication instead of a hash function. The ids of tokens are random, so
/// the first eight bytes of an id need no hash function.
pub type Multiplied = LookUps<ById, SeededMultiplication>;

/// A key whose hash depends only on its id.
#[derive(PartialEq, Eq)]
pub struct ById(TokenKey);

impl From<TokenKey> for ById {
    fn from(key: TokenKey) -> Self {
        Self(key)
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let id = self.0.id.as_str().as_bytes();
        state.write_u64(id.first_chunk().map_or(0, |first| u64::from_ne_bytes(*first)));
    }
}

/// Creates hashers with a random seed.
pub struct SeededMultiplication(u64);

impl Default for SeededMultiplication {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }
}

impl BuildHasher for SeededMultiplication {
    type Hasher = Multiplication;

    fn build_hasher(&self) -> Multiplication {
        Multiplication { seed: self.0, hash: 0 }
    }
}

/// A hasher that multiplies one word by the seed.
pub struct Multiplication {
    seed: u64,
    hash: u64,
}

impl Hasher for Multiplication {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a `ById` writes one word");
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(word ^ self.seed) * u128::from(self.seed);
        self.hash = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

//! The texts of imported tokens whose slow hash this process has already computed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::words::digest::Digest;
use crate::words::hmac::keyed;
use crate::words::pepper::Pepper;

/// The texts that have passed the check of their digest, with the digest that they passed. A text
/// is kept as a MAC under a random key of this process.
pub(super) struct PassedTexts {
    /// The key, or `None` if the random number generator failed. Then nothing is remembered.
    key: Option<Hmac<Sha256>>,
    passed: Mutex<Passed>,
}

#[derive(Default)]
struct Passed {
    digests: HashMap<[u8; 32], Digest>,
    in_order: VecDeque<[u8; 32]>,
}

/// The maximum number of texts that are remembered. The first to be remembered is the first to be
/// forgotten.
const MOST: usize = 10_000;

impl PassedTexts {
    pub(super) fn new() -> Self {
        let key = match Pepper::generate() {
            Ok(random) => Some(keyed(random.expose_secret())),
            Err(_) => None,
        };
        Self { key, passed: Mutex::default() }
    }

    /// Returns whether the text has passed the check of this digest. The digest must be that of the
    /// token's current record.
    pub(super) fn have(&self, text: &[u8], digest: &Digest) -> bool {
        let Some(text) = self.mac(text) else { return false };
        self.lock().digests.get(&text).is_some_and(|passed| passed.ct_eq(digest))
    }

    /// Returns whether the text has passed the check of some digest.
    pub(super) fn know(&self, text: &[u8]) -> bool {
        self.mac(text).is_some_and(|text| self.lock().digests.contains_key(&text))
    }

    /// Records that a text has passed the check of this digest.
    pub(super) fn add(&self, text: &[u8], digest: Digest) {
        let Some(text) = self.mac(text) else { return };
        let mut passed = self.lock();
        if passed.digests.insert(text, digest).is_none() {
            passed.in_order.push_back(text);
        }
        if passed.in_order.len() > MOST
            && let Some(first) = passed.in_order.pop_front()
        {
            passed.digests.remove(&first);
        }
    }

    fn mac(&self, text: &[u8]) -> Option<[u8; 32]> {
        Some(self.key.clone()?.chain_update(text).finalize().into_bytes().into())
    }

    // No code panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_passed_only_with_its_digest() {
        let (texts, digest) = (PassedTexts::new(), Digest::from_bytes([1; 32]));
        assert!(!texts.have(b"one", &digest));
        texts.add(b"one", digest);
        assert!(texts.have(b"one", &digest) && !texts.have(b"two", &digest));
        assert!(!texts.have(b"one", &Digest::from_bytes([2; 32])));
        assert!(texts.know(b"one") && !texts.know(b"two"));
        texts.add(b"one", Digest::from_bytes([2; 32]));
        assert!(texts.have(b"one", &Digest::from_bytes([2; 32])) && !texts.have(b"one", &digest));
    }

    #[test]
    fn the_first_text_is_forgotten_first() {
        let (texts, digest) = (PassedTexts::new(), Digest::from_bytes([1; 32]));
        for number in 0..=MOST as u32 {
            texts.add(&number.to_be_bytes(), digest);
            texts.add(&number.to_be_bytes(), digest);
        }
        let has = |number: u32| texts.have(&number.to_be_bytes(), &digest);
        assert!(!has(0) && has(1) && has(MOST as u32));
        let passed = texts.lock();
        assert_eq!((passed.digests.len(), passed.in_order.len()), (MOST, MOST));
    }

    #[test]
    fn without_a_key_nothing_is_remembered() {
        let (texts, digest) = (PassedTexts { key: None, passed: Mutex::default() }, Digest::from_bytes([1; 32]));
        texts.add(b"one", digest);
        assert!(!texts.have(b"one", &digest));
    }
}

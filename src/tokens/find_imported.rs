//! The look-up of imported tokens by their old texts.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::passed_texts::PassedTexts;
use super::slow_hashes::{Busy, SlowHashes};
use crate::rules::import_look_up::By;
use crate::rules::imports::Imports;
use crate::rules::record::TokenRecord;
use crate::store::import::ImportStore;
use crate::words::digest::Digest;
use crate::words::import_digest::ImportDigest;
use crate::words::import_key::ImportKey;
use crate::words::invalid::Invalid;
use crate::words::keyring::Keyring;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// A function that looks up a record by its import key, in a store of type `S`.
type Find<S> = for<'f> fn(&'f S, &'f ImportKey) -> Found<'f>;
type Found<'f> = Pin<Box<dyn Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send + 'f>>;

/// The look-up of imported tokens, for old texts that have one of the declared shapes.
///
/// The type holds a function that calls the store. A trait bound `S: ImportStore` could not replace
/// this function, because the methods of [`Tokens`](super::service::Tokens) must also work with a
/// store that does not support imports.
pub(crate) struct ImportFinder<S> {
    find: Find<S>,
    imports: Imports,
    slow: SlowHashes,
    passed: PassedTexts,
}

/// The old hash of a presented text.
enum Hashed {
    /// The text has passed the check of the record's digest before, so its slow hash matches.
    Before,
    Fast(ImportDigest),
    Slow(ImportDigest),
}

/// The digest that a presented text must have, and the record of the token that it may be.
pub(super) type Presented = (Digest, Option<Arc<TokenRecord>>);

impl<S: ImportStore> ImportFinder<S> {
    pub(crate) fn new(imports: Imports) -> Self {
        let slow = SlowHashes::new(imports.slow_limits(), imports.spawn());
        Self { find: |store, key| Box::pin(store.find_imported(key)), imports, slow, passed: PassedTexts::new() }
    }
}

impl<S> ImportFinder<S> {
    pub(crate) fn imports(&self) -> &Imports {
        &self.imports
    }

    /// Returns the record of the imported token with this text, and the digest of the text. The
    /// caller compares this digest with that of the record. Returns `None` without a store call if
    /// the text has no shape that the service accepts.
    ///
    /// Otherwise, calls the store with one look-up key after the other until a record matches. If
    /// none matches, returns a record with another digest, or no record if the store has no record.
    pub(crate) async fn find(
        &self,
        store: &S,
        keyring: &Keyring,
        text: &[u8],
    ) -> Result<Option<Presented>, StoreError> {
        let mut unknown: Option<Presented> = None;
        for look_up in self.imports.look_ups(keyring, text) {
            if matches!(look_up.by, By::PublicPart { .. }) && self.is_overloaded(text) {
                return Err(unavailable(Busy));
            }
            let record = (self.find)(store, look_up.key()).await?;
            let mut is_new = false;
            let digest = match (&look_up.by, &record) {
                (By::Hash(digest), _) => *digest,
                (By::PublicPart { mac, hashed, .. }, Some(record)) => {
                    let hash = self.hash(text, hashed, record).await?;
                    is_new = matches!(hash, Hashed::Slow(_));
                    match hash {
                        Hashed::Before => record.digest,
                        Hashed::Fast(hash) | Hashed::Slow(hash) => mac.digest(&hash),
                    }
                }
                // A token without a record costs no hash.
                (By::PublicPart { .. }, None) => Digest::from_bytes([0; 32]),
            };
            if let Some(record) = &record
                && record.digest.ct_eq(&digest)
            {
                if is_new {
                    self.passed.add(text, digest);
                }
                return Ok(Some((digest, Some(Arc::clone(record)))));
            }
            if unknown.as_ref().is_none_or(|(_, other)| other.is_none()) {
                unknown = Some((digest, record));
            }
        }
        Ok(unknown)
    }

    /// Returns whether the text would need a slow hash for which there is no place. Then it needs
    /// no store call either, so that a flood of such texts costs little.
    fn is_overloaded(&self, text: &[u8]) -> bool {
        self.slow.are_full() && self.imports.are_all_slow() && !self.passed.know(text)
    }

    /// Computes the old hash of a presented text, as the scheme in the record says. `hashed` is the
    /// part of the text that the old system hashed.
    ///
    /// # Errors
    /// Returns [`Unavailable`](StoreErrorKind::Unavailable) if too many slow hashes run or wait,
    /// and [`Corrupt`](StoreErrorKind::Corrupt) if the hash cannot be computed as the record says.
    async fn hash(&self, text: &[u8], hashed: &str, record: &Arc<TokenRecord>) -> Result<Hashed, StoreError> {
        let corrupt = |invalid: Invalid| StoreError::with_source(StoreErrorKind::Corrupt, invalid);
        let missing = "an imported token that was found by its public part has no scheme";
        let scheme = record.import_scheme.as_ref();
        let scheme = scheme.ok_or_else(|| StoreError::with_source(StoreErrorKind::Corrupt, missing))?;
        let function = self.imports.function(scheme).map_err(corrupt)?;
        if !function.is_slow() {
            return function.hash(scheme, hashed.as_bytes()).map(Hashed::Fast).map_err(corrupt);
        }
        if self.passed.have(text, &record.digest) {
            return Ok(Hashed::Before);
        }
        let (function, scheme) = (function.clone(), scheme.clone());
        let hashed = Zeroizing::new(Box::<[u8]>::from(hashed.as_bytes()));
        let compute = Box::new(move || function.hash(&scheme, &hashed));
        let promised = self.slow.compute(record.key(), compute).map_err(unavailable)?;
        promised.await.ok_or(Busy).map_err(unavailable)?.map(Hashed::Slow).map_err(corrupt)
    }
}

fn unavailable(busy: Busy) -> StoreError {
    StoreError::with_source(StoreErrorKind::Unavailable, busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::import_scheme::ImportScheme;
    use crate::rules::import_token::ImportToken;
    use crate::rules::salted_import::SaltedImport;
    use crate::store::memory::MemoryStore;
    use crate::store::ready::now;
    use crate::tokens::import_outcome::ImportOutcome;
    use crate::tokens::service::Tokens;
    use crate::words::ids::{KeyNumber, Prefix};
    use crate::words::import_alphabet::ImportAlphabet;
    use crate::words::import_digest::ImportHash;
    use crate::words::import_shape::ImportShape;
    use crate::words::pepper::Pepper;
    use crate::words::timestamp::Timestamp;

    const OLD: &[u8] = b"old-0123456789abcdef";

    fn pepper(seed: u8) -> Pepper {
        Pepper::new((0..32).map(|at| seed.wrapping_add(at)).collect()).unwrap()
    }

    /// Returns a keyring with one key for each seed. The last key is the minting key.
    fn ring(seeds: &[u8]) -> Keyring {
        let builder = Keyring::builder(Prefix::new("acme_pat").unwrap());
        let add = |builder: crate::keys::KeyringBuilder, seed: &u8| {
            builder.mint_with(KeyNumber::new(*seed).unwrap(), pepper(*seed))
        };
        seeds.iter().fold(builder, add).build().unwrap()
    }

    fn shape(hash: ImportHash) -> ImportShape {
        ImportShape::new("old-", 16..=16, ImportAlphabet::LowerHex, hash).unwrap()
    }

    fn token(text: &[u8]) -> Result<ImportToken, Invalid> {
        let digest = ImportDigest::of(ImportHash::Sha256, text);
        Ok(ImportToken::new(digest, "145".parse()?, "ada".parse()?, "CI".parse()?, Timestamp::UNIX_EPOCH))
    }

    fn import(store: &Arc<MemoryStore>, seeds: &[u8], token: Result<ImportToken, Invalid>) -> ImportOutcome {
        let tokens = Tokens::new(ring(seeds), Arc::clone(store));
        now(tokens.import(&"root".parse().unwrap(), vec![token])).unwrap()[0]
    }

    #[test]
    fn an_old_text_is_found_under_each_key_of_the_ring() {
        let store = Arc::new(MemoryStore::new());
        let ImportOutcome::Inserted(key) = import(&store, &[1], token(OLD)) else { panic!("not inserted") };
        assert_eq!(key.id.key_number(), KeyNumber::FIRST);
        let imports = ImportFinder::new(Imports::new([shape(ImportHash::Sha256)]));
        for seeds in [&[1][..], &[1, 2], &[2, 1], &[2, 1, 3]] {
            let (digest, record) = now(imports.find(&store, &ring(seeds), OLD)).unwrap().unwrap();
            let record = record.unwrap();
            assert_eq!(record.key(), key);
            assert!(record.digest.ct_eq(&digest));
        }
        let (_, record) = now(imports.find(&store, &ring(&[2]), OLD)).unwrap().unwrap();
        assert_eq!(record, None);
    }

    #[test]
    fn the_store_is_not_called_for_another_shape() {
        let store = MemoryStore::new();
        let imports = ImportFinder::new(Imports::new([shape(ImportHash::Sha256)]));
        assert!(now(imports.find(&store, &ring(&[1]), &OLD[1..])).unwrap().is_none());
        assert!(now(ImportFinder::new(Imports::new([])).find(&store, &ring(&[1]), OLD)).unwrap().is_none());
    }

    #[test]
    fn all_overlapping_shapes_are_tried() {
        let store = Arc::new(MemoryStore::new());
        import(&store, &[1], token(OLD));
        let shapes = vec![shape(ImportHash::Sha512), shape(ImportHash::Sha256)];
        let imports = ImportFinder::new(shapes.into());
        assert!(now(imports.find(&store, &ring(&[1]), OLD)).unwrap().unwrap().1.is_some());
    }

    #[test]
    fn a_row_that_cannot_be_hashed_does_not_stop_a_token_that_is_found_by_its_hash() {
        let store = Arc::new(MemoryStore::new());
        let ImportOutcome::Inserted(key) = import(&store, &[1], token(OLD)) else { panic!("not inserted") };
        let mut salted = token(b"another").unwrap();
        let scheme = ImportScheme::new("gone", "", b"salt").unwrap();
        salted.salted = Some(SaltedImport::new("old-0123", scheme).unwrap());
        let before = Imports::new([]).with_function("gone", |_, _| None);
        let before = Tokens::new(ring(&[1]), Arc::clone(&store)).with_imports(before);
        let outcomes = now(before.import(&"root".parse().unwrap(), vec![Ok(salted)])).unwrap();
        assert!(matches!(outcomes[0], ImportOutcome::Inserted(_)));
        let by_id = ImportShape::salted("old-", 16..=16, ImportAlphabet::LowerHex, |text| text.split_at_checked(8));
        let imports = ImportFinder::new(Imports::new([by_id.unwrap(), shape(ImportHash::Sha256)]));
        let (_, record) = now(imports.find(&store, &ring(&[1]), OLD)).unwrap().unwrap();
        assert_eq!(record.unwrap().key(), key);
        let other = now(imports.find(&store, &ring(&[1]), b"old-0123ffffffffffff"));
        assert_eq!(other.map(drop).map_err(|error| error.kind()), Err(StoreErrorKind::Corrupt));
    }
}

//! The look-up of imported tokens by their old texts.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use crate::rules::record::TokenRecord;
use crate::store::import::{ImportKey, ImportStore};
use crate::words::digest::Digest;
use crate::words::import_shape::ImportShape;
use crate::words::keyring::Keyring;
use crate::words::store_error::StoreError;

/// A function that looks up a record by its import key, in a store of type `S`.
type Find<S> = for<'f> fn(&'f S, &'f ImportKey) -> Found<'f>;
type Found<'f> = Pin<Box<dyn Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send + 'f>>;

/// The look-up of imported tokens, for old texts that have one of the declared
/// [shapes](ImportShape).
///
/// The type holds a function that calls the store. A trait bound `S: ImportStore` could not replace
/// this function, because the methods of [`Tokens`](super::service::Tokens) must also work with a
/// store that does not support imports.
pub(crate) struct Imports<S> {
    find: Find<S>,
    shapes: Vec<ImportShape>,
}

impl<S: ImportStore> Imports<S> {
    pub(crate) fn new(shapes: Vec<ImportShape>) -> Self {
        Self { find: |store, key| Box::pin(store.find_imported(key)), shapes }
    }
}

impl<S> Imports<S> {
    /// Returns whether a text has one of the declared shapes.
    pub(crate) fn recognizes(&self, text: &[u8]) -> bool {
        self.shapes.iter().any(|shape| shape.rest_of(text).is_some())
    }

    /// Returns the record of the imported token with this text, and the digest that the record must
    /// have. Returns `None` without a store call if the text has no shape that the service accepts,
    /// or if the keyring has no pepper.
    ///
    /// Otherwise, computes the digest of the text for each key of the keyring, the minting key
    /// first. Calls the store with one digest after the other until the store returns a record. If
    /// the store returns none, returns the first of these digests and no record.
    pub(crate) async fn find(
        &self,
        store: &S,
        keyring: &Keyring,
        text: &[u8],
    ) -> Result<Option<(Digest, Option<Arc<TokenRecord>>)>, StoreError> {
        let mut unknown = None;
        // Shapes may overlap. For instance, a service that once changed its hash declares two
        // hashes for the same texts.
        for foreign in self.shapes.iter().filter_map(|shape| shape.digest_of(text)) {
            for (_, digest) in keyring.import_digests(&foreign) {
                let record = (self.find)(store, &ImportKey::of(&digest)).await?;
                if record.is_some() {
                    return Ok(Some((digest, record)));
                }
                unknown.get_or_insert((digest, None));
            }
        }
        Ok(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::import_token::ImportToken;
    use crate::store::memory::MemoryStore;
    use crate::store::ready::now;
    use crate::tokens::import::ImportOutcome;
    use crate::tokens::service::Tokens;
    use crate::words::ids::{KeyNumber, Prefix};
    use crate::words::import_digest::{ImportDigest, ImportHash};
    use crate::words::import_shape::ImportAlphabet;
    use crate::words::invalid::Invalid;
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
        let imports = Imports::new(vec![shape(ImportHash::Sha256)]);
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
    fn the_store_is_not_called_for_another_shape_or_without_a_pepper() {
        let store = MemoryStore::new();
        let imports = Imports::new(vec![shape(ImportHash::Sha256)]);
        assert!(now(imports.find(&store, &ring(&[1]), &OLD[1..])).unwrap().is_none());
        assert!(now(imports.find(&store, &ring(&[]), OLD)).unwrap().is_none());
        assert!(now(Imports::new(Vec::new()).find(&store, &ring(&[1]), OLD)).unwrap().is_none());
    }

    #[test]
    fn all_overlapping_shapes_are_tried() {
        let store = Arc::new(MemoryStore::new());
        import(&store, &[1], token(OLD));
        let shapes = vec![shape(ImportHash::Sha512), shape(ImportHash::Sha256)];
        let imports = Imports::new(shapes);
        assert!(now(imports.find(&store, &ring(&[1]), OLD)).unwrap().unwrap().1.is_some());
    }
}

//! The part of a store that takes over the tokens of an earlier system.

use core::future::Future;
use std::sync::Arc;

use crate::rules::record::TokenRecord;
use crate::words::digest::Digest;
use crate::words::ids::TokenKey;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// A store that can import the tokens of an earlier system.
///
/// It finds an imported record by a key that is computed from the hash of the old token. A store
/// implements this trait only if its service needs imports. The laws that
/// [`TokenStore`](crate::TokenStore) states for all its methods apply here too.
pub trait ImportStore: Send + Sync {
    /// Inserts records with their look-up keys, and returns one outcome for each row, in the order
    /// of the batch.
    ///
    /// A row exists already if a record was imported under one of its [look-up
    /// keys](ImportRow::keys), in any project, or if a record has its token key. Rows that come
    /// earlier in the batch count too. The store checks the look-up keys first, in their order, and
    /// then the token key. It leaves an existing record unchanged, and continues with the next row.
    ///
    /// The batch is one atomic operation: if it fails, no row is inserted. A disk sync for each of
    /// a million rows would take hours. All look-up keys of a row are checked in the same
    /// operation, so that two nodes that mint with different keys never import one token twice.
    ///
    /// # Errors
    /// Returns [`StoreErrorKind::Other`], and imports nothing, if a record is bound to another
    /// token ([`ImportRow::ensure_unbound`]).
    fn import(&self, batch: Vec<ImportRow>) -> impl Future<Output = Result<Vec<ImportRowOutcome>, StoreError>> + Send;

    /// Returns the record that was imported under this key, live or ended, or `None` if there is no
    /// such record. After a purge deletes the record, the key can be imported again.
    fn find_imported(
        &self,
        import_key: &ImportKey,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;
}

/// A record to import, with its look-up keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportRow {
    /// The record. The store inserts it unchanged.
    pub record: TokenRecord,
    /// The key by which the record is found.
    pub import_key: ImportKey,
    /// The keys under which another node may have imported this token already, while another key of
    /// the keyring minted.
    pub other_keys: Vec<ImportKey>,
}

impl ImportRow {
    /// Creates a row with this look-up key and no other keys.
    pub const fn new(record: TokenRecord, import_key: ImportKey) -> Self {
        Self { record, import_key, other_keys: Vec::new() }
    }

    /// Checks that no record of a batch is bound to another token. Such tokens are issued and never
    /// imported. A store calls this before it writes.
    ///
    /// # Errors
    /// Returns [`StoreErrorKind::Other`] if a record of the batch is bound.
    pub fn ensure_unbound(batch: &[Self]) -> Result<(), StoreError> {
        if batch.iter().any(|row| row.record.bound_to().is_some()) {
            return Err(StoreError::with_source(StoreErrorKind::Other, BoundRecord));
        }
        Ok(())
    }

    /// Returns the look-up key and then the other keys, in the order in which a store checks them.
    pub fn keys(&self) -> impl Iterator<Item = &ImportKey> {
        core::iter::once(&self.import_key).chain(&self.other_keys)
    }
}

#[derive(Debug)]
struct BoundRecord;

impl core::fmt::Display for BoundRecord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a record to import is bound to another token; import it without an issuer")
    }
}

impl core::error::Error for BoundRecord {}

/// The outcome of the import of one row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ImportRowOutcome {
    /// The record was inserted.
    Inserted,
    /// One of its keys exists already. The record with this token key stays unchanged.
    Exists(TokenKey),
}

/// The look-up key of an imported token: a MAC of its old hash, so that the old hash need not be
/// stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportKey([u8; 32]);

impl ImportKey {
    /// Creates a key from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the key, for a store to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the look-up key of a token with this digest.
    pub(crate) const fn of(digest: &Digest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl core::fmt::Debug for ImportKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ImportKey(..)")
    }
}

impl TryFrom<&[u8]> for ImportKey {
    type Error = Invalid;

    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(Invalid::new(InvalidField::Digest, InvalidKind::Shape)),
        }
    }
}

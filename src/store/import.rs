//! The part of the store contract for importing the tokens of an earlier system.

use core::future::Future;
use std::sync::Arc;

use crate::rules::record::TokenRecord;
use crate::words::digest::Digest;
use crate::words::ids::TokenKey;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// A store that can import the tokens of an earlier system.
///
/// The store finds an imported record by its look-up key, which keyfob computes from the hash of
/// the old token. A store needs this trait only if its service imports tokens. The laws and the
/// errors that [`TokenStore`](crate::TokenStore) states for all its methods apply here too.
pub trait ImportStore: Send + Sync {
    /// Inserts records with their look-up keys. Returns one outcome for each row, in the order of
    /// the batch.
    ///
    /// A row exists already if a record was imported under one of the row's [look-up
    /// keys](ImportRow::keys), in any project, or if a record has the row's token key. Rows that
    /// come earlier in the batch count too. The store checks the look-up keys first, in their
    /// order, and then the token key. If a row exists already, the store leaves the existing record
    /// unchanged and continues with the next row.
    ///
    /// The batch is one atomic operation: if it fails, no row is inserted. One operation for each
    /// row would need a disk sync for each row, which takes hours for a million rows. The store
    /// checks all look-up keys of a row in the same operation. So two nodes never import one token
    /// twice, even if they use different keys of the keyring.
    ///
    /// # Errors
    /// Returns [`StoreErrorKind::Other`], and imports nothing, if a record is bound to another
    /// token. The store calls [`ImportRow::ensure_unbound`] to check this.
    fn import(&self, batch: Vec<ImportRow>) -> impl Future<Output = Result<Vec<ImportRowOutcome>, StoreError>> + Send;

    /// Returns the record that was imported under this key, live or ended, or `None` if there is no
    /// such record. After a purge deletes the record, a new record can be imported under the key.
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
    /// The look-up key by which the store finds the record after the import.
    pub import_key: ImportKey,
    /// Further look-up keys to check before the import. Another node may have imported this token
    /// under one of them, if that node used another key of the keyring.
    pub other_keys: Vec<ImportKey>,
}

impl ImportRow {
    /// Creates a row with this record and this look-up key, and no other keys.
    pub const fn new(record: TokenRecord, import_key: ImportKey) -> Self {
        Self { record, import_key, other_keys: Vec::new() }
    }

    /// Checks that no record of a batch is bound to another token, because bound tokens cannot be
    /// imported. A store calls this function before it writes.
    ///
    /// # Errors
    /// Returns [`StoreErrorKind::Other`] if a record of the batch is bound to another token.
    pub fn ensure_unbound(batch: &[Self]) -> Result<(), StoreError> {
        if batch.iter().any(|row| row.record.bound_to().is_some()) {
            return Err(StoreError::with_source(StoreErrorKind::Other, BoundRecord));
        }
        Ok(())
    }

    /// Returns all look-up keys of the row, first `import_key` and then `other_keys`. A store
    /// checks them in this order.
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
    /// The row was not inserted, because a record with one of its keys exists. The value is the
    /// token key of this record, which stays unchanged.
    Exists(TokenKey),
}

/// The look-up key of an imported token. It is a MAC of the hash from the old system, so the store
/// does not need to keep this hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportKey([u8; 32]);

impl ImportKey {
    /// Creates a look-up key from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the key, for a store to write.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the look-up key of an imported token with this digest.
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

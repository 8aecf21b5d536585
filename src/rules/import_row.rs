//! The row that an import writes for a token of the earlier system.

use super::record::TokenRecord;
use crate::words::import_key::ImportKey;
use crate::words::store_error::{StoreError, StoreErrorKind};

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

//! Tokens of an earlier system in a store.

use core::future::Future;
use std::sync::Arc;

use crate::rules::record::TokenRecord;
use crate::words::digest::Digest;
use crate::words::ids::TokenKey;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// For services that had tokens before: records found by a key computed from the old token's stored hash. Opt-in.
pub trait ImportStore: Send + Sync {
    /// Inserts records with their look-up keys. The batch is one act, as a sync for each of a million rows would take
    /// hours: where it fails, none of it is there.
    ///
    /// Returns one outcome for each row, in their order: inserted, or exists if one of its [look-up keys](ImportRow::keys) does,
    /// in whichever project, or its own key does, before the call or earlier in the batch. A look-up key decides before the
    /// own one, and the first before the others. What exists is left as it is, and keeps no other row out. All look-up keys
    /// are decided in the same operation, so that two nodes that mint with different keys do not import one token twice.
    ///
    /// # Errors
    /// Returns [`StoreErrorKind::Other`], and imports nothing, if a record is bound to another token
    /// ([`ImportRow::ensure_unbound`]).
    fn import(&self, batch: Vec<ImportRow>) -> impl Future<Output = Result<Vec<ImportRowOutcome>, StoreError>> + Send;

    /// Finds an imported record, dead or alive. Once it is purged, its look-up key is free.
    fn find_imported(
        &self,
        import_key: &ImportKey,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;
}

/// A record to be imported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportRow {
    /// The record, to be stored as it is.
    pub record: TokenRecord,
    /// The key to find it by.
    pub import_key: ImportKey,
    /// Other keys under which the same token may have been imported, while another key of the keyring was the minting one.
    pub other_keys: Vec<ImportKey>,
}

impl ImportRow {
    /// Returns a row of this look-up key and no others.
    pub const fn new(record: TokenRecord, import_key: ImportKey) -> Self {
        Self { record, import_key, other_keys: Vec::new() }
    }

    /// Refuses a batch that has a record which is bound to another token: such a token is issued and never imported. A
    /// store calls it before it writes.
    ///
    /// # Errors
    /// Returns [`StoreErrorKind::Other`] if a record of the batch is bound.
    pub fn ensure_unbound(batch: &[Self]) -> Result<(), StoreError> {
        if batch.iter().any(|row| row.record.bound_to().is_some()) {
            return Err(StoreError::with_source(StoreErrorKind::Other, BoundRecord));
        }
        Ok(())
    }

    /// Returns its look-up key and the others, in the order in which a store looks for them.
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

/// What an import did with a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ImportRowOutcome {
    /// It is there now.
    Inserted,
    /// One of its look-up keys or its own was there before, and what is there stays: the token of this key.
    Exists(TokenKey),
}

/// The look-up key of an imported token: a MAC of its old hash, so that the old hash is not kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportKey([u8; 32]);

impl ImportKey {
    /// A key of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of a token with this digest.
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

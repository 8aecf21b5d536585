//! The part of the store contract for importing the tokens of an earlier system.

use core::future::Future;
use std::sync::Arc;

use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::words::ids::TokenKey;
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;

/// A store that can import the tokens of an earlier system.
///
/// The store finds an imported record by its look-up key, which keyfob computes from the hash or
/// from the public part of the old token. A store needs this trait only if its service imports
/// tokens. The laws and the errors that [`TokenStore`](crate::TokenStore) states for all its
/// methods apply here too.
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
    /// **Each row is one atomic operation**: its record and its look-up key are stored together or
    /// not at all. The store checks all look-up keys of a row in the same operation. So two nodes
    /// never import one token twice, even if they use different keys of the keyring.
    ///
    /// If a call fails or its future is dropped, some rows of the batch may be inserted. The caller
    /// repeats the batch, and the outcome of such a row is then `Exists` with its own token key.
    /// Insert the whole batch in one transaction if the engine can: one transaction for each row
    /// needs a disk sync for each row, which takes hours for a million rows.
    ///
    /// # Errors
    /// Returns [`StoreErrorKind::Other`](crate::store::StoreErrorKind::Other), and imports nothing,
    /// if a record is bound to another token. The store calls [`ImportRow::ensure_unbound`] to
    /// check this.
    fn import(&self, batch: Vec<ImportRow>) -> impl Future<Output = Result<Vec<ImportRowOutcome>, StoreError>> + Send;

    /// Returns the record that was imported under this key, live or ended, or `None` if there is no
    /// such record. After a purge deletes the record, a new record can be imported under the key.
    fn find_imported(
        &self,
        import_key: &ImportKey,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;
}

/// The outcome of the import of one row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ImportRowOutcome {
    /// The record was inserted.
    Inserted,
    /// The row was not inserted, because a record with one of its keys exists. The value is the
    /// token key of this record, which stays unchanged.
    Exists(TokenKey),
}

//! The small contract: what a first store needs.

use core::future::Future;
use std::sync::Arc;

use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;

/// A store with four operations: read one record, read a project, write to a project, list the
/// projects. [`Layered`](crate::store::Layered) turns it into a [`TokenStore`](crate::TokenStore)
/// with [`StoreMaintenance`](crate::store::StoreMaintenance), and applies all rules for tokens.
///
/// Implement this trait for a first store, and for engines without queries, such as key-value
/// stores. A verification reads one record, or the few records of its chain. Every other operation
/// reads **all records of a project**, and begins again if another process has written to the
/// project meanwhile. If your projects have thousands of tokens or many writers at the same time,
/// implement `TokenStore` itself.
///
/// The laws:
/// - **A read shows every acknowledged write**, by any process.
/// - **A [`commit`](Self::commit) takes effect as a whole or not at all**, even if its future is
///   dropped. After it returns `true`, it is durable.
/// - **A commit takes effect only if no other commit to its project took effect since the scan**
///   from which its mark comes.
/// - **A failure is an error**, never an absent record and never `false`:
///   [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the engine cannot be reached, is
///   busy or times out. A commit that failed may have taken effect.
///
/// Store a record with serde as JSON, or by its [columns](crate::store::COLUMNS). Both forms are
/// stable. A record has at most 64 KiB. The docs of
/// [`TokenStore`](crate::TokenStore#what-a-database-store-needs) say what else a store needs, such
/// as a deadline for every call.
///
/// The folder `tests/ports/redb` of the repository has a store in a file. The example `own_store`
/// is a store in memory:
#[cfg_attr(feature = "conformance", doc = "```no_run")]
#[cfg_attr(not(feature = "conformance"), doc = "```ignore")]
#[doc = include_str!("../../examples/own_store.rs")]
/// ```
pub trait BasicStore: Send + Sync {
    /// The mark of a state of a project: the number of its commits, a revision of the engine, or a
    /// version column. Two states of a project never have the same mark.
    type Mark: Send;

    /// The maximum number of writes in one commit, for engines that limit the size of a
    /// transaction. At least 3, because a rotation writes 3 records. Larger operations take several
    /// commits, where the contract allows it. If the engine limits the bytes of a transaction,
    /// divide this limit by 64 KiB, the largest size of a record.
    const MOST_WRITES: usize = 1000;

    /// Returns the record with this key, live or ended, or `None` if there is no such record.
    fn get(&self, key: &TokenKey) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Returns all records of a project, live and ended, in any order, with the mark of this state.
    /// If the records and the mark are read one after the other, the mark must be read first.
    fn scan(
        &self,
        project: &ProjectId,
    ) -> impl Future<Output = Result<(Vec<Arc<TokenRecord>>, Self::Mark), StoreError>> + Send;

    /// Writes to a project if its state still has this mark, and gives it a new mark. Returns
    /// whether it had the mark. If it had not, writes nothing, and keyfob scans the project again.
    ///
    /// `writes` has 1 to [`MOST_WRITES`](Self::MOST_WRITES) elements, at most one for each id.
    fn commit(
        &self,
        project: &ProjectId,
        mark: Self::Mark,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns at most `most` projects, beginning with the first one after `after`, in ascending
    /// order of the bytes of their ids. `most` is at least 1. A project without records may be
    /// returned, and one with records must be.
    fn projects(
        &self,
        after: Option<&ProjectId>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<ProjectId>, StoreError>> + Send;
}

/// A write of a [`BasicStore::commit`]. It will never have other variants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// Stores this record under its id, in place of an earlier one if there is one.
    Put(Arc<TokenRecord>),
    /// Deletes the record with this id.
    Delete(TokenId),
}

/// A [`BasicStore`] that can also import the tokens of an earlier system. With this trait,
/// [`Layered`](crate::store::Layered) implements [`ImportStore`](crate::import::ImportStore) too.
///
/// The store keeps a link from each import key to the token key of the imported record. Import keys
/// are unique in the whole store, not only in a project. The laws of `BasicStore` apply.
pub trait BasicImportStore: BasicStore {
    /// Returns the token key that this import key is linked to, or `None` if there is no link.
    fn linked(&self, import_key: &ImportKey) -> impl Future<Output = Result<Option<TokenKey>, StoreError>> + Send;

    /// Stores the record of each row and links the row's import key to it. Takes effect only if the
    /// state of the project still has this mark, and if each import key of `seen` is still linked
    /// as stated there. Gives the project a new mark. Returns whether it took effect. If not, it
    /// writes nothing, and keyfob reads the project and the links again.
    ///
    /// The store ignores [`other_keys`](ImportRow::other_keys), because `seen` has all keys of the
    /// rows. A link that leads to a deleted record may stay: a later import replaces it.
    ///
    /// All rows have records of this project. The rows, their links and `seen` have together at
    /// most [`MOST_WRITES`](BasicStore::MOST_WRITES) elements, unless there is only one row.
    fn commit_imports(
        &self,
        project: &ProjectId,
        mark: Self::Mark,
        rows: Vec<ImportRow>,
        seen: Vec<(ImportKey, Option<TokenKey>)>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

//! The statements through which the shared operations use an SQL engine.

use core::future::Future;
use std::sync::Arc;

use super::Dialect;
use super::statement::Statement;
use crate::rules::import_row::ImportRow;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;

/// The conditions that rows must meet. The function appends them to a statement.
pub(in crate::adapters) type Conditions<'c> = &'c (dyn Fn(&mut Statement) + Sync);

/// A connection or a transaction on which the shared operations run their statements.
pub(in crate::adapters) trait Session: Send {
    /// The SQL expressions of the engine.
    const DIALECT: &'static Dialect;

    /// Runs a statement and returns the number of rows that it changed.
    fn write(&mut self, sql: Statement) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Runs an `UPDATE` of at most one row, which has this key. Returns the new record, or `None`
    /// if no row was updated.
    fn change(
        &mut self,
        key: &TokenKey,
        sql: Statement,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Revokes up to `most` rows that meet the conditions, and returns how many.
    fn revoke_rows(
        &mut self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        left: Conditions<'_>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Runs a query for the only column of its only row, which is a boolean.
    fn is_true(&mut self, sql: Statement) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Runs a query for the columns `project` and `id`, and returns the key in its first row.
    fn key(&mut self, sql: Statement) -> impl Future<Output = Result<Option<TokenKey>, StoreError>> + Send;

    /// Inserts the record of an imported token and its look-up key, unless a record with the same
    /// token key exists. Returns whether the record was inserted. The look-up key must be free.
    fn insert_imported(&mut self, row: &ImportRow) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns a record.
    fn find(&mut self, key: &TokenKey) -> impl Future<Output = Result<Option<TokenRecord>, StoreError>> + Send;

    /// Returns a record and keeps its row locked until the transaction ends.
    fn locked(&mut self, key: &TokenKey) -> impl Future<Output = Result<Option<TokenRecord>, StoreError>> + Send;

    /// Returns the records of a token, its predecessor, its successor and the issuer, if they
    /// exist, and keeps their rows locked until the transaction ends.
    fn locked_chain(
        &mut self,
        key: &TokenKey,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Vec<TokenRecord>, StoreError>> + Send;
}

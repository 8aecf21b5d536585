//! The interfaces through which the shared parts of the stores use an SQL engine.

use core::future::Future;
use std::sync::Arc;

use sqlx::{Database, Error};

use super::Dialect;
use super::lease::Lease;
use super::statement::Statement;
use crate::rules::import_row::ImportRow;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;

/// A server on which the calls of several processes take turns. The stores share the queues of
/// calls, the turns of projects and the lease of connections.
pub(in crate::adapters) trait Engine: Database {
    /// The SQL that begins a transaction. Each statement of the transaction sees everything that
    /// was committed before the statement began.
    const BEGIN: &'static str;

    /// The SQL that begins a transaction whose first lock is a project's turn.
    const BEGIN_FOR_TURN: &'static str;

    type Session: Session;

    /// Returns the session of the transaction of a lease.
    fn session(lease: &mut Lease<Self>) -> &mut Self::Session;

    /// Converts an error of sqlx into a store error. The error of sqlx determines the kind of the
    /// store error, and becomes its source.
    fn failed(error: Error) -> StoreError;

    /// Returns whether the error means that the connection was lost. The server may have closed the
    /// connection while it was idle.
    fn is_lost(error: &Error) -> bool;

    /// Returns whether the server has rolled the transaction back to end a deadlock, so that the call
    /// can begin again. If the call can take no part in a deadlock, this is always false.
    fn is_deadlock(error: &StoreError) -> bool;

    /// Runs SQL without parameters on a connection.
    fn run(connection: &mut Self::Connection, sql: &'static str) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Runs SQL without parameters on the connection of a lease.
    fn run_on(lease: &mut Lease<Self>, sql: &'static str) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Takes the project's turn (a lock on the project's row in `keyfob_turns`) until the end of
    /// the transaction. The transaction must have begun with
    /// [`BEGIN_FOR_TURN`](Self::BEGIN_FOR_TURN). Returns false if another process holds the turn.
    /// In this case, the caller can only roll the transaction back.
    fn lock_turn(lease: &mut Lease<Self>, project: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

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

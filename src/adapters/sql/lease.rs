//! A lease of a connection from the pool, for one call. Within 2 seconds after the call, the
//! connection is returned to the pool or closed.
//!
//! When a connection is returned to the pool, sqlx checks it without a time limit. If the server
//! does not reply, or if a dropped call still waits for a lock there, the check lasts until TCP
//! gives up. During this time, the connection keeps its place in the pool. The lease limits this
//! time.

use core::future::Future;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Database, Error};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::gate::{Pass, Place};
use super::session::Session;
use crate::adapters::fault::Faults;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The time limit for the rollback of an abandoned transaction. It is also the time limit for
/// sqlx's check of the connection after the rollback.
const RELEASE: Duration = Duration::from_secs(1);

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

    /// Returns whether the server has rolled the transaction back to end a deadlock, so that the
    /// call can begin again. If the call can take no part in a deadlock, this is always false.
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

/// The connection of one call. `None` means that the connection was closed, or that it is with a
/// statement whose call was dropped.
pub(in crate::adapters) struct Lease<E: Engine>(Option<Held<E>>);

/// A connection that a call holds. When it is dropped, the connection is first returned to the
/// pool. Only then is the pass dropped, which may allow another call to take a connection.
struct Held<E: Engine> {
    connection: Option<PoolConnection<E>>,
    /// Whether a transaction may be open on the connection.
    is_open: bool,
    /// The right of the call to use a connection.
    pass: Pass,
    faults: Arc<Faults>,
}

impl<E: Engine> Lease<E> {
    pub(in crate::adapters) fn new(connection: PoolConnection<E>, pass: Pass, faults: &Arc<Faults>) -> Self {
        let faults = Arc::clone(faults);
        Self(Some(Held { connection: Some(connection), is_open: false, pass, faults }))
    }

    /// Begins a transaction with [`BEGIN`](Engine::BEGIN) or
    /// [`BEGIN_FOR_TURN`](Engine::BEGIN_FOR_TURN). Dropping the lease rolls the transaction back
    /// unless the transaction has ended.
    pub(in crate::adapters) async fn begin(&mut self, begin: &'static str) -> sqlx::Result<()> {
        if let Some(held) = &mut self.0 {
            held.is_open = true;
        }
        E::run_on(self, begin).await
    }

    /// Commits the transaction, and keeps the call's place in the project's queue.
    pub(in crate::adapters) async fn commit(&mut self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    /// Rolls the transaction back, and lets the next call in the project's queue proceed.
    async fn rollback(mut self) -> sqlx::Result<()> {
        self.end("ROLLBACK").await?;
        self.leave_line();
        Ok(())
    }

    /// Rolls the transaction back, and then returns the outcome, so that no locks remain. A dropped
    /// transaction would keep its locks until a background task rolls it back.
    pub(in crate::adapters) async fn refuse<T>(self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        self.rollback().await.map_err(E::failed)?;
        outcome
    }

    /// Rolls the transaction back, and gives the connection back to the pool. Returns the call's
    /// place in the project's queue, if it has one, so that the call keeps the place.
    pub(in crate::adapters) async fn give_up(mut self) -> sqlx::Result<Option<Place>> {
        self.end("ROLLBACK").await?;
        Ok(self.0.as_mut().and_then(|held| held.pass.keep_place()))
    }

    /// Ends the transaction with this statement.
    pub(in crate::adapters) async fn end(&mut self, how: &'static str) -> sqlx::Result<()> {
        E::run_on(self, how).await?;
        if let Some(held) = &mut self.0 {
            held.is_open = false;
        }
        Ok(())
    }

    /// Gives up the call's place in the project's queue, so that the next call in the queue can
    /// proceed before the connection is back in the pool.
    pub(in crate::adapters) fn leave_line(&mut self) {
        if let Some(held) = &mut self.0 {
            held.pass.leave_line();
        }
    }

    /// Closes the connection. Returns the pass, which is the right to use a connection, so that the
    /// caller can take another connection from the pool.
    pub(in crate::adapters) fn into_pass(mut self) -> Pass {
        self.0.take().map_or_else(Pass::default, |mut held| {
            held.close();
            core::mem::take(&mut held.pass)
        })
    }
}

#[cfg(feature = "mysql")]
impl<E: Engine> Lease<E> {
    /// Runs a statement in a task of its own, and returns its result.
    ///
    /// If the caller is dropped meanwhile, the task waits for the end of the statement, and the
    /// connection then returns to the pool. If the statement takes longer than `limit`, the
    /// connection is closed. So no other call receives the reply to this statement.
    pub(in crate::adapters) async fn apart<T: Send + 'static>(
        &mut self,
        limit: Duration,
        work: impl AsyncWork<E, T>,
    ) -> sqlx::Result<T> {
        let mut held = self.0.take().ok_or(sqlx::Error::WorkerCrashed)?;
        let task = tokio::spawn(async move {
            let outcome = timeout(limit, work.run(held.connection())).await;
            let outcome = outcome.unwrap_or_else(|waited| {
                held.close();
                Err(sqlx::Error::Io(waited.into()))
            });
            (held, outcome)
        });
        let (held, outcome) = task.await.map_err(|_ended| sqlx::Error::WorkerCrashed)?;
        if held.connection.is_some() {
            self.0 = Some(held);
        }
        outcome
    }
}

/// The work of one statement on a connection.
#[cfg(feature = "mysql")]
pub(in crate::adapters) trait AsyncWork<E: Engine, T>: Send + 'static {
    fn run(self, connection: &mut E::Connection) -> impl Future<Output = sqlx::Result<T>> + Send;
}

impl<E: Engine> Deref for Lease<E> {
    type Target = E::Connection;

    fn deref(&self) -> &E::Connection {
        let held = self.0.as_ref().and_then(|held| held.connection.as_ref());
        held.expect("only the end of a lease takes its connection")
    }
}

impl<E: Engine> DerefMut for Lease<E> {
    fn deref_mut(&mut self) -> &mut E::Connection {
        self.0.as_mut().expect("only the end of a lease takes its connection").connection()
    }
}

impl<E: Engine> Held<E> {
    fn connection(&mut self) -> &mut E::Connection {
        self.connection.as_mut().expect("only the end of a lease takes its connection")
    }

    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl<E: Engine> Drop for Held<E> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let Ok(runtime) = Handle::try_current() else {
            // Without a runtime, the server cannot be reached, so the connection is closed.
            drop(connection.detach());
            return;
        };
        let (is_open, pass, faults) = (self.is_open, core::mem::take(&mut self.pass), Arc::clone(&self.faults));
        runtime.spawn(async move {
            if let Err(error) = give_back::<E>(connection, is_open).await {
                faults.note("cannot return a connection to the pool, so it was closed", &error);
            }
            drop(pass);
        });
    }
}

async fn give_back<E: Engine>(mut connection: PoolConnection<E>, is_open: bool) -> Result<(), StoreError> {
    if is_open {
        let ended = timeout(RELEASE, E::run(&mut connection, "ROLLBACK")).await;
        let ended = ended.map_err(silent).and_then(|ended| ended.map_err(E::failed));
        if let Err(error) = ended {
            drop(connection.detach());
            return Err(error);
        }
    }
    // `return_to_pool` is hidden in sqlx's documentation, but sqlx's own tests call it. It does the
    // same as a drop of the connection, but as a future. If the time-out drops this future, the
    // connection is closed and its place in the pool becomes free.
    timeout(RELEASE, connection.return_to_pool()).await.map_err(silent)
}

fn silent(waited: tokio::time::error::Elapsed) -> StoreError {
    StoreError::with_source(StoreErrorKind::Unavailable, waited)
}

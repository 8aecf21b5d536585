//! A lease of a connection from the pool, for one call. Within 2 seconds after the call, the
//! connection is returned to the pool or closed.
//!
//! When a connection is returned to the pool, sqlx checks it without a time limit. If the server
//! does not reply, or if a dropped call still waits for a lock there, the check lasts until TCP
//! gives up. During this time, the connection keeps its place in the pool. The lease limits this
//! time.

use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Executor, PgConnection, Postgres};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::failure::failed;
use super::gate::{Pass, Place};
use crate::adapters::fault::Faults;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The time limit for the rollback of an abandoned transaction. It is also the time limit for
/// sqlx's check of the connection after the rollback.
const RELEASE: Duration = Duration::from_secs(1);

macro_rules! begin {
    () => {
        "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT \
         CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END, \
         CASE current_setting('lock_timeout') WHEN '0' THEN set_config('lock_timeout', '5s', true) END, \
         CASE current_setting('idle_in_transaction_session_timeout') \
         WHEN '0' THEN set_config('idle_in_transaction_session_timeout', '10s', true) END"
    };
}

/// The SQL that begins a transaction. Each statement of the transaction sees everything that was
/// committed before the statement began. In the same round trip, the SQL changes three settings for
/// the transaction:
///
/// - If `synchronous_commit` is `off`, it becomes `on`, so that a commit waits for the disk.
///   `from_pool` checks this setting on only one connection of the host's pool.
/// - If `lock_timeout` is not set, it becomes 5 seconds, which is the time limit of a call.
///   `statement_timeout` is not suitable, because it also ends a statement that waits for no lock.
/// - If `idle_in_transaction_session_timeout` is not set, it becomes 10 seconds, twice the time
///   limit of a call. If the process freezes or loses its connection during the transaction, the
///   server releases the locks of the transaction after this time.
pub(super) const BEGIN: &str = begin!();

/// The SQL that begins a transaction whose first lock is a project's turn (see turn.rs). In
/// ordinary use, an operation holds a turn for some milliseconds. So the server waits for the turn
/// for at most 200 ms. For later locks, it waits as long as in any other transaction.
pub(super) const BEGIN_FOR_TURN: &str = concat!(
    begin!(),
    "; SELECT set_config('keyfob.lock_timeout', current_setting('lock_timeout'), true); \
     SELECT set_config('lock_timeout', '200ms', true)"
);

pub(super) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
    /// Whether a transaction may be open on the connection.
    is_open: bool,
    pass: Pass,
    faults: Arc<Faults>,
}

impl Lease {
    /// Creates a lease of `connection`. `pass` is the right of the call to use a connection. When
    /// the lease is dropped, it first returns the connection to the pool. Only then does it drop
    /// `pass`, which may allow another call to take a connection.
    pub(super) fn new(connection: PoolConnection<Postgres>, pass: Pass, faults: &Arc<Faults>) -> Self {
        Self { connection: Some(connection), is_open: false, pass, faults: Arc::clone(faults) }
    }

    /// Begins a transaction with [`BEGIN`] or [`BEGIN_FOR_TURN`]. Dropping the lease rolls the
    /// transaction back unless the transaction has ended.
    pub(super) async fn begin(&mut self, begin: &'static str) -> sqlx::Result<()> {
        self.is_open = true;
        self.execute(begin).await?;
        Ok(())
    }

    /// Commits the transaction, and keeps the call's place in the project's queue.
    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    /// Rolls the transaction back, and lets the next call in the project's queue proceed.
    pub(super) async fn rollback(mut self) -> sqlx::Result<()> {
        self.end("ROLLBACK").await?;
        self.leave_line();
        Ok(())
    }

    /// Rolls the transaction back, and gives the connection back to the pool. Returns the call's
    /// place in the project's queue, if it has one, so that the call keeps the place.
    pub(super) async fn give_up(mut self) -> sqlx::Result<Option<Place>> {
        self.end("ROLLBACK").await?;
        Ok(self.pass.keep_place())
    }

    async fn end(&mut self, how: &'static str) -> sqlx::Result<()> {
        self.execute(how).await?;
        self.is_open = false;
        Ok(())
    }

    /// Gives up the call's place in the project's queue, so that the next call in the queue can
    /// proceed before the connection is back in the pool.
    pub(super) fn leave_line(&mut self) {
        self.pass.leave_line();
    }

    /// Closes the connection. Returns the pass, which is the right to use a connection, so that the
    /// caller can take another connection from the pool.
    pub(super) fn into_pass(mut self) -> Pass {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
        core::mem::take(&mut self.pass)
    }
}

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("only the end of a lease takes its connection")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("only the end of a lease takes its connection")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let Ok(runtime) = Handle::try_current() else {
            // Without a runtime, the server cannot be reached, so the connection is closed.
            drop(connection.detach());
            return;
        };
        let (is_open, pass, faults) = (self.is_open, core::mem::take(&mut self.pass), Arc::clone(&self.faults));
        runtime.spawn(async move {
            if let Err(error) = give_back(connection, is_open).await {
                faults.note("cannot return a connection to the pool, so it was closed", &error);
            }
            drop(pass);
        });
    }
}

async fn give_back(mut connection: PoolConnection<Postgres>, is_open: bool) -> Result<(), StoreError> {
    if is_open {
        let ended = timeout(RELEASE, connection.execute("ROLLBACK")).await;
        let ended = ended.map_err(silent).and_then(|ended| ended.map_err(failed));
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

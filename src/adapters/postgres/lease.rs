//! A connection of the pool for one call, which always comes back or is closed within a second.
//!
//! sqlx asks a connection whether it lives when it is given back, for as long as that takes: a server that is silent, or
//! waits for a lock for a call that was given up, would keep the connection's place in the pool until TCP gives up.

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

/// How long the end of a transaction that was given up, and then the question whether the connection lives, may take.
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

/// A transaction in which each statement sees what was committed before it, in one round trip with what holds in it:
///
/// - It waits for the disk. A host's pool may have connections that do not, which `from_pool` cannot see.
/// - The server waits for a lock hardly longer than the call that wants it. This is not `statement_timeout`, which would also
///   end a statement that waits for no other.
/// - A process that is frozen or cut off in the middle holds its locks for no longer than two calls may take.
pub(super) const BEGIN: &str = begin!();

/// The same for a transaction that wants a turn first: the server waits for that for a short time
/// only, and later for other locks as in any other transaction. Turns in ordinary use take
/// milliseconds.
pub(super) const BEGIN_FOR_TURN: &str = concat!(
    begin!(),
    "; SELECT set_config('keyfob.lock_timeout', current_setting('lock_timeout'), true); \
     SELECT set_config('lock_timeout', '200ms', true)"
);

pub(super) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
    /// Whether a transaction may be open on it.
    is_open: bool,
    pass: Pass,
    faults: Arc<Faults>,
}

impl Lease {
    /// Holds the connection, which is given back with the pass.
    pub(super) fn new(connection: PoolConnection<Postgres>, pass: Pass, faults: &Arc<Faults>) -> Self {
        Self { connection: Some(connection), is_open: false, pass, faults: Arc::clone(faults) }
    }

    /// Begins a transaction by [`BEGIN`] or [`BEGIN_FOR_TURN`]. If the lease is dropped, it is
    /// rolled back.
    pub(super) async fn begin(&mut self, begin: &'static str) -> sqlx::Result<()> {
        self.is_open = true;
        self.execute(begin).await?;
        Ok(())
    }

    /// Commits the transaction, and stays in line.
    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    /// Rolls the transaction back, and lets the project's next call proceed.
    pub(super) async fn rollback(mut self) -> sqlx::Result<()> {
        self.end("ROLLBACK").await?;
        self.leave_line();
        Ok(())
    }

    /// Rolls the transaction back and gives the connection back, but keeps the place in line.
    pub(super) async fn give_up(mut self) -> sqlx::Result<Option<Place>> {
        self.end("ROLLBACK").await?;
        Ok(self.pass.keep_place())
    }

    async fn end(&mut self, how: &'static str) -> sqlx::Result<()> {
        self.execute(how).await?;
        self.is_open = false;
        Ok(())
    }

    /// Lets the project's next call proceed, before the connection is given back.
    pub(super) fn leave_line(&mut self) {
        self.pass.leave_line();
    }

    /// Closes the connection, and hands on the pass to another.
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
            // There is nothing to talk to the server with.
            drop(connection.detach());
            return;
        };
        let (is_open, pass, faults) = (self.is_open, core::mem::take(&mut self.pass), Arc::clone(&self.faults));
        runtime.spawn(async move {
            if let Err(error) = give_back(connection, is_open).await {
                faults.note("cannot give a connection back, and closed it", &error);
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
    // It is hidden in sqlx's documentation, but its own tests call it: what a drop does, in a future that can be dropped,
    // which closes the connection and frees its place.
    timeout(RELEASE, connection.return_to_pool()).await.map_err(silent)
}

fn silent(waited: tokio::time::error::Elapsed) -> StoreError {
    StoreError::with_source(StoreErrorKind::Unavailable, waited)
}

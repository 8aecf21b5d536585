//! The turn of a project: the lock on the project's row in the table `keyfob_turns`.
//!
//! Another process may freeze while it holds a turn. If a call held a connection while it waited
//! for this turn, calls in other projects could not use the connection. A few such calls would stop
//! all projects. So a call waits in the database only for a short time. In ordinary use, every turn
//! ends within this time. If the turn does not end in time, the call returns its connection to the
//! pool, and tries to take the turn again after a pause. During the pause, the call keeps its place
//! at the head of its queue (see gate.rs).

use core::time::Duration;
use std::hash::{BuildHasher, Hasher, RandomState};

use sqlx::PgConnection;

use super::failure::{failed, is_held};
use super::gate::Pass;
use super::handle::PostgresStore;
use super::lease::{BEGIN_FOR_TURN, Lease};
use crate::words::store_error::StoreError;

/// The pause between two attempts to take a turn, in milliseconds: the minimum pause, and the
/// maximum of the random time that is added to it. During the pause, calls of other projects can
/// use the connection. On average, a call that waits for a turn has a connection for two thirds of
/// the time.
const PAUSE: (u64, u64) = (50, 100);

impl PostgresStore {
    /// Begins a transaction that holds the project's turn (a lock on the project) until the
    /// transaction ends.
    pub(super) async fn begin_turn(&self, project: &str) -> Result<Lease, StoreError> {
        self.take_turn(self.gate.turn(project).await?, project).await
    }

    /// Begins a transaction for the revocation of a group of tokens. The transaction holds the
    /// project's turn (a lock on the project) until the transaction ends.
    pub(super) async fn begin_group(&self, project: &str) -> Result<Lease, StoreError> {
        self.take_turn(self.gate.group_revocation(project).await?, project).await
    }

    async fn take_turn(&self, mut pass: Pass, project: &str) -> Result<Lease, StoreError> {
        loop {
            let mut transaction = self.begin_with(pass, BEGIN_FOR_TURN).await?;
            if lock_turn(project, &mut transaction).await? {
                return Ok(transaction);
            }
            let place = transaction.give_up().await.map_err(failed)?;
            tokio::time::sleep(pause()).await;
            pass = self.gate.proceed_to_turn(place).await;
        }
    }
}

/// Takes the project's turn (a lock on the project) until the end of the transaction. The
/// transaction must have begun with [`BEGIN_FOR_TURN`]. Returns false if another process holds the
/// turn. In this case, the caller can only roll the transaction back.
pub(super) async fn lock_turn(project: &str, connection: &mut PgConnection) -> Result<bool, StoreError> {
    // `set_config` runs once for each row of the CTE `turn`. So it sets the time limit for other
    // locks after the CTE has locked the row.
    const LOCK: &str = "WITH turn AS MATERIALIZED (SELECT 1 FROM keyfob_turns WHERE project = $1 FOR UPDATE) \
         SELECT set_config('lock_timeout', current_setting('keyfob.lock_timeout'), true) FROM turn";
    const MAKE: &str = "INSERT INTO keyfob_turns (project) VALUES ($1) ON CONFLICT DO NOTHING";
    for statement in [LOCK, MAKE, LOCK] {
        match sqlx::query(statement).bind(project).execute(&mut *connection).await {
            Ok(done) if statement == LOCK && done.rows_affected() > 0 => break,
            Ok(_) => {}
            Err(error) if is_held(&error) => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(true)
}

/// Returns a pause of random length, so that the attempts of several processes do not coincide.
fn pause() -> Duration {
    let (least, more) = PAUSE;
    // Each `RandomState` has random keys of its own.
    Duration::from_millis(least + RandomState::new().build_hasher().finish() % (more + 1))
}

//! A project's turn: the lock on its row in `keyfob_turns`.
//!
//! Another process may freeze while it holds a turn. If a call waited for that turn with its
//! connection, it would take the connection and its share of the pool from calls in other projects.
//! A few such turns would stop all projects. So a call waits in the database only for a short time,
//! in which any turn in ordinary use ends. Then it returns the connection to the pool and tries
//! again after a pause. Meanwhile it keeps its place at the head of its line.

use core::time::Duration;
use std::hash::{BuildHasher, Hasher, RandomState};

use sqlx::PgConnection;

use super::failure::{failed, is_held};
use super::gate::Pass;
use super::handle::PostgresStore;
use super::lease::{BEGIN_FOR_TURN, Lease};
use crate::words::store_error::StoreError;

/// The shortest pause between two attempts, and the most that is added to it at random, in
/// milliseconds. On average, a call that waits for a turn has a connection for two thirds of the
/// time. Calls of other projects use it in the remaining time.
const PAUSE: (u64, u64) = (50, 100);

impl PostgresStore {
    /// Begins a transaction that has the project's turn until its end.
    pub(super) async fn begin_turn(&self, project: &str) -> Result<Lease, StoreError> {
        self.take_turn(self.gate.turn(project).await?, project).await
    }

    /// Begins a transaction that revokes a group of the project, with the project's turn.
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

/// Takes the project's turn until the end of the transaction, which must have begun with
/// [`BEGIN_FOR_TURN`]. Returns false if another process has the turn. The transaction can then only
/// be rolled back.
pub(super) async fn lock_turn(project: &str, connection: &mut PgConnection) -> Result<bool, StoreError> {
    // The CTE locks the row before `set_config` sets the time limit for other locks, because
    // `set_config` runs once for each row of `turn`.
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
    // Each `RandomState` has keys of its own.
    Duration::from_millis(least + RandomState::new().build_hasher().finish() % (more + 1))
}

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

use super::access::Access;
use super::gate::Pass;
use super::lease::{Engine, Lease};
use crate::words::store_error::StoreError;

/// The pause between two attempts to take a turn, in milliseconds: the minimum pause, and the
/// maximum of the random time that is added to it. During the pause, calls of other projects can
/// use the connection. On average, a call that waits for a turn has a connection for two thirds of
/// the time.
const PAUSE: (u64, u64) = (50, 100);

impl<E: Engine> Access<E> {
    /// Begins a transaction that holds the project's turn (a lock on the project) until the
    /// transaction ends.
    pub(in crate::adapters) async fn begin_turn(&self, project: &str) -> Result<Lease<E>, StoreError> {
        self.take_turn(self.gate.turn(project).await?, project).await
    }

    /// Begins a transaction for the revocation of a group of tokens. The transaction holds the
    /// project's turn (a lock on the project) until the transaction ends.
    pub(in crate::adapters) async fn begin_group(&self, project: &str) -> Result<Lease<E>, StoreError> {
        self.take_turn(self.gate.group_revocation(project).await?, project).await
    }

    async fn take_turn(&self, mut pass: Pass, project: &str) -> Result<Lease<E>, StoreError> {
        loop {
            let mut transaction = self.begin_with(pass, E::BEGIN_FOR_TURN).await?;
            if E::lock_turn(&mut transaction, project).await? {
                return Ok(transaction);
            }
            let place = transaction.give_up().await.map_err(E::failed)?;
            tokio::time::sleep(pause(PAUSE)).await;
            pass = self.gate.proceed_to_turn(place).await;
        }
    }
}

/// Returns a pause of random length, so that the attempts of several processes do not coincide. The
/// arguments are the minimum and the maximum of the random time that is added to it, in
/// milliseconds.
pub(in crate::adapters) fn pause((least, more): (u64, u64)) -> Duration {
    // Each `RandomState` has random keys of its own.
    Duration::from_millis(least + RandomState::new().build_hasher().finish() % (more + 1))
}

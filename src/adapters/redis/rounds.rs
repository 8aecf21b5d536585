//! The wait until the replicas of a master have received its operations.
//!
//! The wait uses its own connections, because `WAIT` blocks all later commands of its connection.
//! The operations on one master wait together, in rounds. A round is one exchange of commands with
//! the master. It serves all operations that the master has applied before the round begins.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redis::cluster_routing::Slot;
use redis::{Cmd, RedisError, RedisResult, Value, cmd};

use super::connection::Connection;
use super::durability::Durability;
use super::failure::{NotReplicated, is_misrouted};
use super::patience::PAUSE;
use super::replicas::Master;

/// The maximum time for which one round (an exchange with a master) waits for replicas. An
/// operation that arrives during a round waits until the next round has ended, so it may wait for
/// two rounds.
const WAIT: Duration = Duration::from_millis(800);

/// The maximum number of masters whose rounds the store remembers. In a round, operations wait
/// together for the replicas of one master. If there are more masters, the store forgets all
/// rounds. This costs at most one additional round for each master.
const MASTERS: usize = 1_000;

/// The rounds of all masters. In a round, operations wait together for the replicas of one master.
pub(super) struct Rounds {
    connection: Connection,
    turns: Mutex<HashMap<(String, Durability), Arc<Turn>>>,
}

/// The rounds of one master. Only one of these rounds runs at a time.
#[derive(Default)]
struct Turn {
    /// The number of operations that have asked to wait for the replicas. A round serves all
    /// operations that asked before it began.
    asked: AtomicU64,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The value of [`Turn::asked`] when the latest round began. This round served all operations
    /// up to this number.
    covered: u64,
    /// The failure of the last round. It is `None` if the required replicas have all writes that
    /// the master made before the round.
    failure: Option<NotReplicated>,
    /// The addresses of connected replicas that did not acknowledge a write in time, each with the
    /// offset of this write. A later round does not wait for such a replica unless the replica has
    /// acknowledged this offset in the meantime.
    missed: HashMap<String, u64>,
}

impl Rounds {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, turns: Mutex::default() }
    }

    /// Waits until the replicas have all operations that the master of a slot has run so far.
    /// `history` is the name of the master's stream of writes. `near` is a key in the slot.
    ///
    /// # Errors
    /// Returns [`NotReplicated`] if a fail-over may undo one of these operations.
    pub(super) async fn wait(
        &self,
        slot: Slot,
        near: &str,
        history: &str,
        durability: Durability,
    ) -> Result<(), NotReplicated> {
        let turn = self.turn(history, durability);
        let number = turn.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut state = turn.state.lock().await;
        if state.covered < number {
            let covered = turn.asked.load(Ordering::SeqCst);
            let outcome = self.round(slot, near, history, durability, &mut state.missed).await;
            state.covered = covered;
            state.failure = outcome.err();
        }
        state.failure.clone().map_or(Ok(()), Err)
    }

    fn turn(&self, history: &str, durability: Durability) -> Arc<Turn> {
        // No code panics while it holds the lock.
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= MASTERS {
            turns.clear();
        }
        Arc::clone(turns.entry((history.to_owned(), durability)).or_default())
    }

    async fn round(
        &self,
        slot: Slot,
        near: &str,
        history: &str,
        durability: Durability,
        missed: &mut HashMap<String, u64>,
    ) -> Result<(), NotReplicated> {
        // The master replied to all awaited operations before this command, so its offset here
        // includes them.
        let before = self.look_patiently(slot, near, history).await?;
        missed.retain(|replica, offset| before.is_connected(replica) && !before.has(replica, *offset));
        let is_awaited = |replica: &str| before.is_connected(replica) && !missed.contains_key(replica);
        if let Some(replica) = before.lacking(durability, is_awaited) {
            return Err(NotReplicated::of(replica, &before));
        }
        if before.replicas.is_empty() {
            return Ok(());
        }
        // WAIT waits for the last write of its own connection, so this connection makes a write.
        let mut write = cmd("SET");
        write.arg(near).arg("").arg("PX").arg(1_000);
        let mut wait = cmd("WAIT");
        wait.arg(before.most_to_wait_for(durability)).arg(WAIT.as_millis() as u64);
        let after = self.look(slot, vec![write, wait]).await.map_err(NotReplicated::Unasked)?;
        let mut after = in_history(after, history)?;
        if !self.connection.is_clustered() {
            // A single server lists only connected replicas, so a replica that was lost meanwhile
            // is added again.
            let lost = before.replicas.into_iter().filter(|replica| !after.replicas.contains(replica));
            let lost: Vec<String> = lost.collect();
            after.replicas.extend(lost);
        }
        let lags = |replica: &&String| after.is_connected(replica) && !after.has(replica, before.offset);
        missed.extend(after.replicas.iter().filter(lags).map(|replica| (replica.clone(), before.offset)));
        let lacking = after.lacking(durability, |replica| after.has(replica, before.offset));
        lacking.map_or(Ok(()), |replica| Err(NotReplicated::of(replica, &after)))
    }

    /// Returns the report that the master of a slot gives on its replicas. If the connection is
    /// lost, or if another node has become the master of the slot, requests the report again. A
    /// repeat is harmless, because the request changes nothing.
    async fn look_patiently(&self, slot: Slot, near: &str, history: &str) -> Result<Master, NotReplicated> {
        let mut lost = false;
        loop {
            // Any server would reply to the other commands. Only the owner of the slot replies to
            // EXISTS; another server redirects to the owner.
            let mut is_there = cmd("EXISTS");
            is_there.arg(near);
            match self.look(slot, vec![is_there]).await {
                Ok(master) => return in_history(master, history),
                Err(error) if is_misrouted(&error) || (error.is_io_error() && !lost) => {
                    lost |= error.is_io_error();
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(NotReplicated::Unasked(error)),
            }
        }
    }

    /// Sends commands to the master of a slot, and then the commands that ask for the report on its
    /// replicas. Returns the report of the master, or `None` if the server is not a master.
    async fn look(&self, slot: Slot, mut commands: Vec<Cmd>) -> RedisResult<Option<Master>> {
        let first = commands.len();
        commands.extend(Master::questions(self.connection.is_clustered()));
        let answers = self.connection.send(slot, &commands).await?;
        let answers = answers.into_iter().map(Value::extract_error).collect::<Result<Vec<_>, RedisError>>()?;
        Master::of(answers.into_iter().skip(first).collect())
    }
}

/// Returns the report of a server if the server is still a master and still writes this history (a
/// stream of writes). Such a server has lost none of the writes in the history. Otherwise, returns
/// [`NotReplicated::Succeeded`].
fn in_history(master: Option<Master>, history: &str) -> Result<Master, NotReplicated> {
    master.filter(|master| master.history == history).ok_or(NotReplicated::Succeeded)
}

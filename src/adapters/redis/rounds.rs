//! Waiting until replicas have an operation.
//!
//! It happens over connections of its own, because `WAIT` holds up all later commands of its connection. The operations that
//! one master has answered meanwhile wait together: one round of questions serves all of them.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redis::cluster_routing::Slot;
use redis::{Cmd, RedisError, RedisResult, Value, cmd};

use super::connection::{Connection, PAUSE};
use super::durability::Durability;
use super::failure::{NotReplicated, is_misrouted};
use super::replicas::Master;

/// How long one round waits for replicas. An operation may meet a round that has just begun, and waits for one more.
const WAIT: Duration = Duration::from_millis(800);

/// How many masters are remembered: one that is forgotten is only asked again.
const MASTERS: usize = 1_000;

/// The rounds of all masters.
pub(super) struct Rounds {
    connection: Connection,
    turns: Mutex<HashMap<(String, Durability), Arc<Turn>>>,
}

/// The rounds of one master, one after the other.
#[derive(Default)]
struct Turn {
    /// How many operations have asked for a round.
    asked: AtomicU64,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many operations had asked when the last round began.
    covered: u64,
    /// How that went. `None` if every replica that counts has what was written before it.
    failure: Option<NotReplicated>,
    /// The connected replicas that did not acknowledge an offset in time. Nothing waits for one of them before it has that.
    missed: HashMap<String, u64>,
}

impl Rounds {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, turns: Mutex::default() }
    }

    /// Returns after the replicas have what a master has answered in this history. `near` is a key in the slot.
    ///
    /// # Errors
    /// [`NotReplicated`] if a fail-over may undo it.
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
        // All that is waited for was answered before this, so the master's offset lies behind it.
        let before = self.look_patiently(slot, near, history).await?;
        missed.retain(|replica, offset| before.is_connected(replica) && !before.has(replica, *offset));
        let is_awaited = |replica: &str| before.is_connected(replica) && !missed.contains_key(replica);
        if let Some(replica) = before.lacking(durability, is_awaited) {
            return Err(NotReplicated::of(replica, &before));
        }
        if before.replicas.is_empty() {
            return Ok(());
        }
        // WAIT waits for the last write of its own connection. This one is there to be waited for.
        let mut write = cmd("SET");
        write.arg(near).arg("").arg("PX").arg(1_000);
        let mut wait = cmd("WAIT");
        wait.arg(before.most_to_wait_for(durability)).arg(WAIT.as_millis() as u64);
        let after = self.look(slot, vec![write, wait]).await.map_err(NotReplicated::Unasked)?;
        let mut after = in_history(after, history)?;
        if !self.connection.is_clustered() {
            // A single server lists only those that are connected, and so not one that was lost meanwhile.
            let lost = before.replicas.into_iter().filter(|replica| !after.replicas.contains(replica));
            let lost: Vec<String> = lost.collect();
            after.replicas.extend(lost);
        }
        let lags = |replica: &&String| after.is_connected(replica) && !after.has(replica, before.offset);
        missed.extend(after.replicas.iter().filter(lags).map(|replica| (replica.clone(), before.offset)));
        let lacking = after.lacking(durability, |replica| after.has(replica, before.offset));
        lacking.map_or(Ok(()), |replica| Err(NotReplicated::of(replica, &after)))
    }

    /// Asks the master of a slot. It changes nothing, and so is asked again if its connection is lost or another node has
    /// become the master of the slot.
    async fn look_patiently(&self, slot: Slot, near: &str, history: &str) -> Result<Master, NotReplicated> {
        let mut lost = false;
        loop {
            // Any server answers the questions. Only one that has the slot answers this, and another one says who has it.
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

    /// Sends commands to the master of a slot, and behind them the questions of its replicas.
    async fn look(&self, slot: Slot, mut commands: Vec<Cmd>) -> RedisResult<Option<Master>> {
        let first = commands.len();
        commands.extend(Master::questions(self.connection.is_clustered()));
        let answers = self.connection.send(slot, &commands).await?;
        let answers = answers.into_iter().map(Value::extract_error).collect::<Result<Vec<_>, RedisError>>()?;
        Master::of(answers.into_iter().skip(first).collect())
    }
}

/// The master, if it is still one and has lost nothing since.
fn in_history(master: Option<Master>, history: &str) -> Result<Master, NotReplicated> {
    master.filter(|master| master.history == history).ok_or(NotReplicated::Succeeded)
}

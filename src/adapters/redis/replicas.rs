//! Whether an act has reached a replica, where its master has one: what a fail-over must not undo.
//!
//! Of a cluster's master it is the cluster's own list that counts, with replicas that cannot be reached: one that comes back
//! may be elected. Of a single server it is the replicas that are connected, as nobody elects them but its operator.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::cluster_routing::Slot;
use redis::{Cmd, RedisResult, Value, cmd};

use super::connection::Connection;

/// How long a master waits for its replica. Those that write to the same master wait behind each other.
const WAIT: Duration = Duration::from_secs(1);

/// What is known of the masters, until an answer says otherwise.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    known: Mutex<HashMap<Slot, Master>>,
}

/// The master of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Master {
    /// Its id in the cluster; empty for a single server.
    id: String,
    /// Whether it has replicas.
    replicated: bool,
}

impl Replicas {
    /// The master of a slot.
    pub(super) async fn of(&self, slot: Slot, connection: &Connection) -> RedisResult<Master> {
        let known = self.known().get(&slot).cloned();
        match known {
            Some(master) => Ok(master),
            None => self.learn(slot, connection).await,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Slot, Master>> {
        // No code panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn learn(&self, slot: Slot, connection: &Connection) -> RedisResult<Master> {
        let mut nodes = cmd("CLUSTER");
        nodes.arg("NODES");
        let question = if connection.is_clustered() { nodes } else { cmd("ROLE") };
        let master = match connection.send(slot, &[question]).await?.swap_remove(0) {
            Value::Array(role) => Some(Master { id: String::new(), replicated: has_replicas(&role) }),
            nodes => Master::among(&redis::from_redis_value::<String>(nodes)?),
        };
        match master {
            Some(master) => {
                self.known().insert(slot, master.clone());
                Ok(master)
            }
            // A replica was asked, as its master cannot be reached: it will refuse the act, unless it is elected just now.
            None => Ok(Master { id: "unknown".to_owned(), replicated: true }),
        }
    }

    /// Whether an act outlives its master, from the answers to [`Master::questions`].
    pub(super) async fn outlives(
        &self,
        slot: Slot,
        master: &Master,
        answers: &[Value],
        connection: &Connection,
    ) -> RedisResult<bool> {
        match (master.replicated, answers) {
            (true, [Value::Int(1..), ..]) => return Ok(true),
            (false, [Value::Array(role)]) if !has_replicas(role) => return Ok(true),
            (false, [id, Value::Array(replicas)]) if master.is(id) && replicas.is_empty() => return Ok(true),
            _ => {}
        }
        // Another master than was thought, or other replicas, and then in other slots too. It outlives it nevertheless if the
        // one that did the act turns out to have none.
        self.known().clear();
        let known = self.learn(slot, connection).await?;
        Ok(!known.replicated && answers.get(usize::from(master.replicated)).is_some_and(|id| known.is(id)))
    }
}

impl Master {
    /// The one that gave this list of the cluster's nodes, if it is a master: <https://redis.io/commands/cluster-nodes>.
    fn among(nodes: &str) -> Option<Self> {
        // An id, an address, flags, and of a replica its master.
        let nodes = || nodes.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let is_asked = |node: &Vec<&str>| node.get(2).is_some_and(|flags| flags.starts_with("myself,master"));
        let id = nodes().find(is_asked)?.first().copied()?.to_owned();
        let replicated = nodes().any(|node| node.get(3).is_some_and(|master| *master == id));
        Some(Self { id, replicated })
    }

    /// What is asked behind an act, on the same connection: that a replica has it, or else that there is none; and who did it.
    pub(super) fn questions(&self) -> Vec<Cmd> {
        let mut wait = cmd("WAIT");
        wait.arg(1).arg(WAIT.as_millis() as u64);
        let mut who = cmd("CLUSTER");
        who.arg("MYID");
        let mut replicas = cmd("CLUSTER");
        replicas.arg("REPLICAS").arg(&self.id);
        match (self.replicated, self.id.is_empty()) {
            (true, false) => vec![wait, who],
            (false, false) => vec![who, replicas],
            (true, true) => vec![wait, cmd("ROLE")],
            (false, true) => vec![cmd("ROLE")],
        }
    }

    /// Whether this is what it says it is called, or what role it says it has.
    fn is(&self, told: &Value) -> bool {
        match told {
            Value::BulkString(id) => *id == self.id.as_bytes(),
            Value::Array(role) => self.id.is_empty() && !has_replicas(role),
            _ => false,
        }
    }
}

/// Of the answer to ROLE: `master`, an offset, and the replicas that are connected. What is no master has none to count on.
fn has_replicas(role: &[Value]) -> bool {
    !matches!(role, [Value::BulkString(master), _, Value::Array(replicas)] if master == b"master" && replicas.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_counts_also_where_it_has_failed() {
        let nodes = "aa 127.0.0.1:1@11 myself,master - 0 0 1 connected 0-8191\n\
             bb 127.0.0.1:2@12 master - 0 0 2 connected 8192-16383\n\
             cc 127.0.0.1:3@13 slave,fail aa 0 0 1 disconnected\n";
        assert_eq!(Master::among(nodes), Some(Master { id: "aa".into(), replicated: true }));
        let elsewhere = nodes.replace("slave,fail aa", "slave bb");
        assert_eq!(Master::among(&elsewhere), Some(Master { id: "aa".into(), replicated: false }));
        let asked = nodes.replace("myself,", "").replace("slave,fail", "myself,slave");
        assert_eq!(Master::among(&asked), None);
    }
}

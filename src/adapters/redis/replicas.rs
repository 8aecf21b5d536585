//! The report of a master on its replicas: the addresses of the replicas, and the writes that each
//! replica has.
//!
//! In a cluster, the reply of a master to `CLUSTER NODES` lists the replicas that may be elected in
//! its place, including unreachable replicas. Its reply to `INFO replication` says which writes
//! each connected replica has acknowledged. Both replies name a replica by the same address, unless
//! only one of `cluster-announce-ip` and `replica-announce-ip` is set. A replica with two different
//! addresses counts as not connected.
//!
//! A history is the stream of writes that a master sends to its replicas. The field `master_replid`
//! of `INFO replication` contains the name of the history. A server that is demoted or promoted
//! continues with another history, and never returns to an earlier history. So if a server names
//! the same history before and after an operation, it has not lost the operation.

use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value, cmd};

use super::durability::Durability;

/// The report of a master on itself and its replicas.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Master {
    /// The name of the master's history (the stream of writes that it sends to its replicas).
    pub(super) history: String,
    /// The offset of the master: the length of its history in bytes. The offset of a write is the
    /// offset of the master just after the write.
    pub(super) offset: u64,
    /// The addresses of the replicas that count for durability.
    pub(super) replicas: Vec<String>,
    connected: Vec<Connected>,
}

/// A replica that is connected to its master.
#[derive(PartialEq, Eq, Debug)]
struct Connected {
    address: String,
    /// The offset up to which the replica has acknowledged writes. It is `None` while the replica
    /// still copies the data of its master.
    offset: Option<u64>,
}

/// Returns the command that asks a server for the name of its history (its stream of writes).
pub(super) fn history_question() -> Cmd {
    let mut info = cmd("INFO");
    info.arg("replication");
    info
}

/// Returns the name of a server's history (its stream of writes), or `None` if the server is not a
/// master. `info` is the reply to [`history_question`].
pub(super) fn history(info: Value) -> RedisResult<Option<String>> {
    Ok(Replication::of(&redis::from_redis_value::<String>(info)?)?.map(|replication| replication.history))
}

impl Master {
    /// Returns the commands that ask a server for its report. The function [`of`](Self::of) reads
    /// the replies. `CLUSTER NODES` is the last command, so the report can miss only a replica that
    /// joins after this command. Such a replica copies the data of the master, and this data
    /// already includes the operation that must be replicated.
    pub(super) fn questions(is_clustered: bool) -> Vec<Cmd> {
        let mut nodes = cmd("CLUSTER");
        nodes.arg("NODES");
        let mut questions = vec![history_question()];
        questions.extend(is_clustered.then_some(nodes));
        questions
    }

    /// Reads the replies of a server to [`questions`](Self::questions). Returns `None` if the
    /// server is not a master.
    pub(super) fn of(answers: Vec<Value>) -> RedisResult<Option<Self>> {
        let mut answers = answers.into_iter().map(redis::from_redis_value::<String>);
        let info = answers.next().ok_or_else(|| unexpected("the server did not reply to INFO"))??;
        let Some(Replication { history, offset, promoted, connected }) = Replication::of(&info)? else {
            return Ok(None);
        };
        let replicas = match answers.next().transpose()? {
            Some(nodes) => match listed(&nodes, promoted)? {
                Some(replicas) => replicas,
                None => return Ok(None),
            },
            // Only an operator promotes a replica of a single server, so unconnected replicas do
            // not count.
            None => connected
                .iter()
                .filter(|replica| replica.offset.is_some())
                .map(|replica| replica.address.clone())
                .collect(),
        };
        Ok(Some(Self { history, offset, replicas, connected }))
    }

    /// Returns whether a replica is connected, even if it still copies the data of its master.
    pub(super) fn is_connected(&self, replica: &str) -> bool {
        self.connected.iter().any(|connected| connected.address == replica)
    }

    /// Returns whether a replica has acknowledged all writes up to an offset.
    pub(super) fn has(&self, replica: &str, offset: u64) -> bool {
        let is_it = |connected: &&Connected| connected.address == replica;
        self.connected.iter().find(is_it).and_then(|connected| connected.offset).is_some_and(|has| has >= offset)
    }

    /// Returns `None` if `does` returns true for as many replicas as `durability` requires.
    /// Otherwise, returns the address of a replica for which `does` returns false.
    pub(super) fn lacking(&self, durability: Durability, does: impl Fn(&str) -> bool) -> Option<&str> {
        let has_it = |replica: &&String| does(replica);
        let lacking = self.replicas.iter().find(|replica| !has_it(replica));
        match durability {
            Durability::OneReplica if self.replicas.iter().any(|replica| has_it(&replica)) => None,
            Durability::EveryReplica | Durability::OneReplica => lacking.map(String::as_str),
        }
    }

    /// Returns the number of replicas that `WAIT` must wait for. `WAIT` counts all connected
    /// replicas, even other replicas than those in [`replicas`](Self::replicas). So for
    /// [`OneReplica`](Durability::OneReplica), the number is one more than the number of these
    /// other replicas. For [`EveryReplica`](Durability::EveryReplica), it is the number of all
    /// connected replicas.
    pub(super) fn most_to_wait_for(&self, durability: Durability) -> usize {
        let strange = self.connected.iter().filter(|connected| !self.replicas.contains(&connected.address)).count();
        match durability {
            Durability::EveryReplica => self.connected.len(),
            Durability::OneReplica => strange + 1,
        }
    }
}

/// The reply of a master to `INFO replication`.
struct Replication {
    history: String,
    offset: u64,
    /// Whether the server was a replica before it became a master.
    promoted: bool,
    connected: Vec<Connected>,
}

impl Replication {
    fn of(info: &str) -> RedisResult<Option<Self>> {
        let lines = || info.lines().filter_map(|line| line.trim_end().split_once(':'));
        let field = |name| lines().find(|(field, _)| *field == name).map(|(_, value)| value);
        let required = |name| field(name).ok_or_else(|| unexpected("INFO replication lacks a field"));
        if required("role")? != "master" {
            return Ok(None);
        }
        let is_replica =
            |field: &str| field.strip_prefix("slave").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        Ok(Some(Self {
            history: required("master_replid")?.to_owned(),
            offset: number(required("master_repl_offset")?)?,
            promoted: required("master_replid2")?.bytes().any(|digit| digit != b'0'),
            connected: lines()
                .filter(|(field, _)| is_replica(field))
                .map(|(_, replica)| Connected::of(replica))
                .collect::<RedisResult<_>>()?,
        }))
    }
}

impl Connected {
    /// Parses a line such as `ip=10.0.0.2,port=6379,state=online,offset=42,lag=0`.
    fn of(replica: &str) -> RedisResult<Self> {
        let field = |name| {
            let found = replica.split(',').filter_map(|part| part.split_once('=')).find(|(field, _)| *field == name);
            found.map(|(_, value)| value).ok_or_else(|| unexpected("INFO replication lacks a field of a replica"))
        };
        let offset = number(field("offset")?)?;
        let offset = (field("state")? == "online").then_some(offset);
        Ok(Self { address: format!("{}:{}", field("ip")?, field("port")?), offset })
    }
}

/// Returns the addresses of the replicas that may be elected in place of the server that sent this
/// list, including failed replicas (<https://redis.io/commands/cluster-nodes>). Returns `None` if
/// that server is not a master.
///
/// After a fail-over, the other replicas of the failed master follow the new master as soon as they
/// learn of it. Until then, the list still shows these replicas under the failed master. The failed
/// master has no slots any more. The list does not say which server took over those slots. So a
/// promoted master counts the replicas of every failed master that it may have replaced.
fn listed(nodes: &str, promoted: bool) -> RedisResult<Option<Vec<String>>> {
    let nodes = nodes.lines().map(Node::of).collect::<RedisResult<Vec<_>>>()?;
    let is_asked = |node: &&Node<'_>| node.has_flag("myself") && node.has_flag("master");
    let Some(asked) = nodes.iter().find(is_asked) else { return Ok(None) };
    let has_failed = |node: &Node<'_>| node.has_flag("fail") || node.has_flag("fail?");
    let is_succeeded =
        |node: &&Node<'_>| node.has_flag("master") && has_failed(node) && !node.has_slots && node.epoch < asked.epoch;
    let mut masters = vec![asked.id];
    if promoted {
        masters.extend(nodes.iter().filter(is_succeeded).map(|node| node.id));
    }
    let replicas = nodes.iter().filter(|node| !node.has_flag("myself") && masters.contains(&node.master));
    Ok(Some(replicas.map(|node| node.address.to_owned()).collect()))
}

/// A node of the cluster, as one line of the reply to `CLUSTER NODES` describes it.
struct Node<'l> {
    id: &'l str,
    address: &'l str,
    flags: &'l str,
    /// The id of the node's master, or `-` if the node is a master.
    master: &'l str,
    epoch: u64,
    has_slots: bool,
}

impl<'l> Node<'l> {
    /// Parses a line. Its fields are the id, the address, the flags, the master, the time of the
    /// last ping, the time of the last pong, the epoch, the state of the link, and the slots.
    fn of(line: &'l str) -> RedisResult<Self> {
        let parts: Vec<&str> = line.split(' ').collect();
        let [id, address, flags, master, _, _, epoch, _, slots @ ..] = &parts[..] else {
            return Err(unexpected("CLUSTER NODES has a line that is too short"));
        };
        let (address, _) =
            address.split_once('@').ok_or_else(|| unexpected("CLUSTER NODES has a node without address"))?;
        Ok(Self { id, address, flags, master, epoch: number(epoch)?, has_slots: !slots.is_empty() })
    }

    fn has_flag(&self, flag: &str) -> bool {
        self.flags.split(',').any(|other| other == flag)
    }
}

fn number(text: &str) -> RedisResult<u64> {
    text.parse().map_err(|_| unexpected("the server returned text that is not a number"))
}

fn unexpected(what: &'static str) -> RedisError {
    (ErrorKind::UnexpectedReturnType, what).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n\
        slave0:ip=10.0.0.4,port=6379,state=online,offset=100,lag=0\r\n\
        slave1:ip=10.0.0.5,port=6379,state=online,offset=70,lag=1\r\n\
        slave2:ip=10.0.0.6,port=6379,state=wait_bgsave,offset=0,lag=0\r\n\
        master_failover_state:no-failover\r\nmaster_replid:aaaa\r\nmaster_replid2:0000\r\nmaster_repl_offset:100\r\n";

    /// A reply to `CLUSTER NODES`, in which the first node is the master of the third and the
    /// fourth node.
    const NODES: &str = "aa 10.0.0.1:6379@16379 myself,master - 0 0 3 connected 0-8191\n\
        bb 10.0.0.2:6379@16379,host.b master - 0 0 2 connected 8192-16383\n\
        cc 10.0.0.4:6379@16379,host.c slave aa 0 0 3 connected\n\
        dd 10.0.0.7:6379@16379 slave,fail aa 0 0 3 disconnected\n\
        ee 10.0.0.8:6379@16379 slave bb 0 0 2 connected\n";

    fn master(info: &str, nodes: &str) -> Option<Master> {
        let answers = [info, nodes].map(|text| Value::BulkString(text.into()));
        Master::of(answers.into()).unwrap()
    }

    #[test]
    fn a_replica_counts_also_if_it_has_failed() {
        assert_eq!(master(INFO, NODES).unwrap().replicas, ["10.0.0.4:6379", "10.0.0.7:6379"]);
    }

    #[test]
    fn a_replica_says_nothing_of_its_own_replicas() {
        assert_eq!(master(&INFO.replace("role:master", "role:slave"), NODES), None);
        assert_eq!(master(INFO, &NODES.replace("myself,master", "myself,slave")), None);
    }

    #[test]
    fn replicas_of_a_failed_master_count_for_its_successor() {
        let failed =
            "ff 10.0.0.9:6379@16379 master,fail - 0 0 1 connected\ngg 10.0.0.10:6379@16379 slave ff 0 0 1 connected\n";
        let promoted = INFO.replace("replid2:0000", "replid2:bbbb");
        let counted = |info, failed: &str| {
            let nodes = format!("{NODES}{failed}");
            master(info, &nodes).unwrap().replicas.contains(&"10.0.0.10:6379".to_owned())
        };
        assert!(counted(&promoted, failed));
        assert!(!counted(INFO, failed), "a server that never was a replica has replaced no master");
        let with_slots = failed.replacen("connected\n", "connected 5\n", 1);
        assert!(!counted(&promoted, &with_slots), "a master that has slots was not replaced");
        let later = failed.replacen("0 0 1 connected", "0 0 4 connected", 1);
        assert!(!counted(&promoted, &later), "a master of a later epoch was not replaced by one of an earlier epoch");
        let healthy = failed.replace("master,fail", "master");
        assert!(!counted(&promoted, &healthy), "a new master waits for slots");
    }

    #[test]
    fn what_is_lacking_depends_on_the_durability() {
        let lacking = |durability, nodes: &str, offset| {
            let master = master(INFO, nodes).unwrap();
            master.lacking(durability, |replica| master.has(replica, offset)).map(str::to_owned)
        };
        let disconnected = Some("10.0.0.7:6379".to_owned());
        assert_eq!(lacking(Durability::EveryReplica, NODES, 100), disconnected);
        assert_eq!(lacking(Durability::OneReplica, NODES, 100), None);
        assert_eq!(lacking(Durability::OneReplica, NODES, 101), Some("10.0.0.4:6379".to_owned()));
        let behind = NODES.replace("10.0.0.7", "10.0.0.5");
        assert_eq!(lacking(Durability::EveryReplica, &behind, 71), Some("10.0.0.5:6379".to_owned()));
        assert_eq!(lacking(Durability::EveryReplica, &behind, 70), None);
        let copying = NODES.replace("10.0.0.7", "10.0.0.6");
        assert_eq!(lacking(Durability::EveryReplica, &copying, 0), Some("10.0.0.6:6379".to_owned()));
        let alone = NODES.replace(" aa ", " bb ");
        assert_eq!(lacking(Durability::EveryReplica, &alone, 101), None);
        assert_eq!(lacking(Durability::OneReplica, &alone, 101), None);
    }

    #[test]
    fn a_connected_replica_that_is_not_listed_does_not_count_for_a_listed_one() {
        let master = master(INFO, NODES).unwrap();
        assert!(master.is_connected("10.0.0.6:6379") && !master.has("10.0.0.6:6379", 0));
        assert_eq!(master.most_to_wait_for(Durability::OneReplica), 3);
        assert_eq!(master.most_to_wait_for(Durability::EveryReplica), 3);
    }

    #[test]
    fn an_answer_that_is_not_understood_is_an_error() {
        let answers = |info: &str, nodes: &str| [info, nodes].map(|text| Value::BulkString(text.into())).into();
        for missing in ["master_replid:", "master_repl_offset:", "master_replid2:", "state=", "role:"] {
            assert!(Master::of(answers(&INFO.replace(missing, "x:"), NODES)).is_err(), "{missing}");
        }
        assert!(Master::of(answers(INFO, &NODES.replace("@16379", ""))).is_err());
        assert!(Master::of(answers(INFO, "aa 10.0.0.1:6379@16379 myself,master -")).is_err());
    }
}
